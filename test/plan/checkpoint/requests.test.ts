import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { planDump, type DumpFacts } from '../../../src/plan/checkpoint/dump.ts';
import type { DumpOptions, RestoreSettings } from '../../../src/plan/checkpoint/options.ts';
import { namespaceFiles, planRestore, type RestoreFacts } from '../../../src/plan/checkpoint/restore.ts';
import type { Config } from '../../../src/spec/generated/config.ts';

/**
 * The goldens are whole requests as JSON. After a change that is meant, write them anew and review the difference:
 *
 *     UPDATE_GOLDENS=1 npx tap run test/plan/checkpoint && git diff test/plan/checkpoint/goldens
 */
const GOLDENS = new URL('goldens/', import.meta.url);
const VERSION = { major: 4, minor: 2, patch: 1 };

const config: Config = {
  ociVersion: '1.3.0',
  root: { path: 'rootfs' },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
    { destination: '/link', type: 'bind', source: 'data', options: ['rbind'] },
    { destination: '/etc/hosts', type: 'none', source: '/srv/hosts', options: ['bind', 'ro'] },
    { destination: '/gone', type: 'bind', source: '/srv/gone' },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup' },
  ],
  linux: {
    namespaces: [
      { type: 'pid' },
      { type: 'mount' },
      { type: 'network', path: '/run/netns/a' },
      { type: 'ipc', path: '/proc/7/ns/ipc' },
    ],
    devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229 }],
    maskedPaths: ['/proc/keys', '/proc/acpi'],
  },
};

const dumpFacts: DumpFacts = {
  pid: 42,
  rootfs: '/bundle/rootfs',
  places: {
    '/link': { inside: '/real', inRootfs: '/real' },
    '/etc/hosts': { inside: '/etc/hosts', inRootfs: '/etc/hosts' },
    '/dev/null': { inside: '/dev/null', inRootfs: '/dev/null' },
    '/dev/fuse': { inside: '/dev/fuse', inRootfs: '/dev/fuse' },
    '/sys/fs/cgroup': { inside: '/sys/fs/cgroup', inRootfs: '/sys/fs/cgroup' },
  },
  maskedFiles: ['/proc/keys'],
  cgroupMounts: ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified', '/elsewhere'],
  descriptors: ['file[2c:8f1]', '/dev/pts/0', 'pipe:[2]'],
  namespaces: { net: '4026531840', pid: '4026531836' },
  freezer: { hostPath: '/sys/fs/cgroup/freezer/c', kind: 'v1' },
};

const restoreFacts: RestoreFacts = {
  root: '/run/tsrun/c/criu-root',
  places: { '/link': '/real', '/etc/hosts': '/etc/hosts', '/dev/fuse': '/dev/fuse' },
  sources: { data: '/bundle/data', '/dev/fuse': '/host/dev/fuse' },
  cgroups: [
    { kind: 'v1', mountPoint: '/sys/fs/cgroup/pids', hostPath: '/sys/fs/cgroup/pids/c' },
    { kind: 'v2', mountPoint: '/sys/fs/cgroup/unified', hostPath: '/sys/fs/cgroup/unified/c' },
  ],
  cgroupMode: 'hybrid',
  descriptors: ['file[2c:8f1]', '/dev/pts/0', 'pipe:[2]'],
};

const EVERYTHING: Required<RestoreSettings> & Required<DumpOptions> = {
  imagePath: '/image',
  workPath: '/work',
  tcpEstablished: true,
  extUnixSk: true,
  shellJob: true,
  fileLocks: true,
  lazyPages: true,
  autoDedup: true,
  manageCgroupsMode: 'ignore',
  networkLock: 'nftables',
  parentPath: '../parent',
  leaveRunning: true,
  preDump: false,
  tcpSkipInFlight: true,
  linkRemap: true,
  pageServer: { address: '::1', port: 27 },
  tcpClose: true,
  lsmProfile: 'apparmor:a',
  lsmMountContext: 'system_u:object_r:a',
};

const dump = (options: Partial<DumpOptions>, change: Partial<Parameters<typeof planDump>[0]> = {}) =>
  planDump({ config, options: { imagePath: '/image', ...options }, facts: dumpFacts, version: VERSION, ...change });
const restore = (settings: Partial<RestoreSettings>, change: Partial<Parameters<typeof planRestore>[0]> = {}) =>
  planRestore({
    config,
    settings: { imagePath: '/image', ...settings },
    facts: restoreFacts,
    version: VERSION,
    ...change,
  });

t.test('planDump() and planRestore() ask for what the config and the options say', (t) => {
  const requests = {
    dump: dump({}),
    'dump-everything': dump(EVERYTHING),
    'pre-dump': dump({ preDump: true }),
    restore: restore({}),
    'restore-everything': restore(EVERYTHING),
  };
  for (const [name, request] of Object.entries(requests)) {
    const file = new URL(`${name}.json`, GOLDENS);
    const text = `${JSON.stringify(request, null, 2)}\n`;
    if (process.env.UPDATE_GOLDENS === '1') {
      mkdirSync(GOLDENS, { recursive: true });
      writeFileSync(file, text);
    }
    t.equal(text, readFileSync(file, 'utf8'), name);
  }
  t.strictSame([...namespaceFiles(config)], [[4, '/run/netns/a']]);
  t.end();
});

t.test('cgroups are external unless the container has a cgroup namespace', (t) => {
  const own = { ...config, linux: { ...config.linux, namespaces: [{ type: 'cgroup' as const }] } };
  const keys = (mounts: readonly { readonly key: string }[]): string[] =>
    mounts.map(({ key }) => key).filter((key) => key.includes('cgroup'));
  t.strictSame(keys(dump({}).options.extMnt), ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified']);
  t.strictSame(keys(dump({}, { config: own }).options.extMnt), []);
  t.strictSame(keys(restore({}).options.extMnt), ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified']);
  t.strictSame(keys(restore({}, { config: own }).options.extMnt), []);
  const unified = { ...restoreFacts, cgroupMode: 'v2' as const, cgroups: restoreFacts.cgroups.slice(1) };
  t.strictSame(keys(restore({}, { facts: unified }).options.extMnt), ['/sys/fs/cgroup']);
  // Without a cgroup namespace /proc/self/cgroup names paths from the root of the host's hierarchy.
  const sources = restore({})
    .options.extMnt.filter(({ key }) => key.includes('cgroup'))
    .map(({ val }) => val);
  t.strictSame(sources, ['/sys/fs/cgroup/pids/c', '/sys/fs/cgroup/unified'], 'its own of v1, and the whole of cgroup2');
  t.end();
});

t.test('the annotation org.criu.config names another configuration of CRIU, or none', (t) => {
  const named = (text: string) => ({ config: { ...config, annotations: { 'org.criu.config': text } } });
  t.equal(dump({}).options.configFile, '/etc/criu/runc.conf');
  t.equal(dump({}, named('/etc/own.conf')).options.configFile, '/etc/own.conf');
  t.equal(restore({}, named('')).options.configFile, undefined);
  t.end();
});

t.test('a CRIU that is too old for something is refused with what is wanted', (t) => {
  const version = (major: number, minor: number) => ({ version: { major, minor, patch: 0 } });
  const message = (what: string, wanted: string) => ({
    code: 'unsupported',
    message: `for ${what}: it is too old, wanted ${wanted}`,
  });
  t.throws(() => dump({}, version(3, 10)), message('a network namespace that is joined by path', '3.11'));
  t.throws(() => restore({}, version(3, 10)), message('a network namespace that is joined by path', '3.11'));
  t.throws(() => restore({ lsmProfile: 'a:b' }, version(3, 15)), message('"--lsm-profile"', '3.16'));
  t.throws(() => restore({ lsmMountContext: 'a' }, version(3, 15)), message('"--lsm-mount-context"', '3.16'));
  t.throws(() => dump({ networkLock: 'skip' }, version(3, 15)), message('"--network-lock"', '3.16'));
  t.ok(dump({}, version(3, 13)).options.freezeCgroup);
  const v2 = { ...dumpFacts, freezer: { hostPath: '/sys/fs/cgroup/c', kind: 'v2' as const } };
  t.equal(dump({}, { ...version(3, 13), facts: v2 }).options.freezeCgroup, undefined, 'CRIU stops it by itself');
  t.equal(dump({}, { ...version(3, 14), facts: v2 }).options.freezeCgroup, '/sys/fs/cgroup/c');
  t.end();
});

t.test('a namespace that CRIU does not join is refused', (t) => {
  const namespaces = [{ type: 'cgroup' as const, path: '/proc/7/ns/cgroup' }];
  t.throws(() => restore({}, { config: { ...config, linux: { namespaces } } }), {
    code: 'unsupported',
    pointer: '/linux/namespaces/0/path',
  });
  t.end();
});
