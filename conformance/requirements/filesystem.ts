import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Device } from '../../src/spec/generated/config.ts';
import { put } from '../harness/bundle.ts';
import { equal, match, ok } from '../harness/check.ts';
import { mountAt } from '../harness/probe.ts';
import { section, type Requirement } from '../harness/requirement.ts';

/** Root file system, mounts, devices and hidden paths: config.md, config-linux.md and runtime-linux.md. */

const root = section('config.md', 'Root');
const mounts = section('config.md', 'Mounts');
const posixMounts = section('config.md', 'POSIX-platform Mounts');
const devices = section('config-linux.md', 'Devices');
const defaultDevices = section('config-linux.md', 'Default Devices');
const links = section('runtime-linux.md', 'Dev symbolic links');
const masked = section('config-linux.md', 'Masked Paths');
const readonly = section('config-linux.md', 'Readonly Paths');
const propagation = section('config-linux.md', 'Rootfs Mount Propagation');

const rootRequirements: readonly Requirement[] = [
  root.must('root.readonly', 'a read-only root cannot be written', async (c) => {
    const found = await c.observe('touch /new 2>&1; echo $?', (config) => (config.root.readonly = true));
    match(found, /Read-only file system/, 'touch');
  }),
  root.must('root.writable', 'without readonly the root can be written', async (c) => {
    equal(await c.observe('touch /new && ls /new'), '/new', 'touch');
  }),
  root.must('root.path.absolute', 'an absolute path is the root', async (c) => {
    const found = await c.observe('ls /marker', (config, rootfs) => {
      writeFileSync(path.join(rootfs, 'marker'), '');
      config.root.path = rootfs;
    });
    equal(found, '/marker', 'ls');
  }),
  root.must('root.path.missing', 'a path where nothing is, is an error', (c) =>
    c.refuses('a missing root', (config) => (config.root.path = 'nothing')),
  ),
  root.must('root.path.file', 'a path to a file is an error', (c) =>
    c.refuses('a root that is a file', (config) => (config.root.path = 'config.json')),
  ),
];

const mountRequirements: readonly Requirement[] = [
  mounts.must('mounts.order', 'mounts are made in the listed order', async (c) => {
    const found = await c.observe(
      'ls -A /m; ls -A /m/inner 2>/dev/null; grep -c " /m" /proc/self/mountinfo',
      (config) => {
        config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'one', options: ['mode=755'] });
        config.mounts.push({ destination: '/m/inner', type: 'tmpfs', source: 'two', options: ['mode=755'] });
      },
    );
    equal(found, 'inner\n2', 'what is in /m, and mounts there');
  }),
  mounts.must('mounts.order.cover', 'a later mount covers an earlier one', async (c) => {
    const found = await c.observe('cat /proc/self/mountinfo', (config) => {
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'first', options: ['size=4096k'] });
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'second', options: ['size=8192k'] });
    });
    ok(mountAt(found, '/m')?.superOptions.includes('size=8192k') === true, 'the second is on top', found);
  }),
  mounts.must('mounts.relative', 'a relative destination is one below the root', async (c) => {
    const found = await c.observe('cat /proc/self/mountinfo', (config) => {
      config.process.cwd = '/etc';
      config.mounts.push({ destination: 'm', type: 'tmpfs', source: 'tmpfs' });
    });
    equal(mountAt(found, '/m')?.type, 'tmpfs', 'type of the mount at /m');
  }),
  mounts.must('mounts.bind.relative', 'a relative source of a bind mount is one in the bundle', async (c) => {
    const container = await c.create({
      script: 'cat /m/file',
      change: (config, rootfs) => {
        mkdirSync(path.join(rootfs, '../volume'));
        writeFileSync(path.join(rootfs, '../volume/file'), 'from the bundle');
        config.mounts.push({ destination: '/m', type: 'bind', source: 'volume', options: ['bind'] });
      },
    });
    await container.start();
    await container.waitForEnd();
    equal(container.output(), 'from the bundle', 'the file');
  }),
  mounts.must('mounts.bind.file', 'a file can be bind-mounted on a file', async (c) => {
    const source = c.fresh('file');
    writeFileSync(source, 'bound');
    const found = await c.observe('cat /etc/passwd', (config) =>
      config.mounts.push({ destination: '/etc/passwd', type: 'bind', source, options: ['bind'] }),
    );
    equal(found, 'bound', '/etc/passwd');
  }),
  mounts.must('mounts.bind.missing', 'a bind mount of what is not there is an error', (c) =>
    c.refuses('a missing source', (config) =>
      config.mounts.push({ destination: '/m', type: 'bind', source: c.fresh('nothing'), options: ['bind'] }),
    ),
  ),
  mounts.must('mounts.bind.readonly', 'a read-only bind mount cannot be written', async (c) => {
    const source = c.fresh('volume');
    mkdirSync(source);
    const found = await c.observe('touch /m/new 2>&1; true', (config) =>
      config.mounts.push({ destination: '/m', type: 'bind', source, options: ['bind', 'ro'] }),
    );
    match(found, /Read-only file system/, 'touch');
  }),
  mounts.must('mounts.data', 'options of the file system reach it', async (c) => {
    const found = await c.observe('stat -c %a /m', (config) =>
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', options: ['mode=1712'] }),
    );
    equal(found, '1712', 'mode of the tmpfs');
  }),
  ...(['uidMappings', 'gidMappings'] as const).map((name) =>
    posixMounts.must(`mounts.${name}.alone`, `${name} of a mount without the other is an error`, (c) => {
      const source = c.fresh('volume');
      mkdirSync(source);
      return c.refuses(`${name} alone`, (config) => {
        const ids = [{ containerID: 0, hostID: 1000, size: 1 }];
        config.mounts.push({ destination: '/m', type: 'bind', source, options: ['bind', 'idmap'], [name]: ids });
      });
    }),
  ),
  posixMounts.should('mounts.idmap', 'the owners in an idmapped mount are mapped', async (c) => {
    const source = c.fresh('volume');
    mkdirSync(source);
    // Support of the file system is what is probed here, with the option of mount(8) for it.
    writeFileSync(path.join(source, 'file'), '');
    const found = await c.observe('stat -c %u:%g /m/file', (config) => {
      const ids = [{ containerID: 0, hostID: 3000, size: 10 }];
      config.mounts.push({
        destination: '/m',
        type: 'bind',
        source,
        options: ['bind', 'idmap'],
        uidMappings: ids,
        gidMappings: ids,
      });
    });
    equal(found, '3000:3000', 'owner of a file of root');
  }),
];

const DEFAULT_DEVICES: readonly (readonly [name: string, numbers: string])[] = [
  ['null', '1,3'],
  ['zero', '1,5'],
  ['full', '1,7'],
  ['random', '1,8'],
  ['urandom', '1,9'],
  ['tty', '5,0'],
];

const DEV_LINKS: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
];

const defaults: readonly Requirement[] = [
  ...DEFAULT_DEVICES.map(([name, numbers]) =>
    defaultDevices.must(`device.default.${name}`, `/dev/${name} is there`, async (c) => {
      equal(await c.observe(`stat -c "%F %t,%T" /dev/${name}`), `character special file ${numbers}`, `/dev/${name}`);
    }),
  ),
  defaultDevices.must('device.default.ptmx', '/dev/ptmx is that of /dev/pts', async (c) => {
    const found = await c.observe('readlink /dev/ptmx || grep " /dev/ptmx " /proc/self/mountinfo');
    match(found, /^(\/dev\/)?pts\/ptmx$| \/dev\/ptmx .*devpts/, '/dev/ptmx');
  }),
  defaultDevices.must('device.default.usable', 'the default devices can be opened', async (c) => {
    const found = await c.observe(
      'echo x > /dev/null && head -c 2 /dev/zero | wc -c && head -c 3 /dev/urandom | wc -c',
    );
    equal(found, '2\n3', 'bytes read');
  }),
  ...DEV_LINKS.map(([name, target]) =>
    links.must(`dev-link.${name}`, `/dev/${name} points to ${target}`, async (c) => {
      equal(await c.observe(`readlink /dev/${name}`), target, `/dev/${name}`);
    }),
  ),
];

const DEVICES: readonly (readonly [name: string, device: Omit<Device, 'path'>, kind: string])[] = [
  ['c', { type: 'c', major: 1, minor: 3 }, 'character special file 1,3'],
  ['u', { type: 'u', major: 1, minor: 5 }, 'character special file 1,5'],
  ['b', { type: 'b', major: 7, minor: 99 }, 'block special file 7,63'],
  ['p', { type: 'p' }, 'fifo 0,0'],
];

const configured: readonly Requirement[] = [
  ...DEVICES.map(([name, device, kind]) =>
    devices.must(`device.type.${name}`, `a device of the type ${name} is made`, async (c) => {
      const found = await c.observe('stat -c "%F %t,%T" /dev/made', (config) => {
        config.linux.devices = [{ ...device, path: '/dev/made' }];
      });
      equal(found, kind, '/dev/made');
    }),
  ),
  devices.must('device.mode', 'a device has its fileMode whatever the umask', async (c) => {
    const found = await c.observe('stat -c %a /dev/made', (config) => {
      config.linux.devices = [{ type: 'c', major: 1, minor: 3, path: '/dev/made', fileMode: 0o626 }];
    });
    equal(found, '626', 'mode');
  }),
  devices.must('device.owner', 'a device has its uid and gid', async (c) => {
    const found = await c.observe('stat -c %u:%g /dev/made', (config) => {
      config.linux.devices = [{ type: 'c', major: 1, minor: 3, path: '/dev/made', fileMode: 0o600, uid: 12, gid: 34 }];
    });
    equal(found, '12:34', 'owner');
  }),
  devices.must('device.directory', 'a device can be below a directory that is not there', async (c) => {
    const found = await c.observe('stat -c %F /dev/one/two', (config) => {
      config.linux.devices = [{ type: 'c', major: 1, minor: 3, path: '/dev/one/two', fileMode: 0o666 }];
    });
    equal(found, 'character special file', 'type');
  }),
  devices.must(
    'device.mismatch',
    'another file at the path of a device is an error',
    (c) =>
      c.refuses('a regular file at the path', (config, rootfs) => {
        config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith('/dev'));
        writeFileSync(path.join(rootfs, 'dev/made'), 'a file');
        config.linux.devices = [{ type: 'c', major: 1, minor: 3, path: '/dev/made', fileMode: 0o666 }];
      }),
    { says: 'A file that is there already and is not the device asked for makes the runtime give an error.' },
  ),
  devices.must('device.invalid-type', 'an unknown type of device is an error', (c) =>
    c.refuses('the type x', (config) => {
      put(config.linux, { devices: [{ type: 'x', major: 1, minor: 3, path: '/dev/made' }] });
    }),
  ),
];

const invalid = 'The paths are to be absolute, and values that are not valid are errors (config.md, Valid values).';

const hidden: readonly Requirement[] = [
  masked.must('masked.file', 'a masked file cannot be read', async (c) => {
    const found = await c.observe('cat /secret 2>/dev/null; ls / | grep secret', (config, rootfs) => {
      writeFileSync(path.join(rootfs, 'secret'), 'secret text');
      config.linux.maskedPaths = ['/secret'];
    });
    equal(found, 'secret', 'what is read, and the name');
  }),
  masked.must('masked.directory', 'a masked directory is empty', async (c) => {
    const found = await c.observe('ls -A /hidden 2>/dev/null; cat /hidden/file 2>/dev/null; true', (config, rootfs) => {
      mkdirSync(path.join(rootfs, 'hidden'));
      writeFileSync(path.join(rootfs, 'hidden/file'), 'secret text');
      config.linux.maskedPaths = ['/hidden'];
    });
    equal(found, '', 'what is in it');
  }),
  masked.must(
    'masked.relative',
    'a relative masked path is an error',
    (c) => c.refuses('a relative path', (config) => (config.linux.maskedPaths = ['etc/passwd'])),
    { says: invalid },
  ),
  readonly.must('readonly.file', 'a read-only file can be read and not written', async (c) => {
    const found = await c.observe('cat /kept; (echo x > /kept) 2>&1; true', (config, rootfs) => {
      writeFileSync(path.join(rootfs, 'kept'), 'kept\n');
      config.linux.readonlyPaths = ['/kept'];
    });
    match(found, /^kept\n.*Read-only file system/, 'cat and echo');
  }),
  readonly.must('readonly.directory', 'in a read-only directory nothing can be made', async (c) => {
    const found = await c.observe('touch /etc/new 2>&1; true', (config) => (config.linux.readonlyPaths = ['/etc']));
    match(found, /Read-only file system/, 'touch');
  }),
  readonly.must('readonly.flags', 'a read-only path on a mount keeps the flags of that mount', async (c) => {
    const found = await c.observe('cat /proc/self/mountinfo', (config) => {
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'noexec'] });
      config.linux.readonlyPaths = ['/m'];
    });
    const { options = [] } = mountAt(found, '/m') ?? {};
    for (const flag of ['ro', 'nosuid', 'nodev', 'noexec']) ok(options.includes(flag), flag, options.join());
  }),
  readonly.must(
    'readonly.relative',
    'a relative read-only path is an error',
    (c) => c.refuses('a relative path', (config) => (config.linux.readonlyPaths = ['etc/passwd'])),
    { says: invalid },
  ),
];

const PROPAGATIONS: readonly (readonly [word: 'shared' | 'slave' | 'private' | 'unbindable', wanted: RegExp])[] = [
  ['shared', /^shared:\d+/],
  ['slave', /^(master:\d+)?$/],
  ['private', /^$/],
  ['unbindable', /^unbindable$/],
];

const propagations = PROPAGATIONS.map(([word, wanted]) =>
  propagation.must(`propagation.${word}`, `the root has the propagation ${word}`, async (c) => {
    const mountinfo = await c.observe('cat /proc/self/mountinfo', (config) => (config.linux.rootfsPropagation = word));
    match(mountAt(mountinfo, '/')?.propagation.join(' ') ?? 'no mount', wanted, 'the propagation of /');
  }),
);

const nothingMade = mounts.must('mounts.host', 'no mount of a container shows on the machine', async (c) => {
  const place = c.fresh('volume');
  mkdirSync(place);
  const before = statSync(place).dev;
  const container = await c.create({
    change: (config) => {
      config.mounts.push({ destination: '/m', type: 'bind', source: place, options: ['rbind', 'rslave'] });
      config.mounts.push({ destination: '/m/below', type: 'tmpfs', source: 'tmpfs' });
    },
  });
  equal((await container.state()).status, 'created', 'status');
  equal(statSync(path.join(place, 'below')).dev, before, 'the file system of the directory below on the machine');
});

export const filesystemRequirements: readonly Requirement[] = [
  ...rootRequirements,
  ...mountRequirements,
  nothingMade,
  ...defaults,
  ...configured,
  ...hidden,
  ...propagations,
];
