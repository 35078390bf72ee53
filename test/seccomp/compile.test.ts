import t from 'tap';
import { planFilterRules } from '../../src/plan/seccomp/filter.ts';
import { compileFilter } from '../../src/seccomp/compile.ts';
import type { Seccomp, SeccompArg, SeccompOperator } from '../../src/spec/generated/config.ts';
import { callNumber, libseccompVersion } from '../../src/sys/libseccomp.ts';
import { runBpf } from './run-bpf.ts';

const native = process.arch === 'arm64' ? 0xc00000b7 : 0xc000003e;
const arch = process.arch === 'arm64' ? 'arm64' : 'x86-64';
const ALLOW = 0x7fff0000;
const EPERM = 0x50001;
const ENOSYS = 0x50026;

const fail = (line: string): void => void t.fail(line);
const numberOf = (name: string, token = native): number => callNumber(token, name) ?? -1;

function compile(seccomp: Partial<Seccomp>, debug: string[] = []): Promise<Uint8Array> {
  const log = { debug: (line: string) => void debug.push(line), warning: fail, error: fail };
  return compileFilter(planFilterRules({ defaultAction: 'SCMP_ACT_ERRNO', ...seccomp }, arch), log);
}

const ask = (program: Uint8Array, name: string, ...args: bigint[]): number =>
  runBpf(program, { arch: native, number: numberOf(name), args });

t.test('libseccompVersion() is that of a version 2', (t) => {
  t.match(libseccompVersion(), /^2\.\d+\.\d+$/);
  t.end();
});

t.test('compileFilter() gives each call its action and the others the default', async (t) => {
  const program = await compile({
    syscalls: [
      { names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' },
      { names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
      { names: ['reboot'], action: 'SCMP_ACT_KILL_PROCESS' },
      { names: ['kill'], action: 'SCMP_ACT_KILL' },
      { names: ['sync'], action: 'SCMP_ACT_TRAP' },
      { names: ['ptrace'], action: 'SCMP_ACT_TRACE', errnoRet: 5 },
      { names: ['chroot'], action: 'SCMP_ACT_LOG' },
      { names: ['swapon'], action: 'SCMP_ACT_NOTIFY' },
    ],
  });
  const wanted: Record<string, number> = {
    read: ALLOW,
    write: ALLOW,
    mount: 0x5000d,
    reboot: 0x80000000,
    kill: 0,
    sync: 0x30000,
    ptrace: 0x7ff00005,
    chroot: 0x7ffc0000,
    swapon: 0x7fc00000,
    acct: EPERM,
  };
  for (const [name, action] of Object.entries(wanted)) t.equal(ask(program, name), action, name);
  t.end();
});

t.test('compileFilter() compares arguments with every operator', async (t) => {
  const rows: [SeccompOperator, Partial<SeccompArg>, allowed: bigint[], refused: bigint[]][] = [
    ['SCMP_CMP_EQ', { value: 5 }, [5n], [4n, 6n, 0x1_0000_0005n]],
    ['SCMP_CMP_NE', { value: 5 }, [4n, 6n, 0x1_0000_0005n], [5n]],
    ['SCMP_CMP_LT', { value: 5 }, [0n, 4n], [5n, 6n, 0x1_0000_0000n]],
    ['SCMP_CMP_LE', { value: 5 }, [4n, 5n], [6n, 0x1_0000_0005n]],
    ['SCMP_CMP_GE', { value: 5 }, [5n, 6n, 0x1_0000_0000n], [4n]],
    ['SCMP_CMP_GT', { value: 5 }, [6n, 0x1_0000_0005n], [4n, 5n]],
    ['SCMP_CMP_MASKED_EQ', { value: 0xf0n, valueTwo: 0x10n }, [0x10n, 0x1fn, 0xf1fn], [0n, 0x20n, 0x30n]],
    ['SCMP_CMP_EQ', { value: 0xffff_ffff_ffff_ffffn }, [0xffff_ffff_ffff_ffffn], [0xffff_ffffn]],
  ];
  for (const [op, values, allowed, refused] of rows) {
    const args = [{ index: 2, value: 0, op, ...values }];
    const program = await compile({ syscalls: [{ names: ['fcntl'], action: 'SCMP_ACT_ALLOW', args }] });
    for (const value of allowed) t.equal(ask(program, 'fcntl', 0n, 0n, value), ALLOW, `${op} allows ${value}`);
    for (const value of refused) t.equal(ask(program, 'fcntl', 0n, 0n, value), EPERM, `${op} refuses ${value}`);
  }
  t.end();
});

t.test('compileFilter() takes several conditions on one argument as alternatives, on several as all', async (t) => {
  const eq = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' as const });
  const either = await compile({
    syscalls: [{ names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [eq(0, 1), eq(0, 2)] }],
  });
  t.equal(ask(either, 'socket', 1n), ALLOW);
  t.equal(ask(either, 'socket', 2n), ALLOW);
  t.equal(ask(either, 'socket', 3n), EPERM);
  const both = await compile({
    syscalls: [{ names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [eq(0, 1), eq(1, 2)] }],
  });
  t.equal(ask(both, 'socket', 1n, 2n), ALLOW);
  t.equal(ask(both, 'socket', 1n, 3n), EPERM);
  t.end();
});

t.test('compileFilter() ignores names that nobody knows, and says so for who debugs', async (t) => {
  const debug: string[] = [];
  const program = await compile({ syscalls: [{ names: ['no_such_call', 'read'], action: 'SCMP_ACT_ALLOW' }] }, debug);
  t.equal(ask(program, 'read'), ALLOW);
  t.same(debug, ['seccomp: unknown system call "no_such_call" is ignored']);
  t.end();
});

t.test('compileFilter() answers ENOSYS to calls newer than the profile, and the default to older ones', async (t) => {
  const program = await compile({ syscalls: [{ names: ['read', 'openat2'], action: 'SCMP_ACT_ALLOW' }] });
  const last = numberOf('openat2');
  t.equal(runBpf(program, { arch: native, number: last }), ALLOW);
  t.equal(runBpf(program, { arch: native, number: last + 1 }), ENOSYS);
  t.equal(runBpf(program, { arch: native, number: last - 1 }), EPERM);
  const lenient = await compile({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['openat2'], action: 'SCMP_ACT_ERRNO' }],
  });
  t.equal(runBpf(lenient, { arch: native, number: last + 1 }), ALLOW);
  t.end();
});

t.test('compileFilter() filters the other architectures of the profile and kills the rest', async (t) => {
  const [name, token] = arch === 'arm64' ? ['SCMP_ARCH_ARM', 0x40000028] : ['SCMP_ARCH_X86', 0x40000003];
  const syscalls = [{ names: ['read', 'openat2'], action: 'SCMP_ACT_ALLOW' as const }];
  const program = await compile({ architectures: [name as 'SCMP_ARCH_X86'], syscalls });
  t.equal(runBpf(program, { arch: token, number: numberOf('read', token) }), ALLOW);
  t.equal(runBpf(program, { arch: token, number: 9999 }), ENOSYS);
  t.equal(runBpf(program, { arch: 0x80000016, number: 3 }), 0, 'an architecture that is not there');
  t.equal(runBpf(await compile({ syscalls }), { arch: token, number: 3 }), 0);
  t.end();
});

t.test('compileFilter() makes a tree that means what the chain means', async (t) => {
  const names = [
    'read',
    'write',
    'close',
    'openat',
    'mmap',
    'munmap',
    'brk',
    'ioctl',
    'fcntl',
    'dup',
    'dup3',
    'socket',
  ];
  const more = [
    'bind',
    'listen',
    'connect',
    'sendto',
    'recvfrom',
    'kill',
    'tgkill',
    'uname',
    'getcwd',
    'chdir',
    'fchdir',
  ];
  const rest = ['getpid', 'getuid', 'getgid', 'setuid', 'setgid', 'umask', 'statx', 'execve', 'exit', 'wait4', 'futex'];
  const all = [...names, ...more, ...rest];
  const args = [{ index: 0, value: 2, op: 'SCMP_CMP_EQ' as const }];
  const rules = planFilterRules(
    {
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [
        { names: all, action: 'SCMP_ACT_ALLOW' },
        { names: ['personality'], action: 'SCMP_ACT_ALLOW', args },
      ],
    },
    arch,
  );
  t.ok(rules.isTree);
  const log = { debug: fail, warning: fail, error: fail };
  const tree = await compileFilter(rules, log);
  const chain = await compileFilter({ ...rules, isTree: false }, log);
  t.notSame(tree, chain);
  const differing = Array.from({ length: 500 }, (_, number) => ({ arch: native, number, args: [BigInt(number % 4)] }))
    .filter((call) => runBpf(tree, call) !== runBpf(chain, call))
    .map(({ number }) => number);
  t.same(differing, []);
  t.end();
});

t.test('compileFilter() refuses what it cannot compile', async (t) => {
  await t.rejects(compile({ architectures: ['SCMP_ARCH_PDP11' as 'SCMP_ARCH_X86'] }), {
    code: 'unsupported',
    message: /does not know architecture "SCMP_ARCH_PDP11"/,
  });
  const args = Array.from({ length: 1500 }, (_, value) => ({
    index: 0,
    value: (BigInt(value) << 32n) + BigInt(value),
    op: 'SCMP_CMP_EQ' as const,
  }));
  await t.rejects(compile({ syscalls: [{ names: ['ioctl'], action: 'SCMP_ACT_ALLOW', args }] }), {
    code: 'unsupported',
    message: /has \d+ instructions, the kernel takes 4096/,
  });
  t.end();
});
