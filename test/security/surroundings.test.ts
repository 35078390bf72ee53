import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { deleteContainer, execInContainer, killContainer, readStatus, startContainer } from './own-caller.ts';
import { setUserNamespace } from '../live/support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from '../live/support/rig.ts';
import type { CommandResult } from '../live/support/command.ts';
import { after } from '../live/support/mounts.ts';
import { findTool } from '../live/support/surroundings.ts';
import { isRunning, waitForEnd } from '../live/support/wait.ts';
import { count } from './count.mjs';
import { execOptions, runtimeOf } from './in-process.ts';

live('surroundings that are hostile, or give out', async (t, rig) => {
  const runtime = runtimeOf(rig);

  await t.test('ids lead nowhere', async (t) => {
    const nullFd = openSync('/dev/null', 'r+');
    const ids = ['', '.', '..', '../x', 'a/../../x', '/etc', 'a\nb', 'a\0b', 'é', 'x'.repeat(256), '$(id)', 'a b', '*'];
    for (const id of ids) {
      const operations: readonly (() => Promise<unknown>)[] = [
        () => Promise.resolve().then(() => readStatus(runtime, id)),
        () => startContainer(runtime, id),
        () => killContainer(runtime, { id, signal: 9, all: true }),
        () => execInContainer(runtime, execOptions(id, ['true'], nullFd)),
        () => deleteContainer(runtime, { id, force: true }),
      ];
      for (const operation of operations) {
        await t.rejects(operation, { code: 'id' }, JSON.stringify(id));
      }
      count('attacks tried', operations.length);
    }
    closeSync(nullFd);
  });

  await t.test('another process with the number of init is never signalled', async (t) => {
    const { id, pid } = await rig.sleeper(t);
    const file = path.join(rig.root, id, 'state.json');
    const text = readFileSync(file, 'utf8');
    const record = JSON.parse(text) as { init: { pid: number; startTime: string } };
    const bystander = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const ended = once(bystander, 'exit');
    try {
      // The same number as the bystander's, another time of start: what a reused pid looks like.
      writeFileSync(file, JSON.stringify({ ...record, init: { ...record.init, pid: bystander.pid } }));
      count('attacks tried', 3);
      expectFailure(t, await rig.tsrun(['kill', id, 'KILL']), { message: 'container not running' });
      expectFailure(t, await rig.tsrun(['exec', id, 'true']), { code: 255, message: 'stopped container' });
      t.equal((await rig.state(id)).status, 'stopped');
      t.ok(isRunning(bystander.pid ?? 0), 'it lives');
      expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete');
      t.ok(isRunning(bystander.pid ?? 0), 'and goes on');
    } finally {
      bystander.kill('SIGKILL');
      await ended;
    }
    await waitForEnd(pid);
    t.strictSame(rig.leftovers(), [], 'the container itself is found through its cgroup');
  });

  await t.test('a process of the container spies on what enters it (CVE-2016-9962)', async (t) => {
    // Whatever another process shows: its descriptors, or an executable that is not the one of the image.
    const spy = [
      'while :; do for p in /proc/[2-9] /proc/[0-9][0-9]*; do',
      'e=$(readlink $p/exe) && case "$e" in *busybox*) ;; *) echo "SEEN exe $e";; esac;',
      'for f in $p/fd/*; do case "$(readlink $f)" in *memfd*|*/sys/fs*|*state*) echo "SEEN fd $(readlink $f)";; esac; done;',
      '(exec 9<>$p/exe) 2>/dev/null && echo "SEEN writable";',
      'done; done',
    ].join(' ');
    const container = await rig.sleeper(t, { args: `echo spying; ${spy}` });
    for (let round = 0; round < 12; round++) {
      count('attacks tried');
      expectSuccess(t, await rig.tsrun(['exec', container.id, 'true']), 'exec');
    }
    t.match(container.result.readOutput(), 'spying');
    t.notMatch(container.result.readOutput(), 'SEEN');
    await rig.delete(t, container.id);
  });

  await t.test('the state root is full, read-only, or descriptors run out', async (t) => {
    const bundle = rig.bundle();
    mkdirSync(rig.root, { recursive: true });
    const run = ['run', '--bundle', bundle];
    const mount = (options: string): { under: string[] } => after(`mount -t tmpfs -o ${options} none ${rig.root}`);
    const full = await rig.tsrun([...run, rig.id('full')], mount('size=4k'));
    expectFailure(t, full, { message: /ENOSPC/ });
    const inodes = await rig.tsrun([...run, rig.id('inodes')], mount('nr_inodes=3'));
    expectFailure(t, inodes, { message: /ENOSPC/ });
    const readOnly = await rig.tsrun([...run, rig.id('readonly')], mount('ro'));
    expectFailure(t, readOnly, { message: /EROFS/ });
    count('attacks tried', 3);
    t.strictSame(rig.leftovers(), []);
    const prlimit = findTool('prlimit');
    if (prlimit === undefined) return;
    for (const limit of [36, 40, 44, 48]) {
      const result = await rig.tsrun([...run, rig.id('files')], { under: [prlimit, `--nofile=${limit}`] });
      count('attacks tried');
      t.equal(result.timedOut, false, `${limit} descriptors`);
      // Node may run out before tsrun has begun; then the failure is its own.
      t.ok(result.code === 0 || result.stderr !== '', `${limit} descriptors: it says what is wrong`);
      t.comment(`${limit} descriptors: code ${result.code ?? 'none'} ${result.stderr.slice(0, 200)}`);
      t.strictSame(rig.leftovers(), [], `${limit} descriptors`);
    }
  });

  await t.test('hooks hang, fail, and print without end', async (t) => {
    const hang = { path: '/bin/sleep', args: ['sleep', '1000'], timeout: 1 };
    const noise = { path: '/bin/sh', args: ['sh', '-c', 'yes | head -c 20000000; exit 3'], timeout: 60 };
    for (const [hook, message] of [
      [hang, /timed out/],
      [noise, /exit status 3/],
    ] as const) {
      const result = await rig.run({ change: (config) => (config.hooks = { createRuntime: [hook] }) });
      count('attacks tried');
      expectFailure(t, result, { message });
      t.ok(result.stderr.length < 100_000, `${result.stderr.length} bytes of message`);
      t.strictSame(rig.leftovers(), []);
    }
  });

  await t.test('descriptors that the caller leaks reach neither hooks nor the program', async (t) => {
    // Behind a gap, where Node itself no longer looks after them.
    const under = ['bash', '-c', 'exec 5</etc/hostname 40</etc/hostname 200</etc/hostname; exec "$@"', 'bash'];
    const seen = rig.fresh('seen');
    const list = `for n in /proc/self/fd/*; do readlink $n; done >>${seen}; true`;
    const hook = { path: '/bin/sh', args: ['sh', '-c', list] };
    const bundle = {
      args: 'for n in /proc/self/fd/*; do readlink $n; done; true',
      change: (config: BaseConfig): void => {
        config.hooks = { createRuntime: [hook], createContainer: [hook], poststart: [hook], poststop: [hook] };
      },
    };
    const result = await rig.run(bundle, { under });
    count('attacks tried');
    expectSuccess(t, result);
    t.notMatch(result.stdout, 'hostname');
    const lines = readFileSync(seen, 'utf8');
    t.notMatch(lines, 'hostname');
    t.ok(lines.split('\n').length > 12, 'every hook has looked');
  });

  await t.test('init is killed between create and start', async (t) => {
    const { id, pid } = await rig.create(t);
    process.kill(pid, 'SIGKILL');
    await waitForEnd(pid);
    count('deaths of init');
    expectFailure(t, await rig.tsrun(['start', id]), { message: 'stopped' });
    await rig.delete(t, id);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('SIGPIPE stays ignored in a process that has relayed signals to a container', async (t) => {
    const { id } = await rig.sleeper(t);
    const nullFd = openSync('/dev/null', 'r+');
    t.equal(await execInContainer(runtime, execOptions(id, ['true'], nullFd)), 0);
    // The default action would end this process; a handler that does nothing shows as caught.
    const caught = BigInt(`0x${/^SigCgt:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`);
    const ignored = BigInt(`0x${/^SigIgn:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`);
    t.ok(((caught | ignored) >> 12n) & 1n);
    closeSync(nullFd);
    await rig.delete(t, id);
  });
});

live('a rootfs is copied in a user namespace', async (t, rig) => {
  const copied = (text: string, options: readonly string[]): Promise<CommandResult> =>
    rig.run({
      args: ['stat', '-c', '%u %s', '/var/file'],
      fill: (rootfs) => {
        mkdirSync(path.join(rootfs, 'var'));
        writeFileSync(path.join(rootfs, 'var/file'), text);
      },
      change: (config) => {
        setUserNamespace(config);
        config.mounts.push({ destination: '/var', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup', ...options] });
      },
    });
  const foreign = await copied('of root of the host', []);
  count('attacks tried');
  expectSuccess(t, foreign, 'a file of an owner that the namespace does not map');
  t.equal(foreign.stdout, '65534 19\n', "is nobody's there, as in the image, and not of the root of the container");
  const large = await copied('x'.repeat(100_000), ['size=16k']);
  count('attacks tried');
  expectFailure(t, large, { message: /copy up .*file.*: no space left on device: ENOSPC/ });
  t.strictSame(rig.leftovers(), []);
});
