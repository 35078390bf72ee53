import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { readArch } from '../../src/host/facts.ts';
import { Conversation } from '../../src/process/conversation.ts';
import { spawnInit } from '../../src/process/spawned.ts';
import { OwnedFd } from '../../src/sys/fd.ts';
import { openFile } from '../../src/sys/file.ts';
import { reapChild, waitChild } from '../../src/sys/process/wait.ts';
import { hasErrno } from '../../src/sys/errno.ts';
import { O_RDWR } from '../../src/util/constants.ts';

export const ARCH = readArch();
export const SYNC_FD = 3;

/** A directory that is gone when the test is over. */
export function makeDirectory(t: Test): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tsrun-test-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

export interface StartedInit {
  readonly pid: number;
  readonly socket: OwnedFd;
  readonly conversation: Conversation;
}

/** An init with /dev/null, or `output` as its standard output; killed and reaped when the test is over. */
export function startInit(
  t: Test,
  options: { readonly output?: number; readonly extra?: ReadonlyMap<number, number> } = {},
): StartedInit {
  const directory = makeDirectory(t);
  using nothing = openFile('/dev/null', O_RDWR);
  const callers = new Map([0, 1, 2].map((number) => [number, nothing.number]));
  if (options.output !== undefined) callers.set(1, options.output);
  for (const [to, from] of options.extra ?? []) callers.set(to, from);
  const { pid, socket } = spawnInit({ arch: ARCH, syncFd: SYNC_FD, callers, fallbackDirectory: directory });
  const conversation = new Conversation(socket, { arch: ARCH, syncFd: SYNC_FD });
  t.teardown(() => {
    conversation.close();
    endChild(pid);
  });
  return { pid, socket, conversation };
}

/** Kills and reaps a child, unless that has happened already. */
export function endChild(pid: number): void {
  try {
    if (reapChild(pid) !== undefined) return;
    process.kill(pid, 'SIGKILL');
    waitChild(pid);
  } catch (error) {
    if (!hasErrno(error, 'ECHILD', 'ESRCH')) throw error;
  }
}
