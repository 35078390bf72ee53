import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import type { CreateOptions, ExecOptions, RuntimeOptions } from '../../src/container/store/options.ts';
import type { Log } from '../../src/log.ts';
import { PLANNER_NAME } from '../../src/plan/launcher/acknowledge.ts';
import { reapChild } from '../../src/sys/process/wait.ts';
import { findCgroups } from '../live/support/leftovers.ts';
import type { Rig } from '../live/support/rig.ts';

/** The library at work in this process, below the root directory of a rig. */
export function runtimeOf(rig: Rig, log: Log = silent): RuntimeOptions {
  return { root: rig.root, cgroupManager: 'cgroupfs', log };
}

const silent: Log = { debug: () => undefined, warning: () => undefined, error: () => undefined };

export function createOptions(id: string, bundle: string, nullFd: number): CreateOptions {
  return { id, bundle, noPivot: false, noNewKeyring: false, preserved: [], stdio: [nullFd, nullFd, nullFd] };
}

export function execOptions(id: string, args: readonly string[], nullFd: number): ExecOptions {
  return {
    id,
    change: { kind: 'options', args, env: [], terminal: false, additionalGids: [], capabilities: [] },
    detach: false,
    preserved: [],
    ignorePaused: false,
    stdio: [nullFd, nullFd, nullFd],
  };
}

/** The first process of a container, as its state file has it; undefined where there is none. */
export function initPid(rig: Rig, id: string): number | undefined {
  const file = path.join(rig.root, id, 'state.json');
  if (!existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly init?: { readonly pid: number } }).init?.pid;
}

/** A container that this process made ended as its child: who makes containers in-process reaps them. */
export function reap(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    reapChild(pid);
  } catch {
    // It has been reaped, or is somebody else's child.
  }
}

/** What there is of one container, in a form that costs little to look up after each of a thousand attempts. */
export function remains(rig: Rig, id: string): string[] {
  return [
    ...(existsSync(path.join(rig.root, id)) ? [`state of ${id}`] : []),
    ...children().map((pid) => `child ${pid}`),
    ...findCgroups({ prefix: id }),
  ];
}

/** The children of this process, zombies among them, but for a planner that serves commands of the tests. */
export function children(): string[] {
  return allChildren().filter((pid) => nameOf(pid) !== PLANNER_NAME);
}

function nameOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    // It has been reaped.
    return undefined;
  }
}

function allChildren(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean);
    } catch {
      // A thread of the pool that has ended.
      return [];
    }
  });
}

/** What this process has open: number -> what it is. Node's own event descriptors do not change any more once it runs. */
export function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      const link = readlinkSync(`/proc/self/fd/${number}`);
      // libuv makes one for a loop at its first watch, and keeps it.
      return link === 'anon_inode:inotify' ? [] : [`${number} ${link}`];
    } catch {
      // The descriptor that has listed the others.
      return [];
    }
  });
}
