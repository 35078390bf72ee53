import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { removeNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live } from './support/rig.ts';
import { needsRoot } from './support/surroundings.ts';

const hostFiles = needsRoot('only root of the host can bring its files into a container');

live('mount', async (t, rig) => {
  const source = (): string => {
    const directory = rig.fresh('source');
    mkdirSync(path.join(directory, 'below'), { recursive: true });
    writeFileSync(path.join(directory, 'file'), 'of the host');
    return directory;
  };
  const mount = async (...args: readonly string[]) => rig.tsrun(['mount', ...args]);
  const inside = async (id: string, script: string) => rig.tsrun(['exec', id, '/bin/sh', '-c', script]);
  const read = async (t: Test, id: string, script: string): Promise<string> => {
    const result = await inside(id, script);
    expectSuccess(t, result, script);
    return result.stdout.trim();
  };
  const mountOptions = async (t: Test, id: string, target: string): Promise<string> =>
    read(
      t,
      id,
      `while read -r _ _ _ _ at options more; do [ "$at" = ${target} ] && echo "$options $more"; done </proc/self/mountinfo; true`,
    );

  await t.test('a directory comes and goes while the program runs', { skip: hostFiles }, async (t) => {
    const { id } = await rig.sleeper(t, { fill: () => undefined });
    const directory = source();
    expectSuccess(t, await mount('add', '--options', 'ro,nosuid', '-o', 'nodev', id, directory, '/new/data'));
    t.equal(await read(t, id, 'cat /new/data/file'), 'of the host');
    t.match(await mountOptions(t, id, '/new/data'), /^ro,nosuid,nodev,relatime /);
    t.not((await inside(id, 'echo x >/new/data/more')).code, 0, 'it is read-only');
    t.notMatch(
      await mountOptions(t, id, '/new/data'),
      /shared:/,
      'what is mounted below it does not come back to the host',
    );
    expectSuccess(t, await mount('remove', id, '/new/data'));
    t.equal(await mountOptions(t, id, '/new/data'), '');
    expectFailure(t, await mount('remove', id, '/new/data'), { message: 'no mount that could be taken away is there' });
    t.ok(existsSync(path.join(directory, 'file')), 'the source stays');
    await rig.delete(t, id);
  });

  await t.test('symlinks of the container lead no further than its root', { skip: hostFiles }, async (t) => {
    const outside = rig.fresh('outside');
    mkdirSync(outside);
    const { id } = await rig.sleeper(t, {
      fill: (rootfs) => {
        symlinkSync(`../../../../../../../../..${outside}`, path.join(rootfs, 'climbs'));
        symlinkSync('/proc/1/root', path.join(rootfs, 'magic'));
        symlinkSync('/proc', path.join(rootfs, 'process'));
      },
    });
    const directory = source();
    const made = await mount('add', id, directory, '/climbs/made');
    t.strictSame(readdirSync(outside), [], 'nothing is made on the host');
    if (made.code === 0) t.equal(await read(t, id, `cat ${outside}/made/file`), 'of the host');
    expectFailure(t, await mount('add', id, directory, '/magic/made'), { message: 'ELOOP' });
    expectFailure(t, await mount('add', id, directory, '/process/tty'), {
      message: /inside \/proc|ENOENT|operation not permitted/,
    });
    expectFailure(t, await mount('remove', id, '/process/kcore'), { message: "hides the host's" });
    expectFailure(t, await mount('remove', id, '/proc/kcore'), { message: "hides the host's" });
    expectFailure(t, await mount('add', id, directory, '/'), { message: 'wanted a place below the root' });
    expectFailure(t, await mount('remove', id, '/..'), { message: 'wanted a place below the root' });
    await rig.delete(t, id);
  });

  await t.test('a file, and a container with a user namespace', { skip: hostFiles }, async (t) => {
    const { id } = await rig.sleeper(t, {
      fill: () => undefined,
      change: (config) => {
        setUserNamespace(config, 0, 65_536);
      },
    });
    const file = path.join(source(), 'file');
    expectSuccess(t, await mount('add', '-o', 'ro', id, file, '/etc/of-the-host'));
    t.equal(await read(t, id, 'cat /etc/of-the-host'), 'of the host');
    t.match(await mountOptions(t, id, '/etc/of-the-host'), /^ro,/);
    expectSuccess(t, await mount('remove', id, '/etc/of-the-host'));
    await rig.delete(t, id);
  });

  await t.test('memory, in a container that is created and in one that is paused', async (t) => {
    const { id } = await rig.create(t, { args: ['sleep', '1000'], fill: () => undefined });
    expectSuccess(t, await mount('add', '--type', 'tmpfs', '-o', 'size=64k,ro', id, 'memory', '/cache'));
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    t.match(await mountOptions(t, id, '/cache'), /^ro,.* tmpfs .*size=64k/);
    expectSuccess(t, await rig.tsrun(['pause', id]), 'pause');
    expectSuccess(t, await mount('remove', id, '/cache'));
    expectSuccess(t, await rig.tsrun(['resume', id]), 'resume');
    t.equal(await mountOptions(t, id, '/cache'), '');
    await rig.delete(t, id);
  });

  await t.test('what cannot be done is refused in one line', async (t) => {
    const { id } = await rig.sleeper(t, { fill: () => undefined });
    const directory = source();
    const rows: [args: string[], message: RegExp | string][] = [
      [['add', rig.id('none'), directory, '/x'], 'does not exist'],
      [['add', id, rig.path('nothing'), '/x'], /open source .*ENOENT/],
      [['add', id, directory, 'x'], 'wanted an absolute path'],
      [['add', id, directory], /requires exactly 4 argument/],
      [['remove', id], /requires exactly 3 argument/],
      [['remove', id, '/nothing/there'], 'ENOENT'],
      [['add', '--type', 'proc', id, 'proc', '/x'], 'wanted the type bind or tmpfs'],
      [['add', '-o', 'rwx', id, directory, '/x'], /unknown option .*rwx/],
      [['add', '-o', 'remount,ro', id, directory, '/x'], 'remount'],
      [['add', '-o', 'idmap', id, directory, '/x'], 'for mounts of config.json'],
      [['show', id, '/x'], 'unknown action'],
    ];
    for (const [args, message] of rows) expectFailure(t, await mount(...args), { message });
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    expectFailure(t, await mount('add', id, directory, '/x'), { message: 'container not running' });
    expectFailure(t, await mount('remove', id, '/x'), { message: 'container not running' });
    await rig.delete(t, id);
  });

  const noHostMounts = needsRoot('an ordinary user gets a mount namespace in any case');
  await t.test('the mounts of the host are not changed', { skip: noHostMounts }, async (t) => {
    const { id } = await rig.sleeper(t, {
      change: (config) => {
        removeNamespace(config, 'mount');
        config.mounts = [];
        delete config.linux.maskedPaths;
        delete config.linux.readonlyPaths;
      },
    });
    expectFailure(t, await mount('add', id, source(), '/x'), { message: 'it shares those of the host' });
    await rig.delete(t, id);
  });
});
