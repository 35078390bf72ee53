import { existsSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findCgroups, listOwnProcesses } from './leftovers.ts';

/** Directories of rigs begin with it; the six letters behind it are in the ids of their containers too. */
export const RIG_DIRECTORY = 'tsrun-live-';
const OWNER = 'owner';
const PATIENCE_MS = 2000;
const INTERVAL_MS = 20;

/** What every container id of a rig begins with. */
export function prefixOf(directory: string): string {
  return `tsrun-test-${path.basename(directory).slice(-6)}`;
}

/** Says whose a rig is, for those who find it when this process has been killed. */
export function signRig(directory: string, pid = process.pid): void {
  writeFileSync(path.join(directory, OWNER), `${pid} ${startOf(pid)}`);
}

/**
 * Removes what rigs have left whose process is no longer there: nobody cleans up who is killed. Those of processes that live stay, and
 * so do directories that nobody has signed.
 */
export function removeStaleRigs(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(RIG_DIRECTORY))) {
    const directory = path.join(tmpdir(), name);
    if (isStale(directory)) removeRig(directory);
  }
}

function isStale(directory: string): boolean {
  const file = path.join(directory, OWNER);
  try {
    // Root's own alone: the directory of a rig is everybody's where there is a user for tests.
    if (statSync(file).uid !== process.getuid?.()) return false;
    const [pid = '', start = ''] = readFileSync(file, 'utf8').split(' ');
    return /^\d+$/.test(pid) && startOf(Number(pid)) !== start;
  } catch {
    return false;
  }
}

function removeRig(directory: string): void {
  const prefix = prefixOf(directory);
  const marks = { prefix, directory, root: path.join(directory, 'state'), sessions: new Set<number>() };
  const deadline = Date.now() + PATIENCE_MS;
  const cgroups = findCgroups({ prefix }).map((line) => line.slice('cgroup '.length));
  // What is frozen by cgroup v1 does not die.
  for (const cgroup of cgroups)
    tryTo(() => {
      thaw(cgroup);
    });
  for (let pids = listOwnProcesses(marks); pids.length > 0 && Date.now() < deadline; pids = listOwnProcesses(marks)) {
    for (const pid of pids)
      tryTo(() => {
        process.kill(pid, 'SIGKILL');
      });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, INTERVAL_MS);
  }
  for (const cgroup of cgroups)
    tryTo(() => {
      removeNested(cgroup);
    });
  spawnSync('umount', ['--recursive', '--lazy', directory], { stdio: 'ignore' });
  // Nothing of another file system is removed.
  spawnSync('rm', ['-rf', '--one-file-system', directory], { stdio: 'ignore' });
}

function thaw(cgroup: string): void {
  const file = path.join(cgroup, 'freezer.state');
  if (existsSync(file)) writeFileSync(file, 'THAWED');
}

function removeNested(cgroup: string): void {
  for (const entry of readdirSync(cgroup, { withFileTypes: true }))
    if (entry.isDirectory()) removeNested(path.join(cgroup, entry.name));
  rmdirSync(cgroup);
}

/** Somebody else may be doing the same. */
function tryTo(act: () => void): void {
  try {
    act();
  } catch {
    // The inventory at the end of the run says what is left.
  }
}

/** In ticks since the machine has booted; empty where there is no such process any more. Source: man 5 proc_pid_stat. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}
