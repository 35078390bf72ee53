import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cgroupLayout, isUnified } from './support/cgroups.ts';
import { expectFailure, expectSuccess, live, type Rig } from './support/rig.ts';

const MIB = 1024 * 1024;

/** What the kernel shows of a container's limits, in the terms of both versions: `swap` counts memory too, `max` is no limit. */
interface Shown {
  readonly memory: string;
  readonly swap: string;
  readonly reservation: string;
  readonly pids: string;
  readonly cpus: string;
  /** Shares on version 1, the weight on version 2. */
  readonly shares: string;
  readonly quota: string;
  readonly period: string;
  readonly burst: string;
}

/** The shares of the tests as the kernel shows them. */
const SHARES_512 = isUnified ? '59' : '512';

function shown(rig: Rig, id: string): Shown {
  const read = (file: string): string => {
    const text = readFileSync(path.join(directoryOf(rig, id, file.slice(0, file.indexOf('.'))), file), 'utf8').trim();
    // Version 1 has no word for it.
    return text === '-1' || text === '9223372036854771712' ? 'max' : text;
  };
  // What version 2 shows there is only a wish, and may be none.
  const common = { pids: read('pids.max'), cpus: read(isUnified ? 'cpuset.cpus.effective' : 'cpuset.cpus') };
  if (!isUnified) {
    return {
      ...common,
      memory: read('memory.limit_in_bytes'),
      swap: read('memory.memsw.limit_in_bytes'),
      reservation: read('memory.soft_limit_in_bytes'),
      shares: read('cpu.shares'),
      quota: read('cpu.cfs_quota_us'),
      period: read('cpu.cfs_period_us'),
      burst: read('cpu.cfs_burst_us'),
    };
  }
  const [memory, swap] = [read('memory.max'), read('memory.swap.max')];
  const [quota = '', period = ''] = read('cpu.max').split(' ');
  return {
    ...common,
    memory,
    swap: swap === 'max' || memory === 'max' ? swap : String(Number(memory) + Number(swap)),
    reservation: read('memory.low'),
    shares: read('cpu.weight'),
    quota,
    period,
    burst: read('cpu.max.burst'),
  };
}

function directoryOf(rig: Rig, id: string, controller: string): string {
  const state = JSON.parse(readFileSync(path.join(rig.root, id, 'state.json'), 'utf8')) as {
    cgroup: { directories: { controllers: string[]; kind: string; hostPath: string }[] };
  };
  const found = state.cgroup.directories.find(
    ({ kind, controllers }) => kind === (isUnified ? 'v2' : 'v1') && controllers.includes(controller),
  );
  return found?.hostPath ?? '/nowhere';
}

/** What throttles reading of a block device: `rate`, or nothing. */
function readRate(rig: Rig, id: string, device: string): string {
  const directory = directoryOf(rig, id, isUnified ? 'io' : 'blkio');
  const text = readFileSync(path.join(directory, isUnified ? 'io.max' : 'blkio.throttle.read_bps_device'), 'utf8');
  const line = text.split('\n').find((one) => one.startsWith(`${device} `));
  return line === undefined ? '' : line.replace(`${device} `, '').replace(/^rbps=(\w+) .*/, '$1');
}

function savedResources(rig: Rig, id: string): Record<string, Record<string, unknown>> {
  const config = JSON.parse(readFileSync(path.join(rig.root, id, 'config.json'), 'utf8')) as {
    linux: { resources?: Record<string, Record<string, unknown>> };
  };
  return config.linux.resources ?? {};
}

/** A block device, as `major:minor`, that limits can name. */
function blockDevice(): string | undefined {
  const name = readdirSync('/sys/block').find((block) => /^(vd|sd|nvme|xvd|loop)/.test(block));
  return name === undefined ? undefined : readFileSync(`/sys/block/${name}/dev`, 'utf8').trim();
}

const noDisk = blockDevice() === undefined ? 'this machine has no block device' : false;

live('update', async (t, rig) => {
  const update = async (id: string, ...args: readonly string[]) => rig.tsrun(['update', ...args, id]);

  await t.test('limits given as options arrive in the kernel', async (t) => {
    const { id } = await rig.sleeper(t);
    const options = '--memory 64M --memory-swap 96m --memory-reservation 32MiB --pids-limit 21 --cpu-share 512';
    expectSuccess(t, await update(id, ...options.split(' '), ...'--cpu-quota 50000 --cpuset-cpus 0'.split(' ')));
    t.match(shown(rig, id), {
      memory: String(64 * MIB),
      swap: String(96 * MIB),
      reservation: String(32 * MIB),
      pids: '21',
      shares: SHARES_512,
      quota: '50000',
      cpus: '0',
    });
    expectSuccess(t, await update(id, '--cpu-period', '200000', '--cpu-burst', '1000'));
    t.match(shown(rig, id), { period: '200000', quota: '50000', burst: '1000' }, 'the quota is kept');
    expectSuccess(t, await update(id, '--cpu-burst', '0', '--pids-limit', '-1', '--cpu-quota', '-1'));
    t.match(shown(rig, id), { burst: '0', quota: 'max', pids: 'max' });
    t.match(savedResources(rig, id), {
      memory: { limit: 64 * MIB, swap: 96 * MIB },
      cpu: { shares: 512, quota: -1, period: 200_000, cpus: '0' },
      pids: { limit: -1 },
    });
    await rig.delete(t, id);
  });

  await t.test('memory and swap go up and down together', async (t) => {
    const { id } = await rig.sleeper(t, {
      change: (config) => (config.linux.resources = { memory: { limit: 64 * MIB, swap: 64 * MIB } }),
    });
    const both = (): string[] => [shown(rig, id).memory, shown(rig, id).swap];
    for (const [limit, swap] of [
      [128, 256],
      [300, 300],
      [32, 48],
      [40, 41],
    ] as const) {
      expectSuccess(t, await update(id, '--memory', `${limit}M`, '--memory-swap', `${swap}M`));
      t.strictSame(both(), [String(limit * MIB), String(swap * MIB)]);
    }
    const more = await update(id, '--memory', '50M');
    if (isUnified) {
      // Swap is limited by itself there.
      expectSuccess(t, more);
      t.strictSame(both(), [String(50 * MIB), String(51 * MIB)]);
    } else {
      expectFailure(t, more, { message: /memory\/swap: .*should be >= memory limit/ });
      t.strictSame(both(), [String(40 * MIB), String(41 * MIB)]);
    }
    expectSuccess(t, await update(id, '--memory-swap', '60M'));
    t.strictSame(both(), [String((isUnified ? 50 : 40) * MIB), String(60 * MIB)]);
    expectSuccess(t, await update(id, '--memory', '-1'));
    t.strictSame(both(), ['max', 'max'], 'no limit of memory, none of swap');
    await rig.delete(t, id);
  });

  await t.test('a document comes from a file or standard input', async (t) => {
    const { id } = await rig.sleeper(t);
    const { devices } = savedResources(rig, id);
    const file = rig.fresh('resources.json');
    writeFileSync(file, '{"pids":{"limit":30}}');
    expectSuccess(t, await update(id, `--resources=${file}`, '--pids-limit', '99'), 'as podman');
    t.equal(shown(rig, id).pids, '30', 'the options count for nothing then');
    for (const [flags, limit] of [
      [['--resources', '-'], 31],
      [['--resources=-'], 32],
      [['-r', '-'], 33],
    ] as const) {
      const stdin = `{"pids":{"limit":${limit}},"memory":{"limit":0},"devices":[{"allow":true,"access":"rwm"}]}`;
      expectSuccess(t, await rig.tsrun(['update', ...flags, id], { stdin }), flags.join(' '));
      t.equal(shown(rig, id).pids, String(limit));
    }
    t.strictSame(savedResources(rig, id)['devices'], devices, 'device rules stay');
    await rig.delete(t, id);
  });

  await t.test('block devices are throttled one by one', { skip: noDisk }, async (t) => {
    const [major, minor] = (blockDevice() ?? '').split(':').map(Number);
    const { id } = await rig.sleeper(t);
    const set = async (rate: number): Promise<void> => {
      const stdin = JSON.stringify({ blockIO: { throttleReadBpsDevice: [{ major, minor, rate }] } });
      expectSuccess(t, await rig.tsrun(['update', '--resources', '-', id], { stdin }));
    };
    await set(1_000_000);
    t.equal(readRate(rig, id, `${major}:${minor}`), '1000000');
    await set(2_000_000);
    t.equal(readRate(rig, id, `${major}:${minor}`), '2000000');
    await set(0);
    t.equal(readRate(rig, id, `${major}:${minor}`), '');
    await rig.delete(t, id);
  });

  await t.test('a failing update changes nothing', async (t) => {
    const { id } = await rig.sleeper(t, {
      change: (config) =>
        (config.linux.resources = { memory: { limit: 64 * MIB, swap: 64 * MIB }, pids: { limit: 9 } }),
    });
    const before = { limits: shown(rig, id), saved: savedResources(rig, id) };
    // The kernel takes all of it but the last: no machine has a block device 0:0.
    const stdin = JSON.stringify({
      memory: { limit: 128 * MIB, swap: 256 * MIB },
      cpu: { shares: 99, quota: 7000, cpus: '0' },
      pids: { limit: 77 },
      blockIO: { throttleReadBpsDevice: [{ major: 0, minor: 0, rate: 5 }] },
    });
    const result = await rig.tsrun(['update', '--resources', '-', id], { stdin });
    expectFailure(t, result, { message: /throttle block device 0:0: write .*(read_bps_device|io\.max).*: ENODEV/ });
    t.notMatch(result.stderr, 'put the old limits back');
    t.strictSame(shown(rig, id), before.limits, 'the kernel');
    t.strictSame(savedResources(rig, id), before.saved, 'the saved config');
    await rig.delete(t, id);
  });

  await t.test('an update that cannot be saved changes nothing', async (t) => {
    const { id } = await rig.sleeper(t);
    // A directory in the place of the saved config cannot be replaced by a file.
    const saved = path.join(rig.root, id, 'config.json');
    const before = shown(rig, id).pids;
    const script = 'mount --bind "$0" "$0" && exec "$@"';
    const under = ['unshare', '--mount', '/bin/sh', '-c', script, saved];
    const result = await rig.tsrun(['update', '--pids-limit', '5', id], { under });
    expectFailure(t, result, { message: /write .*config\.json.*: EBUSY/ });
    t.equal(shown(rig, id).pids, before);
    await rig.delete(t, id);
  });

  await t.test('created and paused containers take an update, stopped ones do not', async (t) => {
    const { id } = await rig.create(t, { args: ['sleep', '1000'] });
    expectSuccess(t, await update(id, '--pids-limit', '40'), 'created');
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    expectSuccess(t, await rig.tsrun(['pause', id]), 'pause');
    expectSuccess(t, await update(id, '--pids-limit', '41', '--memory', '100M'), 'paused');
    t.equal(shown(rig, id).pids, '41');
    t.equal((await rig.state(id)).status, 'paused');
    expectSuccess(t, await rig.tsrun(['resume', id]), 'resume');
    expectSuccess(t, await rig.tsrun(['exec', id, 'true']), 'exec reads the saved config');
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    expectFailure(t, await update(id, '--pids-limit', '42'), { message: 'container not running' });
    expectFailure(t, await update(rig.id('none'), '--pids-limit', '42'), { message: 'does not exist' });
    await rig.delete(t, id);
  });

  await t.test('what makes no sense is refused', async (t) => {
    const { id } = await rig.sleeper(t);
    const rows: [flags: string, message: RegExp][] = [
      ['--memory 12x', /invalid value .*12x.* for option .*--memory/],
      ['--memory 99999999P', /\/memory\/limit: /],
      ['--cpu-quota 1.5', /invalid value .*1\.5.* for option .*--cpu-quota/],
      ['--cpu-period 5', /\/cpu\/period: is 5, wanted 1000 to 1000000/],
      ['--memory-swap 5M', /\/memory\/swap: .*unable to set swap limit without memory limit/],
      ['--blkio-weight 5', /\/blockIO\/weight: is 5, wanted 10 to 1000/],
      ['--pids-limit -5', /\/pids\/limit/],
      ['--resources /none', /read resources document .*ENOENT/],
      ['--l3-cache-schema L3:0=f', /without linux\.intelRdt/],
      ['--mem-bw-schema MB:0=5', /without linux\.intelRdt/],
    ];
    for (const [flags, message] of rows) expectFailure(t, await update(id, ...flags.split(' ')), { message });
    const documents: readonly (readonly [stdin: string, message: RegExp])[] = [
      ['{"memory":', /standard input: broken JSON at line 1/],
      ['{"memory":{"limit":"5"}}', /standard input: \/memory\/limit: /],
      ['[]', /standard input: /],
      isUnified
        ? ['{"unified":{"nothing.max":"5"}}', /unified\/nothing\.max: /]
        : ['{"unified":{"memory.high":"5"}}', /needs cgroup v2 alone/],
    ];
    for (const [stdin, message] of documents) {
      expectFailure(t, await rig.tsrun(['update', '-r', '-', id], { stdin }), { message });
    }
    const warned = await update(id, '--kernel-memory', '5M', '--kernel-memory-tcp', '6M');
    t.match(warned, { code: 0, stderr: /memory\.kernel is obsolete and ignored/ });
    await rig.delete(t, id);
  });

  await t.test('a limit below the usage is refused when it is to be compared', async (t) => {
    const { id } = await rig.sleeper(t);
    const before = shown(rig, id).memory;
    const stdin = '{"memory":{"limit":4096,"checkBeforeUpdate":true}}';
    const result = await rig.tsrun(['update', '-r', '-', id], { stdin });
    expectFailure(t, result, {
      message: /compare the memory limit with the usage: the usage is \d+, wanted less than 4096/,
    });
    t.equal(shown(rig, id).memory, before);
    await rig.delete(t, id);
  });

  const isApart = isUnified ? 'cgroup v2 lets a parent have less than its children' : false;
  await t.test('a child cgroup that is in the way is named', { skip: isApart }, async (t) => {
    const { id } = await rig.sleeper(t);
    const inner = `${directoryOf(rig, id, 'cpuset')}/inner`;
    mkdirSync(inner);
    writeFileSync(`${inner}/cpuset.cpus`, readFileSync('/sys/fs/cgroup/cpuset/cpuset.cpus', 'utf8'));
    const result = await update(id, '--cpuset-cpus', '0');
    expectFailure(t, result, { message: /set cpu\.cpus: write .*cpuset\.cpus.*: EBUSY/ });
    rmdirSync(inner);
    await rig.delete(t, id);
  });

  const noUnified = isUnified ? false : `unified needs cgroup v2 alone, this machine is ${cgroupLayout.mode}`;
  await t.test('unified settings arrive in the kernel', { skip: noUnified }, async (t) => {
    const { id } = await rig.sleeper(t);
    const set = async (unified: Record<string, string>): Promise<void> => {
      expectSuccess(t, await rig.tsrun(['update', '-r', '-', id], { stdin: JSON.stringify({ unified }) }));
    };
    const read = (file: string): string => readFileSync(path.join(directoryOf(rig, id, 'memory'), file), 'utf8').trim();
    await set({ 'memory.high': '50331648', 'pids.max': '70', 'cpuset.cpus': '0' });
    t.strictSame([read('memory.high'), read('pids.max'), read('cpuset.cpus')], ['50331648', '70', '0']);
    await set({ 'memory.high': 'max', 'cpu.max': '20000 100000' });
    t.strictSame([read('memory.high'), read('pids.max'), read('cpu.max')], ['max', '70', '20000 100000']);
    t.strictSame(savedResources(rig, id)['unified'], {
      'memory.high': 'max',
      'pids.max': '70',
      'cpuset.cpus': '0',
      'cpu.max': '20000 100000',
    });
    await rig.delete(t, id);
  });
});
