import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { put, setNamespace, type BaseConfig } from '../harness/bundle.ts';
import { equal, match, ok, skipUnless } from '../harness/check.ts';
import { section, type Requirement } from '../harness/requirement.ts';

/** What holds for config.json as a whole, and the smaller sections of config-linux.md. */

const bundle = section('bundle.md', 'Filesystem Bundle');
const version = section('config.md', 'Specification version');
const extensibility = section('config.md', 'Extensibility');
const valid = section('config.md', 'Valid values');
const annotations = section('config.md', 'Annotations');
const sysctl = section('config-linux.md', 'Sysctl');
const personality = section('config-linux.md', 'Personality');
const memoryPolicy = section('config-linux.md', 'Memory policy');
const intelRdt = section('config-linux.md', 'IntelRdt');
const netDevices = section('config-linux.md', 'Network Devices');
const descriptors = section('runtime-linux.md', 'File descriptors');

const whole: readonly Requirement[] = [
  bundle.must('bundle.config.missing', 'a bundle without config.json is an error', async (c) => {
    const directory = c.bundle();
    rmSync(path.join(directory, 'config.json'));
    const { result } = await c.tryCreate({ bundle: directory });
    ok(result.code !== 0, 'create is an error', result.code);
  }),
  ...[
    ['empty', ''],
    ['cut', '{"ociVersion": "1.0.2", "process": {'],
    ['array', '[]'],
  ].map(([name, text = '']) =>
    valid.must(`config.json.${name}`, `a config.json that is ${JSON.stringify(text)} is an error`, async (c) => {
      const { result } = await c.tryCreate({ text: () => text });
      ok(result.code !== 0, 'create is an error', result.code);
    }),
  ),
  version.must('config.version.1.0.0', 'a config of version 1.0.0 is accepted', async (c) => {
    equal(await c.observe('echo up', (config) => (config.ociVersion = '1.0.0')), 'up', 'output');
  }),
  version.must(
    'config.version.no-semver',
    'an ociVersion that is no SemVer is an error',
    (c) => c.refuses('the version "one"', (config) => (config.ociVersion = 'one')),
    {
      says: 'The version is to be in the format of SemVer 2.0.0, and values that are not valid are errors (Valid values).',
    },
  ),
  version.must('config.version.type', 'an ociVersion that is a number is an error', (c) =>
    c.refuses('the version 1', (config) => {
      put(config, { ociVersion: 1 });
    }),
  ),
];

const PLACES: readonly (readonly [name: string, place: (config: BaseConfig) => object])[] = [
  ['top', (config) => config],
  ['process', (config) => config.process],
  ['root', (config) => config.root],
  ['linux', (config) => config.linux],
  ['mounts', (config) => config.mounts[0] ?? config],
];

const unknown: readonly Requirement[] = PLACES.map(([name, place]) =>
  extensibility.must(`config.unknown.${name}`, `an unknown property is ignored: ${name}`, async (c) => {
    const found = await c.observe('echo up', (config) => {
      put(place(config), { propertyOfTheFuture: { a: [1] } });
    });
    equal(found, 'up', 'output');
  }),
);

const annotated: readonly Requirement[] = [
  annotations.must('annotations.unknown', 'an unknown annotation is ignored', async (c) => {
    const found = await c.observe('echo up', (config) => (config.annotations = { 'org.example.unknown': 'x' }));
    equal(found, 'up', 'output');
  }),
  annotations.must('annotations.empty-value', 'a value may be empty', async (c) => {
    const container = await c.create({ change: (config) => (config.annotations = { 'org.example.a': '' }) });
    equal((await container.state()).annotations?.['org.example.a'], '', 'the annotation');
  }),
  annotations.must('annotations.number', 'a value that is a number is an error', (c) =>
    c.refuses('a number', (config) => {
      put(config, { annotations: { 'org.example.a': 1 } });
    }),
  ),
  annotations.must(
    'annotations.empty-key',
    'an empty key is an error',
    (c) => c.refuses('an empty key', (config) => (config.annotations = { '': 'x' })),
    { says: 'Keys are not to be empty, and values that are not valid are errors (Valid values).' },
  ),
];

const WRONG: readonly (readonly [name: string, change: (config: BaseConfig) => void])[] = [
  [
    'process',
    (config) => {
      put(config, { process: 'sh' });
    },
  ],
  [
    'process.args',
    (config) => {
      put(config.process, { args: 'sh' });
    },
  ],
  [
    'process.env',
    (config) => {
      put(config.process, { env: { PATH: '/bin' } });
    },
  ],
  [
    'process.cwd',
    (config) => {
      put(config.process, { cwd: 7 });
    },
  ],
  [
    'process.terminal',
    (config) => {
      put(config.process, { terminal: 'no' });
    },
  ],
  [
    'process.rlimits',
    (config) => {
      put(config.process, { rlimits: [{ type: 'RLIMIT_CORE', soft: -1, hard: 0 }] });
    },
  ],
  [
    'process.capabilities',
    (config) => {
      put(config.process, { capabilities: ['CAP_KILL'] });
    },
  ],
  [
    'process.oomScoreAdj',
    (config) => {
      put(config.process, { oomScoreAdj: 5000 });
    },
  ],
  [
    'root',
    (config) => {
      put(config, { root: 'rootfs' });
    },
  ],
  [
    'root.readonly',
    (config) => {
      put(config.root, { readonly: 'yes' });
    },
  ],
  [
    'hostname',
    (config) => {
      put(config, { hostname: 7 });
    },
  ],
  [
    'mounts',
    (config) => {
      put(config, { mounts: {} });
    },
  ],
  [
    'mounts.options',
    (config) => {
      put(config.mounts[0] ?? {}, { options: 'ro' });
    },
  ],
  [
    'mounts.destination',
    (config) => {
      config.mounts.push({ type: 'tmpfs', source: 'tmpfs' } as never);
    },
  ],
  [
    'linux.namespaces',
    (config) => {
      put(config.linux, { namespaces: 'all' });
    },
  ],
  [
    'linux.rootfsPropagation',
    (config) => {
      put(config.linux, { rootfsPropagation: 'nonsense' });
    },
  ],
  [
    'linux.maskedPaths',
    (config) => {
      put(config.linux, { maskedPaths: '/proc' });
    },
  ],
  [
    'linux.uidMappings',
    (config) => {
      put(config.linux, { uidMappings: [{ containerID: -1, hostID: 0, size: 1 }] });
    },
  ],
];

const wrong: readonly Requirement[] = WRONG.map(([name, change]) =>
  valid.must(
    `config.invalid.${name}`,
    `a value of ${name} that is not valid is an error`,
    (c) => c.refuses(`${name} is not valid`, change, { at: 'create or start' }),
    { says: 'Whatever is not valid or not supported is an error.' },
  ),
);

const sysctls: readonly Requirement[] = [
  sysctl.must('sysctl.ipc', 'a kernel parameter of the ipc namespace is set', async (c) => {
    const found = await c.observe(
      'cat /proc/sys/kernel/shmmni',
      (config) => (config.linux.sysctl = { 'kernel.shmmni': '4321' }),
    );
    equal(found, '4321', 'kernel.shmmni');
  }),
  sysctl.must('sysctl.network', 'a kernel parameter of the network namespace is set', async (c) => {
    const found = await c.observe('cat /proc/sys/net/ipv4/ip_forward', (config) => {
      config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
    });
    equal(found, '1', 'net.ipv4.ip_forward');
  }),
  sysctl.must('sysctl.unknown', 'a kernel parameter that does not exist is an error', (c) =>
    c.refuses('net.nonsense', (config) => (config.linux.sysctl = { 'net.nonsense': '1' })),
  ),
  sysctl.must('sysctl.invalid', 'a value that the kernel refuses is an error', (c) =>
    c.refuses('text for a number', (config) => (config.linux.sysctl = { 'net.ipv4.ip_forward': 'text' })),
  ),
];

function showLink(name: string): string {
  return `ip link show ${name} 2>&1`;
}

const network: readonly Requirement[] = [
  netDevices.must('net-device.moved', 'a network device is in the container, and up', async (c) => {
    await c.prepare('ip', 'link', 'add', 'conf0', 'type', 'veth', 'peer', 'name', 'conf1');
    const found = await c.observe(showLink('conf0'), (config) => {
      put(config.linux, { netDevices: { conf0: {} } });
    });
    match(found, /conf0.*[<,]UP[,>]/, 'ip link show conf0');
  }),
  netDevices.must('net-device.name', 'a network device has its new name in the container', async (c) => {
    await c.prepare('ip', 'link', 'add', 'conf2', 'type', 'veth', 'peer', 'name', 'conf3');
    const found = await c.observe(showLink('inner0'), (config) => {
      put(config.linux, { netDevices: { conf2: { name: 'inner0' } } });
    });
    match(found, /inner0/, 'ip link show inner0');
  }),
  netDevices.must('net-device.address', 'a network device keeps its permanent addresses', async (c) => {
    await c.prepare('ip', 'link', 'add', 'conf4', 'type', 'veth', 'peer', 'name', 'conf5');
    await c.prepare('ip', 'address', 'add', '10.44.0.1/24', 'dev', 'conf4');
    const found = await c.observe('ip address show conf4 2>&1', (config) => {
      put(config.linux, { netDevices: { conf4: {} } });
    });
    match(found, /10\.44\.0\.1\/24/, 'ip address show conf4');
  }),
  netDevices.must('net-device.missing', 'a network device that does not exist is an error', (c) =>
    c.refuses('a missing device', (config) => {
      put(config.linux, { netDevices: { nothing0: {} } });
    }),
  ),
  netDevices.must('net-device.clash', 'a name that exists in the container is an error', async (c) => {
    await c.prepare('ip', 'link', 'add', 'conf6', 'type', 'veth', 'peer', 'name', 'conf7');
    await c.refuses('the name lo', (config) => {
      put(config.linux, { netDevices: { conf6: { name: 'lo' } } });
    });
  }),
];

const rest: readonly Requirement[] = [
  personality.must('personality.linux32', 'the execution domain is LINUX32', async (c) => {
    const found = await c.observe('uname -m', (config) => {
      put(config.linux, { personality: { domain: 'LINUX32' } });
    });
    skipUnless(process.arch === 'x64' || process.arch === 'arm64', 'this machine has no other name for 32 bits');
    match(found, /^(i\d86|armv\dl|armv8l)$/, 'uname -m');
  }),
  personality.must('personality.invalid', 'an unknown execution domain is an error', (c) =>
    c.refuses('NONSENSE', (config) => {
      put(config.linux, { personality: { domain: 'NONSENSE' } });
    }),
  ),
  memoryPolicy.must('memory-policy', 'the memory policy is that of the config', async (c) => {
    skipUnless(existsSync('/proc/self/numa_maps'), 'the kernel has no NUMA');
    const found = await c.observe('cat /proc/self/numa_maps', (config) => {
      put(config.linux, { memoryPolicy: { mode: 'MPOL_INTERLEAVE', nodes: '0' } });
    });
    match(found, /interleave:0/, 'numa_maps');
  }),
  memoryPolicy.must('memory-policy.invalid', 'an unknown memory policy is an error', (c) =>
    c.refuses('MPOL_NONSENSE', (config) => {
      put(config.linux, { memoryPolicy: { mode: 'MPOL_NONSENSE', nodes: '0' } });
    }),
  ),
  intelRdt.must('intel-rdt.absent', 'intelRdt without a mounted resctrl is an error', (c) => {
    skipUnless(!readFileSync('/proc/self/mountinfo', 'utf8').includes(' - resctrl '), 'resctrl is mounted here');
    return c.refuses('intelRdt', (config) => {
      put(config.linux, { intelRdt: { closID: 'conformance', l3CacheSchema: 'L3:0=f' } });
    });
  }),
  intelRdt.must('intel-rdt.newline', 'a memory bandwidth schema with a newline is an error', (c) =>
    c.refuses('a newline', (config) => {
      put(config.linux, { intelRdt: { closID: 'x', memBwSchema: 'MB:0=20\nL3:0=1' } });
    }),
  ),
  descriptors.must('descriptors', 'the program has no descriptors but the first three', async (c) => {
    // The one with which the shell lists the directory is gone when it looks whether it is there; 10 is the shell's own. A pipe
    // to sort(1) would be two more.
    const found = await c.observe('for fd in /proc/$$/fd/*; do [ ! -L $fd ] || echo ${fd##*/}; done');
    equal(
      found.split('\n').filter((fd) => Number(fd) > 2 && Number(fd) !== 10),
      [],
      'descriptors',
    );
  }),
  section('config-linux.md', 'Namespaces').must(
    'namespace.ipc.separate',
    'two containers have two ipc namespaces',
    async (c) => {
      const read = (): Promise<string> =>
        c.observe('readlink /proc/self/ns/ipc; sleep 0.1', (config) => {
          setNamespace(config, 'ipc');
        });
      const [one, two] = await Promise.all([read(), read()]);
      ok(one !== two, 'they differ', one);
    },
  ),
];

export const configRequirements: readonly Requirement[] = [
  ...whole,
  ...unknown,
  ...annotated,
  ...wrong,
  ...sysctls,
  ...network,
  ...rest,
];
