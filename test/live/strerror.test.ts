import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectFailure, expectSuccess, live, type BaseConfig } from './support/rig.ts';

/** Executables that execve(2) refuses though they are there, and what is said of them: runc's words, and why. */
const UNFIT: readonly (readonly [name: string, text: string, says: string])[] = [
  [
    'no-interpreter',
    '#!/no/such/interpreter\n',
    'exec /bin/no-interpreter: no such file or directory: ENOENT; the interpreter of its "#!" line, "/no/such/interpreter", is not in the rootfs',
  ],
  [
    'below-a-file',
    '#!/bin/busybox/x\n',
    'exec /bin/below-a-file: not a directory: ENOTDIR; the interpreter of its "#!" line, "/bin/busybox/x", leads through a file',
  ],
  [
    'no-format',
    'echo never\n',
    'exec /bin/no-format: exec format error: ENOEXEC; it is no program of Linux, and has no "#!" line',
  ],
];

function addUnfit(rootfs: string): void {
  for (const [name, text] of UNFIT) writeFileSync(path.join(rootfs, 'bin', name), text, { mode: 0o755 });
}

live('an executable that is unfit lets the container start and end, as with runc and crun', async (t, rig) => {
  for (const [name, , says] of UNFIT) {
    const result = await rig.run({ args: [`/bin/${name}`], fill: addUnfit });
    t.equal(result.code, 1, `run ${name}`);
    t.equal(result.stderr.trim(), says, 'the container itself says it, and nobody else');
    const id = rig.id();
    const bundle = rig.bundle({ args: [`/bin/${name}`], fill: addUnfit });
    expectSuccess(t, await rig.tsrun(['create', '--bundle', bundle, id]));
    expectSuccess(t, await rig.tsrun(['start', id]), `start ${name}`);
    await rig.waitForStatus(id, 'stopped');
    await rig.delete(t, id);
  }
  const { id } = await rig.sleeper(t, { fill: addUnfit });
  for (const [name, , says] of UNFIT) {
    const result = await rig.tsrun(['exec', id, `/bin/${name}`]);
    t.equal(result.code, 1, `exec ${name}`);
    t.equal(result.stderr.trim(), says);
  }
  await rig.delete(t, id);
});

live('messages have the words that engines make exit codes of', async (t, rig) => {
  const file = rig.fresh('file');
  writeFileSync(file, '');
  const directory = rig.fresh('directory');
  mkdirSync(directory);
  const bind = (source: string, destination: string) => (config: BaseConfig) => {
    config.mounts.push({ destination, type: 'bind', source, options: ['bind'] });
  };
  const rows: readonly (readonly [words: RegExp, change: (config: BaseConfig) => void])[] = [
    [/no such file or directory: ENOENT/, (config) => (config.linux.sysctl = { 'net.no.such': '1' })],
    [/a file on a directory: not a directory: ENOTDIR/, bind(file, '/etc')],
    [/not a directory: ENOTDIR/, bind(directory, '/etc/passwd')],
    [/not a directory: ENOTDIR/, (config) => (config.process.cwd = '/etc/passwd')],
    [/executable file not found in \$PATH/, (config) => (config.process.args = [''])],
    [/permission denied: EACCES|operation not permitted: EPERM/, (config) => (config.process.args = ['/etc/passwd'])],
  ];
  for (const [message, change] of rows) expectFailure(t, await rig.run({ change }), { message });
  const { id } = await rig.sleeper(t);
  const missing = await rig.tsrun(['exec', '--cwd', '/no/such', id, 'true']);
  expectFailure(t, missing, { code: 255, message: /chdir to cwd .*failed: no such file or directory/ });
  const empty = await rig.tsrun(['exec', id, '']);
  expectFailure(t, empty, { code: 255, message: /executable file not found in \$PATH/ });
  await rig.delete(t, id);
});

live('a config of an older version means what it meant', async (t, rig) => {
  const forks = (limit: number, ociVersion: string) =>
    rig.run({
      args: 'sh -c "echo forked; exit 0"; exit 0',
      change: (config) => {
        config.ociVersion = ociVersion;
        config.linux.resources = { ...config.linux.resources, pids: { limit } };
      },
    });
  for (const version of ['1.0', '1.0.2-dev', '1.2.1']) t.match((await forks(0, version)).stdout, 'forked', version);
  t.notMatch((await forks(0, '1.3.0')).stdout, 'forked', '0 is a limit since 1.3');
  t.match((await forks(-1, '1.3.0')).stdout, 'forked', '-1 is none');

  const { id, pid } = await rig.create(t, {
    args: ['sleep', '1000'],
    change: (config) => {
      config.ociVersion = '1.0.2';
      config.linux.resources = { ...config.linux.resources, pids: { limit: 5 } };
    },
  });
  const own = /^\d+:pids:(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
  expectSuccess(t, await rig.tsrun(['update', '--pids-limit', '0', id]));
  const pidsMax = `/sys/fs/cgroup/pids${own ?? ''}/pids.max`;
  if (own !== undefined && existsSync(pidsMax)) t.equal(readFileSync(pidsMax, 'utf8').trim(), 'max');
  await rig.delete(t, id);
});

live('the domain name is set in one way or twice the same', async (t, rig) => {
  const named = (sysctl: string) => (config: BaseConfig) => {
    config.domainname = 'example.org';
    config.linux.sysctl = { 'kernel.domainname': sysctl };
  };
  const same = await rig.run({ args: 'cat /proc/sys/kernel/domainname', change: named('example.org') });
  t.equal(same.stdout, 'example.org\n');
  expectFailure(t, await rig.run({ change: named('example.com') }), { message: /conflicts with the OCI .*domainname/ });
});

live('hooks start in the bundle, and the shell runs what has no interpreter', async (t, rig) => {
  const place = rig.fresh('place');
  mkdirSync(place, { mode: 0o777 });
  const hook = path.join(place, 'hook');
  writeFileSync(hook, `echo "$1 $PWD" >> ${place}/ran\n`, { mode: 0o755 });
  const kinds = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const;
  const change = (config: BaseConfig): void => {
    config.mounts.push({ destination: place, type: 'bind', source: place, options: ['bind', 'rw'] });
    config.hooks = Object.fromEntries(kinds.map((kind) => [kind, [{ path: hook, args: ['hook', kind] }]]));
  };
  const bundle = rig.bundle({ change });
  expectSuccess(t, await rig.tsrun(['run', '--bundle', bundle, rig.id()], { cwd: '/' }));
  const ran = readFileSync(`${place}/ran`, 'utf8').trim().split('\n');
  t.strictSame(
    ran.map((line) => line.split(' ')[0]),
    kinds,
  );
  for (const line of ran.filter((one) => !/Container /.test(one))) t.equal(line.split(' ')[1], bundle, line);
  t.equal(ran.find((line) => line.startsWith('startContainer'))?.split(' ')[1], '/');

  // A bundle that is gone keeps no poststop hook from running.
  rmSync(`${place}/ran`);
  const id = rig.id();
  const gone = rig.bundle({ change });
  expectSuccess(t, await rig.tsrun(['create', '--bundle', gone, id]));
  rmSync(gone, { recursive: true });
  await rig.delete(t, id);
  t.match(readFileSync(`${place}/ran`, 'utf8'), /^poststop \/$/m);
});

live('a poststop hook that fails is named by its number', async (t, rig) => {
  const change = (config: BaseConfig): void => {
    config.hooks = { poststop: [{ path: '/bin/true' }, { path: '/no/such/hook' }] };
  };
  const result = await rig.run({ change });
  expectSuccess(t, result);
  t.match(
    result.stderr.replaceAll('\\', ''),
    'error running poststop hook #1: "/no/such/hook": no such file or directory',
  );
});

live('an agent that does not answer is named as such', async (t, rig) => {
  const listenerPath = rig.path('nobody.sock');
  const change = (config: BaseConfig): void => {
    config.linux.seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      listenerPath,
      syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' }],
    };
  };
  const message =
    /connect to the seccomp agent at .*nobody\.sock.*: no such file or directory: ENOENT \(\/linux\/seccomp\/listenerPath/;
  expectFailure(t, await rig.run({ change }), { message });
});
