import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, live, type BaseConfig } from './support/rig.ts';
import { add, after, bind, mountinfo } from './support/mounts.ts';

/** Flags of the source's mount, options of the bind mount, flags that it has then beside relatime. */
type Row = readonly [source: string, options: string, wanted: string];

// What runc 1.3 and crun make of them: what a remount with the options' flags alone leaves.
const ROWS: readonly Row[] = [
  ['ro,noexec,nosymfollow', 'bind,dev', 'rw'],
  ['ro', 'bind,nosuid,nodev,rprivate', 'rw,nosuid,nodev'],
  ['nosuid,nodev,noexec', 'rbind,rw,rprivate', 'rw'],
  ['nosuid,nodev,noexec', 'bind,ro', 'ro'],
  ['noatime', 'bind,atime', 'rw,noatime'],
  ['noatime', 'bind,ro', 'ro,noatime'],
  ['noatime,nodiratime', 'bind,relatime', 'rw'],
  ['noatime', 'bind,nodiratime', 'rw,nodiratime'],
  ['nosuid', 'bind,noatime', 'rw,noatime'],
  // Options that name no flag keep all of them, as in runc.
  ['ro,nosuid,nodev,noexec', 'bind', 'ro,nosuid,nodev,noexec'],
  ['ro,nosuid,nodev,noexec,noatime', 'rbind,rprivate', 'ro,nosuid,nodev,noexec,noatime'],
  ['nosuid,nodev,noexec', 'rbind,rslave,defaults', 'rw,nosuid,nodev,noexec'],
  ['nosuid,nodev', 'rbind,rro', 'ro,nosuid,nodev'],
];

/** In a user namespace, where the flags of the source are locked. */
const LOCKED_ROWS: readonly Row[] = [
  ['nosuid,nodev,noexec', 'rbind,rw,rprivate', 'rw,nosuid,nodev,noexec'],
  ['nosuid,nodev', 'bind,ro', 'ro,nosuid,nodev'],
  ['ro,nosymfollow', 'bind,nosuid', 'ro,nosuid'],
  ['nosuid', 'bind', 'rw,nosuid'],
  ['nosuid', 'bind,exec,dev', 'rw,nosuid'],
];

live('flags of bind mounts', async (t, rig) => {
  /** A directory for each row, its mount with the row's flags, and a container that shows what has become of them. */
  const prepare = (rows: readonly Row[], change: (config: BaseConfig) => void = () => undefined) => {
    const directories = rows.map(() => rig.fresh('source'));
    for (const directory of directories) mkdirSync(directory);
    const commands = rows.map(
      ([flags], index) =>
        `mount --bind ${directories[index]} ${directories[index]}; mount -o remount,bind,${flags} ${directories[index]}`,
    );
    const mounts = rows.map(([, options], index) => ({
      ...bind(directories[index] ?? '', `/m${index}`),
      options: options.split(','),
    }));
    const bundle = {
      args: mountinfo(...rows.map((_, index) => `/m${index}`)),
      // The root of a user namespace may make nothing in a rootfs of root's.
      fill: (rootfs: string) => {
        for (const index of rows.keys()) mkdirSync(path.join(rootfs, `m${index}`));
      },
      change: (config: BaseConfig) => {
        change(config);
        add(...mounts)(config);
      },
    };
    return { bundle, options: after(commands.join('; ')) };
  };
  const flagsOf = (line = '') =>
    (line.split('|')[0] ?? '')
      .split(',')
      .filter((flag) => flag !== 'relatime')
      .join();

  await t.test('the flags of the options replace those of the source', async (t) => {
    const { bundle, options } = prepare(ROWS);
    const lines = (await rig.output(t, bundle, options)).split('\n');
    ROWS.forEach(([source, names, wanted], index) => {
      t.equal(flagsOf(lines[index]), wanted, `${source} with ${names}`);
    });
  });

  await t.test('in a user namespace the flags of the source stay beside them', async (t) => {
    const { bundle, options } = prepare(LOCKED_ROWS, setUserNamespace);
    const lines = (await rig.output(t, bundle, options)).split('\n');
    LOCKED_ROWS.forEach(([source, names, wanted], index) => {
      t.equal(flagsOf(lines[index]), wanted, `${source} with ${names}`);
    });
  });

  await t.test('in a user namespace an option cannot clear a flag of the source', async (t) => {
    for (const [flag, option] of [
      ['ro', 'rw'],
      ['nosuid', 'suid'],
      ['nodev', 'dev'],
      ['noexec', 'exec'],
    ] as const) {
      const { bundle, options } = prepare([[flag, `bind,${option}`, '']], setUserNamespace);
      const result = await rig.run(bundle, options);
      expectFailure(t, result, { message: /\/m0.*cannot clear locked flags MS_\w+.*\/mounts\/\d+\/options/ });
    }
  });

  await t.test('the flags of a mount that the container has made are not locked', async (t) => {
    const output = await rig.output(t, {
      args: mountinfo('/shown'),
      fill: (rootfs) => {
        for (const name of ['made', 'shown']) mkdirSync(path.join(rootfs, name));
      },
      change: (config) => {
        setUserNamespace(config);
        add(
          { destination: '/made', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'noexec'] },
          bind('rootfs/made', '/shown', 'rw', 'exec'),
        )(config);
      },
    });
    t.equal(flagsOf(output), 'rw');
  });

  await t.test('remount changes the flags of what is mounted already', async (t) => {
    const place = rig.fresh('source');
    mkdirSync(place);
    const output = await rig.output(t, {
      args: mountinfo('/m'),
      change: add(bind(place, '/m', 'nosuid'), { destination: '/m', options: ['bind', 'remount', 'ro', 'noexec'] }),
    });
    t.equal(flagsOf(output), 'ro,noexec');
  });
});
