import t from 'tap';
import { lowerName, type OverlayLayers } from '../../../src/plan/base/layers.ts';
import { marksOf, overlayProblem, planOverlay } from '../../../src/plan/rootfs/overlay.ts';
import { planOutsideRoot, planRootMount } from '../../../src/plan/rootfs/rootfs.ts';
import { LOWERS_MAX } from '../../../src/spec/overlay.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const namespaces = [{ type: 'mount' as const }];
const layers: OverlayLayers = {
  directory: '/var/lib/tsrun/overlay/c1',
  lowers: ['/layers/a,b:c', '/bundle/rootfs'],
  isKept: false,
  marks: 'trusted',
};

t.test('planOverlay() names nothing of the host but the directory of the layer', (t) => {
  const context = makeContext({ config: { linux: { namespaces } } });
  const text = printSteps(planOverlay(context, layers, context.slots.root));
  for (const option of ['"lowerdir", "0:1"', '"upperdir", "upper"', '"workdir", "work"', '"redirect_dir", "nofollow"'])
    t.match(text, option);
  t.notMatch(text, /a,b:c|userxattr/);
  t.match(printSteps(planOverlay(context, { ...layers, marks: 'user' }, context.slots.root)), '"userxattr"');
  t.match(text, '"volatile"');
  t.notMatch(printSteps(planOverlay(context, { ...layers, isKept: true }, context.slots.root)), '"volatile"');
  t.end();
});

t.test('planRootMount() mounts the overlay in place of the rootfs, made before a user namespace is entered', (t) => {
  const own = makeContext({ config: { linux: { namespaces } }, options: { overlay: layers } });
  const text = printSteps(planRootMount(own));
  t.match(text, /fsmount.* = root/);
  t.notMatch(text, 'open_tree');
  t.strictSame(planOutsideRoot(own), []);
  const linux = { namespaces: [...namespaces, { type: 'user' as const }] };
  const mapped = makeContext({ config: { linux }, options: { overlay: layers } });
  t.notMatch(printSteps(planRootMount(mapped)), 'fsmount');
  t.match(printSteps(planOutsideRoot(mapped)), /fsmount.* = root/);
  t.end();
});

t.test('lowerName() keeps the names of all lower directories within what fsconfig(2) takes', (t) => {
  const names = Array.from({ length: LOWERS_MAX + 1 }, (_, index) => lowerName(index));
  t.equal(new Set(names).size, names.length);
  t.ok(names.join(':').length <= 255);
  t.end();
});

t.test('overlayProblem() says where there can be no layer', (t) => {
  const { config, host } = makeContext({ config: { linux: { namespaces } } });
  t.equal(overlayProblem(config, host, layers), undefined);
  t.match(overlayProblem({ ...config, linux: {} }, host, layers), /needs a mount namespace/);
  const joined = { ...config, linux: { namespaces: [{ type: 'mount' as const, path: '/proc/1/ns/mnt' }] } };
  t.match(overlayProblem(joined, host, layers), /needs a mount namespace/);
  const old = { ...host, kernel: { ...host.kernel, version: [5, 10] as const } };
  t.equal(overlayProblem(config, old, layers), undefined);
  t.match(overlayProblem(config, old, { ...layers, marks: 'user' }), /needs Linux 5\.11 .* this is 5\.10/);
  const kept = { ...layers, isKept: true };
  t.match(
    overlayProblem(config, host, { ...kept, directory: '/bundle/rootfs/x' }),
    /lies in the directory "\/bundle\/rootfs" below it/,
  );
  t.equal(overlayProblem(config, host, { ...kept, directory: '/bundle/rootfs-x' }), undefined);
  t.match(overlayProblem(config, host, { ...layers, lowers: [`${layers.directory}/upper`] }), /lies in the layer/);
  t.end();
});

t.test('marksOf() takes what only root may write where root mounts', (t) => {
  const { config, host } = makeContext({ config: { linux: { namespaces } } });
  const user = { ...config, linux: { namespaces: [...namespaces, { type: 'user' as const }] } };
  const weak = { ...host, identity: { ...host.identity, euid: 1000, effectiveCapabilities: '0' } };
  const inside = { ...host, identity: { ...host.identity, inUserNamespace: true } };
  t.strictSame([marksOf(config, host), marksOf(user, host)], ['trusted', 'trusted']);
  t.strictSame([marksOf(user, weak), marksOf(config, inside)], ['user', 'user']);
  t.end();
});
