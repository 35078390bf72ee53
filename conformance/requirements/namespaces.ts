import { readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { NamespaceType } from '../../src/spec/generated/config.ts';
import { put, removeNamespace, setNamespace, setUserNamespace, type BaseConfig } from '../harness/bundle.ts';
import { waitUntil, type Case } from '../harness/case.ts';
import { equal, ok, skipUnless } from '../harness/check.ts';
import { hasNamespace } from '../harness/probe.ts';
import { section, type Requirement } from '../harness/requirement.ts';

/** config-linux.md, "Namespaces" and what belongs to one of them. */

const namespaces = section('config-linux.md', 'Namespaces');
const mappings = section('config-linux.md', 'User namespace mappings');
const timeOffset = section('config-linux.md', 'Offset for Time Namespace');
const hostname = section('config.md', 'Hostname');
const domainname = section('config.md', 'Domainname');

interface Kind {
  readonly type: NamespaceType;
  /** File below /proc/PID/ns, and that for the children of a process where a new one is only for them. */
  readonly file: string;
  readonly childFile?: string;
  /** Option of unshare(1). */
  readonly flag: string;
}

const KINDS: readonly Kind[] = [
  { type: 'pid', file: 'pid', childFile: 'pid_for_children', flag: '--pid' },
  { type: 'network', file: 'net', flag: '--net' },
  { type: 'mount', file: 'mnt', flag: '--mount' },
  { type: 'ipc', file: 'ipc', flag: '--ipc' },
  { type: 'uts', file: 'uts', flag: '--uts' },
  { type: 'user', file: 'user', flag: '--user' },
  { type: 'cgroup', file: 'cgroup', flag: '--cgroup' },
  { type: 'time', file: 'time', childFile: 'time_for_children', flag: '--time' },
];

const HOST_ID = 100_000;

function ownNamespace(file: string): string {
  return readlinkSync(`/proc/self/ns/${file}`);
}

function addNamespace(config: BaseConfig, { type }: Kind): void {
  if (type === 'user') setUserNamespace(config, HOST_ID);
  else setNamespace(config, type);
}

/** A namespace that a process of ours holds: its path. */
async function holdNamespace(c: Case, { type, file, childFile = file, flag }: Kind): Promise<string> {
  const fork = type === 'pid' ? ['--fork', '--kill-child=KILL'] : [];
  const pid = c.background('unshare', flag, ...fork, 'sleep', '1000');
  const held = `/proc/${pid}/ns/${childFile}`;
  const read = (): string => {
    try {
      return readlinkSync(held);
    } catch {
      return '';
    }
  };
  await waitUntil(() => !['', ownNamespace(file)].includes(read()), `unshare ${flag} makes a namespace`, read);
  if (type === 'user')
    for (const name of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${name}`, `0 ${HOST_ID} 65536`);
  return held;
}

const needs = ({ type, file }: Kind): void => {
  skipUnless(hasNamespace(file), `the kernel has no ${type} namespaces`);
};

function newNamespace(kind: Kind): Requirement {
  const { type, file } = kind;
  return namespaces.must(`namespace.${type}.new`, `a ${type} namespace without a path is a new one`, async (c) => {
    needs(kind);
    const found = await c.observe(`readlink /proc/self/ns/${file}`, (config) => {
      addNamespace(config, kind);
    });
    ok(found.includes('[') && found !== ownNamespace(file), `the container's ${type} namespace is new`, found);
  });
}

function joinedNamespace(kind: Kind): Requirement {
  const { type, file } = kind;
  return namespaces.must(`namespace.${type}.path`, `a ${type} namespace with a path is joined`, async (c) => {
    needs(kind);
    const held = await holdNamespace(c, kind);
    const wanted = readlinkSync(held);
    const found = await c.observe(`readlink /proc/self/ns/${file}`, (config) => {
      setNamespace(config, type, { path: held });
    });
    equal(found, wanted, `the container's ${type} namespace`);
  });
}

function inheritedNamespace(kind: Kind): Requirement {
  const { type, file } = kind;
  const title = `a ${type} namespace that is not listed is the runtime's own`;
  return namespaces.must(`namespace.${type}.absent`, title, async (c) => {
    needs(kind);
    if (type === 'mount') return checkInheritedMounts(c);
    const found = await c.observe(`readlink /proc/self/ns/${file}`, (config) => {
      removeNamespace(config, type);
    });
    equal(found, ownNamespace(file), `the ${type} namespace`);
  });
}

/** The runtime runs in a mount namespace that is only there for it: what such a container mounts stays in it. */
async function checkInheritedMounts(c: Case): Promise<void> {
  const bundle = c.bundle({
    change: (config) => {
      removeNamespace(config, 'mount');
      config.mounts = [];
    },
  });
  const script = 'mount --rbind /proc "$0/rootfs/proc"; readlink /proc/self/ns/mnt; exec "$@"';
  const { container, result } = await c.tryCreate({
    bundle,
    under: ['unshare', '--mount', 'sh', '-c', script, bundle],
  });
  equal(result.code, 0, `create: ${result.stderr}`);
  equal(readlinkSync(`/proc/${container.pid}/ns/mnt`), container.output().trim(), 'the mount namespace');
}

function duplicateNamespace(kind: Kind): Requirement {
  const { type } = kind;
  return namespaces.must(`namespace.${type}.duplicate`, `two entries of the type ${type} are an error`, (c) => {
    needs(kind);
    return c.refuses(`two ${type} namespaces`, (config) => {
      addNamespace(config, kind);
      config.linux.namespaces.push({ type });
    });
  });
}

function wrongNamespace(kind: Kind): Requirement {
  const { type } = kind;
  const other = type === 'network' ? 'ipc' : 'net';
  const title = `a path to a namespace of another type than ${type} is an error`;
  return namespaces.must(`namespace.${type}.wrong-path`, title, (c) => {
    needs(kind);
    return c.refuses(title, (config) => {
      setNamespace(config, type, { path: `/proc/${process.pid}/ns/${other}` });
    });
  });
}

const general: readonly Requirement[] = [
  namespaces.must(
    'namespace.path.relative',
    'a relative path is an error',
    (c) =>
      c.refuses('a relative path', (config) => {
        setNamespace(config, 'network', { path: `../../../../../../proc/${process.pid}/ns/net` });
      }),
    { says: 'The path is to be absolute, and values that are not valid are errors (config.md, Valid values).' },
  ),
  namespaces.must('namespace.path.missing', 'a path where nothing is, is an error', (c) =>
    c.refuses('a missing path', (config) => {
      setNamespace(config, 'network', { path: c.fresh('nothing') });
    }),
  ),
  namespaces.must('namespace.path.file', 'a path to a file that is no namespace is an error', (c) => {
    const file = c.fresh('file');
    writeFileSync(file, '');
    return c.refuses('a file', (config) => {
      setNamespace(config, 'network', { path: file });
    });
  }),
  namespaces.must('namespace.unknown', 'an unknown type of namespace is an error', (c) =>
    c.refuses('an unknown type', (config) => {
      put(config.linux, { namespaces: [...config.linux.namespaces, { type: 'nonsense' }] });
    }),
  ),
  namespaces.must('namespace.pid.first', 'the program is pid 1 of a new pid namespace', async (c) => {
    equal(await c.observe('echo $$'), '1', 'its pid');
  }),
  namespaces.must(
    'namespace.network.empty',
    'a new network namespace has only devices that the kernel makes',
    async (c) => {
      const found = await c.observe('cat /proc/net/dev | sed -n "s/^ *\\(.*\\):.*/\\1/p" | grep "^eth"; true');
      equal(found, '', 'Ethernet devices');
    },
  ),
];

const maps: readonly Requirement[] = (['uid', 'gid'] as const).map((kind) =>
  mappings.must(`user.${kind}-map`, `${kind}Mappings are the map of the user namespace`, async (c) => {
    skipUnless(hasNamespace('user'), 'the kernel has no user namespaces');
    const found = await c.observe(`cat /proc/self/${kind}_map`, (config) => {
      setUserNamespace(config, HOST_ID);
      config.linux[`${kind}Mappings`] = [
        { containerID: 0, hostID: HOST_ID, size: 1000 },
        { containerID: 5000, hostID: 200_000, size: 10 },
      ];
    });
    const lines = found.split('\n').map((line) => line.trim().split(/\s+/).join(' '));
    equal(lines, [`0 ${HOST_ID} 1000`, '5000 200000 10'], `${kind}_map`);
  }),
);

const user: readonly Requirement[] = [
  ...maps,
  mappings.must('user.root', 'the root of a user namespace is the mapped user outside', async (c) => {
    const container = await c.start({
      script: 'id -u; sleep 1000',
      change: (config) => {
        setUserNamespace(config, HOST_ID);
      },
    });
    await container.waitForOutput('0');
    const ids = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${container.pid}/status`, 'utf8'))?.[1];
    equal(ids, String(HOST_ID), 'its uid outside');
  }),
  mappings.should('user.ownership', 'the owner of the root file system stays who it was', async (c) => {
    const container = await c.start({
      change: (config) => {
        setUserNamespace(config, HOST_ID);
      },
    });
    for (const name of ['.', 'etc', 'etc/passwd', 'bin/busybox'])
      equal(statSync(path.join(container.bundle, 'rootfs', name)).uid, 0, `owner of ${name}`);
  }),
];

const offsets = (['monotonic', 'boottime'] as const).map((clock) =>
  timeOffset.must(`time.${clock}`, `the offset of ${clock} is that of the time namespace`, async (c) => {
    skipUnless(hasNamespace('time'), 'the kernel has no time namespaces');
    const found = await c.observe('cat /proc/self/timens_offsets', (config) => {
      setNamespace(config, 'time');
      config.linux.timeOffsets = { [clock]: { secs: 86_400, nanosecs: 1000 } };
    });
    const line = found.split('\n').find((text) => text.startsWith(clock)) ?? found;
    equal(line.trim().split(/\s+/), [clock, '86400', '1000'], 'timens_offsets');
  }),
);

const names: readonly Requirement[] = [
  hostname.must('hostname', 'the hostname is that of the config', async (c) => {
    equal(await c.observe('hostname', (config) => (config.hostname = 'conformance')), 'conformance', 'hostname');
  }),
  hostname.must('hostname.host-kept', 'the hostname of the machine stays', async (c) => {
    const before = readFileSync('/proc/sys/kernel/hostname', 'utf8');
    await c.observe('true', (config) => (config.hostname = 'conformance'));
    equal(readFileSync('/proc/sys/kernel/hostname', 'utf8'), before, 'hostname');
  }),
  domainname.must('domainname', 'the domainname is that of the config', async (c) => {
    const found = await c.observe(
      'cat /proc/sys/kernel/domainname',
      (config) => (config.domainname = 'conformance.org'),
    );
    equal(found, 'conformance.org', 'domainname');
  }),
];

export const namespaceRequirements: readonly Requirement[] = [
  ...KINDS.flatMap((kind) => [newNamespace(kind), joinedNamespace(kind), inheritedNamespace(kind)]),
  ...KINDS.flatMap((kind) => [duplicateNamespace(kind), wrongNamespace(kind)]),
  ...general,
  ...user,
  ...offsets,
  ...names,
];
