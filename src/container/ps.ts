import { openCgroup } from '../cgroup/select.ts';
import { TsrunError } from '../errors.ts';
import { readTool } from '../process/run-tool.ts';
import { hasErrno } from '../sys/errno.ts';
import type { ShowProcessesOptions, RuntimeOptions } from './store/options.ts';
import { StateDirectory } from './store/directory.ts';

/**
 * The processes of a container, those in cgroups that it made included.
 *
 * Shape: pids as the host sees them, ascending; none of a stopped container. Errors: `not-found`; `unsupported` without a cgroup,
 * which alone tells whose a process is.
 */
export function listProcesses(runtime: RuntimeOptions, id: string): number[] {
  using directory = new StateDirectory(runtime.root, id);
  const { cgroup } = directory.readRecord();
  if (cgroup.directories.length > 0) return openCgroup(cgroup).processes();
  throw new TsrunError('unsupported', `list the processes of container ${JSON.stringify(id)}: it has no cgroup`);
}

/**
 * What ps(1) says about the processes of a container: its heading, then a line a process.
 *
 * Errors: those of `listProcesses`; `host` when ps is not installed, fails, or shows no column PID.
 */
export async function showProcesses(
  runtime: RuntimeOptions,
  { id, psArguments }: ShowProcessesOptions,
): Promise<string> {
  const pids = listProcesses(runtime, id);
  return selectLines(await runPs(psArguments.length === 0 ? ['-ef'] : psArguments), pids);
}

async function runPs(args: readonly string[]): Promise<string> {
  let result: Awaited<ReturnType<typeof readTool>>;
  try {
    result = await readTool('ps', args);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    const message = 'run "ps": it is not installed; --format json needs no ps';
    throw new TsrunError('host', message, { errno: 'ENOENT', cause: error });
  }
  if (result.code === 0) return result.stdout;
  const why = `${result.stdout}${result.stderr}`.trim();
  throw new TsrunError('host', `run "ps" with ${JSON.stringify(args)}: exit code ${result.code}: ${why}`);
}

/** The heading of a table and its lines whose column PID is one of `pids`. Errors: `host` when the table has no such column. */
export function selectLines(table: string, pids: readonly number[]): string {
  const [heading = '', ...lines] = table.split('\n');
  const column = fieldsOf(heading).indexOf('PID');
  if (column < 0) throw new TsrunError('host', `read the output of "ps": no column PID in ${JSON.stringify(heading)}`);
  const wanted = new Set(pids.map(String));
  const chosen = lines.filter((line) => wanted.has(fieldsOf(line)[column] ?? ''));
  return [heading, ...chosen].map((line) => `${line}\n`).join('');
}

function fieldsOf(line: string): string[] {
  return line.split(/\s+/).filter((field) => field !== '');
}
