import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { COUNTING, criuEnvironment, criuReason, Saver } from './support/criu.ts';
import { setNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { waitFor } from './support/wait.ts';

live('what goes wrong with checkpoint and restore', async (t, rig) => {
  if (criuReason !== false) {
    await t.test('with CRIU', { skip: criuReason }, () => undefined);
    return;
  }
  const saver = new Saver(rig);
  const { id: victim, bundle } = await saver.start(t);
  const whole = saver.image();
  expectSuccess(t, await saver.checkpoint(victim, whole, '--leave-running'), 'checkpoint');

  /** Those of these tests; others may run beside them. */
  const mounts = (): readonly string[] =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(path.dirname(bundle)));
  /** Restores by a new id what is not to be restored, and looks for what is left. */
  const refuses = async (
    t: Test,
    image: string,
    message: RegExp | string,
    ...flags: readonly string[]
  ): Promise<void> => {
    const id = rig.id('refused');
    const before = mounts();
    expectFailure(t, await saver.restore({ id, bundle, image }, ...flags), { message });
    expectFailure(t, await rig.tsrun(['state', id]), { message: 'does not exist' });
    t.notOk(existsSync(path.join(rig.root, id)), 'no state directory is left');
    t.strictSame(mounts(), before, 'no mount is left');
    t.strictSame(
      rig.leftovers().filter((one) => one.includes(id)),
      [],
      'nothing else is left',
    );
  };
  const copy = (): string => {
    const image = saver.image();
    execFileSync('cp', ['-a', whole, image]);
    return image;
  };

  await t.test('without CRIU there is one message', async (t) => {
    const env = { PATH: '/nowhere' };
    const message = /run .*criu.*: it is in none of .*\/nowhere.*; install the package criu/;
    expectFailure(t, await rig.tsrun(['checkpoint', '--image-path', saver.image(), victim], { env }), { message });
    await saver.expectCounting(t, victim, { from: 1 });
    const id = rig.id('none');
    const restore = ['restore', '--detach', '--bundle', bundle, '--image-path', whole, id];
    expectFailure(t, await rig.tsrun(restore, { env }), { message });
    t.notOk(existsSync(path.join(rig.root, id)));
  });

  await t.test('what is no CRIU, or does not answer, is told of', async (t) => {
    const directory = rig.fresh('fake');
    mkdirSync(directory);
    writeFileSync(`${directory}/criu`, '#!/bin/sh\nexit 3\n');
    chmodSync(`${directory}/criu`, 0o755);
    const result = await rig.tsrun(['checkpoint', '--image-path', saver.image(), victim], {
      env: { PATH: `${directory}:/bin` },
    });
    expectFailure(t, result, { message: /ask CRIU for its version .*CRIU has ended without an answer/ });
    await saver.expectCounting(t, victim, { from: 1 });
  });

  await t.test('a container that cannot be saved goes on', async (t) => {
    const image = saver.image();
    // Its standard output is a file that it does not have.
    const id = rig.id('outside');
    const made = rig.bundle({ args: COUNTING, fill: () => undefined });
    const outside = rig.fresh('output-of-it');
    const under = ['sh', '-c', `exec "$@" </dev/null >${outside} 2>&1`, 'sh'];
    expectSuccess(t, await rig.tsrun(['run', '--detach', '--bundle', made, id], { under }), 'run');
    const result = await saver.checkpoint(id, image);
    expectFailure(t, result, {
      message: /CRIU failed.*Can't lookup mount=.*connect the program with pipes or a terminal; its log is/,
    });
    t.match(result.stderr, /level=warning msg="from .*dump\.log/, 'lines of the log are told');
    t.equal((await rig.state(id)).status, 'running');
    await saver.expectCounting(t, id, { from: 1 });
    await rig.delete(t, id);
  });

  await t.test('what is not running is not saved', async (t) => {
    const { id } = await rig.create(t);
    expectFailure(t, await saver.checkpoint(id, saver.image()), { message: 'cannot be checkpointed in created state' });
    await rig.delete(t, id);
    expectFailure(t, await saver.checkpoint(id, saver.image()), { message: 'does not exist' });
  });

  await t.test('an earlier image has to be a directory beside this one', async (t) => {
    const missing = ['--parent-path', '../nowhere'];
    expectFailure(t, await saver.checkpoint(victim, saver.image(), ...missing), { message: /--parent-path/ });
    expectFailure(t, await saver.checkpoint(victim, saver.image(), '--parent-path', '/tmp'), {
      message: /--parent-path/,
    });
    await saver.expectCounting(t, victim, { from: 1 });
  });

  await t.test('a descriptor for the status that is not open is refused', async (t) => {
    const result = await saver.checkpoint(victim, saver.image(), '--lazy-pages', '--status-fd', '77');
    expectFailure(t, result, { message: 'use descriptor 77 for the status: it is not open' });
  });

  await t.test('an image that is not whole', async (t) => {
    await refuses(t, rig.path('nowhere'), /open directory .*nowhere.* no such file/);
    const empty = saver.image();
    mkdirSync(empty);
    await refuses(t, empty, /descriptors\.json.* no such file/);
    for (const name of ['inventory.img', 'pstree.img', 'core-1.img', 'files.img']) {
      const image = copy();
      truncateSync(path.join(image, name), 10);
      await refuses(t, image, /restore container .*CRIU failed/);
      writeFileSync(path.join(image, name), Buffer.alloc(4096, 0xff));
      await refuses(t, image, /restore container .*CRIU failed/);
      rmSync(path.join(image, name));
      await refuses(t, image, /restore container .*CRIU failed/);
    }
  });

  await t.test('a hostile image directory', async (t) => {
    const precious = rig.fresh('precious');
    writeFileSync(precious, 'precious');
    for (const name of ['restore.log', 'inventory.img', 'stats-restore', 'descriptors.json', 'pages-1.img']) {
      const image = copy();
      rmSync(path.join(image, name), { force: true });
      symlinkSync(precious, path.join(image, name));
      await refuses(t, image, /is no plain file, wanted plain files that CRIU has made/);
      rmSync(path.join(image, name));
      execFileSync('mkfifo', [path.join(image, name)]);
      await refuses(t, image, /is no plain file, wanted plain files that CRIU has made/);
    }
    const work = rig.fresh('work');
    mkdirSync(work);
    symlinkSync(precious, `${work}/restore.log`);
    await refuses(t, whole, /restore\.log.* in it is no plain file/, '--work-path', work);
    symlinkSync(precious, `${work}/dump.log`);
    const saved = await saver.checkpoint(victim, saver.image(), '--work-path', work);
    expectFailure(t, saved, { message: /in it is no plain file/ });
    t.equal(readFileSync(precious, 'utf8'), 'precious');
    // Of a work directory somebody else has the rest, such as the pipes of podman's monitor.
    const shared = rig.fresh('shared');
    mkdirSync(shared);
    execFileSync('mkfifo', [`${shared}/winsz`]);
    const beside = await saver.checkpoint(victim, saver.image(), '--leave-running', '--work-path', shared);
    expectSuccess(t, beside, 'checkpoint');
    const circle = copy();
    symlinkSync('.', `${circle}/parent`);
    await refuses(t, circle, /go round in a circle/);
    const lost = copy();
    symlinkSync('../nowhere', `${lost}/parent`);
    await refuses(t, lost, /use image .*parent.* no such file/);
  });

  await t.test('a descriptors.json that is not what it should be', async (t) => {
    const rows: [content: string, message: RegExp][] = [
      ['', /descriptors\.json.* wanted a JSON array of 3 texts/],
      ['{}', /wanted a JSON array of 3 texts/],
      ['[1, 2, 3]', /wanted a JSON array of 3 texts/],
      ['["a", "b", "c", "d"]', /wanted a JSON array of 3 texts/],
      [`["${'x'.repeat(100_000)}"]`, /descriptors\.json.* too long/],
    ];
    for (const [content, message] of rows) {
      const image = copy();
      writeFileSync(`${image}/descriptors.json`, content);
      await refuses(t, image, message);
    }
    const huge = copy();
    truncateSync(`${huge}/descriptors.json`, 2 ** 40);
    await refuses(t, huge, /descriptors\.json.* too long/);
    // A pipe that the program never had is nothing to CRIU.
    const other = copy();
    writeFileSync(`${other}/descriptors.json`, '["pipe:[1]", "/etc/shadow", "pipe:[../..]"]');
    const id = rig.id('other');
    expectSuccess(t, await saver.restore({ id, bundle, image: other }), 'restore');
    await rig.delete(t, id);
  });

  await t.test('a hook that fails leaves nothing', async (t) => {
    const file = `${bundle}/config.json`;
    const config = readFileSync(file, 'utf8');
    const hooks = { createRuntime: [{ path: '/bin/false' }] };
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(config) as object), hooks }));
    await refuses(t, whole, /error running createRuntime hook #0/);
    writeFileSync(file, config);
  });

  await t.test('a namespace that is gone leaves nothing', async (t) => {
    const file = `${bundle}/config.json`;
    const config = readFileSync(file, 'utf8');
    const changed = JSON.parse(config) as Parameters<typeof setNamespace>[0];
    setNamespace(changed, 'network', { path: '/proc/self/ns/nowhere' });
    writeFileSync(file, JSON.stringify(changed));
    await refuses(t, whole, /nowhere/);
    writeFileSync(file, config);
  });

  await t.test('a restore that is killed is cleared up by delete, and the rootfs stays', async (t) => {
    const file = `${bundle}/config.json`;
    const config = readFileSync(file, 'utf8');
    const reached = rig.fresh('reached');
    const hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', `echo $$ > ${reached}; exec sleep 1000`] }] };
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(config) as object), hooks }));
    const id = rig.id('killed');
    const files = readdirSync(`${bundle}/rootfs/bin`).length;
    for (const damages of [false, true]) {
      rmSync(reached, { force: true });
      const args = ['restore', '--detach', '--bundle', bundle, '--image-path', whole, id];
      const running = rig.startTsrun(args, { env: criuEnvironment });
      await waitFor(() => existsSync(reached) && readFileSync(reached, 'utf8') !== '');
      t.match(readFileSync('/proc/self/mountinfo', 'utf8'), `${id}/criu-root`, 'the rootfs is mounted there');
      process.kill(running.pid, 'SIGKILL');
      await running.done;
      process.kill(Number(readFileSync(reached, 'utf8')), 'SIGKILL');
      const record = path.join(rig.root, id, 'state.json');
      const known = readFileSync(record);
      if (damages) writeFileSync(record, 'damaged');
      expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete');
      t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), id, 'no mount is left');
      t.equal(readdirSync(`${bundle}/rootfs/bin`).length, files, 'nothing of the rootfs is gone');
      if (!damages) continue;
      // What is not known any more nobody removes, until it is known again.
      mkdirSync(path.dirname(record));
      writeFileSync(record, known);
      expectSuccess(t, await rig.tsrun(['delete', '--force', id]), 'delete');
    }
    writeFileSync(file, config);
  });
});
