import { readFileSync } from 'node:fs';
import { setNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from './support/rig.ts';
import { isUnified } from './support/cgroups.ts';
import { after } from './support/mounts.ts';

const UNIFIED = isUnified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified';

live('cgroup mounts of the host that others hide', async (t, rig) => {
  const args = 'ls /sys/fs/cgroup; cat /proc/self/cgroup';

  await t.test('cgroup2 over everything: it alone counts', async (t) => {
    const output = await rig.output(t, { args }, after(`mount --bind ${UNIFIED} /sys/fs/cgroup`));
    t.match(output, /^cgroup\.controllers$/m, 'in the container as well');
    if (!isUnified) t.notMatch(output, new RegExp(`^\\d+:[a-z]+:.*${rig.prefix}`, 'm'), 'no other hierarchy is used');
    t.match(output, new RegExp(`^0::.*${rig.prefix}`, 'm'));
  });

  await t.test(
    'one hierarchy that is hidden, or gone, is skipped',
    { skip: isUnified && 'there is one alone' },
    async (t) => {
      for (const command of ['mount -t tmpfs over /sys/fs/cgroup/pids', 'umount /sys/fs/cgroup/pids']) {
        const output = await rig.output(t, { args }, after(command));
        t.notMatch(output, /^pids$/m, command);
        t.match(output, /^freezer$/m);
        t.match(output, new RegExp(`^\\d+:freezer:.*${rig.prefix}`, 'm'));
        t.notMatch(output, new RegExp(`^\\d+:pids:.*${rig.prefix}`, 'm'));
      }
    },
  );

  await t.test('all of them hidden: only without cgroups', async (t) => {
    const hidden = after('mount -t tmpfs over /sys/fs/cgroup');
    expectFailure(t, await rig.run({}, hidden), { message: /no cgroup hierarchy is mounted/ });
    const change = (config: BaseConfig): void => {
      config.mounts = config.mounts.filter(({ type }) => type !== 'cgroup');
    };
    expectSuccess(t, await rig.run({ change }, { ...hidden, global: ['--cgroup-manager', 'disabled'] }));
  });

  await t.test('the rootfs on a mount that lies on another', async (t) => {
    const bundle = rig.bundle({ args: 'echo ran' });
    const id = rig.id('covered');
    // Below the bind mount of the rootfs, the first tmpfs and what is mounted in it are out of sight.
    const command = [
      `mount -t tmpfs first ${rig.path('output')}`,
      `mkdir -p ${rig.path('output/a/b')}`,
      `mount -t tmpfs inner ${rig.path('output/a')}`,
      `mount -t tmpfs second ${rig.path('output')}`,
      `mkdir -p ${rig.path('output/a/rootfs')}`,
      `cp -a ${rig.rootfs}/. ${rig.path('output/a/rootfs')}`,
      `sed -i 's#"path": "${rig.rootfs}"#"path": "${rig.path('output/a/rootfs')}"#' ${bundle}/config.json`,
    ].join('; ');
    const result = await rig.tsrun(['run', '--bundle', bundle, id], after(command));
    expectSuccess(t, result);
    t.match(readFileSync(`${bundle}/config.json`, 'utf8'), 'output/a/rootfs');
    t.equal(result.stdout.trim(), 'ran');
  });
});

live('options of a cgroup2 mount', async (t, rig) => {
  const withOption = (option: string, namespace: boolean) => ({
    change: (config: BaseConfig): void => {
      if (namespace) setNamespace(config, 'cgroup');
      for (const mount of config.mounts) if (mount.type === 'cgroup') mount.options?.push(option);
    },
  });

  await t.test('are given to the kernel', async (t) => {
    await rig.output(t, withOption('nsdelegate', true));
    expectFailure(t, await rig.run(withOption('no-such-option', true)), {
      message: /mount ."cgroup." on ."\/sys\/fs\/cgroup.*": invalid argument: EINVAL/,
    });
  });

  await t.test('are warned about where the mount of the host is shown', async (t) => {
    const result = await rig.run(withOption('nsdelegate', false));
    expectSuccess(t, result);
    t.match(result.stderr, /warning.*nsdelegate.*without a cgroup namespace/);
  });
});
