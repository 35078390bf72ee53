import { TsrunError } from '../errors.ts';
import { writeKernelFile } from '../sys/file.ts';
import { hasErrno } from '../sys/errno.ts';
import { runTool, type ToolResult } from './run-tool.ts';

/** A map may have 340 ranges (man 7 user_namespaces). */
const SHOWN_MAX = 3;

interface IdRange {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** The maps and how they are to be written; `planIdMaps` decides. */
export interface IdMaps {
  readonly uid: readonly IdRange[];
  readonly gid: readonly IdRange[];
  readonly uidTool: boolean;
  readonly gidTool: boolean;
  readonly denySetgroups: boolean;
}

/**
 * Writes the id maps of a process that has just entered a new user namespace and waits.
 *
 * Privileged: the map files directly. Unprivileged: one own id directly with setgroups denied, everything else through the
 * set-uid tools newuidmap and newgidmap. The plan says which.
 * Errors: `host` with the map in the message. Source: man 7 user_namespaces, man 1 newuidmap.
 */
export async function writeIdMaps(pid: number, plan: IdMaps): Promise<void> {
  if (plan.denySetgroups) writeSetgroups(pid);
  await writeMap(pid, 'gid', plan.gid, plan.gidTool);
  await writeMap(pid, 'uid', plan.uid, plan.uidTool);
}

async function writeMap(pid: number, kind: 'uid' | 'gid', ranges: readonly IdRange[], tool: boolean): Promise<void> {
  const shown = ranges.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}`);
  const listed = `${JSON.stringify(shown.slice(0, SHOWN_MAX))}${shown.length > SHOWN_MAX ? ` and ${shown.length - SHOWN_MAX} more` : ''}`;
  const pointer = `/linux/${kind}Mappings`;
  if (tool) {
    const name = `new${kind}map`;
    const numbers = ranges.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size]);
    const { code, stderr } = await runMapTool(name, [String(pid), ...numbers.map(String)], pointer);
    if (code === 0) return;
    const said = `exit code ${code}: ${stderr.trim()}`;
    throw new TsrunError('host', `map ${kind}s ${listed} with ${name}: ${said}`, { pointer });
  }
  try {
    writeKernelFile(`/proc/${pid}/${kind}_map`, `${shown.join('\n')}\n`);
  } catch (cause) {
    throw TsrunError.of('host', `map ${kind}s ${listed}`, cause, { pointer });
  }
}

async function runMapTool(name: string, args: readonly string[], pointer: string): Promise<ToolResult> {
  try {
    return await runTool(name, args);
  } catch (error) {
    throw error instanceof TsrunError ? error.withPointer(pointer) : error;
  }
}

function writeSetgroups(pid: number): void {
  try {
    writeKernelFile(`/proc/${pid}/setgroups`, 'deny');
  } catch (error) {
    // Kernels before 3.19 have no such file and no such rule.
    if (!hasErrno(error, 'ENOENT')) throw error;
  }
}
