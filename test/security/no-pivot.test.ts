import { mkdirSync } from 'node:fs';
import { setNamespace } from '../live/support/namespaces.ts';
import { expectSuccess, live, type BaseConfig } from '../live/support/rig.ts';
import { count } from './count.mjs';

/**
 * Around tsrun a proc without anything mounted over its parts, as most machines have it: the kernel lets a user namespace mount
 * another proc only where it finds such a one. `prepare` is run on that host first, `after` when tsrun is done.
 */
function hostWith(prepare: string, after = 'true'): string[] {
  const script = `${prepare} && "$@"; code=$?; ${after}; exit $code`;
  return ['timeout', '-k', '5', '60', 'unshare', '-m', '-p', '-f', '--mount-proc', 'sh', '-c', script, 'sh'];
}

/** Becomes root of a user namespace inside the container and mounts what would show, and let change, all of the host's kernel. */
const ATTACK = [
  'unshare -U -r -m -p -f -n sh -c "',
  'mount -t proc proc /tmp && echo PROC && (cat /tmp/sys/kernel/ostype >/tmp/sys/kernel/ostype) 2>/dev/null;',
  'mount -t sysfs sysfs /root && echo SYSFS; echo end"',
].join(' ');

/** Hidden below others, on top of each other, with a name that is no UTF-8. */
const MANY_MOUNTS = [
  'mount -t tmpfs tmpfs "$HIDING"',
  'cd "$HIDING"',
  'mkdir -p a/proc b/c/proc d "$(printf "n\\377 \\134")"',
  'mount -t proc proc a/proc && mount -t sysfs sysfs d && mount -t tmpfs tmpfs a',
  'mount -t proc proc b/c/proc && mount -t proc proc b/c/proc && mount -t tmpfs tmpfs b/c/proc && mount -t proc proc n*',
  'cd /',
].join(' && ');

const OWNERS: Readonly<Record<string, (config: BaseConfig) => void>> = {
  'root without a user namespace': (config) => {
    // A user namespace in which root is root takes CAP_SETFCAP.
    const capabilities = ['CAP_SETFCAP', 'CAP_SYS_ADMIN'];
    config.process.capabilities = { bounding: capabilities, effective: capabilities, permitted: capabilities };
  },
  'uid 1000 without capabilities': (config) => {
    config.process.user = { uid: 1000, gid: 1000 };
    config.process.capabilities = {};
  },
  'uid 1000 of a user namespace': (config) => {
    config.process.user = { uid: 1000, gid: 1000 };
    config.process.capabilities = {};
    setNamespace(config, 'user');
    config.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 65_536 }];
    config.linux.gidMappings = [{ containerID: 0, hostID: 0, size: 65_536 }];
  },
};

live('with --no-pivot no full proc or sysfs of the host stays in view', async (t, rig) => {
  const hiding = rig.fresh('hiding');
  mkdirSync(hiding);
  const hosts: readonly (readonly [string, string])[] = [
    ['an ordinary host', 'true'],
    ['a host with more of them, some hidden', MANY_MOUNTS],
  ];
  for (const [who, change] of Object.entries(OWNERS))
    for (const [where, prepare] of hosts)
      await t.test(`${who} cannot mount them anew on ${where}`, async (t) => {
        const result = await rig.run(
          { args: ATTACK, change },
          { flags: ['--no-pivot'], under: hostWith(prepare), env: { HIDING: hiding } },
        );
        count('attacks tried');
        if (who.endsWith('of a user namespace') && prepare === MANY_MOUNTS) {
          // A locked mount below another cannot be reached to be covered.
          t.match(result.stderr, /the host's (proc|sysfs) on .* cannot be unmounted or covered/);
          t.equal(result.stdout, '');
          return;
        }
        expectSuccess(t, result);
        t.equal(result.stdout.trim(), 'end', result.stderr);
      });

  await t.test('the host keeps its mounts, whatever their propagation', async (t) => {
    for (const rootfsPropagation of ['shared', 'rshared', 'rslave', 'private'] as const) {
      const before = rig.fresh('before');
      // A shared rootfs shows its mounts to the host: that is what it is for. They are below the directory of the tests.
      const list = `cut -d" " -f5 /proc/self/mountinfo | grep -v "^${rig.directory}"`;
      const under = hostWith(
        `mount --make-rshared / && ${list} >"${before}"`,
        `${list} | cmp - "${before}" && echo SAME`,
      );
      const result = await rig.run(
        { args: ['true'], change: (config) => (config.linux.rootfsPropagation = rootfsPropagation) },
        { flags: ['--no-pivot'], under },
      );
      expectSuccess(t, result, rootfsPropagation);
      t.equal(result.stdout.trim(), 'SAME', `${rootfsPropagation}: ${result.stderr}`);
    }
  });
});
