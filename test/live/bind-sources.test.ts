import { chmodSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, live, type BaseConfig } from './support/rig.ts';
import { add, bind, makeTree } from './support/mounts.ts';

/** Mount points and more that a rootfs of the tests has not: the root of a user namespace could not make them. */
function makeIn(rootfs: string, ...directories: readonly string[]): void {
  for (const directory of directories) mkdirSync(path.join(rootfs, directory), { recursive: true });
}

live('bind sources inside the rootfs', async (t, rig) => {
  const tree = makeTree(rig);
  const forms: readonly (readonly [string, (config: BaseConfig) => void])[] = [
    ['root', () => undefined],
    ['a user namespace', setUserNamespace],
  ];

  for (const [name, change] of forms) {
    await t.test(`an earlier mount provides them, as ${name}`, async (t) => {
      const output = await rig.output(t, {
        args: 'ls /directory /absolute; cat /file',
        fill: (rootfs) => {
          makeIn(rootfs, 'given', 'directory', 'absolute');
          writeFileSync(path.join(rootfs, 'file'), '');
        },
        change: (config) => {
          change(config);
          add(
            bind(tree, '/given'),
            bind('rootfs/given/sub', '/directory'),
            bind('@BUNDLE@/rootfs/given/sub', '/absolute', 'ro'),
            bind('rootfs/given/file', '/file'),
          )(config);
        },
        text: (config) => JSON.stringify(config).replaceAll('@BUNDLE@', rig.latestBundle()),
      });
      t.equal(output, '/absolute:\ninner\n\n/directory:\ninner\ncontent');
    });
  }

  await t.test('what the image has there is not taken for what is mounted later, or the other way round', async (t) => {
    const output = await rig.output(t, {
      args: 'ls /before /after',
      fill: (rootfs) => {
        makeIn(rootfs, 'given/of-image', 'before', 'after');
      },
      change: (config) => {
        setUserNamespace(config);
        add(bind('rootfs/given', '/before'), bind(tree, '/given'), bind('rootfs/given', '/after'))(config);
      },
    });
    t.equal(output, '/after:\nfile\nsub\n\n/before:\nof-image');
  });

  await t.test('a symlink of the image leads nowhere but into the image', async (t) => {
    const secret = rig.fresh('secret');
    mkdirSync(secret);
    writeFileSync(path.join(secret, 'of-host'), 'host');
    const { stdout, stderr } = await rig.run({
      args: 'ls /seen',
      fill: (rootfs) => {
        symlinkSync(secret, path.join(rootfs, 'link'));
      },
      change: add(bind('rootfs/link', '/seen')),
    });
    t.notMatch(stdout, 'of-host');
    t.match(
      stderr,
      /\/link.*open source: .*: ENOENT.*\/mounts\/7\/source/,
      'the place that it names is not in the image',
    );
  });

  await t.test('a host path that only looks so is the host path that it is', async (t) => {
    const output = await rig.output(t, {
      args: 'ls /up /beside',
      fill: (rootfs) => {
        makeIn(rootfs, '../data/of-host', '../rootfs-beside/too');
      },
      change: add(bind('rootfs/../data', '/up'), bind('rootfs-beside', '/beside')),
    });
    t.equal(output, '/beside:\ntoo\n\n/up:\nof-host');
  });

  await t.test('what nobody provides is missed when its turn comes', async (t) => {
    expectFailure(t, await rig.run({ fill: () => undefined, change: add(bind('rootfs/nothing', '/data')) }), {
      message: /rootfs\/nothing.*open source: .*: ENOENT.*\/mounts\/7\/source/,
    });
  });
});

live('destinations with the place of the rootfs in front', async (t, rig) => {
  const tree = makeTree(rig);
  const inPlace = (config: BaseConfig): string =>
    JSON.stringify(config).replaceAll('@ROOTFS@', path.join(rig.latestBundle(), 'rootfs'));

  await t.test('are taken for paths inside of it', async (t) => {
    const bundle = {
      args: 'ls /data; ls -d /tmpfs/made',
      fill: () => undefined,
      change: add(
        bind(tree, '@ROOTFS@/data'),
        { destination: '@ROOTFS@/tmpfs', type: 'tmpfs', source: 'tmpfs' },
        bind(tree, '/tmpfs/made'),
      ),
      text: inPlace,
    };
    t.equal(await rig.output(t, bundle), 'file\nsub\n/tmpfs/made');
  });

  await t.test('are refused where the plain ones are', async (t) => {
    for (const [destination, message] of [
      ['@ROOTFS@', /\/mounts\/7\/destination.*top of rootfs/],
      ['@ROOTFS@/proc/self', /\/mounts\/7\/destination.*inside \/proc/],
    ] as const) {
      const bundle = { fill: () => undefined, change: add(bind(tree, destination)), text: inPlace };
      expectFailure(t, await rig.run(bundle), { message });
    }
  });
});

live('symlinks as sources and destinations', async (t, rig) => {
  const place = rig.fresh('links');
  mkdirSync(place);
  writeFileSync(path.join(place, 'file'), 'content');
  mkdirSync(path.join(place, 'directory'));
  symlinkSync('file', path.join(place, 'to-file'));
  symlinkSync('directory', path.join(place, 'to-directory'));
  symlinkSync('/nowhere/at/all', path.join(place, 'dangling'));

  await t.test('copy-symlink makes the symlink anew', async (t) => {
    const output = await rig.output(t, {
      args: 'for f in /a/b/one /same /dangling; do readlink $f; done; cat /plain; grep -c " /a/b/one " /proc/self/mountinfo; true',
      fill: (rootfs) => {
        symlinkSync('file', path.join(rootfs, 'same'));
      },
      change: add(
        bind(`${place}/to-file`, '/a/b/one', 'copy-symlink'),
        bind(`${place}/to-file`, '/same', 'copy-symlink'),
        bind(`${place}/dangling`, '/dangling', 'copy-symlink'),
        bind(`${place}/file`, '/plain', 'copy-symlink'),
      ),
    });
    t.equal(output, 'file\nfile\n/nowhere/at/all\ncontent0');
    const made = path.join(rig.latestBundle(), 'rootfs/a/b/one');
    t.equal(readlinkSync(made), 'file');
  });

  await t.test('copy-symlink refuses what is there already', async (t) => {
    for (const fill of [
      (file: string) => {
        symlinkSync('file-and-more', file);
      },
      (file: string) => {
        symlinkSync('fil', file);
      },
      (file: string) => {
        writeFileSync(file, 'mine');
      },
    ]) {
      const result = await rig.run({
        fill: (rootfs) => {
          fill(path.join(rootfs, 'there'));
        },
        change: add(bind(`${place}/to-file`, '/there', 'copy-symlink')),
      });
      expectFailure(t, result, { message: /another file is there, wanted a symlink to ."file/ });
    }
  });

  await t.test('copy-symlink makes nothing outside the rootfs', async (t) => {
    const outside = rig.fresh('outside');
    mkdirSync(outside);
    chmodSync(outside, 0o777);
    const { code } = await rig.run({
      fill: (rootfs) => {
        symlinkSync(outside, path.join(rootfs, 'out'));
      },
      change: add(bind(`${place}/to-file`, '/out/made', 'copy-symlink')),
    });
    t.throws(() => lstatSync(path.join(outside, 'made')), { code: 'ENOENT' });
    if (code === 0) t.equal(readlinkSync(path.join(rig.latestBundle(), 'rootfs', outside, 'made')), 'file');
  });

  await t.test('copy-symlink has no use for the others', async (t) => {
    for (const other of ['src-nofollow', 'dest-nofollow']) {
      const result = await rig.run({ change: add(bind(`${place}/to-file`, '/x', 'copy-symlink', other)) });
      expectFailure(t, result, { message: new RegExp(`/mounts/7/options.*copy-symlink.*${other}`) });
    }
  });

  await t.test('src-nofollow binds the symlink itself', async (t) => {
    const output = await rig.output(t, {
      args: 'for f in /one /two /three; do readlink $f; done',
      fill: (rootfs) => {
        symlinkSync('else', path.join(rootfs, 'three'));
      },
      change: add(
        bind(`${place}/to-file`, '/one', 'src-nofollow'),
        bind(`${place}/to-directory`, '/two', 'src-nofollow'),
        bind(`${place}/dangling`, '/three', 'src-nofollow', 'dest-nofollow'),
      ),
    });
    t.equal(output, 'file\ndirectory\n/nowhere/at/all');
  });

  await t.test('dest-nofollow mounts on the symlink itself', async (t) => {
    const output = await rig.output(t, {
      args: 'cat /link; cat /target; ls -l /link | cut -c1',
      fill: (rootfs) => {
        writeFileSync(path.join(rootfs, 'target'), ' untouched\n');
        symlinkSync('target', path.join(rootfs, 'link'));
      },
      change: add(bind(`${place}/file`, '/link', 'dest-nofollow')),
    });
    t.equal(output, 'content untouched\n-');
    const followed = await rig.output(t, {
      args: 'cat /target',
      fill: (rootfs) => {
        writeFileSync(path.join(rootfs, 'target'), 'untouched');
        symlinkSync('target', path.join(rootfs, 'link'));
      },
      change: add(bind(`${place}/file`, '/link')),
    });
    t.equal(followed, 'content', 'without it the target is covered');
    t.equal(readFileSync(path.join(rig.latestBundle(), 'rootfs/target'), 'utf8'), 'untouched');
  });

  await t.test('dest-nofollow covers no symlink of the kernel', async (t) => {
    for (const destination of ['/sys/bus/cpu/devices/cpu0', '/sys/class/net/lo']) {
      const result = await rig.run({ change: add(bind(`${place}/file`, destination, 'dest-nofollow')) });
      expectFailure(t, result, { message: /on a sysfs, which the option ."dest-nofollow." may not cover/ });
    }
  });
});
