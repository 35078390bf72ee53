import t from 'tap';
import { cgroupPlaces } from '../../src/plan/base/cgroup-layout.ts';
import { diagnose, type Diagnosis, type DiagnosisFacts } from '../../src/plan/diagnosis.ts';
import { readHost, type HostName } from './bundles.ts';

const ALL = 'ffffffffffffffff';

/** A host on which nothing is amiss. */
function facts(name: HostName = 'debian-12-v2', change: Partial<DiagnosisFacts> = {}): DiagnosisFacts {
  const host = readHost(name);
  const names = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'];
  return {
    host: {
      ...host,
      identity: { ...host.identity, euid: 0, effectiveCapabilities: ALL },
      namespaces: Object.fromEntries(names.map((file) => [file, '1'])),
    },
    release: '6.1.0',
    user: 'root',
    settings: { 'kernel/seccomp/actions_avail': 'kill errno allow\n' },
    fileSystems: ['overlay'],
    libseccomp: '2.5.4',
    programs: {},
    subordinate: { uid: 0, gid: 0 },
    systemd: true,
    userBus: true,
    writableCgroups: cgroupPlaces(host.cgroup),
    root: { path: '/run/tsrun', isWritable: true },
    openFiles: { soft: 1024n, hard: 4096n },
    callers: [],
    planner: false,
    ...change,
  };
}

function asUser(change: Partial<DiagnosisFacts> = {}): DiagnosisFacts {
  const base = facts();
  const identity = { ...base.host.identity, euid: 1000, effectiveCapabilities: '0' };
  return {
    ...base,
    host: { ...base.host, identity },
    user: 'ada',
    programs: { newuidmap: '/usr/bin/newuidmap', newgidmap: '/usr/bin/newgidmap' },
    subordinate: { uid: 65536, gid: 65536 },
    ...change,
  };
}

const amiss = (found: readonly Diagnosis[]) => found.filter(({ state }) => state !== 'ok');

t.same(amiss(diagnose(facts())), [], 'root, where nothing is amiss');
t.same(amiss(diagnose(asUser())), [], 'an ordinary user, where nothing is amiss');
for (const name of ['hybrid-no-sys-resource', 'debian-12-v2', 'old-5.10', 'unprivileged'] as const) {
  const found = diagnose({ ...facts(name), host: readHost(name) });
  t.ok(
    amiss(found).every(({ remedy = '' }) => remedy !== ''),
    `${name}: what is amiss has a remedy`,
  );
}

const host = facts().host;
const identity = host.identity;

/** What a host lacks -> where it counts, how much, and parts of the message and of the remedy. */
const rows: Readonly<
  Record<string, readonly [DiagnosisFacts, Diagnosis['area'], Diagnosis['state'], message: string, remedy: string]>
> = {
  'an old kernel': [
    facts('debian-12-v2', { host: { ...host, kernel: { ...host.kernel, mountSetattr: false } } }),
    ...(['kernel', 'limited', 'id-mapped mounts are refused', '5.12'] as const),
  ],
  'a namespace that the kernel does not have': [
    facts('debian-12-v2', { host: { ...host, namespaces: { ...host.namespaces, time: undefined as never } } }),
    ...(['kernel', 'limited', 'namespaces not to be had: time', 'CONFIG_NAMESPACES'] as const),
  ],
  'a namespace that may not be made': [
    facts('debian-12-v2', { settings: { ...facts().settings, 'user/max_user_namespaces': '0\n' } }),
    ...(['kernel', 'limited', 'namespaces not to be had: user', 'user.max_*_namespaces'] as const),
  ],
  'root without a capability': [
    facts('debian-12-v2', { host: { ...host, identity: { ...identity, effectiveCapabilities: 'fffffffffeffffff' } } }),
    ...(['user', 'limited', 'root without CAP_SYS_RESOURCE', 'CapabilityBoundingSet='] as const),
  ],
  'root without the one that matters': [
    facts('debian-12-v2', { host: { ...host, identity: { ...identity, effectiveCapabilities: 'ffffffffffdfffff' } } }),
    ...(['user', 'missing', 'no namespace can be made', 'CapabilityBoundingSet='] as const),
  ],
  'no user namespaces for ordinary users': [
    asUser({ settings: { ...facts().settings, 'kernel/apparmor_restrict_unprivileged_userns': '1\n' } }),
    ...(['user', 'missing', 'the sysctl kernel.apparmor_restrict', 'sysctl -w kernel.apparmor_restrict'] as const),
  ],
  'no tool for ids': [
    asUser({ programs: { newgidmap: '/usr/bin/newgidmap' } }),
    ...(['user', 'limited', 'no newuidmap: only one uid', 'apt install uidmap'] as const),
  ],
  'no subordinate ids': [
    asUser({ subordinate: { uid: 65536, gid: 0 } }),
    ...(['user', 'limited', 'no subordinate gids', '"ada:100000:65536" in /etc/subgid'] as const),
  ],
  'few open files': [
    facts('debian-12-v2', { openFiles: { soft: 64n, hard: 256n } }),
    ...(['user', 'limited', 'at most 256 open files', 'ulimit'] as const),
  ],
  'no cgroups': [
    facts('debian-12-v2', { host: { ...host, cgroup: { mode: 'none', hierarchies: [] } } }),
    ...(['cgroups', 'limited', 'none are mounted', 'mount -t cgroup2'] as const),
  ],
  'cgroups that are not to be written': [
    asUser({ writableCgroups: [] }),
    ...(['cgroups', 'limited', 'no cgroups can be made in /', 'Delegate=yes'] as const),
  ],
  'no bus': [
    asUser({ userBus: false }),
    ...(['cgroups', 'limited', '--systemd-cgroup is refused', 'XDG_RUNTIME_DIR=/run/user/1000'] as const),
  ],
  'no libseccomp': [
    facts('debian-12-v2', { libseccomp: undefined }),
    ...(['security', 'limited', 'no libseccomp', 'apt install libseccomp2'] as const),
  ],
  'no seccomp': [
    facts('debian-12-v2', { settings: {} }),
    ...(['security', 'limited', 'no seccomp', 'CONFIG_SECCOMP_FILTER'] as const),
  ],
  'a root that cannot be written': [
    facts('debian-12-v2', { root: { path: '/run/tsrun', isWritable: false } }),
    ...(['storage', 'missing', '"/run/tsrun" cannot be written to', '--root'] as const),
  ],
  'no overlay': [
    facts('debian-12-v2', { fileSystems: [] }),
    ...(['storage', 'limited', 'no overlay', 'modprobe overlay'] as const),
  ],
};
for (const [name, [given, area, state, message, remedy]] of Object.entries(rows)) {
  const [found, ...more] = amiss(diagnose(given));
  t.same(more, [], `${name}: nothing else`);
  t.match(found, { area, state }, name);
  t.match(found?.message, message, `${name}: what`);
  t.match(found?.remedy, remedy, `${name}: what mends it`);
}

t.test('engines are told of when they are there', (t) => {
  const last = (change: Partial<DiagnosisFacts>) =>
    diagnose(facts('debian-12-v2', change)).filter(({ area }) => area === 'engines');
  t.equal(last({}).length, 1, 'none');
  const programs = { podman: '/usr/bin/podman' };
  t.match(last({ programs })[0]?.message, 'podman installed; none is configured');
  const callers = ['/etc/docker/daemon.json'];
  t.match(last({ programs, callers })[0]?.message, 'tsrun is named in "/etc/docker/daemon.json"');
  const withShim = { ...programs, 'containerd-shim-tsrun-v2': '/usr/bin/containerd-shim-tsrun-v2' };
  t.match(last({ programs: withShim })[0]?.message, 'podman installed; containerd and docker find its shim');
  t.match(last({ planner: true })[0]?.message, 'a planner serves');
  t.end();
});
