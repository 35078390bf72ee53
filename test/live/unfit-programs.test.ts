import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import type { RunningCommand } from './support/command.ts';
import { setUserNamespace } from './support/namespaces.ts';
import { LAUNCHER, TestPlanner } from './support/planner.ts';
import { expectSuccess, live, livePlanners, type BaseConfig, type Rig } from './support/rig.ts';

/** The host's busybox as if it were for another machine: e_machine of the ELF header. */
function foreign(machine: number): Buffer {
  const file = readFileSync('/bin/busybox');
  file.writeUInt16LE(machine, 18);
  return file.subarray(0, 4096);
}

/** A program whose headers are behind its first kilobyte, and whose loader is named in its last bytes. */
function withFarLoader(): Buffer {
  const file = Buffer.alloc(4096 + 64);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(readFileSync('/bin/busybox').readUInt16LE(18), 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(2048n, 32);
  [64, 56, 1, 64, 0, 0].forEach((value, index) => file.writeUInt16LE(value, 52 + 2 * index));
  file.writeUInt32LE(3, 2048);
  file.writeBigUInt64LE(4100n, 2048 + 8);
  file.writeBigUInt64LE(12n, 2048 + 32);
  file.write('/far/loader\0', 4100);
  return file;
}

const here = process.arch === 'arm64' ? 'arm64' : 'x86-64';
const NAME = '/bin/program';

/** What the program is, and what the container says of it, behind its path. */
const UNFIT: readonly (readonly [what: string, file: string | Uint8Array, says: string])[] = [
  [
    'a script whose interpreter is missing',
    '#! /no/such/interpreter -x\n',
    'no such file or directory: ENOENT; the interpreter of its "#!" line, "/no/such/interpreter", is not in the rootfs',
  ],
  [
    'a script without an end of its line',
    '#!/no/such',
    'no such file or directory: ENOENT; the interpreter of its "#!" line, "/no/such", is not in the rootfs',
  ],
  [
    'a script with line ends of Windows',
    '#!/bin/sh\r\necho\r\n',
    'no such file or directory: ENOENT; the interpreter of its "#!" line, "/bin/sh\\r", is not in the rootfs: its lines end as those of Windows, which is a part of that name',
  ],
  [
    'a script whose interpreter is below a file',
    '#!/bin/busybox/x\n',
    'not a directory: ENOTDIR; the interpreter of its "#!" line, "/bin/busybox/x", leads through a file',
  ],
  [
    'a script whose interpreter is one without its own',
    '#!/bin/inner\n',
    'no such file or directory: ENOENT; its interpreter "/bin/inner": the interpreter of its "#!" line, "/none", is not in the rootfs',
  ],
  ['a text', 'echo never\n', 'exec format error: ENOEXEC; it is no program of Linux, and has no "#!" line'],
  ['nothing', '', 'exec format error: ENOEXEC; it is empty'],
  [
    'a program for another machine',
    foreign(243),
    `exec format error: ENOEXEC; it is a program for riscv, and this machine is ${here}`,
  ],
  [
    'a program without its loader',
    readFileSync('/bin/true'),
    `no such file or directory: ENOENT; its dynamic loader, "${loaderOf('/bin/true')}", is not in the rootfs`,
  ],
  [
    'a program with headers and a loader far behind',
    withFarLoader(),
    'no such file or directory: ENOENT; its dynamic loader, "/far/loader", is not in the rootfs',
  ],
];

function loaderOf(file: string): string {
  return /\/lib[\w.-]*\/[\w./-]*ld-[\w.-]+/.exec(readFileSync(file, 'latin1'))?.[0] ?? '';
}

function fill(file: string | Uint8Array): (rootfs: string) => void {
  return (rootfs) => {
    writeFileSync(path.join(rootfs, NAME), file, { mode: 0o755 });
    writeFileSync(path.join(rootfs, 'bin/inner'), '#!/none\n', { mode: 0o755 });
  };
}

/** How tsrun is called. */
type Call = (args: readonly string[]) => RunningCommand;
type Change = (config: BaseConfig) => void;

/** Every program by run, by create and start, and by exec. */
async function expectEveryWay(t: Test, rig: Rig, { call, change }: { call: Call; change?: Change }): Promise<void> {
  for (const [what, file, says] of UNFIT) {
    const wanted = `exec ${NAME}: ${says}`;
    const options = { fill: fill(file), ...(change && { change }) };
    const bundle = rig.bundle({ args: [NAME], ...options });
    const run = await call(['run', '--bundle', bundle, rig.id()]).done;
    t.strictSame([run.code, run.stderr.trim()], [1, wanted], `run: ${what}`);
    const id = rig.id();
    const created = await call(['create', '--bundle', bundle, id]).done;
    expectSuccess(t, created);
    const started = await call(['start', id]).done;
    expectSuccess(t, started, `start: ${what}`);
    await rig.waitForStatus(id, 'stopped');
    t.equal(created.readErrors().trim(), wanted, `create and start: ${what}`);
    await rig.delete(t, id);
    const { id: sleeper } = await rig.sleeper(t, options);
    const exec = await call(['exec', sleeper, NAME]).done;
    t.strictSame([exec.code, exec.stderr.trim()], [1, wanted], `exec: ${what}`);
    await rig.delete(t, sleeper);
  }
}

live('a program that cannot be executed is named by what it lacks, in every way', async (t, rig) => {
  await expectEveryWay(t, rig, { call: (args) => rig.startTsrun(args) });
});

live('the same in a user namespace', async (t, rig) => {
  const change = (config: BaseConfig): void => {
    setUserNamespace(config);
  };
  await expectEveryWay(t, rig, { call: (args) => rig.startTsrun(args), change });
});

livePlanners('the same through a launcher, and a planner', async (t, rig) => {
  const call: Call = (args) => rig.start([LAUNCHER, '--root', rig.root, ...args]);
  await expectEveryWay(t, rig, { call });
  const planner = await TestPlanner.start(rig.fresh('planner'));
  await expectEveryWay(t, rig, { call });
  const { warm, cold, lost } = planner.report();
  t.ok(warm >= UNFIT.length * 4, `${warm} commands`);
  t.strictSame([cold, lost], [{}, 0], 'by the planner alone');
  await planner.finish(t);
});

live('behind a filter that may not be asked to look nothing is looked at', async (t, rig) => {
  const kill = (names: readonly string[]): Change => {
    return (config) => {
      config.linux.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: [...names], action: 'SCMP_ACT_KILL' }],
      };
    };
  };
  for (const names of [['openat'], ['pread64']]) {
    const result = await rig.run({ args: [NAME], fill: fill('#!/no/such/interpreter\n'), change: kill(names) });
    t.equal(result.code, 1, names.join());
    t.match(
      result.stderr,
      /^exec \/bin\/program: no such file or directory: ENOENT; the interpreter that it names, in its/,
    );
  }
});

live('what may not be read is said as far as it is known', async (t, rig) => {
  const result = await rig.run({
    args: [NAME],
    fill: (rootfs) => {
      fill('#!/no/such/interpreter\n')(rootfs);
      chmodSync(path.join(rootfs, NAME), 0o711);
    },
    change: (config) => {
      config.process.user = { uid: 1000, gid: 1000 };
      config.process.capabilities = {};
    },
  });
  t.equal(result.code, 1);
  t.match(result.stderr, /ENOENT; the interpreter that it names, in its "#!" line or as its dynamic loader, is not in/);
});
