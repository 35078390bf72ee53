import { readFileSync, readdirSync } from 'node:fs';
import { openManagedCgroup } from '../../cgroup/select.ts';
import { TsrunError } from '../../errors.ts';
import type { Runtime } from '../caller/caller.ts';
import type { StateDirectory } from '../store/directory.ts';
import { salvageRecord } from '../store/record.ts';
import { identifyProcess, isAlive } from '../store/process-identity.ts';
import { endProcess } from './end-process.ts';

const SIGKILL = 9;
/** Of processes that are left, nobody reads more than these. */
const SHOWN_MAX = 10;

/**
 * Ends what a container has left whose record is damaged, as far as the record still says for sure what that is: its init, by pid and start
 * time, and its cgroups. Whatever else seems to be its own is told of, by its cgroup, and not touched: another runtime, or another
 * `--root`, may have a container of the same name. runc and crun leave both as they are.
 */
export async function endDamaged({ log, caller }: Runtime, directory: StateDirectory): Promise<void> {
  const damage = damageOf(directory);
  if (damage === undefined) return;
  const { init, cgroup } = salvageRecord(directory.readRecordText(), directory.id);
  try {
    const managed = cgroup === undefined ? undefined : openManagedCgroup(cgroup, caller.buses);
    await managed?.killAll(SIGKILL);
    if (init !== undefined) await endProcess(init);
    await managed?.remove({ kill: true });
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    log.warning(error.message);
  }
  log.warning(`${damage}: ${describeLeft(findByCgroup(directory.id))}`);
}

/** Undefined where there is no record at all: what makes a container writes it before anything else. */
function damageOf(directory: StateDirectory): string | undefined {
  try {
    directory.readRecord();
    return undefined;
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    return error.code === 'state' ? error.message : undefined;
  }
}

interface Left {
  readonly pid: number;
  /** Path in its hierarchy. */
  readonly cgroup: string;
}

function describeLeft(left: readonly Left[]): string {
  const [first] = left;
  if (first === undefined) return 'no process is left in a cgroup of its name';
  const pids = left.slice(0, SHOWN_MAX).map(({ pid }) => pid);
  const more = left.length > pids.length ? ` and ${left.length - pids.length} more` : '';
  const what = `${left.length === 1 ? 'a process' : 'processes'} in the cgroup ${JSON.stringify(first.cgroup)} may be left of it`;
  return `${what}, and ${left.length === 1 ? 'is' : 'are'} not touched: ${pids.join(', ')}${more}; "kill -KILL ${pids.join(' ')}" ends what is its own`;
}

/** Those in a cgroup that is named after a container, by either manager. */
function findByCgroup(id: string): Left[] {
  const isNamed = (name: string): boolean => name === id || (name.endsWith('.scope') && name.endsWith(`-${id}.scope`));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const path = cgroupsOf(name).find((cgroup) => cgroup.split('/').some(isNamed));
      const process = path === undefined ? undefined : identifyProcess(Number(name));
      return path !== undefined && process !== undefined && isAlive(process)
        ? [{ pid: process.pid, cgroup: path }]
        : [];
    });
}

/** The paths of a process in its hierarchies; none of one that has ended. */
function cgroupsOf(pid: string): string[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return [];
  }
  return text
    .split('\n')
    .map((line) => line.split(':').slice(2).join(':'))
    .filter((path) => path !== '');
}
