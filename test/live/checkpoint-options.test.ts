import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { listenUnix, receiveMessage } from '../../src/sys/socket.ts';
import { pipe } from '../../src/sys/pipe.ts';
import { isUnified } from './support/cgroups.ts';
import {
  criuEnvironment,
  criuFile,
  criuReason,
  criuVersion,
  isPeer,
  lacksFeature,
  QUIET,
  readEnd,
  Saver,
  COUNTING,
} from './support/criu.ts';
import { removeCgroups } from './support/leftovers.ts';
import { setNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { findTool, globalOptions, slowness, tsrunFile } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

live('options of checkpoint and restore', async (t, rig) => {
  if (criuReason !== false) {
    await t.test('with CRIU', { skip: criuReason }, () => undefined);
    return;
  }
  const saver = new Saver(rig);

  const remap = { skip: peerLacks('link-remap') };
  await t.test('--link-remap: a file that has lost its name, beside another name of it', remap, async (t) => {
    const args = `echo kept > /root/a; ln /root/a /root/b; exec 5< /root/a; rm /root/a; ${COUNTING}`;
    const { id, bundle } = await saver.start(t, { args });
    await saver.expectCounting(t, id, { from: 1 });
    const failed = await saver.checkpoint(id, saver.image());
    if (isPeer) t.not(failed.code, 0);
    else expectFailure(t, failed, { message: /CRIU failed.*link-remap/ });
    await saver.move(t, { id, bundle }, { checkpoint: ['--link-remap'] });
    await saver.expectCounting(t, id, { from: 1 });
    const { pid } = await rig.state(id);
    t.equal(readFileSync(`/proc/${pid}/fd/5`, 'utf8'), 'kept\n');
    await rig.delete(t, id);
  });

  const harmless = { skip: harmOfPeer() };
  await t.test('--ext-unix-sk: a socket whose other end is outside', harmless, async (t) => {
    const outside = rig.fresh('outside');
    mkdirSync(outside);
    const log = `${outside}/log`;
    using messages = listenUnix(log, 'datagram');
    const hears = (): void => {
      // What has come before does not count.
      let text = '';
      for (let count = 0; count < 20; count += 1) text = receiveMessage(messages.number, 4096).bytes.toString();
      t.match(text, /hello/);
    };
    // It is connected anew by its name, which has to be the same inside.
    const { id, bundle } = await saver.start(t, {
      args: `ln -s ${log} /dev/log; (while :; do echo hello; sleep 0.05; done) | logger & ${COUNTING}`,
      change: (config) => {
        config.mounts.push({ destination: outside, type: 'bind', source: outside, options: ['bind'] });
        // CRIU knows the other ends in the same network namespace alone.
        config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'network');
        config.mounts = config.mounts.map((mount) => (mount.type === 'sysfs' ? BOUND_SYS : mount));
      },
    });
    await saver.expectCounting(t, id, { from: 1 });
    hears();
    const failed = await saver.checkpoint(id, saver.image());
    if (isPeer) t.not(failed.code, 0);
    else expectFailure(t, failed, { message: /CRIU failed.*ext-unix-sk/ });
    await saver.move(t, { id, bundle }, { both: ['--ext-unix-sk'] });
    await saver.expectCounting(t, id, { from: 1 });
    hears();
    await rig.delete(t, id);
  });

  for (const mode of ['soft', 'full', 'ignore']) {
    await t.test(`--manage-cgroups-mode ${mode}`, { skip: peerLacks(mode) }, async (t) => {
      const { id, bundle } = await saver.start(t);
      await saver.expectCounting(t, id, { from: 1 });
      await saver.move(t, { id, bundle }, { both: ['--manage-cgroups-mode', mode] });
      await saver.expectCounting(t, id, { from: 1 });
      await rig.delete(t, id);
    });
  }

  await t.test('--manage-cgroups-mode strict: CRIU wants to make the cgroups itself', async (t) => {
    const { id, bundle } = await saver.start(t);
    const image = saver.image();
    const flags = ['--manage-cgroups-mode', 'strict'];
    expectSuccess(t, await saver.checkpoint(id, image, ...flags), 'checkpoint');
    const failed = await saver.restore({ id, bundle, image }, ...flags);
    // With cgroup v2 runc tells CRIU of no cgroup.
    if (isPeer) t.equal(failed.code === 0, isUnified);
    else expectFailure(t, failed, { message: /Abort restore of existing cgroups/ });
    if (failed.code === 0) await rig.delete(t, id);
  });

  await t.test('--page-server: memory goes elsewhere', async (t) => {
    const { id, bundle } = await saver.start(t, { args: BIG });
    await saver.expectCounting(t, id, { from: 1 });
    const [image, pages] = [saver.image(), rig.fresh('pages')];
    mkdirSync(pages);
    const port = 20_000 + (process.pid % 20_000);
    const server = rig.start([criuFile, 'page-server', '--images-dir', pages, '--port', String(port)], {
      env: criuEnvironment,
    });
    await waitFor(() => isListening(port));
    const flags = ['--page-server', `127.0.0.1:${port}`];
    expectSuccess(t, await saver.checkpoint(id, image, ...flags), 'checkpoint');
    await server.done;
    t.notOk(existsSync(`${image}/pages-1.img`), 'the image has no memory');
    for (const name of readdirSync(pages).filter((name) => name.startsWith('page')))
      spawnSync('cp', [path.join(pages, name), image]);
    expectSuccess(t, await saver.restore({ id, bundle, image }), 'restore');
    await saver.expectCounting(t, id, { from: 1 });
    await rig.delete(t, id);
  });

  await t.test('--lazy-pages: memory comes when it is wanted', { skip: lazyReason() }, async (t) => {
    const { id, bundle } = await saver.start(t, { args: BIG });
    await saver.expectCounting(t, id, { from: 1 });
    const before = await saver.count(t, id);
    const image = saver.image();
    const port = 20_000 + ((process.pid + 7) % 20_000);
    const [status, told] = pipe();
    const args = ['checkpoint', '--image-path', image, '--lazy-pages', '--page-server', `127.0.0.1:${port}`];
    const saving = rig.startTsrun([...args, '--status-fd', '3', id], {
      env: criuEnvironment,
      extraFds: [told.number],
      timeoutMs: 120_000,
    });
    told.close();
    await waitFor(() => isListening(port));
    const work = rig.fresh('lazy');
    mkdirSync(work);
    const lazy = ['lazy-pages', '--page-server', '--address', '127.0.0.1', '--port', String(port)];
    const daemon = rig.start([criuFile, ...lazy, '--images-dir', image, '--work-dir', work], {
      env: criuEnvironment,
      timeoutMs: 120_000,
    });
    await waitFor(() => existsSync(`${work}/lazy-pages.socket`));
    const other = rig.id('lazy');
    const restored = await saver.restore({ id: other, bundle, image }, '--lazy-pages', '--work-path', work);
    expectSuccess(t, restored, 'restore');
    await saver.expectCounting(t, other, { from: before });
    await daemon.done;
    expectSuccess(t, await saving.done, 'checkpoint');
    status.close();
    await saver.expectCounting(t, other, { from: before });
    await rig.delete(t, other);
    // runc tries to remove its cgroup while CRIU is still in it.
    if (isPeer) removeCgroups(id);
  });

  await t.test(
    'images go from one runtime to the other',
    { skip: isPeer || findTool('runc') === undefined },
    async (t) => {
      const runc = (...args: readonly string[]) =>
        rig.start(['runc', '--root', rig.path('runc'), ...globalOptions, ...args], {
          env: criuEnvironment,
          timeoutMs: 60_000 * slowness,
        });
      const restoreArgs = (bundle: string, image: string) => [
        'restore',
        '--detach',
        '--bundle',
        bundle,
        '--image-path',
        image,
      ];
      const hostPath = (pid: number) => `/proc/${pid}/root/dev/shm/count`;
      const pidOf = async (id: string): Promise<number> =>
        (JSON.parse((await runc('state', id).done).stdout) as { pid: number }).pid;
      const read = (pid: number): number => Number(readFileSync(hostPath(pid), 'utf8'));

      const group = rig.id('both');
      const { id, bundle } = await saver.start(t, {
        change: (config) => {
          // By default each names it in its own way, and runc has CRIU make the one in the image.
          config.linux.cgroupsPath = rig.usesSystemd ? `system.slice:tsrun:${group}` : `/${group}`;
          // With v2 runc has CRIU mount the cgroups, and none bound; with both versions runc 1.1 binds no unified hierarchy.
          if (isUnified) setNamespace(config, 'cgroup');
          else config.mounts = config.mounts.filter(({ type }) => type !== 'cgroup');
        },
      });
      await saver.expectCounting(t, id, { from: 1 });
      const before = await saver.count(t, id);
      const image = saver.image();
      expectSuccess(t, await saver.checkpoint(id, image), 'checkpoint by tsrun');
      const [log, work] = [rig.fresh('log'), rig.fresh('work')];
      mkdirSync(work);
      const byRunc = await rig.start(
        [
          ...QUIET,
          ...['runc', '--root', rig.path('runc'), ...globalOptions, '--log', log],
          ...[...restoreArgs(bundle, image), '--work-path', work, id],
        ],
        { env: criuEnvironment },
      ).done;
      if (byRunc.code !== 0) t.comment(...[log, `${work}/restore.log`].map(readEnd));
      expectSuccess(t, byRunc, 'restore by runc');
      const pid = await pidOf(id);
      await waitFor(() => read(pid) > before);
      const back = saver.image();
      expectSuccess(t, await runc('checkpoint', '--image-path', back, id).done, 'checkpoint by runc');
      expectSuccess(t, await saver.restore({ id, bundle, image: back }), 'restore by tsrun');
      await saver.expectCounting(t, id, { from: before });
      await rig.delete(t, id);
    },
  );
});

/** Why another runtime is not to restore what binds /sys of the host; false where it may, and for tsrun. */
function harmOfPeer(): string | false {
  const isShared = /^(?:\S+ ){4}\/sys .* shared:/m.test(readFileSync('/proc/self/mountinfo', 'utf8'));
  return isPeer && isShared && 'the restore of runc 1.1 unmounts the cgroups of a host whose mounts are shared';
}

/** Why another runtime is not asked for something: its help does not name it; false where it does, and for tsrun. */
function peerLacks(word: string): string | false {
  if (!isPeer) return false;
  const { stdout } = spawnSync(tsrunFile, ['checkpoint', '--help'], { encoding: 'utf8' });
  return stdout.includes(word) ? false : `this runc knows no ${word}`;
}

/** Why memory does not come lazily here; false where it does. */
function lazyReason(): string | false {
  if (criuVersion.startsWith('4.2'))
    return 'criu 4.2 closes the pipes of the memory before they are asked for, with runc as well';
  return lacksFeature('uffd-noncoop');
}

/**
 * Without a network namespace of its own a container makes no sysfs of its own. Without what is mounted below the host's: CRIU knows none of
 * it by name, and refuses slaves of a mount of the host, as they are where systemd has made the root shared.
 */
const BOUND_SYS = { destination: '/sys', type: 'none', source: '/sys', options: ['bind', 'ro'] };

/** It has some memory that it comes back to. */
const BIG = `big=$(head -c 4000000 /dev/zero | tr '\\0' x); i=0; while :; do i=$((i+1)); echo $i > /dev/shm/count; test \${#big} = 4000000 || exit 1; sleep 0.05; done`;

function isListening(port: number): boolean {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  return ['tcp', 'tcp6'].some((name) =>
    readFileSync(`/proc/self/net/${name}`, 'utf8')
      .split('\n')
      .some((line) => line.split(/\s+/)[4] === '0A' && `${line.split(/\s+/)[2] ?? ''} `.endsWith(wanted)),
  );
}
