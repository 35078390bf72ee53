import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { removeNamespace, setNamespace } from './support/namespaces.ts';
import { expectSuccess, live, type BaseConfig } from './support/rig.ts';
import { needsRoot } from './support/surroundings.ts';

const NOBODY = 65534;

live('an ordinary user runs a container on a layer', async (t, rig) => {
  if (needsRoot('x') !== false) return;
  const home = rig.path('home');
  mkdirSync(home);
  chownSync(home, NOBODY, NOBODY);
  mkdirSync(rig.root, { recursive: true });
  chownSync(rig.root, NOBODY, NOBODY);
  const as = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  const under = [...as, 'env', '-u', 'XDG_RUNTIME_DIR', '-u', 'NODE_OPTIONS', '-u', 'XDG_DATA_HOME', `HOME=${home}`];
  const own = (rootfs: string): void => {
    fillOwned(rootfs);
  };
  const change = (config: BaseConfig): void => {
    setNamespace(config, 'user');
    removeNamespace(config, 'network');
    config.linux.uidMappings = [{ containerID: 0, hostID: NOBODY, size: 1 }];
    config.linux.gidMappings = config.linux.uidMappings;
    config.mounts = config.mounts.filter(({ type }) => type === 'proc');
    delete config.linux.resources;
  };
  const args = 'rm -r /data && mkdir /data && echo x > /data/x && echo y >> /etc/passwd && rm /etc/group';
  const bundle = rig.bundle({ fill: own, change, args });
  const id = rig.id('rootless');
  const result = await rig.tsrun(['run', '--keep', '--overlay', '--bundle', bundle, id], { under });
  expectSuccess(t, result);
  const layers = path.join(home, '.local/share/tsrun/overlay');
  t.strictSame(readdirSync(layers), [id]);
  const changes = await rig.tsrun(['diff', id], { under });
  expectSuccess(t, changes);
  const lines = changes.stdout
    .trimEnd()
    .split('\n')
    .filter((line) => !line.includes('/dev'));
  t.strictSame(lines, ['C /data', 'D /data/file', 'A /data/x', 'C /etc', 'D /etc/group', 'C /etc/passwd']);
  expectSuccess(t, await rig.tsrun(['delete', id], { under }));
  t.strictSame(readdirSync(layers), []);
  t.ok(existsSync(path.join(bundle, 'rootfs/data/file')));
});

function fillOwned(rootfs: string): void {
  mkdirSync(path.join(rootfs, 'data'));
  writeFileSync(path.join(rootfs, 'data/file'), 'x');
  execFileSync('chown', ['-R', '-h', `${NOBODY}:${NOBODY}`, rootfs]);
}
