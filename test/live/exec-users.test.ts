import { execFileSync } from 'node:child_process';
import { rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectFailure, live } from './support/rig.ts';

const PASSWD = 'root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n';
const GROUP = 'root:x:0:\nadm:x:4:web,other\nlog:x:6:web\nwebs:x:34:\n';

live('exec as a user whom the container names', async (t, rig) => {
  const users = (rootfs: string): void => {
    writeFileSync(path.join(rootfs, 'etc/passwd'), PASSWD);
    writeFileSync(path.join(rootfs, 'etc/group'), GROUP);
  };
  const { id } = await rig.sleeper(t, { fill: users });
  const inside = (name: string): string => path.join(rig.latestBundle(), 'rootfs/etc', name);
  const idOf = async (user: string): Promise<string> => {
    const { stdout } = await rig.tsrun(['exec', '--user', user, id, 'sh', '-c', 'id -u; id -g; id -G']);
    return stdout.trim().split('\n').join(' / ');
  };

  await t.test('names and numbers', async (t) => {
    t.equal(await idOf('web'), '33 / 34 / 34 4 6', 'a name brings its group, and those that list it');
    t.equal(await idOf('web:adm'), '33 / 4 / 4');
    t.equal(await idOf('7:log'), '7 / 6 / 6');
    t.equal(await idOf('7'), '7 / 0 / 0');
  });

  await t.test('a combined -it, and what the caller has in the environment', async (t) => {
    const env = ['-e', 'CALLERS', '-e', 'NOT_THERE', '-e', 'GIVEN=1'];
    const shown = await rig.tsrun(['exec', ...env, id, 'env'], { env: { ...process.env, CALLERS: 'own' } });
    t.match(shown.stdout, /^CALLERS=own$/m);
    t.match(shown.stdout, /^GIVEN=1$/m);
    t.notMatch(shown.stdout, 'NOT_THERE');
    for (const wrong of ['=x', ''])
      expectFailure(t, await rig.tsrun(['exec', '-e', wrong, id, 'true']), {
        code: 255,
        message: /for option .*--env.*: wanted NAME=VALUE or NAME/,
      });
  });

  await t.test('names that are not there, and files that are none', async (t) => {
    const refused = async (user: string, message: RegExp): Promise<void> => {
      expectFailure(t, await rig.tsrun(['exec', '--user', user, id, 'true']), { code: 255, message });
    };
    await refused('nobody', /look up ..nobody.. in \/etc\/passwd of the container: it is not listed there/);
    await refused('0x10', /invalid value ..0x10.. for option .*--user/);
    await refused('web:nogroup', /look up ..nogroup.. in \/etc\/group of the container/);
    rmSync(inside('passwd'));
    await refused('web', /\/etc\/passwd of the container: no such file or directory: ENOENT/);
    execFileSync('mkfifo', [inside('passwd')]);
    await refused('web', /\/etc\/passwd of the container: it is no regular file/);
    rmSync(inside('passwd'));
    symlinkSync('/proc/self/fd/0', inside('passwd'));
    await refused('web', /\/etc\/passwd of the container/);
    rmSync(inside('passwd'));
    symlinkSync('/../../../../../../../../etc/passwd-of-the-host', inside('passwd'));
    await refused('web', /ENOENT/);
    rmSync(inside('passwd'));
    writeFileSync(inside('passwd'), '');
    truncateSync(inside('passwd'), 1024 ** 4);
    await refused('web', /it is not listed there/);
  });
  await rig.delete(t, id);
});
