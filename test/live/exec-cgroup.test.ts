import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { readCgroupLayout } from '../../src/host/cgroup-layout.ts';
import { expectFailure, expectSuccess, live, type Rig } from './support/rig.ts';
import { findTool, missingTools } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

interface Membership {
  /** A v1 controller, or the empty string for cgroup2. */
  readonly controller: string;
  readonly cgroup: string;
}

function parseMembership(text: string): Membership[] {
  return text
    .trim()
    .split('\n')
    .filter((line) => /^\d+:/.test(line))
    .map((line) => ({ controller: line.split(':')[1] ?? '', cgroup: line.split(':').slice(2).join(':') }));
}

const layout = readCgroupLayout('/proc/self');

/** The cgroups of a process on the host: directory by controller, of the v1 hierarchies that are mounted. */
function v1Directories(pid: number): Map<string, string> {
  const cgroups = new Map(
    parseMembership(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).map(({ controller, cgroup }) => [controller, cgroup]),
  );
  return new Map(
    layout.hierarchies.map(({ controllers, mountPoint }) => {
      const name = controllers.join(',');
      return [name, path.join(mountPoint, cgroups.get(name) ?? '/')];
    }),
  );
}

/** Runs with the cgroups below the container's there, and takes them away again. */
async function withSubCgroups(pid: number, name: string, body: () => Promise<void>): Promise<void> {
  const directories = [...v1Directories(pid).values()].map((directory) => path.join(directory, name));
  for (const directory of directories) mkdirSync(directory);
  try {
    for (const directory of directories.filter((each) => each.startsWith('/sys/fs/cgroup/cpuset/'))) {
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        writeFileSync(path.join(directory, file), readFileSync(path.join(directory, '..', file)));
    }
    await body();
  } finally {
    for (const directory of directories) await waitFor(() => removed(directory));
  }
}

function removed(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

const noV1 = layout.hierarchies.length === 0 ? 'no cgroup v1 hierarchy is mounted' : false;

live('exec --cgroup', async (t, rig) => {
  const container = async (t: Test): Promise<{ id: string; pid: number }> =>
    rig.sleeper(t, {
      change: (config) => {
        config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'cgroup');
      },
    });
  const membership = async (rig: Rig, id: string, ...flags: readonly string[]): Promise<Membership[]> => {
    const { stdout, stderr, code } = await rig.tsrun(['exec', ...flags, id, 'cat', '/proc/self/cgroup']);
    if (code !== 0) throw new Error(stderr);
    return parseMembership(stdout);
  };

  await t.test('a path counts for every hierarchy, one with controllers for theirs', { skip: noV1 }, async (t) => {
    const { id, pid } = await container(t);
    const own = new Map((await membership(rig, id)).map(({ controller, cgroup }) => [controller, cgroup]));
    await withSubCgroups(pid, 'inner', async () => {
      for (const { controller, cgroup } of await membership(rig, id, '--cgroup', '/inner/./../inner')) {
        const base = own.get(controller) ?? '';
        t.equal(cgroup, controller === '' || base === '/' ? base : `${base}/inner`, `all: ${controller}`);
      }
      for (const { controller, cgroup } of await membership(rig, id, '--cgroup', 'pids,memory:inner')) {
        const base = own.get(controller) ?? '';
        const isMeant = controller === 'pids' || controller === 'memory';
        t.equal(cgroup, isMeant ? `${base}/inner` : base, `some: ${controller}`);
      }
      for (const { controller, cgroup } of await membership(rig, id, '--cgroup', '/'))
        t.equal(cgroup, own.get(controller), `the container's own: ${controller}`);
    });
    await rig.delete(t, id);
  });

  await t.test('nothing leads out of the cgroup of the container', async (t) => {
    const { id } = await container(t);
    for (const wanted of ['..', '/..', '../x', 'a/../../b', '/../../../..', 'pids:../x']) {
      const result = await rig.tsrun(['exec', '--cgroup', wanted, id, 'true']);
      expectFailure(t, result, { code: 255, message: 'bad sub cgroup path' });
    }
    const missing = await rig.tsrun(['exec', '--cgroup', '/not/there', id, 'true']);
    expectFailure(t, missing, { code: 255, message: /join cgroup .*not\/there.*ENOENT|open cgroup .*ENOENT/ });
    const unknown = await rig.tsrun(['exec', '--cgroup', 'nonsense:/x', id, 'true']);
    expectFailure(t, unknown, { code: 255, message: 'unknown controller nonsense' });
    await rig.delete(t, id);
  });

  await t.test('as runc does', { skip: noV1 === false ? missingTools('runc') : noV1 }, async (t) => {
    const runc = [findTool('runc') ?? '', '--root', rig.path('runc')];
    const id = rig.id('runc');
    const bundle = rig.bundle({ args: ['sleep', '1000'] });
    expectSuccess(t, await rig.start([...runc, 'run', '--detach', '--bundle', bundle, id]).done, 'runc run');
    const refused = ['..', '../x', '/not/there', 'nonsense:/x'];
    try {
      for (const wanted of refused) {
        const { code } = await rig.start([...runc, 'exec', '--cgroup', wanted, id, 'true']).done;
        t.equal(code, 255, `runc refuses ${wanted}`);
      }
    } finally {
      expectSuccess(t, await rig.start([...runc, 'delete', '--force', id]).done, 'runc delete');
    }
  });

  const unified = layout.unified;
  const noDomain = unified?.controllers.includes('hugetlb') === true ? false : 'cgroup2 has no hugetlb here';
  await t.test('a container that has handed on its controllers can still be entered', { skip: noDomain }, async (t) => {
    for (const ownNamespace of [true, false]) {
      const { id, pid } = await rig.sleeper(t, {
        change: (config) => {
          config.linux.resources = { hugepageLimits: [{ pageSize: '2MB', limit: 4_194_304 }] };
          if (ownNamespace) return;
          config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'cgroup');
        },
      });
      const unifiedOf = (text: string): string =>
        parseMembership(text).find(({ controller }) => controller === '')?.cgroup ?? '';
      const own = path.join(unified?.mountPoint ?? '', unifiedOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8')));
      const enabled = readFileSync(path.join(own, 'cgroup.controllers'), 'utf8').includes('hugetlb');
      t.ok(enabled, 'the container has a controller to hand on');
      const inner = path.join(own, 'init.scope');
      mkdirSync(inner);
      try {
        writeFileSync(path.join(inner, 'cgroup.procs'), String(pid));
        writeFileSync(path.join(own, 'cgroup.subtree_control'), '+hugetlb');
        const pidFile = rig.fresh('pid');
        const flags = ['exec', '--detach', '--pid-file', pidFile, id, 'sleep', '1000'];
        expectSuccess(t, await rig.tsrun(flags), `exec, cgroup namespace: ${ownNamespace}`);
        const joined = readFileSync(`/proc/${readFileSync(pidFile, 'utf8')}/cgroup`, 'utf8');
        t.equal(path.join(unified?.mountPoint ?? '', unifiedOf(joined)), inner, 'in the cgroup of init');
      } finally {
        expectSuccess(t, await rig.tsrun(['kill', '--all', id, 'KILL']), 'kill');
        await waitFor(() => removed(inner));
      }
      await rig.delete(t, id);
    }
  });

  await t.test('init in a cgroup beside it whose name begins alike is not followed', { skip: noDomain }, async (t) => {
    const { id, pid } = await rig.sleeper(t, {
      change: (config) => {
        config.linux.resources = { hugepageLimits: [{ pageSize: '2MB', limit: 4_194_304 }] };
      },
    });
    const membership = parseMembership(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
    const below = membership.find(({ controller }) => controller === '')?.cgroup ?? '';
    const own = path.join(unified?.mountPoint ?? '', below);
    const beside = `${own}-beside`;
    mkdirSync(beside);
    try {
      writeFileSync(path.join(beside, 'cgroup.procs'), String(pid));
      writeFileSync(path.join(own, 'cgroup.subtree_control'), '+hugetlb');
      const result = await rig.tsrun(['exec', id, 'true']);
      expectFailure(t, result, { code: 255, message: /EBUSY/ });
      writeFileSync(path.join(own, 'cgroup.subtree_control'), '-hugetlb');
      const joined = await rig.tsrun(['exec', id, 'sh', '-c', 'sleep 1000 & echo']);
      expectSuccess(t, joined, 'exec');
      t.match(readFileSync(path.join(own, 'cgroup.procs'), 'utf8'), /\d/, 'in the cgroup of the container');
      t.equal(readFileSync(path.join(beside, 'cgroup.procs'), 'utf8'), `${pid}\n`, 'and not beside it');
    } finally {
      expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
      await waitFor(() => removed(beside));
    }
    await rig.delete(t, id);
  });

  await t.test('--ignore-paused: the program runs when the container does', async (t) => {
    const { id } = await rig.sleeper(t);
    expectSuccess(t, await rig.tsrun(['pause', id]), 'pause');
    const refused = await rig.tsrun(['exec', id, 'true']);
    const words = 'cannot exec in a paused container (use --ignore-paused to override)';
    t.match(refused.stderr, words);
    t.equal(refused.code, 255);
    const running = rig.startTsrun(['exec', '--ignore-paused', id, 'sh', '-c', 'echo ran; exit 5']);
    await new Promise((resolve) => setTimeout(resolve, 500));
    t.equal(running.output(), '', 'it waits');
    expectSuccess(t, await rig.tsrun(['resume', id]), 'resume');
    const result = await running.done;
    t.equal(result.code, 5, result.stderr);
    t.equal(result.stdout, 'ran\n');
    await rig.delete(t, id);
  });
});

live('exec beside runc', async (t, rig) => {
  await t.test('who the program is, by the options', { skip: missingTools('runc') }, async (t) => {
    const bundle = rig.bundle({
      args: ['sleep', '1000'],
      change: (config) => {
        config.process.user = { uid: 1000, gid: 77, additionalGids: [5] };
        config.process.env.push('FROM=config');
      },
    });
    const runc = [findTool('runc') ?? '', '--root', rig.path('runc')];
    const [theirs, ours] = [rig.id('runc'), rig.id('ours')];
    expectSuccess(t, await rig.start([...runc, 'run', '--detach', '--bundle', bundle, theirs]).done, 'runc run');
    expectSuccess(t, await rig.tsrun(['run', '--detach', '--bundle', bundle, ours]), 'run');
    const show = 'id -u; id -g; id -G; echo $FROM $HOME; pwd; umask; grep -E "^(Cap|NoNewPrivs)" /proc/self/status';
    const rows = [
      [],
      ['--user', '1234'],
      ['--user', '0'],
      ['--user', '1234:99'],
      ['--additional-gids', '8', '--additional-gids', '9'],
      ['--env', 'FROM=first', '--env', 'FROM=last', '--cwd', '/etc'],
      ['--cap', 'CAP_NET_RAW', '--user', '0:0'],
      ['--cap', 'CAP_NET_RAW'],
      ['--no-new-privs'],
      ['--no-new-privs=false'],
    ];
    try {
      for (const flags of rows) {
        const wanted = await rig.start([...runc, 'exec', ...flags, theirs, 'sh', '-c', show]).done;
        const found = await rig.tsrun(['exec', ...flags, ours, 'sh', '-c', show]);
        t.strictSame([found.code, found.stdout], [wanted.code, wanted.stdout], `${flags.join(' ')} ${found.stderr}`);
      }
    } finally {
      expectSuccess(t, await rig.start([...runc, 'delete', '--force', theirs]).done, 'runc delete');
    }
    await rig.delete(t, ours);
  });
});
