import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BundleOptions } from '../../support/rig.ts';
import type { Subject } from '../row.ts';

/** Runs /bin/program of this text. */
function program(text: string | Uint8Array, mode = 0o755): BundleOptions {
  return {
    args: ['/bin/program'],
    fill: (rootfs) => {
      writeFileSync(path.join(rootfs, 'bin/program'), text);
      chmodSync(path.join(rootfs, 'bin/program'), mode);
    },
  };
}

/** The host's busybox as if it were for another machine: e_machine of the ELF header. */
function foreign(machine: number): Buffer {
  const file = readFileSync('/bin/busybox');
  file.writeUInt16LE(machine, 18);
  return file.subarray(0, 4096);
}

export const executables: Subject = {
  subject: 'The program',
  rows: [
    {
      name: 'a name that is not in PATH',
      bundle: { args: ['nothing'] },
      cause: 'executable file not found in $PATH',
      place: '"nothing"',
      remedy: '/usr/local/sbin',
    },
    {
      name: 'a path that is not there',
      bundle: { args: ['/bin/nothing'] },
      cause: 'no such file or directory',
      place: '/bin/nothing',
    },
    { name: 'a directory', bundle: { args: ['/bin'] }, cause: 'is a directory', place: '"/bin"' },
    {
      name: 'a file without permission to execute it',
      bundle: program('#!/bin/sh\n', 0o644),
      cause: 'permission denied',
      place: '/bin/program',
      remedy: 'chmod +x',
    },
    {
      name: 'a script whose interpreter is not there',
      bundle: program('#!/no/such/interpreter\n'),
      cause: 'the interpreter of its "#!" line, "/no/such/interpreter", is not in the rootfs',
      place: '/bin/program',
      saidInside: true,
    },
    {
      name: 'a script whose interpreter may not be executed',
      bundle: program('#!/etc/passwd\n'),
      cause: 'permission denied',
      place: '/bin/program',
      remedy: 'its interpreter or loader has to be executable',
    },
    {
      name: 'a script with line ends of Windows',
      bundle: program('#!/bin/sh\r\necho\r\n'),
      cause: 'the interpreter of its "#!" line, "/bin/sh\\r", is not in the rootfs',
      remedy: 'lines end as those of Windows',
      place: '/bin/program',
      saidInside: true,
    },
    {
      name: 'a script without a first line for the kernel',
      bundle: program('echo never\n'),
      cause: 'exec format error: ENOEXEC; it is no program of Linux',
      place: '/bin/program',
      remedy: 'has no "#!" line',
      saidInside: true,
    },
    {
      name: 'a file with nothing in it',
      bundle: program(''),
      cause: 'exec format error: ENOEXEC; it is empty',
      place: '/bin/program',
      saidInside: true,
    },
    {
      name: 'a program whose loader is not there',
      bundle: {
        args: ['/bin/program'],
        fill: (rootfs) => {
          copyFileSync('/bin/true', path.join(rootfs, 'bin/program'));
        },
      },
      cause: /its dynamic loader, "\/lib[^"]*\/ld-linux[^"]*", is not in the rootfs/,
      place: '/bin/program',
      saidInside: true,
    },
    {
      name: 'a program for another architecture',
      bundle: program(foreign(243)),
      cause: /it is a program for riscv, and this machine is (?:x86-64|arm64)/,
      place: '/bin/program',
      saidInside: true,
    },
    {
      name: 'a program on a file system that is mounted noexec',
      bundle: {
        args: ['/noexec/busybox', 'true'],
        change: (config) => config.mounts.push({ destination: '/noexec', source: '/bin', options: ['bind', 'noexec'] }),
      },
      cause: 'permission denied',
      place: '/noexec/busybox',
      remedy: 'noexec',
    },
    {
      name: 'no program at all',
      bundle: { change: (config) => (config.process.args = []) },
      cause: 'args must not be empty',
      place: '/process/args',
    },
    {
      name: 'a user who may not execute it',
      bundle: {
        args: ['/bin/program'],
        fill: (rootfs) => {
          writeFileSync(path.join(rootfs, 'bin/program'), '#!/bin/sh\n', { mode: 0o700 });
        },
        change: (config) => {
          config.process.user = { uid: 1000, gid: 1000 };
          config.process.capabilities = {};
        },
      },
      cause: 'permission denied',
      place: '/bin/program',
      remedy: /1000/,
    },
  ],
};
