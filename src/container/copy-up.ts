import {
  chmodSync,
  chownSync,
  constants,
  lchownSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { copyFile, lstat } from 'node:fs/promises';
import { TsrunError } from '../errors.ts';

/** A tmpfs is memory: an image cannot make tsrun copy without end. */
const MAX_ENTRIES = 100_000;

/**
 * Copies the content of one directory into another, both given as descriptors: mode, owner, symlinks as they are. Devices,
 * FIFOs and sockets are left out, as nothing in an image's directory that becomes a tmpfs needs them.
 *
 * Each level is entered by a descriptor opened without following symlinks, so that a hostile tree cannot lead outside.
 * Errors: `unsupported` when there are too many entries; those of node:fs.
 */
export async function copyUp(fromFd: number, toFd: number): Promise<void> {
  const budget = { entries: MAX_ENTRIES };
  await copyDirectory(fromFd, toFd, budget);
}

async function copyDirectory(fromFd: number, toFd: number, budget: { entries: number }): Promise<void> {
  const from = Buffer.from(`/proc/self/fd/${fromFd}/`);
  const to = Buffer.from(`/proc/self/fd/${toFd}/`);
  // Names are bytes: an image may have some that are no UTF-8.
  for (const name of readdirSync(from, { encoding: 'buffer' })) {
    if (--budget.entries < 0) throw new TsrunError('unsupported', `copy up: more than ${MAX_ENTRIES} files`);
    const source = Buffer.concat([from, name]);
    const target = Buffer.concat([to, name]);
    const stat = await lstat(source);
    if (stat.isSymbolicLink()) {
      symlinkSync(readlinkSync(source, { encoding: 'buffer' }), target);
      lchownSync(target, stat.uid, stat.gid);
    } else if (stat.isDirectory()) {
      mkdirSync(target);
      await copyInto(source, target, budget);
      chownSync(target, stat.uid, stat.gid);
      chmodSync(target, stat.mode & 0o7777);
    } else if (stat.isFile()) {
      await copyRegularFile(source, target);
      chownSync(target, stat.uid, stat.gid);
      chmodSync(target, stat.mode & 0o7777);
    }
  }
}

async function copyRegularFile(source: Buffer, target: Buffer): Promise<void> {
  const fd = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await copyFile(`/proc/self/fd/${fd}`, target, constants.COPYFILE_EXCL);
  } finally {
    closeSync(fd);
  }
}

async function copyInto(source: Buffer, target: Buffer, budget: { entries: number }): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const from = openSync(source, flags);
  try {
    const to = openSync(target, flags);
    try {
      await copyDirectory(from, to, budget);
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}
