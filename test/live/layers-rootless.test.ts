import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { removeNamespace, setNamespace } from './support/namespaces.ts';
import { removeCgroups } from './support/leftovers.ts';
import { expectSuccess, live, type BaseConfig, type Rig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';

const NOBODY = 65534;

live('an ordinary user runs a container on a layer', async (t, rig) => {
  const skip = needsRoot('the tests choose the user');
  await t.test('with its own id', { skip }, async (t) => testOwn(t, rig));

  await t.test('with subordinate ids', { skip: skip || missingTools('newuidmap') }, async (t) => testMany(t, rig));
});

/** A user with a home of its own. */
function makeUser(rig: Rig): { readonly layers: string; readonly under: readonly string[]; readonly root: string } {
  const [home, root] = [rig.fresh('home'), rig.fresh('user-root')];
  for (const directory of [home, root]) {
    mkdirSync(directory);
    chownSync(directory, NOBODY, NOBODY);
  }
  const as = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  const under = [...as, 'env', '-u', 'XDG_RUNTIME_DIR', '-u', 'NODE_OPTIONS', '-u', 'XDG_DATA_HOME', `HOME=${home}`];
  return { layers: path.join(home, '.local/share/tsrun/overlay'), under, root };
}

async function testOwn(t: Test, rig: Rig): Promise<void> {
  const { layers, under, root } = makeUser(rig);
  const global = ['--root', root];
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
  const result = await rig.tsrun(['run', '--keep', '--overlay', '--bundle', bundle, id], { under, global });
  expectSuccess(t, result);
  t.strictSame(readdirSync(layers), [id]);
  const changes = await rig.tsrun(['diff', id], { under, global });
  expectSuccess(t, changes);
  const lines = changes.stdout
    .trimEnd()
    .split('\n')
    .filter((line) => !line.includes('/dev'));
  t.strictSame(lines, ['C /data', 'D /data/file', 'A /data/x', 'C /etc', 'D /etc/group', 'C /etc/passwd']);
  expectSuccess(t, await rig.tsrun(['delete', id], { under, global }));
  t.strictSame(readdirSync(layers), []);
  t.ok(existsSync(path.join(bundle, 'rootfs/data/file')));
}

/** What only its users may remove: files in directories that are closed to all others, and deep. */
const CLOSED = [
  'mkdir -p /closed/deep/er && echo x > /closed/deep/er/x && ln -s /etc/passwd /closed/link && mkfifo /closed/pipe',
  'i=0; while [ $i -lt 80 ]; do mkdir /closed/$i; i=$((i+1)); done',
  'chown -R 7:8 /closed && chmod 700 /closed/deep && chmod 000 /closed',
].join(' && ');

async function testMany(t: Test, rig: Rig): Promise<void> {
  const { layers, under: as, root } = makeUser(rig);
  const global = ['--root', root];
  const ids = rig.path('subordinate-ids');
  writeFileSync(ids, 'nobody:200000:65536\n');
  const mounts = `mount --bind ${ids} /etc/subuid && mount --bind ${ids} /etc/subgid`;
  const under = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${mounts}; exec "$@"`, 'sh', ...as];
  const change = (config: BaseConfig): void => {
    setNamespace(config, 'user');
    removeNamespace(config, 'network');
    config.linux.uidMappings = [
      { containerID: 0, hostID: NOBODY, size: 1 },
      { containerID: 1, hostID: 200_000, size: 1000 },
    ];
    config.linux.gidMappings = config.linux.uidMappings;
    config.process.capabilities = Object.fromEntries(
      ['bounding', 'permitted', 'effective'].map((set) => [set, ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER']]),
    );
    config.mounts = config.mounts.filter(({ type }) => type === 'proc');
    delete config.linux.resources;
  };
  const bundle = rig.bundle({ fill: fillOwned, change, args: CLOSED });
  const run = async (id: string, flags: readonly string[] = ['--keep']): Promise<void> => {
    expectSuccess(t, await rig.tsrun(['run', ...flags, '--overlay', '--bundle', bundle, id], { under, global }), id);
  };
  const closed = rig.id('closed');
  await run(closed);
  t.match(statSync(path.join(layers, closed, 'upper/closed')), { uid: 200_006, gid: 200_007 }, "it is another one's");
  expectSuccess(t, await rig.tsrun(['delete', closed], { under, global }), 'delete');
  t.strictSame(readdirSync(layers), []);
  const ended = rig.id('ended');
  await run(ended, []);
  t.strictSame(readdirSync(layers), [], 'run removes it as well');
  const lost = rig.id('lost');
  await run(lost);
  rmSync(path.join(root, lost), { recursive: true });
  await run(lost);
  t.strictSame(readdirSync(layers), [lost], 'the next container of that id has a layer that is empty');
  rmSync(path.join(root, lost), { recursive: true });
  expectSuccess(t, await rig.tsrun(['delete', '--force', lost], { under, global }), 'delete without a record');
  t.strictSame(readdirSync(layers), []);
  removeCgroups(rig.prefix);
  const other = rig.id('other');
  await run(other);
  const without = await rig.tsrun(['delete', other], { under: as, global });
  t.match(without, { code: 1, stderr: /newgidmap|newuidmap/ }, "with ids that are the user's no more it says so");
  expectSuccess(t, await rig.tsrun(['delete', '--force', other], { under, global }));
  t.strictSame(readdirSync(layers), []);
}

function fillOwned(rootfs: string): void {
  mkdirSync(path.join(rootfs, 'data'));
  writeFileSync(path.join(rootfs, 'data/file'), 'x');
  execFileSync('chown', ['-R', '-h', `${NOBODY}:${NOBODY}`, rootfs]);
}
