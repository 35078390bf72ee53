import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { expectSuccess, statusField } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { limitFile, quotaText, sharesText } from './support/cgroup-view.ts';
import { IMAGE } from './support/image.ts';
import { podmanTests } from './support/podman.ts';

const BRIDGE = '/usr/lib/cni/bridge';
/** What podman leaves of a container's capabilities by default, as bits: see `default_capabilities` in containers.conf(5). */
const CHOWN_AND_KILL = (1n << 0n) | (1n << 5n);

podmanTests('podman isolates containers', {}, async (declare, _t, inside) => {
  await declare(
    '--memory, --cpus, --cpu-shares, --cpuset-cpus, --pids-limit: read back and felt inside',
    async (t, podman) => {
      const limits = [
        '--memory',
        '64m',
        '--cpus',
        '0.5',
        '--cpu-shares',
        '512',
        '--cpuset-cpus',
        '0',
        '--pids-limit',
        '55',
      ];
      const files = (['memory', 'quota', 'shares', 'cpus', 'pids'] as const).map((limit) => limitFile(limit));
      const wanted = ['67108864', quotaText(50_000), sharesText(512), '0', '55'];
      t.equal(await podman.output(t, limits, `cat ${files.join(' ')}`), wanted.join('\n'));
      const killed = await podman.run(['--memory', '16m', '--memory-swap', '16m'], 'head -c 100m /dev/zero | tail');
      t.not(killed.code, 0, 'more memory is not to be had');
      const many = await podman.run(['--pids-limit', '5'], 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done');
      t.match(many.stderr, /can't fork|Resource temporarily unavailable/);
    },
  );

  await declare('--read-only', async (t, podman) => {
    const result = await podman.run(['--read-only'], 'touch /x; touch /tmp/x && touch /run/x && echo these-can');
    t.match(result.stderr, /touch: \/x: Read-only file system/);
    t.equal(result.stdout, 'these-can\n');
    t.match((await podman.run(['--read-only', '--read-only-tmpfs=false'], 'touch /run/x')).stderr, /Read-only/);
  });

  await declare(
    '--user, --group-add, --workdir, --hostname, --ulimit, --sysctl, --oom-score-adj',
    async (t, podman) => {
      t.match(await podman.output(t, ['--user', '1000:2000'], ['id']), /^uid=1000\(worker\) gid=2000\(extra\)/);
      t.match(
        await podman.output(t, ['--user', 'worker', '--group-add', '77'], ['id', '-G']),
        /^1000 (77 2000|2000 77)$/,
      );
      t.equal(await podman.output(t, ['--user', '4321'], 'id -u; echo $HOME; pwd'), '4321\n/\n/');
      const options = [
        '--workdir',
        '/tmp',
        '--hostname',
        'other',
        '--ulimit',
        'nofile=111:222',
        '--ulimit',
        'nproc=1000:2000',
        '--oom-score-adj',
        '300',
      ];
      const show = 'pwd; hostname; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_forward';
      const wanted = '/tmp\nother\n111\n222\n300\n1';
      t.equal(await podman.output(t, [...options, '--sysctl', 'net.ipv4.ip_forward=1'], show), wanted);
    },
  );

  await declare('--cap-drop, --cap-add, --privileged, no-new-privileges', async (t, podman) => {
    const status = async (...options: string[]) => podman.output(t, options, ['cat', '/proc/self/status']);
    const few = await status('--cap-drop', 'all', '--cap-add', 'chown', '--cap-add', 'kill');
    const wanted = CHOWN_AND_KILL.toString(16).padStart(16, '0');
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) t.equal(statusField(few, set), wanted, set);
    t.equal(statusField(await status('--user', 'worker'), 'CapEff'), '0'.repeat(16));
    t.equal(statusField(await status('--security-opt', 'no-new-privileges'), 'NoNewPrivs'), '1');
    t.equal(statusField(few, 'NoNewPrivs'), '0');
    const own = (await inside.run(['cat', '/proc/self/status'])).stdout;
    const all = await status('--privileged');
    t.equal(statusField(all, 'CapEff'), statusField(own, 'CapEff'), 'privileged: all there are');
    t.equal(statusField(all, 'Seccomp'), '0');
    expectSuccess(
      t,
      await podman.run(
        ['--privileged'],
        'mount -t tmpfs none /tmp && test -e /dev/loop-control -o -e /dev/vda -o -e /dev/kmsg',
      ),
    );
  });

  await declare('--tmpfs, --mount, --volume: options, owners, what cannot be written', async (t, podman) => {
    const directory = inside.fresh('volume');
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    writeFileSync(`${directory}/file`, 'content\n');
    const volumes = ['--volume', `${directory}:/a:ro`, '--volume', `${directory}:/b:rw,z`];
    const result = await podman.run(volumes, 'cat /a/file; touch /a/x; touch /b/made && echo written');
    t.equal(result.stdout, 'content\nwritten\n');
    t.match(result.stderr, /\/a\/x: Read-only/);
    t.ok(existsSync(`${directory}/made`));
    const single = ['--mount', `type=bind,source=${directory}/file,target=/etc/passwd,readonly`];
    t.equal(await podman.output(t, single, ['cat', '/etc/passwd']), 'content', 'a file over a file');
    const scratch = await podman.output(
      t,
      ['--tmpfs', '/scratch:size=1m,mode=1750'],
      'grep /scratch /proc/mounts; stat -c %a /scratch',
    );
    t.match(scratch, /tmpfs rw,nosuid,nodev.*size=1024k.*\n1750$/);
    const volume = podman.name('named');
    expectSuccess(
      t,
      await podman.run(['--volume', `${volume}:/home/worker`], 'stat -c %u /home/worker; echo kept >/home/worker/file'),
    );
    t.equal(
      await podman.output(t, ['--volume', `${volume}:/data`], 'cat /data/file; stat -c %u /data'),
      'kept\n1000',
      'copied up with its owner',
    );
    expectSuccess(t, await podman.podman(['volume', 'rm', volume]));
    t.equal((await podman.run(['--volume', '/no/such/place:/x'], ['true'])).code, 125);
  });

  await declare('--device, and no other', async (t, podman) => {
    const null2 = await podman.output(
      t,
      ['--device', '/dev/null:/dev/null2:rw'],
      'echo >/dev/null2 && stat -c "%t:%T" /dev/null2',
    );
    t.equal(null2, '1:3');
    const made = await podman.run(['--cap-add', 'mknod'], 'mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg');
    t.match(made.stderr, /Operation not permitted/, 'a device that no rule allows');
    t.equal((await podman.run(['--device', '/dev/no-such-device'], ['true'])).code, 125);
  });

  await declare('--uidmap, --userns auto and keep-id', async (t, podman) => {
    const map = async (...options: string[]) =>
      (await podman.output(t, options, 'tr -s " " </proc/self/uid_map; touch /made && stat -c %u:%g /made')).split(
        '\n',
      );
    const mapped = ['--uidmap', '0:300000:5000', '--gidmap', '0:400000:5000'];
    t.strictSame(await map(...mapped), ['0 300000 5000', '0:0']);
    const name = await podman.start(t, 'mapped', mapped, ['sleep', '1000']);
    const pid = await podman.inspect(name, '{{.State.Pid}}');
    t.equal((await inside.run(['stat', '-c', '%u:%g', `/proc/${pid}`])).stdout, '300000:400000\n');
    t.equal((await podman.podman(['exec', '--user', '5:6', name, 'sh', '-c', 'id -u; id -g'])).stdout, '5\n6\n');
    const [automatic = ''] = await map('--userns', 'auto:size=1000');
    t.match(automatic, /^0 1\d{6} 1000$/, 'from the range of the user "containers"');
    t.strictSame(await map('--userns', 'host'), ['0 0 4294967295', '0:0']);
  });

  await declare(
    '--network none and host, --ipc, --pid and --uts of the host or another container',
    async (t, podman) => {
      t.equal(await podman.output(t, [], 'ls /sys/class/net'), 'lo');
      const outside = async (name: string) => (await inside.run(['readlink', `/proc/self/ns/${name}`])).stdout.trim();
      const host = ['--network', 'host', '--ipc', 'host', '--uts', 'host'];
      const names = ['net', 'ipc', 'uts', 'pid'];
      const command = names.map((name) => `readlink /proc/self/ns/${name}`).join('; ');
      const links = (await podman.output(t, host, command)).split('\n');
      t.strictSame(links.slice(0, 3), [await outside('net'), await outside('ipc'), await outside('uts')]);
      t.not(links[3], await outside('pid'));
      t.equal(await podman.output(t, ['--pid', 'host'], 'cat /proc/1/comm'), 'sh');
      const other = await podman.start(t, 'other', [], ['sleep', '1000']);
      const joined = await podman.output(
        t,
        ['--network', `container:${other}`, '--pid', `container:${other}`],
        `${command}; cat /proc/1/comm`,
      );
      const own = (await podman.podman(['exec', other, 'sh', '-c', command])).stdout.trim().split('\n');
      t.strictSame([joined.split('\n')[0], ...joined.split('\n').slice(3)], [own[0], own[3], 'sleep']);
    },
  );

  await declare(
    '--network bridge: containers reach each other, by names as well',
    async (t, podman) => {
      const serve = 'mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www';
      const name = await podman.start(
        t,
        'server',
        ['--network', 'bridge', '--publish', '8080:80'],
        ['sh', '-c', serve],
      );
      const address = await podman.inspect(name, '{{.NetworkSettings.IPAddress}}');
      t.match(address, /^10\.88\.\d+\.\d+$/);
      const client = async (command: string, ...options: string[]) =>
        podman.podman(['run', '--rm', '--network', 'bridge', ...options, IMAGE, 'sh', '-c', command]);
      await waitFor(async () => (await podman.podman(['exec', name, 'wget', '-qO-', 'http://127.0.0.1/'])).code === 0);
      t.equal((await client(`wget -qO- http://${address}/`)).stdout, 'page\n');
      t.match((await client(`ping -c 1 ${address}`, '--cap-add', 'net_raw')).stdout, /1 packets received/);
      t.equal((await client('wget -qO- http://server.test/', '--add-host', `server.test:${address}`)).stdout, 'page\n');
    },
    { skip: !existsSync(BRIDGE) && `needs ${BRIDGE} on the host` },
  );

  await declare('a pod: containers share the namespaces of its infra container', async (t, podman) => {
    const pod = podman.name('pod');
    const create = [
      'pod',
      'create',
      '--name',
      pod,
      '--network',
      'none',
      '--share',
      'pid,ipc,net,uts',
      '--hostname',
      'together',
    ];
    expectSuccess(t, await podman.podman([...create, '--infra-image', IMAGE, '--infra-command', 'sleep 1000']));
    t.teardown(async () => podman.podman(['pod', 'rm', '--force', '--time', '0', '--ignore', pod]));
    const one = await podman.start(t, 'one', ['--pod', pod], ['nc', '-l', '-p', '99', '-e', 'echo', 'answer']);
    const two = await podman.start(t, 'two', ['--pod', pod], ['sleep', '1001']);
    const exec = async (name: string, command: string) =>
      (await podman.podman(['exec', name, 'sh', '-c', command])).stdout;
    t.match(await exec(two, 'ps -o args'), /sleep 1000\n(.*\n)*nc -l(.*\n)*sleep 1001/);
    t.equal(await exec(two, 'nc 127.0.0.1 99 </dev/null; hostname'), 'answer\ntogether\n');
    t.equal((await podman.podman(['wait', one])).stdout, '0\n');
    t.match((await podman.podman(['pod', 'ps', '--format', '{{.Name}} {{.NumberOfContainers}}'])).stdout, `${pod} 3`);
    expectSuccess(t, await podman.podman(['pod', 'stop', '--time', '0', pod]));
    expectSuccess(t, await podman.podman(['pod', 'rm', pod]));
  });
});
