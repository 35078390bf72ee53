import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setUserNamespace } from '../live/support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from '../live/support/rig.ts';
import { count } from './count.mjs';

const [major = 0, minor = 0] = os.release().split('.').map(Number);
const isOld = major < 6 || (major === 6 && minor < 2);

const RULES = { read: ['/etc'], execute: ['/bin'], write: ['/tmp', '/dev/null'] };

function annotate(rules: unknown) {
  return (config: BaseConfig): void => {
    config.annotations = { 'run.tsrun.landlock': JSON.stringify(rules) };
  };
}

/** What the program tries, and what it must answer. */
const SCRIPT = [
  'read x </etc/file && echo "reads $x"',
  'echo changed >/etc/file || echo "no write"',
  'truncate -s 0 /etc/file || echo "no truncate"',
  'touch /tmp/made && echo "makes"',
  'touch /made || echo "no new file"',
  'read x </proc/self/status || echo "no proc"',
  'cp /bin/busybox /tmp/copy; /tmp/copy true || echo "no execute"',
  'echo >/dev/null && echo "device"',
  'mount -t tmpfs none /tmp || echo "no mount"',
].join('; ');
const WANTED = [
  'reads text',
  'no write',
  'no truncate',
  'makes',
  'no new file',
  'no proc',
  'no execute',
  'device',
  'no mount',
];

live('Landlock by annotation', async (t, rig) => {
  const fill = (rootfs: string): void => {
    writeFileSync(path.join(rootfs, 'etc/file'), 'text\n', { mode: 0o666 });
  };

  if (isOld) {
    await t.test('a kernel that has too little of it', async (t) => {
      expectFailure(t, await rig.run({ change: annotate(RULES) }), { message: /Landlock needs 6\.2/ });
    });
    return;
  }

  for (const noNewPrivileges of [true, false]) {
    await t.test(`confines root, no_new_privs ${noNewPrivileges}`, async (t) => {
      const result = await rig.run({
        args: `${SCRIPT}; true`,
        fill,
        change: (config) => {
          annotate(RULES)(config);
          config.process.noNewPrivileges = noNewPrivileges;
        },
      });
      count('attacks tried', WANTED.length);
      expectSuccess(t, result);
      t.strictSame(
        result.stdout
          .trimEnd()
          .split('\n')
          .filter((line) => WANTED.includes(line)),
        WANTED,
      );
    });
  }

  await t.test('confines what exec starts, also in a user namespace', async (t) => {
    for (const user of [false, true]) {
      const { id } = await rig.sleeper(t, {
        args: ['/bin/busybox', 'sleep', '1000'],
        fill,
        change: (config) => {
          annotate(RULES)(config);
          if (user) setUserNamespace(config);
        },
      });
      t.equal((await rig.tsrun(['exec', id, '/bin/cat', '/etc/file'])).stdout, 'text\n');
      const denied = await rig.tsrun(['exec', id, '/bin/cat', '/proc/self/status']);
      t.match(denied.stderr, 'Permission denied');
      count('attacks tried');
      await rig.delete(t, id);
    }
  });

  await t.test('symlinks of the image lead to no magic link and not out of the rootfs', async (t) => {
    const result = await rig.run({ change: annotate({ execute: ['/bin', '/proc/self/root/etc'] }) });
    count('attacks tried');
    expectFailure(t, result, { message: /allow to execute .*self\/root\/etc.*: ELOOP/ });
  });

  await t.test('refusals name the place', async (t) => {
    expectFailure(t, await rig.run({ change: annotate({ read: ['/none'] }) }), {
      message: /allow to read .*\/none.*: ENOENT \(\/annotations\/run\.tsrun\.landlock of config\.json\)/,
    });
    expectFailure(t, await rig.run({ change: annotate({ Read: [] }) }), { message: /wanted read, execute, write/ });
    const notExecutable = await rig.run({ change: annotate({ read: ['/'] }) });
    expectFailure(t, notExecutable, { message: /permission denied/i });
  });
});
