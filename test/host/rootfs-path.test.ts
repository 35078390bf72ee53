import path from 'node:path';
import { realpathSync } from 'node:fs';
import t from 'tap';
import { readRootfsPath } from '../../src/host/rootfs-path.ts';

t.test('readRootfsPath() tells what of a path is left where its lookup enters the rootfs', (t) => {
  const top = realpathSync(
    t.testdir({
      bundle: { rootfs: { var: { run: t.fixture('symlink', '/etc') } }, data: {} },
      inside: t.fixture('symlink', 'bundle/rootfs/var'),
      alias: t.fixture('symlink', 'bundle/rootfs'),
      loop: t.fixture('symlink', 'loop'),
      rootfs2: {},
    }),
  );
  const rootfs = path.join(top, 'bundle/rootfs');
  const look = (tail: string) => readRootfsPath(rootfs, `${top}/${tail}`);
  t.equal(look('bundle/rootfs/var/run/x'), '/var/run/x', 'the rest is not looked up');
  t.equal(look('bundle/rootfs'), '/');
  t.equal(look('bundle//./rootfs/not/there'), '/not/there');
  t.equal(look('bundle/data/../rootfs/x'), '/x');
  t.equal(look('alias/x'), '/x', 'through a symlink to it');
  t.equal(look('inside/run'), '/var/run', 'through a symlink to a place in it');
  t.equal(look('bundle/data'), undefined);
  t.equal(look('bundle/rootfs/../data'), undefined, 'it climbs out again');
  t.equal(look('bundle/rootfs/a/../../data'), undefined);
  t.equal(look('bundle/rootfs/a/../b'), '/a/../b');
  t.equal(look('rootfs2'), undefined);
  t.equal(look('loop/x'), undefined);
  t.equal(look('missing/rootfs'), undefined);
  t.end();
});
