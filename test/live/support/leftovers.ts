import { rmdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { listUnits } from './systemd.ts';

/** How things of one rig are told from those of others who test at the same time. */
export interface Marks {
  /** Every container id starts with it. */
  readonly prefix: string;
  readonly directory: string;
  readonly root: string;
  /** Session ids of the commands that the rig started. */
  readonly sessions: ReadonlySet<number>;
}

/** One line for each thing that containers of a rig have left on the host; empty when it is clean. */
export function findLeftovers(marks: Marks): string[] {
  return [
    ...findProcesses(marks),
    ...findCgroups(marks),
    ...findMounts(marks),
    ...findStates(marks),
    ...findUnits(marks),
  ];
}

/** Processes in a cgroup, below a directory, or in a session of the rig. Zombies are not counted. */
export function listOwnProcesses(marks: Marks): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isOwn(pid, marks));
}

function isOwn(pid: number, { prefix, directory, sessions }: Marks): boolean {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return false;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return false;
  if (sessions.has(Number(fields[3]))) return true;
  if (readText(`/proc/${pid}/cgroup`)?.includes(prefix) === true) return true;
  return [readLink(`/proc/${pid}/root`), readLink(`/proc/${pid}/cwd`)].some((place) =>
    place.startsWith(`${directory}/`),
  );
}

function findProcesses(marks: Marks): string[] {
  return listOwnProcesses(marks).map((pid) => {
    const exe = readLink(`/proc/${pid}/exe`);
    const commandLine = readText(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim() ?? '';
    return `process ${pid}: ${exe} (${commandLine})`;
  });
}

/** Takes away what a failed test has left, so that it does not fail others. */
export function removeCgroups(prefix: string): void {
  for (const line of findCgroups({ prefix })) {
    try {
      rmdirSync(line.slice('cgroup '.length));
    } catch {
      // It is not empty; the test has said so.
    }
  }
}

/** Directories in every mounted cgroup hierarchy whose names contain a container's id. */
export function findCgroups({ prefix }: Pick<Marks, 'prefix'>): string[] {
  const found: string[] = [];
  const walk = (directory: string, depth: number): void => {
    for (const name of listDirectories(directory)) {
      const inside = path.join(directory, name);
      if (name.includes(prefix)) found.push(`cgroup ${inside}`);
      else if (depth > 0) walk(inside, depth - 1);
    }
  };
  walk('/sys/fs/cgroup', 6);
  return found;
}

function findMounts({ directory }: Marks): string[] {
  const lines = (readText('/proc/self/mountinfo') ?? '').split('\n');
  return lines.filter((line) => line.includes(directory)).map((line) => `mount ${line}`);
}

function findUnits({ prefix }: Marks): string[] {
  return listUnits(prefix).map((line) => `unit ${line}`);
}

function findStates({ root }: Marks): string[] {
  return listDirectories(root).map((name) => `state directory ${path.join(root, name)}`);
}

function listDirectories(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    // Gone in the meantime, or never there.
    return [];
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function readLink(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
