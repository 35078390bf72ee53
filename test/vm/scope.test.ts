import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cgroupsOf } from '../live/support/cgroups.ts';
import { expectFailure, live } from '../live/support/rig.ts';
import { showUnit } from '../live/support/systemd.ts';
import { waitFor } from '../live/support/wait.ts';

const SLICE = 'tsruntest-one.slice';

live('the unit of a container', async (t, rig) => {
  const limits = {
    memory: { limit: 67_108_864, swap: 67_108_864 },
    pids: { limit: 33 },
    cpu: { quota: 20_000, period: 100_000 },
  };

  await t.test('is a delegated scope with its limits, and is gone with it', async (t) => {
    const { id, pid } = await rig.sleeper(t, { change: (config) => (config.linux.resources = limits) });
    const unit = `tsrun-${id}.scope`;
    t.match(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), `/system.slice/${unit}`);
    const wanted = {
      ActiveState: 'active',
      Slice: 'system.slice',
      Delegate: 'yes',
      MemoryMax: '67108864',
      MemorySwapMax: '0',
      TasksMax: '33',
      CPUQuotaPerSecUSec: '200ms',
      DevicePolicy: 'strict',
    };
    for (const [property, value] of Object.entries(wanted)) t.equal(showUnit(unit, property), value, property);
    // systemd writes all it knows anew; what the config says must survive that.
    execFileSync('systemctl', ['daemon-reload']);
    const directory = cgroupsOf(pid).get('unified') ?? '';
    const files = { 'memory.max': '67108864', 'pids.max': '33', 'cpu.max': '20000 100000' };
    for (const [name, value] of Object.entries(files))
      t.equal(readFileSync(`${directory}/${name}`, 'utf8').trim(), value, name);
    await rig.delete(t, id);
    t.equal(showUnit(unit, 'LoadState'), 'not-found', 'systemd has forgotten it');
  });

  await t.test('is where cgroupsPath says, and as annotations say', async (t) => {
    const name = rig.id('named');
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        config.linux.cgroupsPath = `${SLICE}:mine:${name}`;
        config.annotations = { 'org.systemd.property.TimeoutStopUSec': 'uint64 7000000' };
      },
    });
    const unit = `mine-${name}.scope`;
    t.match(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), `/tsruntest.slice/${SLICE}/${unit}`);
    t.equal(showUnit(unit, 'TimeoutStopUSec'), '7s');
    await rig.delete(t, id);
    execFileSync('systemctl', ['stop', SLICE, 'tsruntest.slice']);
  });

  await t.test('is not the unit of others, which lives on', async (t) => {
    const name = rig.id('taken');
    const unit = `mine-${name}.scope`;
    const other = rig.start(['systemd-run', '--scope', `--unit=${unit}`, `--slice=${SLICE}`, 'sleep', '1000']);
    await waitFor(() => showUnit(unit, 'ActiveState') === 'active');
    // Its cgroup is elsewhere: only systemd knows that the name is taken.
    const result = await rig.run({ change: (config) => (config.linux.cgroupsPath = `system.slice:mine:${name}`) });
    expectFailure(t, result, { message: /start the systemd unit .*mine-.*taken.*already/ });
    t.equal(showUnit(unit, 'ActiveState'), 'active');
    execFileSync('systemctl', ['stop', unit]);
    await other.done;
    t.strictSame(rig.leftovers(), []);
    execFileSync('systemctl', ['stop', SLICE, 'tsruntest.slice']);
  });

  await t.test('is refused for what systemd does not take', async (t) => {
    const path = await rig.run({ change: (config) => (config.linux.cgroupsPath = '/not/a/unit') });
    expectFailure(t, path, { message: /\/linux\/cgroupsPath: .*slice:prefix:name/ });
    const property = await rig.run({
      change: (config) => (config.annotations = { 'org.systemd.property.NoSuchProperty': 'true' }),
    });
    expectFailure(t, property, { message: /start the systemd unit .*NoSuchProperty/ });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('of a program that ends by itself goes with run', async (t) => {
    const result = await rig.run({ args: 'cat /proc/self/cgroup; exit 3' });
    t.equal(result.code, 3, result.stderr);
    t.strictSame(rig.leftovers(), []);
  });
});
