import t from 'tap';
import { hasHostSysfs, planHostSysfs } from '../../../src/plan/rootfs/host-sysfs.ts';
import { parseMountOptions } from '../../../src/plan/rootfs/mount-options.ts';
import { makeContext, printSteps, type ContextChanges } from '../fixtures.ts';

const inUserNamespace: ContextChanges = { config: { linux: { namespaces: [{ type: 'user' }] } } };

t.test('hasHostSysfs() is for a read-only sysfs in a user namespace', (t) => {
  const has = (type: string, options: string[], changes: ContextChanges) =>
    hasHostSysfs(makeContext(changes), type, parseMountOptions(options));
  t.ok(has('sysfs', ['ro'], inUserNamespace));
  t.ok(has('sysfs', ['ro'], { host: { identity: { inUserNamespace: true } } }));
  t.notOk(has('sysfs', [], inUserNamespace));
  t.notOk(has('proc', ['ro'], inUserNamespace));
  t.notOk(has('sysfs', ['ro'], {}));
  t.notOk(has('sysfs', ['ro'], { ...inUserNamespace, host: { kernel: { mountSetattr: false } } }));
  t.end();
});

t.test('planHostSysfs() makes everything below read-only before it is attached', (t) => {
  const context = makeContext(inUserNamespace);
  const steps = planHostSysfs(context, context.memory.word('target'), parseMountOptions(['ro', 'nosuid']), {
    label: 'mount "sysfs" on "/sys"',
    pointer: '/mounts/0',
  });
  t.equal(
    printSteps(steps),
    `
   0  if not (answer < 0) skip 7  # bind that of the host where the kernel refuses another
   1    open_tree(AT_FDCWD, "/sys", AT_RECURSIVE|OPEN_TREE_CLOEXEC|OPEN_TREE_CLONE) = tree  # mount "sysfs" on "/sys": open that of the host  (/mounts/0)
   2    fstatfs(tree, &stat)  # mount "sysfs" on "/sys": look at that of the host  (/mounts/0)
   3    if not (is a sysfs) fail ENODEV  # mount "sysfs" on "/sys"  (/mounts/0)
   4    mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_PRIVATE}, 32)  # mount "sysfs" on "/sys"  (/mounts/0)
   5    mount_setattr(tree, "", AT_EMPTY_PATH|AT_RECURSIVE, {attr_set=MOUNT_ATTR_NOSUID|MOUNT_ATTR_RDONLY}, 32)  # mount "sysfs" on "/sys"  (/mounts/0)
   6    move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)  # mount "sysfs" on "/sys": bind that of the host  (/mounts/0)
   7    close(tree), accepts any errno  # close tree
`,
  );
  t.end();
});
