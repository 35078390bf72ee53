import type { Arch, CallName } from '../../src/program/calls.ts';
import type { ModelMemory } from '../../src/program/model/memory.ts';
import { ModelKernel } from '../../src/program/model/kernel.ts';
import { makeFile, visible, type TreeDescription } from '../../src/program/model/files.ts';
import { ERRNO } from '../../src/util/errno.ts';
import { AT_FDCWD, O_RDWR, S_IFCHR, TIOCGPTPEER } from '../../src/util/constants.ts';

/** Types of file system by their number in struct statfs (include/uapi/linux/magic.h). */
const MAGIC: Readonly<Record<string, bigint>> = { proc: 0x9fa0n, devpts: 0x1cd1n };

/** The path of a descriptor, which the model does not know. */
const MAGIC_LINK = /^(?:\/proc\/self|thread-self)\/fd\/(\d+)$/;

const namespaceFiles = { pid: '', ipc: '', uts: '', user: '', cgroup: '', time: '', net: '' };
const hierarchies = [
  'systemd',
  'pids',
  'blkio',
  'freezer',
  'devices',
  'memory',
  'cpuset',
  'cpuacct',
  'cpu',
  'cpu,cpuacct',
  'unified',
];
const joinable = { tasks: '', 'cgroup.procs': '' };
const containers = { full: joinable, c1: joinable, pod: { c1: joinable } };
const slices = {
  'user-0.slice': { c1: joinable },
  'user-1000.slice': { 'user@1000.service': { c1: joinable } },
};

/** What the programs of the plans in bundles.ts find on the host. */
function hostTree(rootfs: TreeDescription): TreeDescription {
  return {
    bundle: { rootfs, data: {} },
    srv: { hosts: '', own: {}, lent: {}, tree: {} },
    dev: { null: '', zero: '', full: '', random: '', urandom: '', tty: '', fuse: '' },
    proc: { self: { oom_score_adj: '', timens_offsets: '' }, 77: { ns: namespaceFiles } },
    run: { netns: { pod: '' } },
    sys: {
      fs: {
        cgroup: {
          ...containers,
          'user.slice': slices,
          ...Object.fromEntries(hierarchies.map((name) => [name, containers])),
        },
      },
    },
  };
}

const programs = { sh: '', true: '' };

/** A rootfs with programs and nothing else, and one in which every mount point is there already. */
export const ROOTFS = {
  bare: { bin: programs },
  furnished: {
    bin: programs,
    usr: { bin: programs },
    etc: { passwd: '', hosts: '' },
    ...{ proc: {}, sys: { fs: { cgroup: {} } }, tmp: {}, var: { cache: {} }, work: { here: {} } },
    ...{ dev: { pts: {}, shm: {}, mqueue: {}, a: {}, console: '' }, data: {}, own: {}, lent: {}, tree: {} },
  },
} as const satisfies Record<string, TreeDescription>;

export type RootfsName = keyof typeof ROOTFS;

const procTree = {
  'thread-self': { attr: { exec: '', keycreate: '', apparmor: { exec: '' } }, fd: {} },
  sys: { net: { ipv4: { ip_forward: '' } }, kernel: { shmmax: '' } },
  kcore: '',
  'sysrq-trigger': '',
};

/** The devices of the host, by name, as makedev(3) numbers them. */
const HOST_DEVICES: Readonly<Record<string, number>> = {
  null: 0x103,
  zero: 0x105,
  full: 0x107,
  random: 0x108,
  urandom: 0x109,
  tty: 0x500,
  fuse: 0xae5,
};

export interface PlanKernelOptions {
  readonly arch: Arch;
  readonly syncFd: number;
  readonly openFds: readonly number[];
  readonly rootfs: RootfsName;
  /** What clone3(2) answers: 0 in the new process. Default: 0. */
  readonly clone?: number;
}

/** The model of a kernel, with the little more that whole plans look at: terminals, devices, types of file systems. */
export class PlanKernel extends ModelKernel {
  constructor({ arch, syncFd, openFds, rootfs, clone = 0 }: PlanKernelOptions) {
    super({
      arch,
      syncFd,
      openFds,
      tree: hostTree(ROOTFS[rootfs]),
      filesystems: { proc: procTree, sysfs: { fs: { cgroup: {} }, firmware: {} }, devpts: { ptmx: '' } },
      clones: [clone],
    });
    // Standard input, output and error are files of another user's, so that their owner changes.
    for (const fd of [0, 1, 2]) this.descriptors.set(fd, { kind: 'file', file: makeFile(0o100600), flags: O_RDWR });
    for (const [name, device] of Object.entries(HOST_DEVICES)) {
      const directory = this.find(AT_FDCWD, '/dev');
      directory.entries.set(name, makeFile(S_IFCHR | 0o666, { parent: directory, device: BigInt(device) }));
    }
  }

  override call(name: CallName, args: readonly bigint[], memory: ModelMemory): bigint {
    const [first = 0n, second = 0n, third = 0n] = args;
    if (name === 'ioctl' && second === BigInt(TIOCGPTPEER)) {
      return BigInt(
        this.install({ kind: 'file', file: makeFile(S_IFCHR | 0o620, { device: 0x8800n }), flags: O_RDWR }),
      );
    }
    if (name === 'mount') {
      const number = MAGIC_LINK.exec(memory.readText(second))?.[1];
      if (number !== undefined) return this.descriptors.has(Number(number)) ? 0n : -BigInt(ERRNO.ENOENT);
    }
    const result = super.call(name, args, memory);
    if (name === 'fstatfs') memory.writeWord(second, this.#magicOf(Number(first)));
    if (name === 'mount' && third !== 0n && memory.readText(third) === 'devpts') this.#makeMultiplexer();
    return result;
  }

  #magicOf(fd: number): bigint {
    const { file, type = '' } = this.openFile(fd);
    return MAGIC[file?.entries.has('ptmx') === true ? 'devpts' : type] ?? 0n;
  }

  #makeMultiplexer(): void {
    const ptmx = visible(this.cwd).entries.get('ptmx');
    if (ptmx === undefined) throw new Error('no devpts was mounted on the working directory');
    visible(this.cwd).entries.set('ptmx', makeFile(S_IFCHR | 0o666, { parent: ptmx.parent, device: 0x502n }));
  }
}
