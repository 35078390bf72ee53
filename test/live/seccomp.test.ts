import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Seccomp, SeccompSyscall } from '../../src/spec/generated/config.ts';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, statusField, type BaseConfig, type Rig } from './support/rig.ts';
import { withFilter } from './support/seccomp-config.ts';
import { needsRoot } from './support/surroundings.ts';

const PROFILE = '/usr/share/containers/seccomp.json';
const archs =
  process.arch === 'arm64' ? ['SCMP_ARCH_ARM' as const] : ['SCMP_ARCH_X86' as const, 'SCMP_ARCH_X32' as const];
const errno = (number: number, ...names: string[]): SeccompSyscall => ({
  names,
  action: 'SCMP_ACT_ERRNO',
  errnoRet: number,
});

/** Lets everything pass but a few calls, each with an errno of its own. */
const lenient: Seccomp = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [errno(122, 'mkdir', 'mkdirat'), errno(95, 'unshare'), { names: ['sync'], action: 'SCMP_ACT_KILL' }],
};

/** Everything a shell needs, and what init needs when it loads the filter early, by name; the rest gets EPERM. */
const strict: Seccomp = {
  defaultAction: 'SCMP_ACT_ERRNO',
  architectures: archs,
  syscalls: [
    {
      action: 'SCMP_ACT_ALLOW',
      names: [
        ...[
          'read',
          'write',
          'writev',
          'readv',
          'close',
          'open',
          'openat',
          'stat',
          'fstat',
          'lstat',
          'newfstatat',
          'statx',
        ],
        ...['mmap', 'munmap', 'mprotect', 'brk', 'mremap', 'madvise', 'rt_sigaction', 'rt_sigprocmask', 'rt_sigreturn'],
        ...['ioctl', 'fcntl', 'dup', 'dup2', 'dup3', 'pipe', 'pipe2', 'poll', 'ppoll', 'lseek', 'access', 'faccessat'],
        ...['faccessat2', 'fork', 'vfork', 'clone', 'execve', 'exit', 'exit_group', 'wait4', 'kill', 'uname', 'getcwd'],
        ...[
          'chdir',
          'fchdir',
          'umask',
          'getpid',
          'getppid',
          'getuid',
          'geteuid',
          'getgid',
          'getegid',
          'getpgrp',
          'setpgid',
        ],
        ...[
          'getgroups',
          'setgroups',
          'setresuid',
          'setresgid',
          'setuid',
          'setgid',
          'prctl',
          'arch_prctl',
          'capset',
          'capget',
        ],
        ...['set_tid_address', 'set_robust_list', 'rseq', 'prlimit64', 'getrandom', 'futex', 'sendfile', 'readlink'],
        ...[
          'accept4',
          'sysinfo',
          'clock_gettime',
          'nanosleep',
          'clock_nanosleep',
          'getdents64',
          'tgkill',
          'gettid',
          'time',
        ],
        ...['fchown', 'fstatfs', 'rt_sigtimedwait', 'rt_sigsuspend', 'close_range'],
      ],
    },
    errno(122, 'mkdir', 'mkdirat'),
  ],
};

interface Variant {
  readonly name: string;
  readonly change: (config: BaseConfig) => void;
}

const user = (config: BaseConfig): void => {
  config.process.user = { uid: 1000, gid: 1000 };
};
/** With each of them the filter is loaded at another place, or by another user. */
const VARIANTS: readonly Variant[] = [
  { name: 'no_new_privs', change: (config) => (config.process.noNewPrivileges = true) },
  { name: 'without no_new_privs', change: (config) => (config.process.noNewPrivileges = false) },
  {
    name: 'no_new_privs, a user',
    change: (config) => {
      config.process.noNewPrivileges = true;
      user(config);
    },
  },
  {
    name: 'without no_new_privs, a user',
    change: (config) => {
      config.process.noNewPrivileges = false;
      user(config);
    },
  },
  {
    name: 'without no_new_privs, CAP_SYS_ADMIN',
    change: (config) => {
      config.process.noNewPrivileges = false;
      const all = ['CAP_SYS_ADMIN'];
      config.process.capabilities = { bounding: all, effective: all, permitted: all };
    },
  },
  {
    name: 'without no_new_privs, a user namespace',
    change: (config) => {
      config.process.noNewPrivileges = false;
      setUserNamespace(config);
    },
  },
];

const privileged = (config: BaseConfig): unknown => (config.process.noNewPrivileges = false);
const restricted = (config: BaseConfig): unknown => (config.process.noNewPrivileges = true);

/** The filters are kept in one place for all of the machine: a command under these words has one of its own in its stead. */
function privateCache(rig: Rig): { readonly under: readonly string[]; readonly directory: string } {
  const place = rig.fresh('cache');
  mkdirSync(place, { mode: 0o700 });
  const script = 'mkdir -p -m 700 /run/tsrun-cache && mount --bind "$0" /run/tsrun-cache && exec "$@"';
  return { under: ['unshare', '--mount', 'sh', '-c', script, place], directory: path.join(place, 'seccomp') };
}

live('seccomp', async (t, rig) => {
  const forRoot = needsRoot('mounts over /run');
  for (const { name, change } of VARIANTS) {
    for (const [kind, seccomp] of Object.entries({ lenient, strict })) {
      await t.test(`a ${kind} filter, ${name}`, async (t) => {
        const script = 'cat /proc/self/status; mkdir /tmp/d 2>&1; echo ok';
        const text = await rig.output(t, { args: script, change: withFilter(seccomp, change) });
        t.equal(statusField(text, 'Seccomp'), '2');
        t.equal(statusField(text, 'Seccomp_filters'), '1');
        t.match(text, /mkdir: .*[Qq]uota exceeded/);
        t.match(text, /\nok$/);
      });
    }
    await t.test(`create, start and exec, ${name}`, async (t) => {
      const { id, pid } = await rig.create(t, { args: ['sleep', '1000'], change: withFilter(strict, change) });
      expectSuccess(t, await rig.tsrun(['start', id]), 'start');
      t.equal(statusField(readFileSync(`/proc/${pid}/status`, 'utf8'), 'Seccomp'), '2');
      const result = await rig.tsrun(['exec', id, 'sh', '-c', 'cat /proc/self/status; mkdir /tmp/d 2>&1; exit 3']);
      t.equal(result.code, 3, result.stderr);
      t.equal(statusField(result.stdout, 'Seccomp'), '2');
      t.match(result.stdout, /[Qq]uota exceeded/);
      await rig.delete(t, id);
    });
  }

  await t.test('a killed call is SIGSYS', async (t) => {
    t.equal((await rig.run({ args: ['sync'], change: withFilter(lenient) })).code, 128 + 31);
  });

  await t.test('the profile of containers-common', { skip: !existsSync(PROFILE) && `no ${PROFILE}` }, async (t) => {
    const profile = JSON.parse(readFileSync(PROFILE, 'utf8')) as Omit<Seccomp, 'syscalls'> & {
      syscalls: (SeccompSyscall & { includes?: { caps?: string[]; arches?: string[] } })[];
    };
    const machine = process.arch === 'arm64' ? 'arm64' : 'amd64';
    const syscalls = profile.syscalls
      .filter(({ includes }) => includes?.caps === undefined && includes?.arches?.includes(machine) !== false)
      .map(({ names, action, args, errnoRet }) => ({
        names,
        action,
        ...(Array.isArray(args) ? { args } : {}),
        ...(errnoRet === undefined || action !== 'SCMP_ACT_ERRNO' ? {} : { errnoRet }),
      }));
    const seccomp: Seccomp = { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 38, architectures: archs, syscalls };
    // With CAP_SYS_ADMIN only the filter refuses swapoff(2); the kernel would say that this is no swap area.
    const args = 'cat /proc/self/status; swapoff /dev/null 2>&1; echo fine';
    for (const { name, change } of VARIANTS) {
      const text = await rig.output(t, { args, change: withFilter(seccomp, change) });
      t.equal(statusField(text, 'Seccomp'), '2', name);
      t.match(text, /swapoff: .*not permitted\nfine$/, name);
    }
    const admin = VARIANTS.find(({ name }) => name.includes('CAP_SYS_ADMIN'));
    t.match(await rig.output(t, { args, change: (config) => admin?.change(config) }), /swapoff: .*Invalid argument/);
  });

  await t.test('a compiled filter is kept, and one that was changed is not used', { skip: forRoot }, async (t) => {
    const { under, directory } = privateCache(rig);
    const own: Seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [errno(40, 'mkdir', 'mkdirat')] };
    const bundle = { args: 'mkdir /tmp/d 2>&1; true', change: withFilter(own) };
    const first = await rig.output(t, bundle, { under });
    const [name = '', ...more] = readdirSync(directory);
    t.same(more, []);
    const file = path.join(directory, name);
    const { ino, mtimeMs } = statSync(file);
    t.equal(await rig.output(t, bundle, { under }), first);
    t.match(statSync(file), { ino, mtimeMs }, 'it is not written again');
    const bytes = readFileSync(file);
    const allowing = Buffer.concat([bytes.subarray(0, 32), Buffer.from([6, 0, 0, 0, 0, 0, 0xff, 0x7f])]);
    writeFileSync(file, allowing);
    t.equal(await rig.output(t, bundle, { under }), first, 'a filter that lets everything pass is not believed');
    t.same(readFileSync(file), bytes, 'it is mended');
    rmSync(file);
    execFileSync('mkfifo', [file]);
    t.equal(await rig.output(t, bundle, { under }), first, 'nobody waits for a FIFO');
    t.same(readFileSync(file), bytes, 'it is mended');
    t.strictSame(readdirSync(rig.root), [], 'nothing of it is among the containers');
  });

  await t.test(
    'what is kept goes nowhere through a symlink, nor into what others may write',
    { skip: forRoot },
    async (t) => {
      const place = rig.fresh('elsewhere');
      for (const [make, isMade] of [
        ['mkdir -m 700 "$0" && ln -s "$0" /run/tsrun-cache', false],
        ['mkdir -m 777 "$0" && mkdir -m 777 /run/tsrun-cache && mount --bind "$0" /run/tsrun-cache', false],
        ['mkdir -m 700 "$0" && mkdir /run/tsrun-cache && mount --bind "$0" /run/tsrun-cache', true],
      ] as const) {
        const script = `mount -t tmpfs none /run && ${make} && exec "$@"`;
        const under = ['unshare', '--mount', 'sh', '-c', script, place];
        await rig.output(t, { change: withFilter(lenient) }, { under });
        t.equal(readdirSync(place).length > 0, isMade, make);
        rmSync(place, { recursive: true });
      }
    },
  );

  await t.test('a profile that is older than close_range and faccessat2', async (t) => {
    const { names: all = [], action = 'SCMP_ACT_ALLOW' as const } = strict.syscalls?.[0] ?? {};
    const names = all.filter((name) => name !== 'close_range' && name !== 'faccessat2');
    const seccomp: Seccomp = { ...strict, syscalls: [{ names, action }] };
    for (const args of [['true'], ['/bin/true']]) {
      for (const { name, change } of VARIANTS)
        expectSuccess(t, await rig.run({ args, change: withFilter(seccomp, change) }), `${args.join(' ')}, ${name}`);
    }
  });

  await t.test('a profile that refuses what the working directory is verified with', async (t) => {
    const seccomp: Seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [errno(1, 'getcwd'), errno(1, 'fchown'), errno(1, 'chdir')],
    };
    for (const { name, change } of VARIANTS) {
      const result = await rig.run({ args: ['true'], change: withFilter(seccomp, change) });
      expectSuccess(t, result, name);
      const { id } = await rig.sleeper(t, { change: withFilter(seccomp, change) });
      expectSuccess(t, await rig.tsrun(['exec', id, 'true']), `exec, ${name}`);
      await rig.delete(t, id);
    }
  });

  await t.test('without libseccomp', async (t) => {
    const library = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libseccomp.so.2`;
    const hide = `mount --bind /dev/null "$(readlink -f ${library})" && exec "$@"`;
    const under = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', hide, 'sh'];
    expectFailure(t, await rig.run({ change: withFilter(lenient) }, { under }), {
      message: /linux\.seccomp needs libseccomp/,
    });
    expectSuccess(t, await rig.run({}, { under }), 'a container without a filter');
    const features = await rig.tsrun(['features'], { under });
    t.match(JSON.parse(features.stdout), { linux: { seccomp: { enabled: false } } });
  });

  await t.test('explain names the filter', async (t) => {
    const { stdout } = await rig.tsrun(['explain', '--steps', '--bundle', rig.bundle({ change: withFilter(lenient) })]);
    t.match(stdout, /load the seccomp filter \(\d+ instructions, default SCMP_ACT_ALLOW\)/);
  });

  await t.test('flags', async (t) => {
    for (const flags of [
      [],
      ['SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_LOG'],
      ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'],
    ]) {
      const seccomp = { ...lenient, flags: flags as NonNullable<Seccomp['flags']> };
      t.match(
        await rig.output(t, { args: 'mkdir /tmp/d 2>&1; true', change: withFilter(seccomp) }),
        /quota/i,
        flags.join(' '),
      );
    }
  });

  await t.test('a profile that init cannot live with is a failure that leaves nothing', async (t) => {
    const seccomp: Seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [errno(13, 'capset')] };
    const change = withFilter(seccomp, privileged);
    expectFailure(t, await rig.run({ change }), { message: /seccomp filter: it refuses capset/ });
    // What a rule says of some arguments only shows when the call is made.
    const args = [{ index: 0, value: 0, op: 'SCMP_CMP_NE' as const }];
    const surprise: Seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...errno(13, 'capset'), args }] };
    expectFailure(t, await rig.run({ change: withFilter(surprise, privileged) }), {
      message: /set effective, permitted and inheritable.*EACCES/,
    });
    for (const action of ['SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL', 'SCMP_ACT_TRAP'] as const) {
      const fatal: Seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['capset'], action, args }] };
      expectFailure(t, await rig.run({ change: withFilter(fatal, privileged) }), {
        message: /killed by signal 31 \(the seccomp profile refuses a call/,
      });
    }
    const late = withFilter(seccomp, restricted);
    expectSuccess(t, await rig.run({ change: late }), 'the same filter, loaded late');
  });
});
