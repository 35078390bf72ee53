import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { openCgroupfs } from '../../src/cgroup/cgroupfs.ts';
import { cgroupLayout, cgroupsOf, isUnified, readCgroup } from './support/cgroups.ts';
import { findCgroups } from './support/leftovers.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from './support/rig.ts';
import { slowness } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

live('cgroups', async (t, rig) => {
  await t.test('a container has cgroups of its own, with its limits', async (t) => {
    const { id, pid } = await rig.create(t, {
      change: (config) => (config.linux.resources = { memory: { limit: 64 * 1024 * 1024 }, pids: { limit: 17 } }),
    });
    const directories = cgroupsOf(pid);
    const memory = readCgroup(directories, 'memory', isUnified ? 'memory.max' : 'memory.limit_in_bytes');
    t.equal(memory, String(64 * 1024 * 1024));
    t.equal(readCgroup(directories, 'pids', 'pids.max'), '17');
    t.ok(directories.size >= (isUnified ? 1 : 5));
    for (const [controller, directory] of directories) {
      t.match(directory, id, `${controller}: named after it`);
      const members = readFileSync(path.join(directory, 'cgroup.procs'), 'utf8').trim();
      t.equal(members, String(pid), `${controller}: nobody else is in it`);
    }
    await rig.delete(t, id);
    for (const [controller, directory] of directories) t.notOk(existsSync(directory), `${controller}: removed`);
  });

  await t.test('limits hold', async (t) => {
    const forks = await rig.run({
      args: 'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait',
      change: (config) => (config.linux.resources = { pids: { limit: 4 } }),
    });
    t.match(forks.stderr, /fork|Resource temporarily unavailable/);
    const memory = await rig.run({
      args: 'head -c 60000000 /dev/zero | tail -c 59000000 | wc -c',
      change: (config) => (config.linux.resources = { memory: { limit: 24 * 1024 * 1024, swap: 24 * 1024 * 1024 } }),
    });
    t.notMatch(memory.stdout, '59000000', 'tail was killed');
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('devices: what is not allowed cannot be opened, the defaults can', async (t) => {
    const change = (config: BaseConfig): void => {
      config.process.capabilities = { bounding: ['CAP_MKNOD'], effective: ['CAP_MKNOD'], permitted: ['CAP_MKNOD'] };
      config.linux.resources = {
        devices: [
          { allow: false, access: 'rwm' },
          { allow: true, type: 'c', major: 10, minor: 229, access: 'r' },
        ],
      };
      config.linux.devices = [
        { path: '/dev/mem-of-host', type: 'c', major: 1, minor: 1 },
        { path: '/dev/fuse-of-host', type: 'c', major: 10, minor: 229 },
        { path: '/dev/loop-of-host', type: 'b', major: 7, minor: 0 },
      ];
    };
    const result = await rig.run({
      args: `for d in null zero full random urandom; do head -c 0 /dev/$d && echo $d ok; done
        for d in mem loop fuse; do (exec 3</dev/$d-of-host) 2>&1 && echo $d ok; done
        (exec 3>>/dev/fuse-of-host) 2>&1
        mknod /tmp/m c 1 1 && echo made; cat /tmp/m 2>&1`,
      change: (config) => {
        change(config);
        config.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' });
      },
    });
    for (const name of ['null', 'zero', 'full', 'random', 'urandom']) t.match(result.stdout, `${name} ok`);
    t.match(result.stdout, /mem-of-host.*(Operation not permitted|Permission denied)/);
    t.match(result.stdout, /loop-of-host.*(Operation not permitted|Permission denied)/);
    t.notMatch(result.stdout, /^(mem|loop) ok/m);
    t.notMatch(
      result.stdout,
      /fuse-of-host.*Operation not permitted[^]*fuse-of-host.*Operation not permitted/,
      'reading is allowed',
    );
    t.match(result.stdout, /\nmade\n/, 'nodes may be made, as runc allows');
    t.match(result.stdout, /\/tmp\/m.*(Operation not permitted|Permission denied)/, 'but not used');
  });

  const needsPaths = rig.usesSystemd ? 'systemd takes slice:prefix:name, which test/vm/scope.test.ts tries' : false;
  await t.test('cgroupsPath: absolute, relative, absent', { skip: needsPaths }, async (t) => {
    const own = cgroupsOf(process.pid);
    // A cgroup of version 2 that has processes cannot pass controllers on: there a relative path counts from the one above.
    const base = isUnified ? path.dirname(own.get('unified') ?? '') : (own.get('memory') ?? '');
    const root = isUnified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/pids';
    const controllerOf = (name: string): string => (isUnified ? 'unified' : name);
    const name = `${rig.prefix}-path`;
    const places = [
      { cgroupsPath: `/${name}/deep/absolute`, wanted: `/${name}/deep/absolute` },
      { cgroupsPath: `${name}-relative/one`, wanted: `/${name}-relative/one` },
    ];
    for (const { cgroupsPath, wanted } of places) {
      const { id, pid } = await rig.create(t, { change: (config) => (config.linux.cgroupsPath = cgroupsPath) });
      const found = cgroupsOf(pid);
      t.ok(
        [...found.values()].every((directory) => directory.endsWith(wanted)),
        `${cgroupsPath}: ${[...found.values()].join(' ')}`,
      );
      if (cgroupsPath.startsWith('/')) t.equal(found.get(controllerOf('pids')), `${root}${wanted}`);
      else t.equal(found.get(controllerOf('memory')), path.join(base, wanted), "beside or below tsrun's own cgroup");
      await rig.delete(t, id);
      t.ok(
        [...found.values()].every((directory) => !existsSync(directory)),
        'removed',
      );
    }
    // The parents that create made for a cgroup are nobody's property: taking them away is allowed and not required.
    for (const line of findCgroups({ prefix: name })) removeTree(line.slice('cgroup '.length));
    const { id, pid } = await rig.create(t);
    t.match(cgroupsOf(pid).get(controllerOf('pids')), new RegExp(`/${id}$`), 'absent: named after the container');
    await rig.delete(t, id);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('a cgroup that is in use is refused and stays', async (t) => {
    const name = `${rig.prefix}-shared`;
    const cgroupsPath = rig.usesSystemd ? `system.slice:tsrun:${name}` : `/${name}`;
    const first = await rig.sleeper(t, { change: (config) => (config.linux.cgroupsPath = cgroupsPath) });
    const second = await rig.run({ change: (config) => (config.linux.cgroupsPath = cgroupsPath) });
    expectFailure(t, second, { message: /use cgroup .*-shared.*: container's cgroup is not empty: 1 process/ });
    t.equal((await rig.state(first.id)).status, 'running', 'the container that is there lives');
    t.equal(readCgroup(cgroupsOf(first.pid), 'pids', 'cgroup.procs'), String(first.pid));
    await rig.delete(t, first.id);
  });

  await t.test('a cgroup that vanishes while its processes are killed has none', async (t) => {
    const { hierarchies, unified } = cgroupLayout;
    const freezer = hierarchies.find(({ controllers }) => controllers.includes('freezer'));
    const kinds = [
      ...(unified === undefined ? [] : [{ ...unified, kind: 'v2' as const }]),
      ...(freezer === undefined ? [] : [{ ...freezer, kind: 'v1' as const }]),
    ];
    for (const { kind, mountPoint, controllers } of kinds) {
      const hostPath = `${mountPoint}/${rig.prefix}-gone`;
      const directories = [{ kind, controllers, mountPoint, hostPath, made: [hostPath] }];
      const cgroup = openCgroupfs({ manager: 'cgroupfs', version: isUnified ? 'v2' : 'v1', directories });
      // Another thread makes and removes it all the time, as systemd may at the end of a container.
      const comesAndGoes = `const { mkdirSync, rmdirSync } = require('node:fs'); const path = ${JSON.stringify(hostPath)};
        const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
        const remove = () => { try { rmdirSync(path); return true } catch { return false } };
        for (;;) { mkdirSync(path); pause(Math.random()); while (!remove()); pause(20); }`;
      const other = new Worker(comesAndGoes, { eval: true });
      try {
        await waitFor(() => existsSync(hostPath));
        const end = Date.now() + 1000 * slowness;
        for (let round = 0; round < 2000 && Date.now() < end; round++) {
          await cgroup.killAll(9);
          cgroup.processes();
          cgroup.isFrozen();
        }
        t.pass(kind);
      } finally {
        await other.terminate();
        await cgroup.remove();
      }
    }
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('a limit the kernel refuses is named and leaves nothing', async (t) => {
    const result = await rig.run({ change: (config) => (config.linux.resources = { cpu: { cpus: '4000' } }) });
    expectFailure(t, result, { message: /cpuset\.cpus|\/linux\/resources\/cpu\/cpus/ });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('processes that outlive init are ended with it', async (t) => {
    const { id, pid, result } = await rig.sleeper(t, {
      args: 'sleep 1000 & sleep 1000 & echo ready; wait',
      change: (config) =>
        (config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'pid')),
    });
    await waitFor(() => result.readOutput().includes('ready'));
    t.equal(readCgroup(cgroupsOf(pid), 'pids', 'cgroup.procs')?.split('\n').length, 3);
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
    t.strictSame(rig.leftovers(), []);
  });

  const hasSystemd = existsSync('/run/systemd/system') ? 'systemd runs on this machine' : false;
  await t.test('--systemd-cgroup without systemd says what to do', { skip: hasSystemd }, async (t) => {
    const global = ['--systemd-cgroup'];
    const result = await rig.run({}, { global });
    expectFailure(t, result, { message: /system message bus: .*use --cgroup-manager cgroupfs/ });
    t.notMatch(result.stderr, 'level=warning');
    const wrong = await rig.run({ change: (config) => (config.linux.cgroupsPath = '/no/unit') }, { global });
    expectFailure(t, wrong, { message: /\/linux\/cgroupsPath: .*slice:prefix:name/ });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test("--cgroup-manager disabled leaves tsrun's own", async (t) => {
    const cgroup = (
      await rig.output(t, { args: 'cat /proc/self/cgroup' }, { global: ['--cgroup-manager', 'disabled'] })
    ).split('\n');
    t.strictSame(cgroup.sort(), readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n').sort());
  });
});

function removeTree(directory: string): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(path.join(directory, entry.name));
  rmdirSync(directory);
}
