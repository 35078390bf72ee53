import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Test } from 'tap';
import type { CommandResult } from '../live/support/command.ts';
import { expectSuccess, statusField } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { isSystemdManager, isVersion2, limitFile, quotaText } from './support/cgroup-view.ts';
import { HUNGRY } from './support/containerd.ts';
import { DOCKER_FILES, DOCKER_TOOLS, runArgs, RUNTIME_NAME, withEachDocker, type Dockerd } from './support/dockerd.ts';
import { IMAGE } from './support/image.ts';
import { newerPrograms } from './support/newer-programs.ts';
import { listRuntimesAndShims } from './support/runtimes.ts';
import { engines } from './support/surroundings.ts';

const PATIENCE_MS = 30_000;
/** The mounted root of a container. */
const MERGED = /^.* \/var\/lib\/docker\/.*\/merged .*$/m;

engines('docker', { tools: DOCKER_TOOLS, files: DOCKER_FILES }, async (t, inside) => {
  await withEachDocker(
    t,
    inside,
    async (t, docker) => {
      for (const [name, test] of TESTS) await t.test(name, async (t) => test(t, docker));
    },
    listRuntimesAndShims,
  );
});

/** Each with its name; in this order, as the last one looks for what the others have left. */
const TESTS: readonly (readonly [string, (t: Test, docker: Dockerd) => Promise<void>])[] = [
  ['run returns what the container returns', runReturns],
  ['exec', exec],
  ['run -it and exec -it', terminal],
  ['update', update],
  ['pause and unpause', pause],
  ['stats and top', statsAndTop],
  ['stop and kill', stopAndKill],
  ['run --init', init],
  ['run in the pid namespace of another container', sharedPids],
  ['volumes, tmpfs and a read-only root', fileSystems],
  ['users, capabilities and limits of the process', identity],
  ['the default seccomp profile', seccomp],
  ['networks', networks],
  ['logs, inspect and rm -f', logsAndInspect],
  ['a health check', healthCheck],
  ['restart policy and restart', restarts],
  ['build', build],
  ['a container without memory is killed, and says so', outOfMemory],
  ['nothing is left of any container', nothingLeft],
];

async function runReturns(t: Test, docker: Dockerd): Promise<void> {
  const ended = await docker.run([], 'echo to stdout; echo to stderr >&2; exit 7');
  t.equal(ended.code, 7);
  t.equal(ended.stdout, 'to stdout\n');
  t.equal(ended.stderr, 'to stderr\n');
  expectSuccess(t, await docker.run([], ['true']));
  t.equal((await docker.run([], 'sh -c "kill -TERM \\$\\$"; exit $?')).code, 143);
  const fed = await docker.run(['--interactive'], ['wc', '-l'], { stdin: 'one\ntwo\n' });
  t.equal(fed.stdout.trim(), '2');
  const cgroup = await docker.run(['--name', 'cgroup'], ['cat', '/proc/self/cgroup']);
  // With cgroup v2 docker gives every container a cgroup namespace.
  if (isVersion2) t.equal(cgroup.stdout, '0::/\n');
  else t.match(cgroup.stdout, /:memory:\/docker\/[0-9a-f]{64}$/m);
}

async function exec(t: Test, docker: Dockerd): Promise<void> {
  await docker.start(t, 'exec', ['--env', 'GIVEN=to the container']);
  const run = async (flags: readonly string[], ...command: string[]): Promise<CommandResult> =>
    docker.docker(['exec', ...flags, 'exec', ...command]);
  const shell = await run(
    ['--env', 'MORE=more', '--workdir', '/tmp'],
    'sh',
    '-c',
    'pwd; echo $GIVEN, $MORE; id -u; exit 9',
  );
  t.equal(shell.code, 9);
  t.equal(shell.stdout, '/tmp\nto the container, more\n0\n');
  t.equal(
    (await run(['--user', 'worker'], 'id')).stdout,
    'uid=1000(worker) gid=1000(worker) groups=1000(worker),2000(extra)\n',
  );
  const fed = await docker.docker(['exec', '--interactive', 'exec', 'cat'], { stdin: 'fed\n' });
  t.equal(fed.stdout, 'fed\n');
  const fds = await run([], 'sh', '-c', 'ls /proc/$$/fd; true');
  t.equal(fds.stdout, '0\n1\n2\n', 'no other descriptor');
  const missing = await run([], 'nosuch');
  t.equal(missing.code, newerPrograms === undefined ? 126 : 127);
  t.match(missing.stdout + missing.stderr, 'exec: "nosuch": executable file not found in $PATH');
  const denied = await run([], '/etc/not-executable');
  t.equal(denied.code, 126);
  t.match(denied.stdout + denied.stderr, 'permission denied');
  expectSuccess(t, await run(['--detach'], 'sh', '-c', 'echo detached >/tmp/detached'));
  await waitFor(async () => (await run([], 'cat', '/tmp/detached')).stdout === 'detached\n', PATIENCE_MS);
  await docker.remove(t, 'exec');
}

async function terminal(t: Test, docker: Dockerd): Promise<void> {
  const size = { rows: 33, columns: 77 };
  // docker sets the size when the program runs already.
  const resized = 'for i in $(seq 200); do [ "$(stty size 2>&1)" != "33 77" ] || break; sleep 0.05; done; stty size';
  const script = `tty; test -t 0 && test -t 1 && test -t 2 && echo terminal; ${resized}; read line; echo "read $line"; exit 3`;
  const first = await docker.underTerminal(runArgs(['--rm', '-it'], script), { ...size, stdin: 'typed\n' });
  t.equal(first.code, 3);
  // script(1) passes the end of its own input on as a character, which the terminal may echo in front of a line.
  for (const line of [/^(\^.)?\/dev\/pts\/0$/m, /^(\^.)?terminal$/m, /^(\^.)?33 77$/m, /^(\^.)?read typed$/m])
    t.match(first.stdout, line);

  await docker.start(t, 'tty');
  const second = await docker.underTerminal(['exec', '-it', 'tty', 'sh', '-c', script], { ...size, stdin: 'again\n' });
  t.equal(second.code, 3);
  for (const line of [/^(\^.)?terminal$/m, /^(\^.)?33 77$/m, /^(\^.)?read again$/m]) t.match(second.stdout, line);
  await docker.remove(t, 'tty');
}

async function update(t: Test, docker: Dockerd): Promise<void> {
  await docker.start(t, 'update', ['--memory', '128m', '--cpus', '1']);
  const files = (['memory', 'quota', 'pids'] as const).map((limit) => limitFile(limit));
  const read = async (): Promise<string> => docker.output(t, ['exec', 'update', 'cat', ...files]);
  // systemd has a bound of its own for a scope without one.
  t.match(await read(), new RegExp(`^134217728\n${quotaText(100_000)}\n${isSystemdManager ? '(max|\\d+)' : 'max'}$`));
  const flags = ['--memory', '64m', '--memory-swap', '64m', '--cpus', '0.5', '--pids-limit', '33'];
  await docker.output(t, ['update', ...flags, 'update']);
  t.equal(await read(), `67108864\n${quotaText(50_000)}\n33`);
  await docker.remove(t, 'update');
}

async function pause(t: Test, docker: Dockerd): Promise<void> {
  await docker.start(t, 'pause', [], 'while :; do i=$((i+1)); echo $i; sleep 0.01; done');
  const count = async (): Promise<number> => (await docker.docker(['logs', 'pause'])).stdout.split('\n').length;
  await waitFor(async () => (await count()) > 2, PATIENCE_MS);
  await docker.output(t, ['pause', 'pause']);
  t.equal(await docker.inspect('pause', '.State.Status'), 'paused');
  t.match((await docker.docker(['exec', 'pause', 'true'])).stderr, 'is paused');
  // What it wrote before is on its way through the shim.
  await setTimeout(200);
  const before = await count();
  await setTimeout(200);
  t.equal(await count(), before, 'it does not count');
  await docker.output(t, ['unpause', 'pause']);
  t.equal(await docker.inspect('pause', '.State.Status'), 'running');
  await waitFor(async () => (await count()) > before, PATIENCE_MS);
  await docker.output(t, ['pause', 'pause']);
  await docker.remove(t, 'pause');
}

async function statsAndTop(t: Test, docker: Dockerd): Promise<void> {
  await docker.start(t, 'stats', ['--memory', '64m'], 'sleep 1001 & exec sleep 1000');
  const format = '{{.Name}} {{.MemUsage}} {{.PIDs}}';
  const stats = await docker.output(t, ['stats', '--no-stream', '--format', format, 'stats']);
  t.match(stats, /^stats [\d.]+[KM]iB \/ 64MiB 2$/);
  const top = (await docker.output(t, ['top', 'stats', '-eo', 'pid,args'])).split('\n').slice(1);
  t.strictSame(top.map((row) => row.trim().split(/\s+/).slice(1).join(' ')).sort(), ['sleep 1000', 'sleep 1001']);
  const pid = await docker.inspect('stats', '.State.Pid');
  t.ok(
    top.some((row) => row.trim().split(/\s+/)[0] === pid),
    'the first process is among them',
  );
  await docker.remove(t, 'stats');
}

async function stopAndKill(t: Test, docker: Dockerd): Promise<void> {
  const handler = 'trap "echo handled; exit 42" TERM; echo ready; while :; do sleep 0.05; done';
  await docker.start(t, 'stop', [], handler);
  await waitFor(async () => (await docker.docker(['logs', 'stop'])).stdout === 'ready\n', PATIENCE_MS);
  await docker.output(t, ['stop', '--time', '60', 'stop']);
  t.equal(await docker.inspect('stop', '.State.ExitCode'), '42');
  t.equal(await docker.output(t, ['logs', 'stop']), 'ready\nhandled');

  await docker.start(t, 'stubborn', [], 'trap "" TERM; echo ready; while :; do sleep 0.05; done');
  await waitFor(async () => (await docker.docker(['logs', 'stubborn'])).stdout === 'ready\n', PATIENCE_MS);
  await docker.output(t, ['stop', '--time', '1', 'stubborn']);
  t.equal(await docker.inspect('stubborn', '.State.ExitCode'), '137');

  await docker.start(t, 'killed', ['--stop-signal', 'USR1'], handler.replace('TERM', 'USR1'));
  await waitFor(async () => (await docker.docker(['logs', 'killed'])).stdout === 'ready\n', PATIENCE_MS);
  await docker.output(t, ['kill', '--signal', 'USR1', 'killed']);
  t.equal(await docker.output(t, ['wait', 'killed']), '42');
  t.match((await docker.docker(['kill', 'killed'])).stderr, 'is not running');
  await docker.remove(t, 'stop', 'stubborn', 'killed');
}

async function init(t: Test, docker: Dockerd): Promise<void> {
  t.match(await docker.runOutput(t, ['--init'], 'tr "\\0" " " </proc/1/cmdline'), /^\/sbin\/docker-init -- sh -c /);
  await docker.start(t, 'init', ['--init']);
  await docker.output(t, ['stop', '--time', '60', 'init']);
  t.equal(await docker.inspect('init', '.State.ExitCode'), '143', 'a program without a handler ends by SIGTERM');
  await docker.remove(t, 'init');
}

/** The first process of such a container is not the first of its pid namespace: its end ends nothing by itself. */
async function sharedPids(t: Test, docker: Dockerd): Promise<void> {
  await docker.start(t, 'pids');
  const shared = ['--network', 'none', '--pid', 'container:pids'];
  for (let count = 0; count < 20; count += 1) expectSuccess(t, await docker.run(shared, ['true']), `run ${count}`);
  // The shim of containerd 2 ends what is left only of a first process that outlived its `start`, with any runtime.
  const outlive = newerPrograms === undefined ? '' : 'sleep 0.5; ';
  t.equal((await docker.run(shared, `sleep 1001 & ${outlive}exit 3`)).code, 3, 'what it leaves does not hold it');
  // Its remains are the first process's to reap, which does not.
  t.notMatch(await docker.output(t, ['exec', 'pids', 'ps', '-o', 'args']), 'sleep 1001', 'and ends with it');
  await docker.remove(t, 'pids');
}

async function fileSystems(t: Test, docker: Dockerd): Promise<void> {
  const directory = docker.inside.fresh('bound');
  expectSuccess(t, await docker.inside.run(['sh', '-c', 'mkdir "$0" && echo content >"$0/file"', directory]));
  const write = 'cat /mnt/file; touch /mnt/new && echo written';
  t.equal((await docker.run(['-v', `${directory}:/mnt`], write)).stdout, 'content\nwritten\n');
  const sealed = await docker.run(['-v', `${directory}:/mnt:ro`], write);
  t.equal(sealed.stdout, 'content\n');
  t.match(sealed.stderr, 'Read-only file system');
  const volume = ['-v', 'tested-volume:/mnt'];
  t.equal(await docker.runOutput(t, volume, 'echo kept >/mnt/file'), '');
  t.equal(await docker.runOutput(t, volume, 'cat /mnt/file'), 'kept');
  await docker.output(t, ['volume', 'rm', 'tested-volume']);
  const flags = ['--read-only', '--tmpfs', '/mnt:size=1m,mode=0700', '--shm-size', '2m'];
  const root = await docker.run(
    flags,
    'touch /file; touch /mnt/file; df -k /mnt /dev/shm | tail -n 2; stat -c %a /mnt',
  );
  t.match(root.stderr, /touch: \/file: Read-only file system/);
  t.match(root.stdout, /^tmpfs +1024 .*\n\S+ +2048 .*\n700\n$/);
  const device = await docker.runOutput(t, ['--device', '/dev/fuse'], 'stat -c %F-%t-%T /dev/fuse');
  t.equal(device, 'character special file-a-e5');
}

async function identity(t: Test, docker: Dockerd): Promise<void> {
  t.equal(
    await docker.runOutput(t, ['--user', '1000:2000', '--group-add', '3000'], ['id']),
    'uid=1000(worker) gid=2000(extra) groups=2000(extra),3000',
  );
  const status = async (flags: readonly string[], name: string): Promise<string> =>
    statusField(await docker.runOutput(t, flags, ['cat', '/proc/self/status']), name);
  t.equal(await status(['--cap-drop', 'ALL'], 'CapEff'), '0000000000000000');
  t.equal(await status(['--cap-drop', 'ALL', '--cap-add', 'NET_ADMIN'], 'CapBnd'), '0000000000001000');
  t.equal(await status(['--user', 'worker'], 'CapEff'), '0000000000000000');
  t.equal(await status(['--security-opt', 'no-new-privileges'], 'NoNewPrivs'), '1');
  t.equal(await docker.runOutput(t, [], 'ulimit -n; ulimit -Hn'), '1024\n2048');
  t.equal(await docker.runOutput(t, ['--ulimit', 'nofile=100:200'], 'ulimit -n; ulimit -Hn'), '100\n200');
  const sysctl = ['--sysctl', 'net.ipv4.ip_default_ttl=77', '--hostname', 'named'];
  t.equal(await docker.runOutput(t, sysctl, 'cat /proc/sys/net/ipv4/ip_default_ttl; hostname'), '77\nnamed');
  t.equal(await docker.runOutput(t, ['--oom-score-adj', '123'], ['cat', '/proc/self/oom_score_adj']), '123');
  const admin = await docker.runOutput(t, ['--cap-add', 'SYS_ADMIN'], 'mount -t tmpfs tmpfs /tmp && echo mounted');
  t.equal(admin, 'mounted');
}

async function seccomp(t: Test, docker: Dockerd): Promise<void> {
  const script = 'grep ^Seccomp: /proc/self/status; unshare --user true 2>/dev/null; echo $?';
  t.match(await docker.runOutput(t, [], script), /^Seccomp:\s+2\n1$/);
  const free = ['--security-opt', 'seccomp=unconfined'];
  t.match(await docker.runOutput(t, free, script), /^Seccomp:\s+0\n0$/);
}

async function networks(t: Test, docker: Dockerd): Promise<void> {
  const links = 'ls /sys/class/net';
  t.equal(await docker.runOutput(t, ['--network', 'none'], links), 'lo');
  const host = (await docker.inside.run(['readlink', '/proc/self/ns/net'])).stdout.trim();
  t.equal(await docker.runOutput(t, ['--network', 'host'], 'readlink /proc/self/ns/net'), host);
  t.equal(await docker.runOutput(t, [], links), 'eth0\nlo');

  await docker.start(t, 'server', ['--publish', '8080:80'], 'echo page >/tmp/index.html; exec httpd -f -p 80 -h /tmp');
  const address = await docker.inspect('server', '.NetworkSettings.IPAddress');
  const fetch = `for i in $(seq 100); do wget -qO- "http://$0:$1/index.html" 2>/dev/null && exit; sleep 0.05; done; exit 1`;
  t.equal(await docker.runOutput(t, [], ['sh', '-c', fetch, address, '80']), 'page', 'from another container');
  const gateway = await docker.inspect('server', '.NetworkSettings.Gateway');
  t.equal(
    await docker.runOutput(t, ['--network', 'host'], ['sh', '-c', fetch, gateway, '8080']),
    'page',
    'by the port',
  );
  t.equal(await docker.runOutput(t, ['--network', 'container:server'], ['sh', '-c', fetch, '127.0.0.1', '80']), 'page');

  await docker.output(t, ['network', 'create', 'tested-network']);
  await docker.start(t, 'named', ['--network', 'tested-network']);
  t.match(
    await docker.runOutput(t, ['--network', 'tested-network'], ['nslookup', 'named']),
    /Address.* \d/,
    'by its name',
  );
  await docker.remove(t, 'server', 'named');
  await docker.output(t, ['network', 'rm', 'tested-network']);
}

async function logsAndInspect(t: Test, docker: Dockerd): Promise<void> {
  await docker.start(t, 'logs', ['--label', 'of=test'], 'echo first; echo second >&2; exec sleep 1000');
  await waitFor(async () => (await docker.docker(['logs', 'logs'])).stderr === 'second\n', PATIENCE_MS);
  t.equal((await docker.docker(['logs', 'logs'])).stdout, 'first\n');
  const wanted = { Runtime: RUNTIME_NAME, Running: true, OOMKilled: false };
  const inspected = JSON.parse(await docker.output(t, ['inspect', 'logs'])) as readonly Inspected[];
  const [{ HostConfig, State } = undefined as unknown as Inspected] = inspected;
  t.match({ ...State, Runtime: HostConfig.Runtime }, wanted);
  const comm = await docker.inside.run(['cat', `/proc/${State.Pid}/comm`]);
  t.equal(comm.stdout, 'sleep\n', 'the pid is that of the program');
  t.match((await docker.inside.run(['cat', '/proc/self/mountinfo'])).stdout, MERGED);
  await docker.remove(t, 'logs');
  t.equal((await docker.docker(['inspect', 'logs'])).code, 1);
  t.notOk((await docker.inside.run(['test', '-e', `/proc/${State.Pid}`])).code === 0, 'the program is gone');
}

interface Inspected {
  readonly State: { readonly Running: boolean; readonly OOMKilled: boolean; readonly Pid: number };
  readonly HostConfig: { readonly Runtime: string };
}

async function healthCheck(t: Test, docker: Dockerd): Promise<void> {
  const check = ['--health-cmd', 'test -e /tmp/well', '--health-interval', '300ms', '--health-retries', '2'];
  await docker.start(t, 'health', check, 'touch /tmp/well; exec sleep 1000');
  const until = async (wanted: string): Promise<void> => {
    await waitFor(async () => (await docker.inspect('health', '.State.Health.Status')) === wanted, PATIENCE_MS);
  };
  await until('healthy');
  await docker.output(t, ['exec', 'health', 'rm', '/tmp/well']);
  await until('unhealthy');
  await docker.remove(t, 'health');
}

async function restarts(t: Test, docker: Dockerd): Promise<void> {
  await docker.start(t, 'failing', ['--restart', 'on-failure:2'], 'echo started; exit 3');
  const ended = async (): Promise<boolean> =>
    (await docker.inspect('failing', '.State.Status')) === 'exited' &&
    (await docker.inspect('failing', '.RestartCount')) === '2';
  await waitFor(ended, PATIENCE_MS);
  t.equal(await docker.output(t, ['logs', 'failing']), 'started\nstarted\nstarted');
  t.equal(await docker.inspect('failing', '.State.ExitCode'), '3');
  await docker.start(t, 'again');
  const pid = await docker.inspect('again', '.State.Pid');
  await docker.output(t, ['restart', '--time', '0', 'again']);
  t.equal(await docker.inspect('again', '.State.Status'), 'running');
  t.not(await docker.inspect('again', '.State.Pid'), pid);
  await docker.remove(t, 'failing', 'again');
}

async function build(t: Test, docker: Dockerd): Promise<void> {
  const directory = docker.inside.fresh('context');
  expectSuccess(t, await docker.inside.run(['mkdir', directory]));
  writeFileSync(`${directory}/copied`, 'copied\n');
  const run = async (tag: string, lines: readonly string[]): Promise<CommandResult> => {
    writeFileSync(`${directory}/Dockerfile`, [`FROM ${IMAGE}`, ...lines, ''].join('\n'));
    return docker.docker(['build', '--tag', tag, directory], { env: { DOCKER_BUILDKIT: '0' } });
  };
  const lines = ['COPY copied /copied', 'RUN id -u >/built', 'USER worker', 'WORKDIR /home', 'RUN id -u >>/tmp/built'];
  expectSuccess(t, await run('tested-build', [...lines, 'CMD ["sh", "-c", "cat /copied /built /tmp/built; pwd"]']));
  t.equal(await docker.output(t, ['run', '--rm', 'tested-build']), 'copied\n0\n1000\n/home');
  const failed = await run('tested-failure', ['RUN exit 5']);
  t.equal(failed.code, 5);
  t.match(failed.stderr, 'returned a non-zero code: 5');
  await docker.output(t, ['rmi', 'tested-build']);
  // The container of the failed step is kept for a look at it.
  await docker.output(t, ['container', 'prune', '--force']);
}

async function outOfMemory(t: Test, docker: Dockerd): Promise<void> {
  const limit = ['--memory', '8m', '--memory-swap', '8m'];
  await docker.start(t, 'victim', limit, 'exec tail /dev/zero');
  t.equal(await docker.output(t, ['wait', 'victim']), '137', 'the first process is killed');
  await docker.start(t, 'hog', limit, HUNGRY);
  t.equal(await docker.output(t, ['wait', 'hog']), '137');
  t.equal(await docker.inspect('hog', '.State.OOMKilled'), 'true');
  // Seconds are all that it tells apart: those of this one are seen when it is over.
  const until = Math.ceil(Date.now() / 1000) + 1;
  const window = ['--since', '10m', '--until', `${until}`, '--filter', 'container=hog'];
  const events = (await docker.output(t, ['events', ...window, '--format', '{{.Action}}'])).split('\n');
  for (const wanted of ['create', 'start', 'oom', 'die']) t.ok(events.includes(wanted), `event ${wanted}`);
  await docker.remove(t, 'victim', 'hog');
}

async function nothingLeft(t: Test, docker: Dockerd): Promise<void> {
  const { inside, runtime } = docker;
  t.equal(await docker.output(t, ['ps', '--all', '--quiet']), '');
  // A runtime may keep hidden things of its own beside the containers; a shim that is told no place has its own.
  const places = `cd /run/docker-"$0"/runtime-*/moby 2>/dev/null || cd /run/containerd/tsrun/moby && ls`;
  const states = await inside.run(['sh', '-c', places, runtime.name]);
  t.strictSame([states.code, states.stdout], [0, '']);
  const names = ['(', '-path', '*/docker/*', '-o', '-name', 'docker-*.scope', ')'];
  const cgroups = await inside.run(['find', '/sys/fs/cgroup', '-type', 'd', ...names]);
  t.strictSame([cgroups.code, cgroups.stdout], [0, '']);
  t.notMatch((await inside.run(['cat', '/proc/self/mountinfo'])).stdout, MERGED);
}
