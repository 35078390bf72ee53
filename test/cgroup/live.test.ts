import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import t, { type Test } from 'tap';
import type { Cgroup, ManagedCgroup } from '../../src/cgroup/cgroup.ts';
import { foreseeCgroup } from '../../src/cgroup/foresee.ts';
import { watchOom } from '../../src/cgroup/oom.ts';
import { listProcesses } from '../../src/cgroup/processes.ts';
import { makeCgroup, openCgroup, openManagedCgroup } from '../../src/cgroup/select.ts';
import { counterReader } from '../../src/cgroup/stats/read.ts';
import { readCgroupLayout } from '../../src/host/cgroup-layout.ts';
import type { CgroupLayout } from '../../src/plan/base/cgroup-layout.ts';
import { planCgroup, type CgroupPlan } from '../../src/plan/cgroup/plan.ts';
import type { Resources } from '../../src/spec/generated/config.ts';
import {
  allGroups,
  cleanUp,
  joinCgroups,
  membershipOf,
  NO_BUSES,
  partOf,
  PREFIX,
  TestProcess,
  whyNotLive,
} from './live.ts';

const skip = whyNotLive();
/** A test that needs the real thing; elsewhere it is skipped with the reason. */
const live = (name: string, body: (t: Test) => unknown): void => {
  void t.test(name, { skip: skip ?? false }, body);
};

const layout = readCgroupLayout('/proc/self');
const processes: TestProcess[] = [];
t.afterEach(() => cleanUp(processes.splice(0)));

let counter = 0;
const nextPath = (): string => `/${PREFIX}-${++counter}`;
const start = (): TestProcess => {
  const process = new TestProcess();
  processes.push(process);
  return process;
};
function plan(options: { path?: string; resources?: Resources; layout?: CgroupLayout }): CgroupPlan {
  const linux = { cgroupsPath: options.path ?? nextPath(), resources: options.resources ?? {} };
  return planCgroup({ config: { linux }, layout: options.layout ?? layout, id: PREFIX, manager: 'cgroupfs' });
}
const make = (planned: CgroupPlan): ManagedCgroup => makeCgroup(planned, NO_BUSES);
const hostPath = (cgroup: Cgroup, controller: string): string => {
  return cgroup.reference.directories.find(({ controllers }) => controllers.includes(controller))?.hostPath ?? '';
};
const read = (path: string): string => readFileSync(path, 'utf8').trim();

live('Cgroup creates, joins, limits and removes', async (t) => {
  const resources = {
    memory: { limit: 64 << 20, reservation: 32 << 20 },
    cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '0' },
    pids: { limit: 7 },
  };
  const planned = plan({ path: `${nextPath()}/inner`, resources });
  const cgroup = make(planned);
  const child = start();
  joinCgroups(cgroup, child.pid);
  await cgroup.applyLimits(planned);
  for (const [controllers, path] of membershipOf(child.pid)) {
    const known = layout.hierarchies.some((one) => one.controllers.join() === controllers) || controllers === '';
    if (known) t.equal(path, planned.directories[0]?.path, `in ${controllers}`);
  }
  t.equal(read(`${hostPath(cgroup, 'memory')}/memory.limit_in_bytes`), String(64 << 20));
  t.equal(read(`${hostPath(cgroup, 'memory')}/memory.soft_limit_in_bytes`), String(32 << 20));
  t.equal(read(`${hostPath(cgroup, 'cpu')}/cpu.shares`), '512');
  t.equal(read(`${hostPath(cgroup, 'cpu')}/cpu.cfs_quota_us`), '50000');
  t.equal(read(`${hostPath(cgroup, 'cpuset')}/cpuset.cpus`), '0');
  t.equal(read(`${hostPath(cgroup, 'pids')}/pids.max`), '7');
  const again = openManagedCgroup(JSON.parse(JSON.stringify(cgroup.reference)) as Cgroup['reference'], NO_BUSES);
  t.strictSame(again.processes(), [child.pid]);
  await again.remove({ kill: true });
  t.equal(await child.ended(), 'SIGKILL');
  t.strictSame(allGroups(), [], 'the cgroup above it is gone too');
});

live('Cgroup names the setting that the kernel refuses, and leaves nothing when that is at create', async (t) => {
  const planned = plan({ resources: { cpu: { cpus: '4000' } } });
  t.throws(() => make(planned), {
    code: 'cgroup',
    issues: [{ pointer: '/linux/resources/cpu/cpus' }],
    message: /^set cpu.cpus: write "4000" to ".*cpuset.cpus": .+: E[A-Z]+$/,
  });
  t.strictSame(allGroups(), []);
  const late = plan({ resources: { cpu: { quota: 1 } } });
  const cgroup = make(late);
  await t.rejects(cgroup.applyLimits(late), {
    code: 'cgroup',
    errno: 'EINVAL',
    issues: [{ pointer: '/linux/resources/cpu/quota' }],
  });
});

live('Cgroup lets a limit rise above the old memory and swap', async (t) => {
  const path = nextPath();
  const small = plan({ path, resources: { memory: { limit: 32 << 20, swap: 32 << 20 } } });
  const cgroup = make(small);
  if (!existsSync(`${hostPath(cgroup, 'memory')}/memory.memsw.limit_in_bytes`)) {
    t.plan(0, 'no swap accounting');
    return;
  }
  await cgroup.applyLimits(small);
  await cgroup.applyLimits(plan({ path, resources: { memory: { limit: 64 << 20, swap: 64 << 20 } } }));
  t.equal(read(`${hostPath(cgroup, 'memory')}/memory.memsw.limit_in_bytes`), String(64 << 20));
  await cgroup.applyLimits(plan({ path, resources: { memory: { limit: 32 << 20, swap: 32 << 20 } } }));
  t.equal(read(`${hostPath(cgroup, 'memory')}/memory.limit_in_bytes`), String(32 << 20));
});

live('Cgroup says how much memory is in use where a limit is too low for it', async (t) => {
  const path = nextPath();
  const cgroup = make(plan({ path }));
  const child = start();
  joinCgroups(cgroup, child.pid);
  await child.run('x=$(head -c 4000000 /dev/zero | tr "\\0" x)');
  const low = plan({ path, resources: { memory: { limit: 4096 } } });
  await t.rejects(cgroup.applyLimits(low), {
    code: 'cgroup',
    errno: 'EBUSY',
    message: /^set .*: unable to set memory limit to 4096 \(current usage: [1-9]\d+, peak usage: [1-9]\d+\)/,
    issues: [{ pointer: '/linux/resources/memory/limit', message: /^unable to set memory limit/ }],
  });
});

live('makeCgroup() refuses a cgroup with processes, also further down', (t) => {
  const path = nextPath();
  const child = start();
  joinCgroups(make(plan({ path: `${path}/deep` })), child.pid);
  const planned = plan({ path });
  t.throws(() => make(planned), {
    code: 'cgroup',
    message: /container's cgroup is not empty: 1 process\(es\) found$/,
  });
  t.equal(membershipOf(child.pid).get('pids'), `${path}/deep`, 'nobody was moved');
  return Promise.resolve();
});

live('makeCgroup() refuses a frozen cgroup, v1 and v2', async (t) => {
  const parts = [partOf(layout, ['freezer'], { unified: false })];
  if (layout.unified !== undefined) parts.push(partOf(layout, [], { unified: true }));
  for (const part of parts) {
    const resources = { devices: [] };
    const path = nextPath();
    const planned = planCgroup({
      config: { linux: { cgroupsPath: path, resources } },
      layout: part,
      id: PREFIX,
      manager: 'cgroupfs',
      rootless: true,
    });
    await make(planned).freeze();
    t.throws(() => make(planned), { code: 'cgroup', message: /container's cgroup unexpectedly frozen$/ }, part.mode);
  }
});

live('Cgroup freezes and thaws', async (t) => {
  const cgroup = make(plan({}));
  const child = start();
  joinCgroups(cgroup, child.pid);
  t.notOk(cgroup.isFrozen());
  await cgroup.freeze();
  t.ok(cgroup.isFrozen());
  const answer = child.run('true');
  const still = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 50, 'still'))]);
  t.equal(still, 'still');
  await cgroup.thaw();
  t.notOk(cgroup.isFrozen());
  t.equal(await answer, 0);
});

live('Cgroup.killAll() ends frozen processes, also with the v1 freezer alone', async (t) => {
  const parts = { whole: layout, v1: partOf(layout, ['freezer', 'devices'], { unified: false }) };
  for (const [name, part] of Object.entries(parts)) {
    const cgroup = make(plan({ layout: part }));
    const [one, two] = [start(), start()];
    for (const { pid } of [one, two]) joinCgroups(cgroup, pid);
    await cgroup.freeze();
    await cgroup.killAll(9);
    t.strictSame([await one.ended(), await two.ended()], ['SIGKILL', 'SIGKILL'], name);
    t.notOk(cgroup.isFrozen());
  }
});

live('Cgroup.killAll() sends other signals', async (t) => {
  const cgroup = make(plan({}));
  const child = start();
  joinCgroups(cgroup, child.pid);
  await cgroup.killAll(15);
  t.equal(await child.ended(), 'SIGTERM');
  await cgroup.killAll(9);
  t.strictSame(cgroup.processes(), [], 'an empty cgroup has nobody to kill');
});

live('Cgroup.remove() removes cgroups made inside, and does not kill unless told to', async (t) => {
  const cgroup = make(plan({}));
  const inside = `${hostPath(cgroup, 'pids')}/a/b`;
  mkdirSync(inside, { recursive: true });
  const child = start();
  writeFileSync(`${inside}/cgroup.procs`, String(child.pid));
  await t.rejects(cgroup.remove(), { code: 'cgroup', errno: 'EBUSY', message: /1 process\(es\) left/ });
  t.equal(await child.run('true'), 0, 'it lives');
  child.child.kill('SIGKILL');
  await child.ended();
  await cgroup.remove();
  await cgroup.remove();
  t.strictSame(allGroups(), []);
});

live('Cgroup.remove() leaves a cgroup that was there before', async (t) => {
  const path = nextPath();
  const pids = layout.hierarchies.find(({ controllers }) => controllers.includes('pids'))?.mountPoint ?? '';
  mkdirSync(`${pids}${path}`);
  const cgroup = make(plan({ path }));
  await cgroup.remove();
  t.strictSame(allGroups(), [`${pids}${path}`]);
});

live('foreseeCgroup() says what makeCgroup() will make, so that a broken off create can be cleaned up', async (t) => {
  const planned = plan({ path: `${nextPath()}/inner` });
  const reference = foreseeCgroup(planned);
  t.strictSame(allGroups(), [], 'nothing is made');
  const cgroup = make(planned);
  t.strictSame(cgroup.reference, reference);
  for (const { hostPath } of reference.directories.slice(2)) rmdirSync(hostPath);
  await openManagedCgroup(reference, NO_BUSES).remove();
  t.strictSame(allGroups(), []);
});

live('openCgroup() refuses a reference that leads out of its hierarchy', (t) => {
  const cgroup = make(plan({ layout: partOf(layout, ['pids', 'devices'], { unified: false }) }));
  const [first] = cgroup.reference.directories;
  if (first === undefined) throw new Error('no directory');
  for (const made of ['/tmp/x', `${first.mountPoint}/../x`]) {
    t.throws(() => openCgroup({ ...cgroup.reference, directories: [{ ...first, made: [made] }] }), {
      code: 'state',
      message: `use cgroup ${JSON.stringify(made)}: it is no path below ${JSON.stringify(first.mountPoint)}`,
    });
  }
  return Promise.resolve();
});

live('makeCgroup() makes nothing where a plain directory looks like a controller', (t) => {
  const fake = { controllers: ['memory'], mountPoint: t.testdir({ 'cgroup.procs': '', tasks: '' }), ownPath: '/' };
  const real = partOf(layout, ['pids', 'devices'], { unified: false });
  const planned = plan({ layout: { ...real, hierarchies: [...real.hierarchies, fake] } });
  t.throws(() => make(planned), { code: 'cgroup', message: /wanted file system cgroup/ });
  t.strictSame(allGroups(), [], 'what was made in the real hierarchies is removed');
  t.notOk(existsSync(`${fake.mountPoint}/${PREFIX}-${counter}`));
  return Promise.resolve();
});

live('Cgroup.openDirectory() is a handle of the cgroup2 directory', (t) => {
  const cgroup = make(plan({}));
  const fd = cgroup.openDirectory();
  if (layout.unified === undefined) return t.equal(fd, undefined);
  t.ok(fstatSync(fd ?? -1).isDirectory());
  t.match(read(`/proc/self/fdinfo/${fd}`), /flags:\s+012[0-7]*\d/, 'O_PATH and O_CLOEXEC');
  closeSync(fd ?? -1);
  const without = make(plan({ layout: partOf(layout, ['devices'], { unified: false }) }));
  t.equal(without.openDirectory(), undefined);
  return Promise.resolve();
});

/** Opens a device that no default rule allows, for reading: 0 or the shell's 1 or 2. */
const FORBIDDEN = ': < /dev/kmsg';
const denyAll: Resources = { devices: [{ allow: false, access: 'rwm' }] };
const allowKmsg: Resources = {
  devices: [...(denyAll.devices ?? []), { allow: true, type: 'c', major: 1, minor: 11, access: 'r' }],
};

async function tryDevices(t: Test, part: CgroupLayout): Promise<void> {
  const path = nextPath();
  const planned = plan({ path, layout: part, resources: denyAll });
  const cgroup = make(planned);
  const child = start();
  joinCgroups(cgroup, child.pid);
  const open = (): Promise<number> => child.run(`(${FORBIDDEN}) 2>/dev/null`);
  t.equal(await open(), 0, 'allowed before');
  cgroup.applyDevices(planned);
  t.not(await open(), 0, 'denied');
  t.equal(await child.run('(: < /dev/null) && (: > /dev/zero) && (: < /dev/urandom)'), 0, 'the defaults are allowed');
  cgroup.applyDevices(plan({ path, layout: part, resources: allowKmsg }));
  t.equal(await open(), 0, 'allowed by a rule');
  t.not(await child.run('(: > /dev/kmsg) 2>/dev/null'), 0, 'but not to write');
  const opened = readdirSync('/proc/self/fd').length;
  cgroup.applyDevices(planned);
  t.equal(readdirSync('/proc/self/fd').length, opened, 'nothing stays open');
  t.not(await open(), 0, 'denied again');
  await cgroup.remove({ kill: true });
}

live('Cgroup.applyDevices() denies and allows on v1', (t) =>
  tryDevices(t, partOf(layout, ['devices'], { unified: false })),
);

live('Cgroup.applyDevices() denies and allows by eBPF on cgroup2', async (t) => {
  if (layout.unified === undefined) {
    t.plan(0, 'no cgroup2 mount');
    return;
  }
  await tryDevices(t, partOf(layout, [], { unified: true }));
});

live('a threaded cgroup has no processes of its own, and what it does not tell counts as nothing', async (t) => {
  if (layout.unified === undefined) {
    t.plan(0, 'no cgroup2 mount');
    return;
  }
  const cgroup = make(plan({ layout: partOf(layout, [], { unified: true }) }));
  const child = start();
  joinCgroups(cgroup, child.pid);
  const outer = cgroup.reference.directories[0]?.hostPath ?? '';
  mkdirSync(`${outer}/threads`);
  writeFileSync(`${outer}/threads/cgroup.type`, 'threaded');
  t.throws(() => readFileSync(`${outer}/threads/cgroup.procs`), { code: 'ENOTSUP' });
  t.strictSame(listProcesses(outer), { pids: [child.pid], outside: 0 });
  t.strictSame(counterReader(`${outer}/threads`).lines('cgroup.procs'), []);
  t.throws(() => counterReader(outer).lines('threads'), { code: 'EISDIR' }, 'any other error is told');
  await cgroup.remove({ kill: true });
});

live('watchOom() tells nothing of a cgroup that is gone', async (t) => {
  if (layout.unified === undefined) {
    t.plan(0, 'no cgroup2 mount');
    return;
  }
  const cgroup = make(plan({ layout: partOf(layout, [], { unified: true }) }));
  const [directory] = cgroup.reference.directories;
  if (directory === undefined) throw new Error('no directory');
  // The file answers as memory.events does where memory is a controller of cgroup2.
  const shown = t.testdir({});
  symlinkSync(`${directory.hostPath}/cgroup.events`, `${shown}/memory.events`);
  using watch = watchOom({ directories: [{ ...directory, controllers: ['memory'], hostPath: shown }] });
  t.notOk(watch.take());
  await cgroup.remove();
  t.notOk(watch.take());
});
