import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { cgroupsOf } from '../live/support/cgroups.ts';
import { setNamespace, setUserNamespace } from '../live/support/namespaces.ts';
import { expectSuccess, live, type BaseConfig } from '../live/support/rig.ts';

/** A cgroup namespace, and its cgroup mount with or without the right to write. */
function withCgroupMount(config: BaseConfig, option: 'ro' | 'rw'): void {
  setNamespace(config, 'cgroup');
  for (const mount of config.mounts.filter(({ type }) => type === 'cgroup')) mount.options = ['nosuid', option];
}

/** File name -> owner, of the files of a cgroup that belong to somebody else than root, and the directory itself as `.`. */
function givenFiles(directory: string): Record<string, number> {
  const names = ['.', ...readdirSync(directory)];
  const owners = names.map((name) => [name, statSync(path.join(directory, name)).uid] as const);
  return Object.fromEntries(owners.filter(([, uid]) => uid !== 0));
}

live('who owns the cgroup', async (t, rig) => {
  const delegated = readFileSync('/sys/kernel/cgroup/delegate', 'utf8').trim().split('\n');

  await t.test('root of a user namespace manages its own, not its limits', async (t) => {
    const { id, pid } = await rig.sleeper(t, {
      change: (config) => {
        setUserNamespace(config);
        withCgroupMount(config, 'rw');
        config.linux.resources = { memory: { limit: 134_217_728 } };
      },
    });
    const directory = cgroupsOf(pid).get('unified') ?? '';
    const there = new Set(readdirSync(directory));
    const wanted = ['.', ...delegated.filter((name) => there.has(name))].map((name) => [name, 100_000] as const);
    t.strictSame(givenFiles(directory), Object.fromEntries(wanted));
    t.ok(wanted.length > 3);
    const script = `cd /sys/fs/cgroup && mkdir inner && echo 1 >inner/cgroup.procs && echo $$ >inner/cgroup.procs &&
      echo +pids >cgroup.subtree_control && echo 9 >inner/pids.max && cat inner/pids.max; echo max >memory.max`;
    const result = await rig.tsrun(['exec', id, 'sh', '-c', script]);
    t.equal(result.stdout, '9\n', result.stderr);
    t.match(result.stderr, /memory\.max: Permission denied/);
    t.equal(readFileSync(path.join(directory, 'memory.max'), 'utf8').trim(), '134217728');
    expectSuccess(t, await rig.tsrun(['exec', id, 'true']), 'exec beside its own cgroups');
    await rig.delete(t, id);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('it is the user of the process', async (t) => {
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        withCgroupMount(config, 'rw');
        config.process.user = { uid: 1234, gid: 1234 };
      },
    });
    t.equal(givenFiles(cgroupsOf(pid).get('unified') ?? '')['cgroup.procs'], 1234);
    await rig.delete(t, id);
  });

  await t.test('nobody is given a cgroup that it cannot write to', async (t) => {
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        setUserNamespace(config);
        withCgroupMount(config, 'ro');
      },
    });
    t.strictSame(givenFiles(cgroupsOf(pid).get('unified') ?? ''), {});
    await rig.delete(t, id);
  });
});
