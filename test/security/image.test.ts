import {
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { CommandResult } from '../live/support/command.ts';
import { expectFailure, live, type BaseConfig } from '../live/support/rig.ts';

live('an image that attacks', async (t, rig) => {
  const host = rig.fresh('host');
  mkdirSync(path.join(host, 'victim'), { recursive: true });
  writeFileSync(path.join(host, 'victim/file'), 'untouched');

  /** Replaces a directory of the rootfs by a symlink. */
  const link =
    (name: string, target: string) =>
    (rootfs: string): void => {
      rmSync(path.join(rootfs, name), { recursive: true, force: true });
      symlinkSync(target, path.join(rootfs, name));
    };
  const untouched = (): string[] => readdirSync(path.join(host, 'victim'));

  for (const name of ['proc', 'sys']) {
    await t.test(`/${name} is a symlink (CVE-2019-19921, CVE-2023-27561)`, async (t) => {
      for (const target of ['/tmp', `${host}/victim`, '../../../../../../..', 'tmp']) {
        expectFailure(t, await rig.run({ fill: link(name, target) }), {
          message: new RegExp(`/${name}.*(ELOOP|symlink|ENOTDIR|/mounts/)`),
        });
      }
      t.strictSame(rig.leftovers(), []);
    });
  }

  await t.test('/dev is a symlink (CVE-2026-41579)', async (t) => {
    const withoutMount = {
      change: (config: BaseConfig): void => {
        config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'));
        config.linux.maskedPaths = [];
      },
    };
    for (const target of [`${host}/victim`, `../../../../../../../..${host}/victim`]) {
      const bare = await rig.run({ fill: link('dev', target), ...withoutMount });
      t.not(bare.code, null);
      t.strictSame(untouched(), ['file'], 'no device was made on the host');
      const mounted = await rig.run({ fill: link('dev', target), args: 'ls -ld /dev/' });
      t.equal(mounted.timedOut, false);
      t.strictSame(untouched(), ['file']);
    }
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('a link below /dev leads to a file of the host', async (t) => {
    const result = await rig.run({
      fill: (rootfs) => {
        symlinkSync(`${host}/victim/file`, path.join(rootfs, 'dev/null'));
      },
      change: (config) => {
        config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'));
      },
    });
    expectFailure(t, result, { message: /\/dev\/null/ });
    t.ok(lstatSync(path.join(host, 'victim/file')).isFile());
  });

  await t.test('mount destinations go through symlinks to the host (CVE-2021-30465, CVE-2024-45310)', async (t) => {
    const source = rig.fresh('source');
    mkdirSync(source);
    writeFileSync(path.join(source, 'inside'), 'inside');
    const mountThrough = async (target: string, destination: string): Promise<CommandResult> => {
      return rig.run({
        args: `cat ${destination}/inside`,
        fill: link('escape', target),
        change: (config) => config.mounts.push({ destination, type: 'bind', source, options: ['bind'] }),
      });
    };
    for (const [target, destination] of [
      ['/', '/escape/made'],
      ['..', '/escape/../escape/made'],
      ['../../../../tmp', '/escape/made'],
    ] as const) {
      const result = await mountThrough(target, destination);
      t.equal(result.code, 0, `${target}: ${result.stderr}`);
      t.equal(result.stdout, 'inside', 'it is mounted inside the rootfs');
      t.notOk(existsSync('/made') || existsSync('/tmp/made'), 'and nothing was made on the host');
    }
    await t.test('to places that only the host has: they are made inside, as runc does', async (t) => {
      for (const target of [`../../../../../../..${host}/victim`, `${host}/victim`]) {
        const result = await mountThrough(target, '/escape/new/deep');
        t.strictSame(untouched(), ['file'], 'nothing was made on the host');
        t.equal(result.code, 0, `${target}: ${result.stderr}`);
        t.equal(result.stdout, 'inside', 'it is mounted inside the rootfs');
      }
    });
    const file = await rig.run({
      args: 'cat /one',
      fill: link('one', `${host}/victim/created`),
      change: (config) =>
        config.mounts.push({
          destination: '/one',
          type: 'bind',
          source: path.join(source, 'inside'),
          options: ['bind'],
        }),
    });
    t.strictSame(untouched(), ['file'], 'no file was made on the host');
    t.ok(file.code === 0 ? file.stdout === 'inside' : file.stderr.includes('/mounts/'), file.stderr);
  });

  await t.test('a magic link as a mount destination', async (t) => {
    const fd = openSync(path.join(host, 'victim'), 'r');
    for (const target of ['/proc/self/fd/3', '/proc/1/root', '/proc/self/root/tmp', '/proc/self/cwd']) {
      const result = await rig.run(
        {
          fill: link('magic', target),
          change: (config) => config.mounts.push({ destination: '/magic/x', type: 'tmpfs', source: 'tmpfs' }),
        },
        { extraFds: [fd] },
      );
      t.equal(result.timedOut, false);
      t.strictSame(untouched(), ['file'], `${target}: nothing was made on the host`);
      t.notOk(existsSync('/x'));
    }
    closeSync(fd);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('cwd is a descriptor of the runtime (CVE-2024-21626)', async (t) => {
    const fd = openSync('/', 'r');
    for (let number = 3; number < 14; number += 1) {
      const cwd = `/proc/self/fd/${number}`;
      const result = await rig.run(
        { args: 'pwd; ls', change: (config) => (config.process.cwd = cwd) },
        { extraFds: [fd] },
      );
      t.not(result.code, 0, cwd);
      t.notMatch(result.stdout, /boot|lost\+found|work/, `${cwd}: the host does not show`);
    }
    const linked = await rig.run(
      { fill: link('cwd', '/proc/self/fd/7'), change: (config) => (config.process.cwd = '/cwd') },
      { extraFds: [fd, fd, fd, fd, fd] },
    );
    expectFailure(t, linked, { message: '/process/cwd' });
    const { id } = await rig.sleeper(t);
    for (let number = 3; number < 10; number += 1) {
      const result = await rig.tsrun(['exec', '--cwd', `/proc/self/fd/${number}`, id, 'ls'], { extraFds: [fd] });
      // Where a descriptor is a handle of the container's own root, that is where the process ends up.
      const inside = 'bin\ndev\netc\nproc\nroot\nsys\ntmp\n';
      t.ok(result.code !== 0 || result.stdout === inside, `exec in /proc/self/fd/${number}: ${result.stdout}`);
    }
    await rig.delete(t, id);
    closeSync(fd);
  });

  await t.test('masked paths: /dev/null is not the null device (CVE-2025-31133)', async (t) => {
    for (const fill of [
      (rootfs: string) => {
        symlinkSync('/proc/sysrq-trigger', path.join(rootfs, 'dev/null'));
      },
      (rootfs: string) => {
        writeFileSync(path.join(rootfs, 'dev/null'), 'a file');
      },
    ]) {
      const result = await rig.run({
        fill,
        change: (config) =>
          (config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'))),
      });
      expectFailure(t, result, { message: '/dev/null' });
    }
  });

  await t.test('masked and read-only paths through symlinks stay inside', async (t) => {
    const result = await rig.run({
      args: 'cat /mask; true',
      fill: (rootfs) => {
        for (const name of ['mask', 'frozen']) symlinkSync(`${host}/victim`, path.join(rootfs, name));
      },
      change: (config) => {
        config.linux.maskedPaths = ['/mask/file', '/mask'];
        config.linux.readonlyPaths = ['/frozen'];
      },
    });
    t.equal(result.timedOut, false);
    writeFileSync(path.join(host, 'victim/file'), 'untouched', { flag: 'r+' });
    t.equal(statSync(path.join(host, 'victim/file')).size, 9);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('the executable of the runtime cannot be reached (CVE-2019-5736)', async (t) => {
    const result = await rig.run({ args: ['/proc/self/exe'] });
    t.not(result.code, null);
    t.notMatch(result.stdout + result.stderr, /node|tsrun version/i, 'it is neither node nor tsrun');
    const script = await rig.run({
      args: ['/entry'],
      fill: (rootfs) => {
        writeFileSync(path.join(rootfs, 'entry'), '#!/proc/self/exe\n', { mode: 0o755 });
      },
    });
    t.not(script.code, 0);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('a full /proc on top of another or below it is refused', async (t) => {
    for (const destination of ['/proc/self', '/proc/1/attr', '/proc/sys']) {
      const result = await rig.run({
        change: (config) => config.mounts.push({ destination, type: 'tmpfs', source: 'tmpfs' }),
      });
      expectFailure(t, result, { message: /\/mounts\/7/ });
    }
  });
});
