/**
 * The machines of test/vm, by Debian's name of their architecture.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * @typedef {object} Architecture
 * @property {string} node Node's name of it
 * @property {string} qemu the emulator
 * @property {string} package Debian's package of that
 * @property {readonly string[]} machine options of the emulator
 * @property {string} console the serial port that the kernel prints on
 */

/** @satisfies {Readonly<Record<string, Architecture>>} */
export const ARCHITECTURES = {
  amd64: {
    node: 'x64',
    qemu: 'qemu-system-x86_64',
    package: 'qemu-system-x86',
    machine: ['-M', 'q35', '-cpu', 'max'],
    console: 'ttyS0',
  },
  arm64: {
    node: 'arm64',
    qemu: 'qemu-system-aarch64',
    package: 'qemu-system-arm',
    // Pointers are authenticated as quickly as an emulator can; nothing here is to withstand an attack.
    machine: ['-M', 'virt,gic-version=3', '-cpu', 'max,pauth-impdef=on'],
    console: 'ttyAMA0',
  },
};

/** @typedef {keyof typeof ARCHITECTURES} ArchitectureName */

/**
 * @param {string} name
 * @returns {name is ArchitectureName}
 */
export function isArchitecture(name) {
  return Object.hasOwn(ARCHITECTURES, name);
}

/**
 * Why a machine of this architecture can be neither made nor started here; nothing where it can.
 * @param {ArchitectureName} name
 */
export function reasonAgainst(name) {
  const { qemu, package: emulator } = ARCHITECTURES[name];
  const wanted = Object.entries({
    [qemu]: emulator,
    mmdebstrap: 'mmdebstrap',
    cpio: 'cpio',
    depmod: 'kmod',
    'mkfs.ext4': 'e2fsprogs',
  });
  const directories = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', ...(process.env.PATH ?? '').split(':')];
  const missing = wanted.filter(([tool]) => !directories.some((directory) => existsSync(path.join(directory, tool))));
  if (missing.length > 0) return `it needs the Debian packages ${missing.map(([, name]) => name).join(' ')}`;
  return process.getuid?.() === 0 ? undefined : 'it needs root, to make the file systems of the machine';
}
