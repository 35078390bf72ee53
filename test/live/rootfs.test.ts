import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { removeNamespace, setNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';

import { add, mountinfo } from './support/mounts.ts';

live('rootfs', async (t, rig) => {
  await t.test('the root as a read-only path', async (t) => {
    const output = await rig.output(t, {
      args: 'touch /made 2>&1 || echo refused; touch /dev/shm/made && echo below',
      change: (config) => (config.linux.readonlyPaths = ['/']),
      fill: () => undefined,
    });
    t.match(output, /Read-only file system\nrefused\nbelow$/);
  });

  await t.test('masked directories share one file system, and a path is masked once', async (t) => {
    const output = await rig.output(t, {
      args: 'grep -cE " /(one|two) " /proc/self/mountinfo; stat -c %d /one /two | uniq | wc -l; ls /one /two; touch /one/x 2>&1',
      fill: (rootfs) => {
        for (const name of ['one', 'two']) mkdirSync(path.join(rootfs, name));
        writeFileSync(path.join(rootfs, 'one/secret'), '');
      },
      change: (config) => (config.linux.maskedPaths = ['/one', '/two', '/one/', '//two', '/one']),
      text: (config) =>
        JSON.stringify({
          ...config,
          process: { ...config.process, args: ['sh', '-c', `${config.process.args[2] ?? ''}; true`] },
        }),
    });
    t.match(output, /^2\n1\n\/one:\n\n\/two:\n.*Read-only file system$/s);
  });

  await t.test('the home directory where /etc/passwd is a socket, or long', async (t) => {
    const home = async (fill: (file: string) => void): Promise<string> =>
      rig.output(t, {
        args: ['sh', '-c', 'echo $HOME'],
        fill: (rootfs) => {
          const file = path.join(rootfs, 'etc/passwd');
          rmSync(file);
          fill(file);
        },
        change: (config) => (config.process.env = ['PATH=/bin']),
      });
    t.equal(await home((file) => execFileSync('mknod', [file, 'p'])), '/');
    const server = createServer();
    try {
      t.equal(await home((file) => server.listen(file)), '/', 'a socket');
    } finally {
      server.close();
    }
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `user${index}:x:${index + 1}:1::/home/é${index}:/bin/sh\n`,
    );
    t.equal(
      await home((file) => {
        writeFileSync(file, `${lines.join('')}root:x:0:0:root:/behind:/bin/sh\n`);
      }),
      '/behind',
    );
  });

  await t.test('masked paths show nothing, read-only paths cannot be written', async (t) => {
    const output = await rig.output(
      t,
      {
        args: 'cat /secret; wc -c </proc/keys; ls /secrets | wc -l; touch /secrets/x 2>&1; echo x >/secret && wc -c </secret; ls -ld /proc/acpi 2>&1 | head -1; echo 1 >/proc/sys/kernel/domainname; touch /frozen/x; cat /frozen/file; touch /frozen/sub/x; exit 0',
        change: (config) => {
          config.linux.maskedPaths = ['/secret', '/secrets', '/proc/keys', '/not/there'];
          config.linux.readonlyPaths = ['/frozen', '/proc/sys', '/not/there'];
        },
        fill: (rootfs) => {
          writeFileSync(path.join(rootfs, 'secret'), 'secret');
          for (const name of ['secrets', 'frozen', 'frozen/sub']) mkdirSync(path.join(rootfs, name));
          writeFileSync(path.join(rootfs, 'secrets/file'), 'secret');
          writeFileSync(path.join(rootfs, 'frozen/file'), 'readable');
        },
      },
      {},
    );
    t.notMatch(output, 'secret\n');
    const lines = output.split('\n');
    t.strictSame(lines.slice(0, 2), ['0', '0'], 'empty file, empty directory');
    t.match(lines[2], /Read-only file system|No space left/);
    t.equal(lines[3], '0', 'writes vanish');
    t.match(output, 'readable');
  });

  await t.test('a read-only root', async (t) => {
    const { stdout, stderr, code } = await rig.run({
      args: `touch /x; ${mountinfo('/')}; touch /dev/shm/x && echo shm`,
      change: (config) => (config.root = { path: rig.rootfs, readonly: true }),
    });
    t.equal(code, 0, stderr);
    t.match(stderr, /Read-only file system/);
    t.match(stdout, /^ro,/);
    t.match(stdout, /\nshm\n/, 'mounts in it stay writable');
    t.match(await rig.output(t, { args: mountinfo('/') }), /^rw,/, "the host's own stays as it was");
  });

  await t.test('rootfsPropagation', async (t) => {
    const wanted: Record<string, RegExp> = {
      private: /^$/,
      rprivate: /^$/,
      slave: /^(master:\d+)?$/,
      rslave: /^(master:\d+)?$/,
      shared: /^shared:\d+/,
      rshared: /^shared:\d+/,
      unbindable: /^unbindable$/,
      runbindable: /^unbindable$/,
    };
    for (const [value, pattern] of Object.entries(wanted)) {
      const change = (config: BaseConfig): void => {
        config.linux.rootfsPropagation = value as 'private';
      };
      const output = await rig.output(t, { args: mountinfo('/'), change });
      t.match(output.split('\n').at(-1)?.split('|')[1], pattern, value);
    }
    t.strictSame(
      rig.leftovers().filter((line) => line.startsWith('mount')),
      [],
      'nothing propagated to the host',
    );
  });

  await t.test('--no-pivot moves the root', async (t) => {
    const output = await rig.output(
      t,
      { args: 'ls /; cat /etc/passwd; echo $$; ls /proc/1/root/' },
      { flags: ['--no-pivot'] },
    );
    t.match(output, 'worker:x:1000');
    t.match(output, /\n1\n/);
    t.strictSame(rig.leftovers(), []);
  });

  const foreign = needsRoot('its tmpfs takes no files of ids that the user namespace does not map');
  await t.test('a joined mount namespace', { skip: foreign }, async (t) => {
    const first = await rig.sleeper(t, {
      change: (config) => {
        config.mounts.push({ destination: '/shared', type: 'tmpfs', source: 'tmpfs' });
      },
    });
    const inside = `/proc/${first.pid}/root`;
    writeFileSync(`${inside}/shared/from-host`, 'x');
    // Paths of the config are looked up in the namespace that is joined; here the rootfs is there as its "/".
    const result = await rig.run({
      args: 'ls /shared',
      change: (config) => {
        setNamespace(config, 'mount', { path: `/proc/${first.pid}/ns/mnt` });
        removeNamespace(config, 'pid');
        config.mounts = [];
        delete config.linux.maskedPaths;
        delete config.linux.readonlyPaths;
      },
    });
    t.equal(result.timedOut, false);
    if (result.code !== 0) expectFailure(t, result, { message: /rootfs/ });
    await rig.delete(t, first.id);
  });
});

live('mounts of a container are its own', async (t, rig) => {
  await t.test('nothing of them shows on the host while it runs', { skip: missingTools('findmnt') }, async (t) => {
    const { id } = await rig.sleeper(t, { change: add({ destination: '/extra', type: 'tmpfs', source: 'tmpfs' }) });
    t.strictSame(
      rig.leftovers().filter((line) => line.startsWith('mount')),
      [],
    );
    expectSuccess(
      t,
      await rig.tsrun(['exec', id, 'grep', '-q', ' /extra ', '/proc/self/mountinfo']),
      'it is there inside',
    );
    await rig.delete(t, id);
  });
});
