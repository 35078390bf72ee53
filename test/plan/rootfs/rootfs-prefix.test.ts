import t from 'tap';
import { stripRootfsPrefix } from '../../../src/plan/rootfs/rootfs-prefix.ts';

const strip = (destination: string, ...rootfs: string[]) =>
  stripRootfsPrefix({ ociVersion: '1.3.0', mounts: [{ destination, type: 'tmpfs' }] }, rootfs).mounts?.[0]?.destination;

t.test('stripRootfsPrefix() makes paths inside the rootfs of those that name its place on the host', (t) => {
  t.equal(strip('/bundle/rootfs/data', '/bundle/rootfs'), '/data');
  t.equal(strip('/bundle//rootfs/./data/', '/bundle/rootfs'), '/data');
  t.equal(strip('/spelled/rootfs/data', '/real', '/spelled/rootfs'), '/data');
  t.equal(strip('/bundle/rootfs', '/bundle/rootfs'), '/');
  t.end();
});

t.test('stripRootfsPrefix() leaves every other path as it is spelled', (t) => {
  t.equal(strip('/bundle/rootfs2/data', '/bundle/rootfs'), '/bundle/rootfs2/data');
  t.equal(strip('//data/', '/bundle/rootfs'), '//data/');
  t.equal(strip('/data', '/'), '/data');
  t.same(stripRootfsPrefix({ ociVersion: '1.3.0' }, ['/x']), { ociVersion: '1.3.0' });
  t.end();
});
