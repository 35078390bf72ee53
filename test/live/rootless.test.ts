import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { readCgroupLayout } from '../../src/host/cgroup-layout.ts';
import { specTemplate } from '../../src/spec/template.ts';
import { connectUnix, sendMessage } from '../../src/sys/socket.ts';
import { removeNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type Rig } from './support/rig.ts';
import { answerOne, SeccompAgent } from './support/seccomp-agent.ts';

const NOBODY = 65534;
const AS_NOBODY = [
  'setpriv',
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  '--clear-groups',
  'env',
  '-u',
  'XDG_RUNTIME_DIR',
  // tap has every Node process write its coverage, which this user may not.
  '-u',
  'NODE_OPTIONS',
] as const;

/** A bundle with the config of `tsrun spec --rootless`, for an ordinary user who may write the rig's state directory. */
function rootlessBundle(rig: Rig, args: string, change?: (config: BaseConfig) => void): string {
  mkdirSync(rig.root, { recursive: true });
  chownSync(rig.root, NOBODY, NOBODY);
  return rig.bundle({
    change: (config) => {
      const template = specTemplate({ rootless: true, uid: NOBODY, gid: NOBODY }) as BaseConfig;
      Object.assign(config, template, { root: config.root });
      config.process = { ...template.process, terminal: false, args: ['/bin/sh', '-c', args] };
      change?.(config);
    },
  });
}

/** Runs a command where nobody owns 65536 subordinate ids, in a mount namespace of its own. */
function withSubordinateIds(rig: Rig): string[] {
  const file = rig.path('subordinate-ids');
  writeFileSync(file, 'nobody:200000:65536\n');
  const mounts = `mount --bind ${file} /etc/subuid && mount --bind ${file} /etc/subgid`;
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${mounts}; exec "$@"`, 'sh', ...AS_NOBODY];
}

function mapSubordinateIds(config: BaseConfig): void {
  config.linux.uidMappings = [
    { containerID: 0, hostID: NOBODY, size: 1 },
    { containerID: 1, hostID: 200000, size: 1000 },
  ];
  config.linux.gidMappings = config.linux.uidMappings;
}

/** Why nothing can be delegated as on cgroup v1. */
function noV1(): string | false {
  return readCgroupLayout('/proc/self').mode === 'v2' ? 'needs cgroup v1 hierarchies' : false;
}

async function runAsNobody(t: Test, rig: Rig, bundle: string, under: readonly string[]): Promise<string> {
  const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('rootless')], { under });
  expectSuccess(t, result);
  return result.stdout;
}

live('an ordinary user runs a container', async (t, rig) => {
  await t.test('as the one user it can map, without setgroups and without a cgroup', async (t) => {
    const show = 'id -u; tr -s " " </proc/self/uid_map; cat /proc/self/setgroups; readlink /proc/self/ns/user';
    const output = await runAsNobody(t, rig, rootlessBundle(rig, show), AS_NOBODY);
    const [uid, map, setgroups, namespace] = output.trim().split('\n');
    t.equal(uid, '0');
    t.equal(map?.trim(), `0 ${NOBODY} 1`);
    t.equal(setgroups, 'deny');
    t.match(namespace, /^user:\[\d+\]$/);
  });

  await t.test('and is warned where nobody could find its processes', async (t) => {
    const alone = (config: BaseConfig): void => {
      removeNamespace(config, 'pid');
      config.mounts = config.mounts.filter(({ type }) => type !== 'proc');
    };
    const run = (bundle: string) => rig.tsrun(['run', '--bundle', bundle, rig.id('alone')], { under: AS_NOBODY });
    const result = await run(rootlessBundle(rig, 'true', alone));
    expectSuccess(t, result);
    t.match(result.stderr, /level=warning msg="the container has neither a cgroup nor a pid namespace of its own/);
    t.notMatch((await run(rootlessBundle(rig, 'true'))).stderr, /pid namespace of its own/);
  });

  await t.test('in v1 controllers that were delegated without the other hierarchies', { skip: noV1() }, async (t) => {
    const name = `${rig.prefix}-delegated`;
    const parents = readCgroupLayout('/proc/self')
      .hierarchies.filter(({ controllers }) => !controllers.includes('name=systemd'))
      .map(({ mountPoint }) => mountPoint);
    const delegated = parents.map((parent) => path.join(parent, name));
    t.teardown(() => {
      for (const directory of delegated) if (existsSync(directory)) rmdirSync(directory);
    });
    for (const directory of delegated) {
      mkdirSync(directory);
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        if (existsSync(path.join(directory, file)))
          writeFileSync(path.join(directory, file), readFileSync(path.join(path.dirname(directory), file)));
      for (const file of ['', 'cgroup.procs', 'tasks']) chownSync(path.join(directory, file), NOBODY, NOBODY);
    }
    const enter = delegated.map((directory) => `echo $$ > ${directory}/cgroup.procs`).join('; ');
    const bundle = rootlessBundle(rig, 'cat /proc/self/cgroup', (config) => {
      config.linux.resources = { pids: { limit: 50 } };
    });
    const output = await runAsNobody(t, rig, bundle, ['sh', '-ec', `${enter}; exec "$@"`, 'sh', ...AS_NOBODY]);
    t.match(output, new RegExp(`:pids:.*/${name}/${rig.prefix}-rootless`), 'it has a cgroup below the delegated one');
  });

  const skip = existsSync('/usr/bin/newuidmap') ? false : 'newuidmap is not installed';

  await t.test('as many users, through newuidmap and newgidmap', { skip }, async (t) => {
    const bundle = rootlessBundle(rig, 'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "', mapSubordinateIds);
    const output = await runAsNobody(t, rig, bundle, withSubordinateIds(rig));
    const map = [` 0 ${NOBODY} 1`, ' 1 200000 1000'];
    t.strictSame(output.trimEnd().split('\n'), [...map, ...map]);
  });

  await t.test('and is told when the ids are not its own', { skip }, async (t) => {
    const bundle = rootlessBundle(rig, 'true', mapSubordinateIds);
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('refused')], { under: AS_NOBODY });
    expectFailure(t, result, { message: /map gids .* with newgidmap: exit code \d+: newgidmap:/ });
  });

  await t.test(
    'as root of a user namespace of its own, as rootless podman does, without a cgroup either',
    async (t) => {
      const under = [...AS_NOBODY, 'unshare', '--user', '--map-root-user', '--mount'];
      const change = (config: BaseConfig): void => {
        config.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }];
        config.linux.gidMappings = config.linux.uidMappings;
        // Nobody but root of the host may lower it below what it is.
        config.process.oomScoreAdj = -500;
      };
      const show = 'id -u; cat /proc/self/oom_score_adj';
      t.equal(await runAsNobody(t, rig, rootlessBundle(rig, show, change), under), '0\n0\n');
      const bundle = rootlessBundle(rig, 'true', (config) => {
        change(config);
        config.linux.resources = { pids: { limit: 10 } };
      });
      const refused = await rig.tsrun(['run', '--bundle', bundle, rig.id('limits')], { under });
      expectFailure(t, refused, { message: /make cgroup .*EACCES/ });
    },
  );

  for (const noNewPrivileges of [true, false])
    await t.test(`with a seccomp listener, no_new_privs ${noNewPrivileges}`, async (t) =>
      listenerOfUser(t, rig, noNewPrivileges),
    );

  await t.test('and enters one that waits for start, which then starts', async (t) => enterCreated(t, rig));

  await t.test('and is told when limits need a cgroup that it may not make', async (t) => {
    const bundle = rootlessBundle(rig, 'true', (config) => {
      config.linux.resources = { pids: { limit: 10 } };
    });
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('limits')], { under: AS_NOBODY });
    expectFailure(t, result, { message: /make cgroup .*EACCES/ });
  });
});

/** The user may not look into init: it hands out what `exec` needs. */
async function enterCreated(t: Test, rig: Rig): Promise<void> {
  const under = AS_NOBODY;
  const log = rig.fresh('started');
  writeFileSync(log, '');
  chmodSync(log, 0o666);
  const show = 'for type in user mnt pid net; do readlink /proc/self/ns/$type; done; hostname';
  const bundle = rootlessBundle(rig, `{ ${show}; } >/dev/started; exec sleep 1000`, (config) => {
    config.hostname = 'waiting';
    config.mounts = [
      ...config.mounts,
      { destination: '/dev/started', source: log, type: 'bind', options: ['bind', 'rw'] },
    ];
  });
  const id = rig.id('waiting');
  expectSuccess(t, await rig.tsrun(['create', '--bundle', bundle, id], { under }), 'create');
  const entered = await rig.tsrun(['exec', id, 'sh', '-c', show], { under });
  expectSuccess(t, entered, 'exec');
  t.match(entered.stdout, /\nwaiting\n$/);
  const failed = await rig.tsrun(['exec', id, '/not/there'], { under });
  expectFailure(t, failed, { message: /\/not\/there: no such file or directory: ENOENT/, code: 255 });
  for (const sent of ['', 'x'.repeat(16), 'x'.repeat(64)]) knock(path.join(rig.root, id, 'init/init.sock'), sent);
  const again = await rig.tsrun(['exec', id, 'sh', '-c', show], { under });
  t.equal(again.stdout, entered.stdout, 'after one that failed, and peers that prove nothing');
  expectSuccess(t, await rig.tsrun(['start', id], { under }), 'start');
  const running = await rig.tsrun(['exec', id, 'sh', '-c', show], { under });
  t.equal(running.stdout, entered.stdout, 'the namespaces are the same when it runs');
  t.equal(readFileSync(log, 'utf8'), entered.stdout, 'and they are those of the program');
  expectSuccess(t, await rig.tsrun(['delete', '--force', id], { under }), 'delete');
}

/** Connects, says something or nothing, and goes away. */
function knock(socketPath: string, text: string): void {
  using connection = connectUnix(socketPath, 'seqpacket');
  if (text !== '') sendMessage(connection.number, Buffer.from(text));
}

/** The user may not look into init: the listener is sent. */
async function listenerOfUser(t: Test, rig: Rig, noNewPrivileges: boolean): Promise<void> {
  const listenerPath = rig.fresh('agent.sock');
  using agent = new SeccompAgent(listenerPath);
  chmodSync(listenerPath, 0o777);
  const bundleOf = (args: string, refused: readonly string[] = []): string =>
    rootlessBundle(rig, args, (config) => {
      config.process.noNewPrivileges = noNewPrivileges;
      config.process.capabilities = {};
      const syscalls = [
        { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_NOTIFY' as const },
        ...(refused.length === 0 ? [] : [{ names: [...refused], action: 'SCMP_ACT_ERRNO' as const }]),
      ];
      config.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', listenerPath, syscalls };
    });
  const handOver = async (): Promise<void> => {
    const { listener } = await agent.accept();
    using _listener = listener;
    await answerOne(listener, 122);
  };
  const under = AS_NOBODY;
  const mkdir = 'mkdir /tmp/a 2>&1; ls /proc/self/fd | wc -l';

  const id = rig.id('user-listener');
  const running = rig.startTsrun(['run', '--bundle', bundleOf(mkdir), id], { under });
  await handOver();
  const result = await running.done;
  expectSuccess(t, result);
  t.match(result.stdout, /quota exceeded\n4\n/i, 'and no descriptor of it is left in the program');

  const live = rig.id('user-listener');
  const bundle = bundleOf('mkdir /tmp/a; exec sleep 1000');
  const creating = rig.startTsrun(['create', '--bundle', bundle, live], { under });
  const early = noNewPrivileges ? undefined : agent.accept();
  expectSuccess(t, await creating.done, 'create');
  const starting = rig.startTsrun(['start', live], { under });
  const { listener } = await (early ?? agent.accept());
  using _listener = listener;
  expectSuccess(t, await starting.done, 'start');
  await answerOne(listener, 122);
  const executing = rig.startTsrun(['exec', live, 'sh', '-c', mkdir], { under });
  await handOver();
  t.match((await executing.done).stdout, /quota exceeded\n4\n/i, 'exec');
  expectSuccess(t, await rig.tsrun(['delete', '--force', live], { under }), 'delete');

  const unsent = await rig.tsrun(['run', '--bundle', bundleOf('true', ['sendmsg']), rig.id('unsent')], { under });
  expectFailure(t, unsent, {
    message: /send the seccomp listener: operation not permitted: EPERM \(\/linux\/seccomp of config.json\)/,
  });
}
