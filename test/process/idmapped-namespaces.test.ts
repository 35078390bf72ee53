import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { openIdmapNamespaces } from '../../src/process/idmapped-namespaces.ts';
import { sleep } from '../../src/sys/events/poll.ts';
import { ARCH, makeDirectory } from './init-rig.ts';

const skip = process.geteuid?.() === 0 ? false : 'needs root';
const map = (hostID: number) => [{ containerID: 0, hostID, size: 10 }];

/** The pids of this process's children, zombies too. */
function children(): string {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
}

t.test('openIdmapNamespaces() makes a namespace with the maps and nothing that lives in it', { skip }, async (t) => {
  const options = { arch: ARCH, fallbackDirectory: makeDirectory(t) };
  const before = children();
  const opened = await openIdmapNamespaces(
    [
      { kind: 'new', uid: map(1000), gid: map(2000) },
      { kind: 'path', path: '/proc/self/ns/user' },
      { kind: 'new', uid: map(3000), gid: map(3000) },
    ],
    options,
  );
  const links = opened.map(({ number }) => readlinkSync(`/proc/self/fd/${number}`));
  t.equal(new Set(links).size, 3);
  t.ok(links.every((link) => /^user:\[\d+\]$/.test(link)));
  t.equal(links[1], readlinkSync('/proc/self/ns/user'));
  t.equal(children(), before, 'no process stays');
  const [first] = opened;
  const shown = spawnSync(
    'nsenter',
    [`--user=/proc/${process.pid}/fd/${first?.number ?? -1}`, '--', 'cat', '/proc/self/uid_map', '/proc/self/gid_map'],
    { encoding: 'utf8' },
  );
  t.same(shown.stdout.trim().split(/\s+/).map(Number), [0, 1000, 10, 0, 2000, 10]);
  for (const fd of opened) fd.close();
});

t.test('openIdmapNamespaces() leaves nothing when one of them fails', { skip }, async (t) => {
  const options = { arch: ARCH, fallbackDirectory: makeDirectory(t) };
  // All waits of a process are behind one descriptor, made at the first and kept.
  await sleep(0);
  const before = readdirSync('/proc/self/fd').length;
  const processes = children();
  const good = { kind: 'new', uid: map(1000), gid: map(1000) } as const;
  await t.rejects(openIdmapNamespaces([good, { kind: 'path', path: '/nowhere/ns' }], options), {
    code: 'host',
    errno: 'ENOENT',
  });
  const twice = [...map(1), ...map(1)];
  await t.rejects(openIdmapNamespaces([good, { kind: 'new', uid: twice, gid: map(1) }], options), {
    code: 'host',
    message: /^map uids/,
  });
  t.equal(readdirSync('/proc/self/fd').length, before);
  t.equal(children(), processes);
});

t.test('openIdmapNamespaces() opens nothing when there is nothing to open', async (t) => {
  t.same(await openIdmapNamespaces([], { arch: ARCH, fallbackDirectory: '/nowhere' }), []);
  t.ok(statSync('/proc/self/fd').isDirectory());
});
