import { existsSync } from 'node:fs';
import type { Test } from 'tap';
import { expectSuccess, statusField } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { isSystemdManager, limitFile } from './support/cgroup-view.ts';
import { IMAGE } from './support/image.ts';
import { declareFor, Podman, podmanTests } from './support/podman.ts';
import { listRuntimes } from './support/runtimes.ts';

/** With systemd the user is one that has a session of it. */
const UID = isSystemdManager ? 1000 : 5000;
const HOME = isSystemdManager ? '/home/tester' : '/run/tester';
const RUNTIME_DIRECTORY = `/run/user/${UID}`;
const TUN = '/dev/net/tun';

/** The device is root's alone there, too. */
const MAKE_CONFIGURATION = `rm /etc/containers/storage.conf; [ ! -e ${TUN} ] || chmod 666 ${TUN}`;

/** Makes an ordinary user with subordinate ids, and the device that slirp4netns opens, as udev leaves it on other machines. */
const MAKE_USER = `
echo 'tester:x:${UID}:${UID}::${HOME}:/bin/sh' >>/etc/passwd
echo 'tester:x:${UID}:' >>/etc/group
echo tester:200000:65536 >>/etc/subuid
echo tester:200000:65536 >>/etc/subgid
for directory in ${HOME} ${RUNTIME_DIRECTORY}; do
  mkdir -p $directory
  chown tester:tester $directory
  chmod 0700 $directory
done
rm /etc/containers/storage.conf
if [ -e ${TUN} ]; then
  mknod -m 666 /run/tun c 10 200
  mount --bind /run/tun ${TUN}
fi
`;

const AS_TESTER = [
  'setpriv',
  `--reuid=${UID}`,
  `--regid=${UID}`,
  '--clear-groups',
  'env',
  `HOME=${HOME}`,
  `XDG_RUNTIME_DIR=${RUNTIME_DIRECTORY}`,
  `DBUS_SESSION_BUS_ADDRESS=unix:path=${RUNTIME_DIRECTORY}/bus`,
  'USER=tester',
];

podmanTests('rootless podman', { tools: ['newuidmap', 'slirp4netns'] }, async (_declare, t, inside) => {
  const script = isSystemdManager ? MAKE_CONFIGURATION : MAKE_USER;
  expectSuccess(t, await inside.run(['sh', '-ec', script]), 'make a user');
  const podmans = listRuntimes(inside).map((runtime) => new Podman(inside, runtime, AS_TESTER));
  for (const podman of podmans.slice(0, 1)) {
    expectSuccess(t, await podman.podman(['load', '--input', inside.path('image.tar')]), 'load as the user');
  }
  const declare = declareFor(t, podmans);

  await declare('run: the user is root inside, with the subordinate ids behind it', async (t, podman) => {
    const show = "id -u; tr -s ' ' </proc/self/uid_map; touch /made; chown 7:7 /made && stat -c %u /made; exit 8";
    const result = await podman.run([], show);
    t.equal(result.code, 8, result.stderr);
    const [, start = ''] = /^tester:(\d+):/m.exec((await inside.run(['cat', '/etc/subuid'])).stdout) ?? [];
    t.equal(result.stdout, `0\n 0 ${UID} 1\n 1 ${start} 65536\n7\n`);
    t.equal(statusField(await podman.output(t, [], ['cat', '/proc/self/status']), 'Seccomp'), '2');
    t.equal((await podman.run([], ['no-such-program'])).code, 127);
    t.equal((await podman.run([], ['/etc/not-executable'])).code, 126);
  });

  await declare('run --userns keep-id and --user', async (t, podman) => {
    t.equal(await podman.output(t, ['--userns', 'keep-id'], 'id -u; id -g'), `${UID}\n${UID}`);
    t.equal(await podman.output(t, ['--user', 'worker'], 'id -un; cat /proc/self/setgroups'), 'worker\nallow');
  });

  const limits = async (t: Test, podman: Podman): Promise<void> => {
    const options = ['--memory', '64m', '--pids-limit', '55'];
    const name = await podman.start(t, 'limited', options, ['sleep', '1000']);
    const files = (['memory', 'pids'] as const).map((limit) => limitFile(limit));
    const { stdout } = await podman.podman(['exec', name, 'cat', ...files]);
    t.equal(stdout, '67108864\n55\n');
    const stats = await podman.podman(['stats', '--no-stream', '--format', '{{.PIDS}} {{.MemUsage}}', name]);
    t.match(stats.stdout, /^1 [1-9].*\/ 67\.11MB/);
    expectSuccess(t, await podman.podman(['pause', name]));
    t.equal(await podman.inspect(name, '{{.State.Status}}'), 'paused');
    expectSuccess(t, await podman.podman(['unpause', name]));
  };

  const withoutCgroups = async (t: Test, podman: Podman): Promise<void> => {
    const own = (await podman.command(['cat', '/proc/self/cgroup'])).stdout;
    t.equal(`${await podman.output(t, ['--cgroupns', 'host'], ['cat', '/proc/self/cgroup'])}\n`, own);
    const limited = await podman.run(['--memory', '64m'], ['echo', 'done']);
    t.equal(limited.stdout, 'done\n', limited.stderr);
    t.match(limited.stderr, /Resource limits are not supported and ignored/);
  };

  if (isSystemdManager) await declare('limits, stats and pause in a scope of the user', limits);
  else await declare('without cgroups: in those of the caller, limits are passed over with a warning', withoutCgroups);

  await declare('run --detach, exec, logs, stop, rm; a volume; a read-only root', async (t, podman) => {
    const options = ['--volume', `${podman.name('volume')}:/data`, '--read-only'];
    const script = 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done';
    const name = await podman.start(t, 'detached', options, ['sh', '-c', script]);
    await waitFor(async () => (await podman.podman(['logs', name])).stdout === 'up\n');
    const exec = await podman.podman(['exec', name, 'sh', '-c', 'echo kept >/data/file; touch /x; id -u; exit 3']);
    t.strictSame([exec.code, exec.stdout], [3, '0\n']);
    t.match(exec.stderr, /Read-only file system/);
    const pid = await podman.inspect(name, '{{.State.Pid}}');
    t.equal((await inside.run(['stat', '-c', '%u', `/proc/${pid}`])).stdout, `${UID}\n`);
    expectSuccess(t, await podman.podman(['stop', '--time', '20', name]));
    t.equal(await podman.inspect(name, '{{.State.ExitCode}}'), '9');
    t.equal(await podman.output(t, options.slice(0, 2), ['cat', '/data/file']), 'kept');
  });

  await declare(
    'a network by slirp4netns',
    async (t, podman) => {
      const { stdout, stderr, code } = await podman.podman(['run', '--rm', IMAGE, 'ip', '-o', '-4', 'address']);
      t.equal(code, 0, stderr);
      t.match(stdout, /tap0 +inet 10\.0\.2\.100\/24/);
    },
    { skip: !existsSync(TUN) && `needs ${TUN} on the host` },
  );
});
