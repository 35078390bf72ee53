import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { expectFailure, live } from '../live/support/rig.ts';

const NAME = 'tsrun-test-profile';
const PROFILE = `profile ${NAME} flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  signal,
  mount,
  umount,
  ptrace,
  deny /tmp/denied w,
}
`;
const SHOW = 'cat /proc/self/attr/current; echo yes >/tmp/allowed; cat /tmp/allowed; echo no >/tmp/denied';

live('AppArmor', async (t, rig) => {
  const file = rig.path('profile');
  writeFileSync(file, PROFILE);
  execFileSync('apparmor_parser', ['--replace', '--skip-cache', file]);
  try {
    const tmp = { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' };

    await t.test('process.apparmorProfile confines the program', async (t) => {
      const result = await rig.run({
        args: SHOW,
        change: (config) => {
          config.mounts.push(tmp);
          config.process.apparmorProfile = NAME;
        },
      });
      t.equal(result.stdout, `${NAME} (enforce)\nyes\n`, result.stderr);
      t.match(result.stderr, /\/tmp\/denied: Permission denied/);
      t.not(result.code, 0);
    });

    await t.test('exec --apparmor confines another one', async (t) => {
      const { id } = await rig.sleeper(t, { change: (config) => config.mounts.push(tmp) });
      const confined = await rig.tsrun(['exec', '--apparmor', NAME, id, 'sh', '-c', SHOW]);
      t.equal(confined.stdout, `${NAME} (enforce)\nyes\n`, confined.stderr);
      t.match(confined.stderr, /\/tmp\/denied: Permission denied/);
      const free = await rig.tsrun(['exec', id, 'sh', '-c', SHOW]);
      t.equal(free.stdout, 'unconfined\nyes\n', free.stderr);
      t.equal(free.code, 0);
      await rig.delete(t, id);
    });

    await t.test('a profile that is not loaded is refused', async (t) => {
      const result = await rig.run({ change: (config) => (config.process.apparmorProfile = 'tsrun-test-unknown') });
      expectFailure(t, result, { message: /apparmor failed to apply profile .*tsrun-test-unknown.*ENOENT/ });
    });
  } finally {
    execFileSync('apparmor_parser', ['--remove', file]);
  }
});
