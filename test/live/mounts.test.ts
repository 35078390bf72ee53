import { chmodSync, chownSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, live, type BaseConfig } from './support/rig.ts';
import { isUnified } from './support/cgroups.ts';

import { add, after, bind, makeTree, mountinfo } from './support/mounts.ts';

live('bind mounts', async (t, rig) => {
  const tree = makeTree(rig);

  await t.test('directories and files, writable and read-only', async (t) => {
    const output = await rig.output(
      t,
      {
        args: `cat /data/file /one; echo; echo changed >/data/new && cat /data/new
        echo x >/ro/file; echo x >/one-ro; mkdir /ro/dir; rm /ro/file; cat /ro/file`,
        change: add(
          bind(tree, '/data'),
          bind(`${tree}/file`, '/one'),
          bind(tree, '/ro', 'ro'),
          bind(`${tree}/file`, '/one-ro', 'ro'),
        ),
      },
      {},
    );
    t.equal(output, 'contentcontent\nchanged\ncontent');
    const { stderr } = await rig.run({
      args: 'echo x >/ro/file; echo x >/one-ro; mkdir /ro/dir',
      change: add(bind(tree, '/ro', 'ro'), bind(`${tree}/file`, '/one-ro', 'ro')),
    });
    t.equal(stderr.match(/Read-only file system/g)?.length, 3, stderr);
  });

  await t.test('a mount below the source comes along with rbind only', async (t) => {
    const inner = after(`mount -t tmpfs inner ${tree}/sub; touch ${tree}/sub/on-tmpfs`);
    const change = add(bind(tree, '/plain'), { destination: '/deep', type: 'none', source: tree, options: ['rbind'] });
    t.equal(
      await rig.output(t, { args: 'ls /plain/sub /deep/sub', change }, inner),
      '/deep/sub:\non-tmpfs\n\n/plain/sub:\ninner',
    );
  });

  await t.test('ro makes the mount itself read-only, rro also those below', async (t) => {
    const inner = after(`mount -t tmpfs inner ${tree}/sub`);
    const change = add(bind(tree, '/ro', 'rbind', 'ro'), bind(tree, '/rro', 'rbind', 'rro'));
    const args =
      'for d in ro ro/sub rro rro/sub; do touch /$d/t 2>/dev/null && echo $d writable || echo $d read-only; done';
    t.strictSame((await rig.output(t, { args, change }, inner)).split('\n'), [
      'ro read-only',
      'ro/sub writable',
      'rro read-only',
      'rro/sub read-only',
    ]);
  });

  await t.test('options arrive as flags of the mount', async (t) => {
    const cases: readonly (readonly [string[], RegExp])[] = [
      [['nosuid', 'nodev', 'noexec'], /nosuid.*nodev.*noexec/],
      [['ro', 'noatime'], /^ro,.*noatime/],
      [['nodiratime'], /nodiratime/],
      [['strictatime'], /^rw(?!.*(noatime|relatime))/],
      [['nosymfollow'], /nosymfollow/],
      [['rnosuid', 'rnodev', 'rnoexec'], /nosuid.*nodev.*noexec/],
    ];
    const change = add(...cases.map(([options], index) => bind(tree, `/m${index}`, ...options)));
    const lines = (await rig.output(t, { args: mountinfo(...cases.map((_, index) => `/m${index}`)), change })).split(
      '\n',
    );
    cases.forEach(([options, wanted], index) => t.match(lines[index]?.split('|')[0], wanted, options.join(',')));
    const exec = await rig.run({
      args: ['/m/busybox', 'true'],
      change: add(bind(path.join(rig.rootfs, 'bin'), '/m', 'noexec')),
    });
    expectFailure(t, exec, { message: /permission denied/ });
  });

  await t.test('propagation options', async (t) => {
    const names = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared', 'unbindable', 'runbindable'];
    const inner = after(`mount --bind ${tree} ${tree}; mount --make-shared ${tree}`);
    const change = add(...names.map((name) => bind(tree, `/${name}`, name)));
    const lines = (await rig.output(t, { args: mountinfo(...names.map((name) => `/${name}`)), change }, inner)).split(
      '\n',
    );
    const wanted: readonly RegExp[] = [
      /^$/,
      /^$/,
      /^master:/,
      /^master:/,
      /^shared:/,
      /^shared:/,
      /^unbindable$/,
      /^unbindable$/,
    ];
    names.forEach((name, index) => t.match(lines[index]?.split('|')[1], wanted[index] ?? /never/, name));
  });

  await t.test('sources relative to the bundle, targets that are made', async (t) => {
    const output = await rig.output(t, {
      args: 'cat /a/b/c/file /x/y/one; stat -c "%F %a" /a/b /x/y/one /x',
      change: add(
        bind('rootfs/tree', '/a/b/c'),
        bind('./rootfs/tree/file', '/x/y/one'),
        bind('rootfs/tree/file', '/x/y/two', 'ro'),
      ),
      fill: (rootfs) => {
        mkdirSync(path.join(rootfs, 'tree'));
        writeFileSync(path.join(rootfs, 'tree/file'), 'content');
      },
    });
    t.match(output, /^contentcontentdirectory 755\nregular file 644\ndirectory 755$/);
  });

  await t.test('a source that is missing, and filesystem options, are refused', async (t) => {
    expectFailure(t, await rig.run({ change: add(bind('/no/such/source', '/data')) }), {
      message: /\/mounts\/\d+.*\/no\/such\/source/s,
    });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('idmap and ridmap: owners as the mappings say', async (t) => {
    // On the file system of the tests: tmpfs can be id-mapped since Linux 6.3 only.
    const place = rig.fresh('idmap');
    for (const directory of ['', '/sub', '/sub/low', '/low']) mkdirSync(`${place}${directory}`);
    for (const file of ['/sub/zero', '/sub/seven', '/low/zero']) writeFileSync(`${place}${file}`, '');
    chownSync(`${place}/sub/seven`, 7, 8);
    const inner = after(`mount --bind ${place}/low ${place}/sub/low`);
    const mappings = {
      uidMappings: [{ containerID: 0, hostID: 1000, size: 100 }],
      gidMappings: [{ containerID: 0, hostID: 2000, size: 100 }],
    };
    const change = add(
      { ...bind(`${place}/sub`, '/id', 'rbind', 'idmap'), ...mappings },
      { ...bind(`${place}/sub`, '/rid', 'rbind', 'ridmap'), ...mappings },
    );
    const args = 'stat -c %n:%u:%g /id/zero /id/seven /id/low/zero /rid/zero /rid/low/zero';
    t.strictSame((await rig.output(t, { args, change }, inner)).split('\n'), [
      '/id/zero:1000:2000',
      '/id/seven:1007:2008',
      '/id/low/zero:0:0',
      '/rid/zero:1000:2000',
      '/rid/low/zero:1000:2000',
    ]);
    const user = (config: BaseConfig): void => {
      setUserNamespace(config);
      config.mounts.push(bind(`${place}/sub`, '/id', 'idmap'));
    };
    t.equal(
      await rig.output(
        t,
        { args: 'stat -c %u:%g /id/zero /id/seven; touch /id/new && stat -c %u /id/new', change: user },
        inner,
      ),
      '0:0\n7:8\n0',
      'the mappings of the user namespace',
    );
  });
});

live('file systems', async (t, rig) => {
  const tree = makeTree(rig);

  await t.test('tmpfs: mode, size and the mode of what was there', async (t) => {
    const output = await rig.output(t, {
      args: `stat -c %a /given /taken /new /tmp; ${mountinfo('/given', '/ro')}; touch /ro/x 2>&1; dd if=/dev/zero of=/given/f bs=1k count=64 2>&1 | grep -c "No space"`,
      change: add(
        { destination: '/given', type: 'tmpfs', source: 'tmpfs', options: ['mode=1733', 'size=16k', 'nosuid'] },
        { destination: '/taken', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/new', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/ro', type: 'tmpfs', source: 'tmpfs', options: ['ro'] },
      ),
      fill: (rootfs) => {
        mkdirSync(path.join(rootfs, 'taken'));
        chmodSync(path.join(rootfs, 'taken'), 0o2751);
      },
    });
    const lines = output.split('\n');
    t.strictSame(lines.slice(0, 3), ['1733', '2751', '1777'], 'given, taken over, the default of tmpfs');
    t.match(lines[4], /^rw,nosuid.*\|tmpfs\|.*size=16k.*mode=1733/);
    t.match(lines[5], /^ro.*\|tmpfs\|/);
    t.match(lines[6], /Read-only file system/);
    t.equal(lines[7], '1');
  });

  await t.test('tmpcopyup: what was there is in the tmpfs', async (t) => {
    const output = await rig.output(t, {
      args: 'cat /copied/file /copied/sub/inner; readlink /copied/link; stat -c "%a %u:%g" /copied/file /copied; touch /copied/more && ls /copied',
      change: add({ destination: '/copied', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] }),
      fill: (rootfs) => {
        mkdirSync(path.join(rootfs, 'copied/sub'), { recursive: true });
        writeFileSync(path.join(rootfs, 'copied/file'), 'first\n', { mode: 0o640 });
        writeFileSync(path.join(rootfs, 'copied/sub/inner'), 'second\n');
        symlinkSync('/etc/passwd', path.join(rootfs, 'copied/link'));
        chmodSync(path.join(rootfs, 'copied'), 0o750);
      },
    });
    t.equal(output, 'first\nsecond\n/etc/passwd\n640 0:0\n750 0:0\nfile\nlink\nmore\nsub');
  });

  await t.test('overlay: layers, whiteouts, changes in the upper directory', async (t) => {
    const output = await rig.output(t, {
      args: 'cd /overlay; cat a; rm b; echo changed >a; echo new >c; ls',
      fill: (rootfs) => {
        for (const name of ['lower', 'upper', 'work', 'overlay']) mkdirSync(path.join(rootfs, '..', name));
        for (const name of ['a', 'b']) writeFileSync(path.join(rootfs, '../lower', name), `${name}\n`);
      },
      change: (config) => {
        const bundle = '@BUNDLE@';
        config.mounts.push({
          destination: '/overlay',
          type: 'overlay',
          source: 'overlay',
          options: [`lowerdir=${bundle}/lower`, `upperdir=${bundle}/upper`, `workdir=${bundle}/work`],
        });
      },
      text: (config) => JSON.stringify(config).replaceAll('@BUNDLE@', rig.latestBundle()),
    });
    t.equal(output, 'a\na\nc');
    const upper = path.join(rig.latestBundle(), 'upper');
    t.ok(lstatSync(path.join(upper, 'b')).isCharacterDevice(), 'the whiteout');
    t.equal(statSync(path.join(upper, 'c')).size, 4);
  });

  await t.test('proc, sysfs, devpts, mqueue, cgroup as the template has them', async (t) => {
    const places = ['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue', '/sys', '/sys/fs/cgroup'];
    const own = isUnified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/pids';
    const output = await rig.output(t, {
      args: `${mountinfo(...places)}; ls /sys/fs/cgroup | tr '\\n' ' '; mkdir ${own}/x 2>&1; cat ${own}/cgroup.procs | head -1; ls -d ${own}/*`,
    });
    const lines = output.split('\n');
    t.match(lines[0], /^rw.*\|\|proc\|/);
    t.match(lines[1], /^rw,nosuid.*\|\|tmpfs\|.*size=65536k.*mode=755/);
    t.match(lines[2], /^rw,nosuid,noexec.*\|devpts\|.*gid=5.*mode=620.*ptmxmode=666/);
    t.match(lines[3], /nosuid,nodev,noexec.*\|tmpfs\|/);
    t.match(lines[4], /nosuid,nodev,noexec.*\|mqueue\|/);
    t.match(lines[5], /^ro,nosuid,nodev,noexec.*\|sysfs\|/);
    if (isUnified) t.match(lines[6], /^ro,nosuid,nodev,noexec.*\|cgroup2\|/);
    else t.match(lines[6], /^ro,nosuid,nodev,noexec.*\|tmpfs\|/, 'a tmpfs with a directory for each hierarchy');
    t.match(lines[7], isUnified ? /cgroup\.controllers.*cgroup\.procs/ : /memory.*pids/);
    t.match(output, /Read-only file system/);
    // On version 2 that takes a cgroup namespace; without one it sees what the host sees.
    if (!isUnified) t.match(output, /\n1\n/, 'the container sees its own cgroup at the top, with itself in it');
  });

  await t.test('mounts happen in their order; nested mount points are made', async (t) => {
    const output = await rig.output(t, {
      args: 'ls /outer /outer/deep/inner; cat /outer/one',
      change: add(
        { destination: '/outer', type: 'tmpfs', source: 'tmpfs' },
        bind(tree, '/outer/deep/inner'),
        bind(`${tree}/file`, '/outer/one', 'ro'),
      ),
    });
    t.equal(output, '/outer:\ndeep\none\n\n/outer/deep/inner:\nfile\nsub\ncontent');
    const covered = await rig.output(t, {
      args: 'ls /outer',
      change: add(bind(tree, '/outer/inner'), { destination: '/outer', type: 'tmpfs', source: 'tmpfs' }),
    });
    t.equal(covered, '', 'a later mount covers an earlier one');
  });
});
