import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { cgroupsOf } from '../live/support/cgroups.ts';
import { removeNamespace, setNamespace } from '../live/support/namespaces.ts';
import { live } from '../live/support/rig.ts';

/** The line of cgroup2 in a /proc/PID/cgroup. */
function unifiedOf(text: string): string {
  return /^0::(.*)$/m.exec(text)?.[1] ?? '';
}

/** Shows where the shell is, what its cgroup mount is, and whether it can make a cgroup. */
const LOOK = `cat /proc/self/cgroup; grep ' /sys/fs/cgroup ' /proc/self/mountinfo; ls /sys/fs/cgroup
  mkdir /sys/fs/cgroup/tsrun-test-inner && rmdir /sys/fs/cgroup/tsrun-test-inner && echo made`;

live('cgroup v2 alone', async (t, rig) => {
  await t.test('the container has a cgroup of its own with every controller', async (t) => {
    const { id, pid } = await rig.create(t);
    const directory = cgroupsOf(pid).get('unified') ?? '';
    t.match(directory, id, 'named after it');
    t.equal(readFileSync(path.join(directory, 'cgroup.procs'), 'utf8'), `${pid}\n`, 'nobody else is in it');
    const own = readFileSync(path.join(directory, 'cgroup.controllers'), 'utf8').trim().split(' ');
    for (const controller of ['cpuset', 'cpu', 'io', 'memory', 'pids']) t.ok(own.includes(controller), controller);
    await rig.delete(t, id);
    t.notOk(existsSync(directory), 'gone with it');
  });

  await t.test('in a cgroup namespace it is the root, read-only as the template says', async (t) => {
    const output = await rig.output(t, {
      args: `${LOOK} || true`,
      change: (config) => {
        setNamespace(config, 'cgroup');
      },
    });
    t.equal(unifiedOf(output), '/');
    t.match(output, / \/ \/sys\/fs\/cgroup ro,.* - cgroup2 /, 'the mount shows this cgroup as its root');
    t.match(output, /^cgroup\.events$/m, 'which the root of the machine does not have');
    t.notMatch(output, /^made$/m);
  });

  await t.test('with rw it can make cgroups there', async (t) => {
    for (const type of ['cgroup', 'cgroup2']) {
      const output = await rig.output(t, {
        args: LOOK,
        change: (config) => {
          setNamespace(config, 'cgroup');
          for (const mount of config.mounts.filter(({ type }) => type === 'cgroup'))
            Object.assign(mount, { type, options: ['nosuid', 'noexec', 'nodev', 'rw'] });
        },
      });
      t.match(output, / \/ \/sys\/fs\/cgroup rw,.* - cgroup2 /, type);
      t.match(output, /^made$/m, type);
    }
  });

  await t.test('without one it sees the machine and where it is in it', async (t) => {
    const output = await rig.output(t, {
      args: `${LOOK} || true`,
      change: (config) => {
        removeNamespace(config, 'cgroup');
      },
    });
    t.match(unifiedOf(output), rig.prefix);
    t.match(output, /^system\.slice$/m);
    t.notMatch(output, /^made$/m, 'read-only as well');
    // They are of the hierarchy: a mount of it from the machine's cgroup namespace, without them, would take them from all.
    const own = readFileSync('/proc/self/mountinfo', 'utf8');
    t.match(own, / \/sys\/fs\/cgroup .* - cgroup2 .*\bnsdelegate\b/, "the machine's own mount keeps its options");
  });
});
