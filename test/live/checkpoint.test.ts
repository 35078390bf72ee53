import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { NonBlocking } from '../../src/sys/events/nonblocking.ts';
import { waitReadable } from '../../src/sys/events/poll.ts';
import type { OwnedFd } from '../../src/sys/fd.ts';
import { writeFully } from '../../src/sys/io.ts';
import { pipe } from '../../src/sys/pipe.ts';
import { cgroupsOf, isUnified, readCgroup } from './support/cgroups.ts';
import {
  ConsoleSocket,
  COUNTING,
  criuEnvironment,
  criuReason,
  criuVersion,
  isPeer,
  lacksFeature,
  QUIET,
  Saver,
  unlockNetwork,
} from './support/criu.ts';
import { setNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { missingTools, slowness } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

/** Reads until a text has come. */
async function readUntil(fd: OwnedFd, wanted: RegExp): Promise<string> {
  using reader = new NonBlocking(fd.number, 'read');
  let text = '';
  while (!wanted.test(text)) {
    if (!(await waitReadable(reader.number, 20_000 * slowness))) throw new Error(`no ${wanted.source} in ${text}`);
    const chunk = Buffer.alloc(4096);
    const count = reader.read(chunk) ?? 0;
    text += chunk.toString('utf8', 0, count);
  }
  return text;
}

live('checkpoint and restore', async (t, rig) => {
  if (criuReason !== false) {
    await t.test('with CRIU', { skip: criuReason }, () => undefined);
    return;
  }
  t.comment(`criu ${criuVersion}`);
  const saver = new Saver(rig);

  await t.test('a counting program goes on counting', async (t) => {
    const { id, bundle } = await saver.start(t);
    const pidFile = rig.fresh('pid');
    const image = saver.image();
    await saver.expectCounting(t, id, { from: 1 });
    const before = await saver.count(t, id);
    expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint');
    expectFailure(t, await rig.tsrun(['state', id]), { message: 'does not exist' });
    expectSuccess(t, await saver.restore({ id, bundle, image }, '--pid-file', pidFile), 'restore');
    const state = await rig.state(id);
    t.equal(state.status, 'running');
    t.equal(readFileSync(pidFile, 'utf8'), String(state.pid));
    await saver.expectCounting(t, id, { from: before });
    t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), id, 'nothing stays mounted for it');
    if (!isPeer) t.strictSame(readdirSync(path.join(rig.root, id)).sort(), ['config.json', 'lock', 'state.json']);
    await rig.delete(t, id);
  });

  await t.test('an image can be restored again and again, and by another name', async (t) => {
    const { id, bundle } = await saver.start(t);
    const image = await saver.move(t, { id, bundle });
    const [first, other] = [await saver.count(t, id), rig.id('other')];
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    expectFailure(t, await saver.restore({ id, bundle, image }), { message: 'already exists' });
    expectSuccess(t, await saver.restore({ id: other, bundle, image }), 'restore');
    t.ok((await saver.count(t, other)) <= first + 400, 'from the beginning');
    await rig.delete(t, id, other);
  });

  await t.test('--leave-running saves a container that goes on', async (t) => {
    const { id } = await saver.start(t);
    const image = saver.image();
    expectSuccess(t, await saver.checkpoint(id, image, '--leave-running'), 'checkpoint');
    t.equal((await rig.state(id)).status, 'running');
    await saver.expectCounting(t, id, { from: 1 });
    t.ok(existsSync(`${image}/inventory.img`));
    await rig.delete(t, id);
  });

  await t.test('a paused container can be saved', async (t) => {
    const { id, bundle } = await saver.start(t);
    await saver.expectCounting(t, id, { from: 1 });
    expectSuccess(t, await rig.tsrun(['pause', id]), 'pause');
    await saver.move(t, { id, bundle });
    await saver.expectCounting(t, id, { from: 1 });
    await rig.delete(t, id);
  });

  await t.test(
    '--pre-dump saves memory first, and later images only what has changed',
    { skip: lacksFeature('mem_dirty_track') },
    async (t) => {
      const { id, bundle } = await saver.start(t, {
        args: `big=$(head -c 4000000 /dev/zero | tr '\\0' x); ${COUNTING}`,
      });
      await saver.expectCounting(t, id, { from: 1 });
      const top = rig.fresh('chain');
      mkdirSync(top);
      const [first, second, last] = ['first', 'second', 'last'].map((name) => path.join(top, name));
      if (first === undefined || second === undefined || last === undefined) return;
      expectSuccess(t, await saver.checkpoint(id, first, '--pre-dump'), 'first');
      expectSuccess(t, await saver.checkpoint(id, second, '--pre-dump', '--parent-path', '../first'), 'second');
      t.equal((await rig.state(id)).status, 'running');
      const before = await saver.count(t, id);
      expectSuccess(t, await saver.checkpoint(id, last, '--parent-path', '../second'), 'last');
      t.ok(sizeOfPages(last) < sizeOfPages(first) / 4, 'most is in the first image');
      expectSuccess(t, await saver.restore({ id, bundle, image: last }), 'restore');
      await saver.expectCounting(t, id, { from: before });
      await rig.delete(t, id);
    },
  );

  await t.test('open files and pipes in the container are as they were', async (t) => {
    const script =
      'exec 5>/root/log; mkfifo /tmp/p; (i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done) | ' +
      '(while read line; do echo "$line" >&5; echo $line > /dev/shm/count; done)';
    const { id, bundle } = await saver.start(t, { args: script });
    await saver.expectCounting(t, id, { from: 1 });
    await saver.move(t, { id, bundle });
    const before = await saver.count(t, id);
    await saver.expectCounting(t, id, { from: before });
    const lines = (await saver.ask(t, id, 'cat /root/log')).split('\n').map(Number);
    t.strictSame(
      lines,
      Array.from({ length: lines.length }, (_, index) => index + 1),
      'no line is lost or twice there',
    );
    await rig.delete(t, id);
  });

  await t.test('pipes of the caller at its standard descriptors are exchanged for others', async (t) => {
    const id = rig.id('piped');
    const bundle = rig.bundle({
      args: 'n=0; while read line; do n=$((n+1)); echo "$n $line"; done',
      fill: () => undefined,
    });
    const image = saver.image();
    const under = ['sh', '-c', 'exec "$@" <&3 >&4 2>&4 3<&- 4>&-', 'sh'];
    const connect = async (args: readonly string[], say: string, wanted: RegExp, then: () => Promise<void>) => {
      const [[input, feed], [drain, output]] = [pipe(), pipe()];
      const extraFds = [input.number, output.number];
      expectSuccess(t, await rig.tsrun(args, { under, extraFds, env: criuEnvironment }), args.join(' '));
      input.close();
      output.close();
      writeFully(feed.number, Buffer.from(say));
      t.match(await readUntil(drain, wanted), wanted);
      await then();
      feed.close();
      drain.close();
    };
    await connect(['run', '--detach', '--bundle', bundle, id], 'one\n', /^1 one$/m, async () => {
      expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint');
    });
    t.match(JSON.parse(readFileSync(`${image}/descriptors.json`, 'utf8')), [/^pipe:/, /^pipe:/, /^pipe:/]);
    const restore = ['restore', '--detach', '--bundle', bundle, '--image-path', image, id];
    await connect(restore, 'two\n', /^2 two$/m, () => Promise.resolve());
    await rig.waitForStatus(id, 'stopped');
    await rig.delete(t, id);
  });

  await t.test('a terminal comes back through the console socket', async (t) => {
    using socket = new ConsoleSocket(rig.path('console'));
    const id = rig.id('terminal');
    const bundle = rig.bundle({
      args: 'n=0; while read line; do n=$((n+1)); echo "$n <$line>"; done',
      fill: () => undefined,
      change: (config) => (config.process.terminal = true),
    });
    const image = saver.image();
    const started = rig.startTsrun(['run', '--detach', '--console-socket', socket.path, '--bundle', bundle, id]);
    {
      using master = await socket.take();
      expectSuccess(t, await started.done, 'run');
      writeFully(master.number, Buffer.from('one\n'));
      await readUntil(master, /1 <one>/);
      expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint');
    }
    const restored = saver.restore({ id, bundle, image }, '--console-socket', socket.path);
    {
      using master = await socket.take();
      expectSuccess(t, await restored, 'restore');
      writeFully(master.number, Buffer.from('two\n'));
      await readUntil(master, /2 <two>/);
      await rig.delete(t, id);
    }
    expectFailure(t, await saver.restore({ id, bundle, image }), { message: 'setting console socket' });
  });

  await t.test('mounts of every kind are there again, and what they are mounted on is made', async (t) => {
    const outside = rig.fresh('outside');
    mkdirSync(outside);
    writeFileSync(`${outside}/file`, 'from outside');
    const bundle = rig.bundle({
      args: `echo kept > /mnt/tmpfs/kept; chmod 640 /mnt/tmpfs/kept; ${COUNTING}`,
      fill: (rootfs) => {
        mkdirSync(`${rootfs}/real`);
        symlinkSync('/real', `${rootfs}/link`);
      },
      change: (config) => {
        config.mounts.push(
          { destination: '/mnt/directory', type: 'bind', source: outside, options: ['rbind', 'ro'] },
          { destination: '/mnt/file', type: 'bind', source: `${outside}/file`, options: ['bind'] },
          { destination: '/link', type: 'bind', source: outside, options: ['bind'] },
          { destination: '/mnt/tmpfs', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] },
        );
        config.linux.maskedPaths = [...(config.linux.maskedPaths ?? []), '/etc/passwd', '/root'];
        config.linux.devices = [{ path: '/dev/fuse2', type: 'c', major: 10, minor: 229, fileMode: 0o666 }];
      },
    });
    const id = rig.id('mounts');
    expectSuccess(t, await rig.tsrun(['run', '--detach', '--bundle', bundle, id], { under: QUIET }), 'run');
    await saver.expectCounting(t, id, { from: 1 });
    const look =
      'cat /mnt/directory/file /mnt/file /link/file /real/file; cat /mnt/tmpfs/kept; stat -c %a /mnt/tmpfs/kept; ' +
      'cat /etc/passwd | wc -c; ls /root | wc -l; stat -c "%F %t %T" /dev/fuse2 /dev/null; ' +
      'touch /mnt/directory/x 2>/dev/null || echo read-only; cat /proc/keys | wc -c; ls /proc/acpi 2>/dev/null | wc -l; ' +
      // Its own cgroup2 directory, by the path that the kernel tells, in the one mount or in that of a host with v1 beside it.
      'own=$(sed -n "s/^0:://p" /proc/self/cgroup); cd /sys/fs/cgroup; [ ! -d unified ] || cd unified; ' +
      'ls .$own/cgroup.procs';
    const before = await saver.ask(t, id, look);
    const image = saver.image();
    expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint');
    for (const name of ['mnt', 'dev', 'sys', 'proc']) rmSync(`${bundle}/rootfs/${name}`, { recursive: true });
    expectSuccess(t, await saver.restore({ id, bundle, image }), 'restore');
    t.equal(await saver.ask(t, id, look), before);
    await saver.expectCounting(t, id, { from: 1 });
    await rig.delete(t, id);
  });

  await t.test('limits of the config are in force after a restore', async (t) => {
    const change = (limit: number) => (config: { linux: { resources?: object } }) => {
      config.linux.resources = { ...config.linux.resources, pids: { limit }, memory: { limit: 64 * 1024 * 1024 } };
    };
    const { id, bundle } = await saver.start(t, { change: change(40) });
    const image = saver.image();
    expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint');
    const file = `${bundle}/config.json`;
    writeFileSync(file, readFileSync(file, 'utf8').replace('"limit": 40', '"limit": 50'));
    expectSuccess(t, await saver.restore({ id, bundle, image }), 'restore');
    const directories = cgroupsOf((await rig.state(id)).pid);
    t.equal(readCgroup(directories, 'pids', 'pids.max')?.trim(), '50');
    const memory = isUnified ? 'memory.max' : 'memory.limit_in_bytes';
    t.equal(readCgroup(directories, 'memory', memory)?.trim(), String(64 * 1024 * 1024));
    await saver.expectCounting(t, id, { from: 1 });
    await rig.delete(t, id);
  });

  await t.test('hooks run where a restore makes the environment, and at its end', async (t) => {
    const trace = rig.fresh('trace');
    const hook = (name: string) => [{ path: '/bin/sh', args: ['sh', '-c', `(echo ${name}; cat; echo) >> ${trace}`] }];
    const { id, bundle } = await saver.start(t, {
      change: (config) => {
        const [prestart, createRuntime, poststart, poststop] = [
          'prestart',
          'createRuntime',
          'poststart',
          'poststop',
        ].map(hook);
        config.hooks = {
          ...(prestart && { prestart }),
          ...(createRuntime && { createRuntime }),
          ...(poststart && { poststart }),
          ...(poststop && { poststop }),
        };
      },
    });
    const names = (): string[] =>
      readFileSync(trace, 'utf8')
        .split('\n')
        .filter((line) => /^[a-zR]+$/.test(line));
    t.strictSame(names(), ['prestart', 'createRuntime', 'poststart']);
    const image = saver.image();
    expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint');
    t.strictSame(names().slice(3), ['poststop']);
    writeFileSync(trace, '');
    expectSuccess(t, await saver.restore({ id, bundle, image }), 'restore');
    t.strictSame(names(), ['prestart', 'createRuntime']);
    const states = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{'));
    for (const state of states) t.match(JSON.parse(state), { id, bundle, pid: (await rig.state(id)).pid });
    await rig.delete(t, id);
    t.strictSame(names().slice(2), ['poststop']);
  });

  await t.test('in the foreground the exit code is that of the program', async (t) => {
    const { id, bundle } = await saver.start(t, { args: 'while [ ! -e /root/end ]; do sleep 0.05; done; exit 7' });
    const image = saver.image();
    expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint');
    const args = ['restore', '--bundle', bundle, '--image-path', image, id];
    const running = rig.startTsrun(args, { env: criuEnvironment });
    await waitFor(async () => (await rig.tsrun(['state', id])).stdout.includes('"running"'));
    writeFileSync(`${bundle}/rootfs/root/end`, '');
    t.equal((await running.done).code, 7);
    expectFailure(t, await rig.tsrun(['state', id]), { message: 'does not exist' });
  });

  await t.test('a user namespace', async (t) => {
    const { id, bundle } = await saver.start(t, {
      fill: (rootfs) => {
        execFileSync('chown', ['-R', '100000:100000', rootfs]);
      },
      change: (config) => {
        setUserNamespace(config);
      },
    });
    await saver.expectCounting(t, id, { from: 1 });
    const before = await saver.count(t, id);
    await saver.move(t, { id, bundle });
    await saver.expectCounting(t, id, { from: before });
    const { pid } = await rig.state(id);
    t.match(readFileSync(`/proc/${pid}/uid_map`, 'utf8'), /^ +0 +100000 +65536$/m);
    await rig.delete(t, id);
  });

  await t.test('a network namespace that is joined', { skip: missingTools('ip', 'unshare') }, async (t) => {
    const holder = rig.start(['unshare', '--net', 'sh', '-c', 'ip link set lo up; echo up; exec sleep 1000'], {
      timeoutMs: 300_000,
    });
    await waitFor(() => holder.output().includes('up'));
    const file = `/proc/${holder.pid}/ns/net`;
    const join = {
      args: COUNTING,
      change: (config: Parameters<typeof setNamespace>[0]) => {
        setNamespace(config, 'network', { path: file });
      },
    };
    const { id, bundle } = await saver.start(t, join);
    await saver.move(t, { id, bundle });
    unlockNetwork(file);
    const { pid } = await rig.state(id);
    t.equal(readlinkSync(`/proc/${pid}/ns/net`), readlinkSync(file));
    await saver.expectCounting(t, id, { from: 1 });
    await rig.delete(t, id);
    const script = `(while :; do sleep 9; done) | nc -l -p 5000 > /tmp/got & while ! netstat -ltn | grep -q 5000; do sleep 0.1; done; (i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done) | nc 127.0.0.1 5000`;
    const talking = await saver.start(t, { ...join, args: script });
    const got = async (): Promise<number> => Number(await saver.ask(t, talking.id, 'tail -n 1 /tmp/got'));
    await waitFor(async () => (await got()) > 0);
    const failed = await saver.checkpoint(talking.id, saver.image());
    if (isPeer) t.match(failed.stderr, /criu failed/);
    else expectFailure(t, failed, { message: /CRIU failed.*--tcp-established/ });
    const after = await got();
    await waitFor(async () => (await got()) > after);
    t.pass('after a failure it goes on');
    await saver.move(t, talking, { both: ['--tcp-established'] });
    unlockNetwork(file);
    const restored = await got();
    await waitFor(async () => (await got()) > restored);
    const lines = (await saver.ask(t, talking.id, 'cat /tmp/got')).split('\n').map(Number);
    t.strictSame(
      lines,
      Array.from({ length: lines.length }, (_, index) => index + 1),
      'nothing is lost on the way',
    );
    await rig.delete(t, talking.id);
    holder.child.kill('SIGKILL');
    await holder.done;
  });
});

/** Of the first process: another one may be a copy of it that has not executed anything yet. */
function sizeOfPages(image: string): number {
  return statSync(`${image}/pages-1.img`).size;
}
