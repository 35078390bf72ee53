import * as fs from 'node:fs';
import path from 'node:path';
import type { Config } from '../../src/spec/generated/config.ts';
import { tar, writeLayout } from './support/image.ts';
import { expectSuccess, live, type Rig } from './support/rig.ts';
import { unpack } from './support/unpack.ts';
import { waitFor } from './support/wait.ts';

const NOBODY = 65534;

/** An archive with busybox, so that the image can run. */
function runnable(rig: Rig): Buffer {
  const busybox = fs.readFileSync(path.join(rig.rootfs, 'bin/busybox'));
  return tar([
    { name: './' },
    { name: 'bin/' },
    { name: 'bin/busybox', data: busybox, mode: 0o755 },
    ...['sh', 'id', 'cat', 'ls', 'pwd'].map((name) => ({ name: `bin/${name}`, link: 'busybox' })),
    { name: 'etc/' },
    { name: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\nworker:x:1000:1001::/:/bin/sh\n' },
    { name: 'etc/group', data: 'root:x:0:\nstaff:x:50:worker\n' },
    { name: 'data/' },
    { name: 'data/first', data: 'from the image' },
    { name: 'proc/' },
    { name: 'dev/' },
    { name: 'sys/' },
    { name: 'tmp/', mode: 0o1777 },
  ]);
}

const CONFIG = {
  User: 'worker',
  Env: ['NAME=value'],
  Entrypoint: ['/bin/sh', '-c'],
  Cmd: ['id; pwd; echo $NAME; cat /data/first'],
  WorkingDir: '/tmp',
  Volumes: { '/data': {} },
  ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
  StopSignal: 'SIGINT',
  Labels: { maker: 'test' },
};

live('what was unpacked runs', async (t, rig) => {
  const layout = writeLayout(rig.fresh('layout'), [{ archive: runnable(rig) }], { config: CONFIG });

  await t.test('as the image says', async (t) => {
    const bundle = await unpack(t, rig, `${layout}:latest`);
    t.equal(fs.statSync(bundle).mode & 0o777, 0o700, 'nobody else gets to its devices and set-uid files');
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('image')]);
    expectSuccess(t, result);
    t.strictSame(result.stdout.split('\n'), [
      'uid=1000(worker) gid=1001 groups=50(staff)',
      '/tmp',
      'value',
      'from the image',
    ]);
    const config = JSON.parse(fs.readFileSync(path.join(bundle, 'config.json'), 'utf8')) as Config;
    t.match(config.annotations, {
      'org.opencontainers.image.stopSignal': 'SIGINT',
      'org.opencontainers.image.exposedPorts': '443/tcp,80/tcp',
      maker: 'test',
    });
  });

  await t.test('layers of their own as well, which stay as they are', async (t) => {
    const more = tar([{ name: 'etc/' }, { name: 'etc/more', data: 'more' }]);
    const changes = {
      ...CONFIG,
      User: '0',
      Entrypoint: ['sh', '-c'],
      Cmd: ['cat /etc/more; echo x >/etc/more; sleep 1000'],
    };
    const two = writeLayout(rig.fresh('layout'), [{ archive: runnable(rig) }, { archive: more }], { config: changes });
    const bundle = rig.fresh('bundle');
    expectSuccess(t, await rig.tsrun(['unpack', two, bundle]));
    const id = rig.id('layered');
    expectSuccess(t, await rig.tsrun(['run', '--detach', '--bundle', bundle, id]));
    await waitFor(async () => (await rig.tsrun(['diff', id])).stdout.includes('C /etc/more\n'));
    expectSuccess(t, await rig.tsrun(['delete', '--force', id]));
    t.equal(fs.readFileSync(path.join(bundle, 'layers/1/etc/more'), 'utf8'), 'more');
    t.notOk(fs.existsSync(path.join(bundle, 'layers/0/etc/more')));
  });

  await t.test("an ordinary user's, of files of his own", async (t) => {
    fs.mkdirSync(rig.root, { recursive: true });
    fs.chownSync(rig.root, NOBODY, NOBODY);
    const place = rig.fresh('place');
    fs.mkdirSync(place);
    fs.chownSync(place, NOBODY, NOBODY);
    const bundle = path.join(place, 'bundle');
    const top = tar([
      { name: 'closed/', mode: 0o555, uid: 7 },
      { name: 'closed/file', data: 'x', uid: 7, pax: { 'SCHILY.xattr.user.a': 'b' }, mode: 0o400 },
      { name: 'dev/zero', type: '3', device: [1, 5] },
    ]);
    const mine = writeLayout(rig.fresh('layout'), [{ archive: runnable(rig) }, { archive: top }], {
      config: { ...CONFIG, Cmd: ['id -u; cat /closed/file'] },
    });
    const user = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', 'env', '-u', 'NODE_OPTIONS'];
    const made = await rig.tsrun(['unpack', '--flat', mine, bundle], { under: user });
    expectSuccess(t, made, 'unpack');
    t.match(made.stderr, /level=warning msg="the image runs as \\"worker\\", whom an ordinary user cannot map/);
    const closed = fs.statSync(path.join(bundle, 'rootfs/closed'));
    t.same([closed.uid, closed.gid, closed.mode & 0o777], [NOBODY, NOBODY, 0o555]);
    t.ok(fs.statSync(path.join(bundle, 'rootfs/dev/zero')).isFile(), 'a device is an empty file');
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('image')], { under: user });
    expectSuccess(t, result, 'run');
    t.equal(result.stdout, '0\nx');
    fs.chownSync(rig.root, 0, 0);
  });
});
