import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import t, { type Test } from 'tap';
import { call } from '../../src/program/build.ts';
import { CLONE_NEWUSER } from '../../src/util/constants.ts';
import { reply } from '../../src/plan/base/reply.ts';
import { planNewUserNamespace } from '../../src/plan/namespaces/namespaces.ts';
import { writeIdMaps } from '../../src/process/id-maps.ts';
import { TsrunError } from '../../src/errors.ts';
import { makeContext } from '../plan/fixtures.ts';
import { SYNC_FD, startInit } from './init-rig.ts';

const isRoot = process.geteuid?.() === 0;
const direct = { uidTool: false, gidTool: false, denySetgroups: false } as const;
const mapOf = (pid: number, kind: 'uid' | 'gid') =>
  readFileSync(`/proc/${pid}/${kind}_map`, 'utf8').trim().split(/\s+/).map(Number);

/** An init that waits in a new user namespace for its maps. */
async function startInNamespace(t: Test) {
  const init = startInit(t);
  const steps = [
    call('unshare', [CLONE_NEWUSER], { label: 'create user namespace' }),
    reply(SYNC_FD, 'id-maps', 'wait'),
  ];
  await init.conversation.run({ name: 'enter', steps, replies: true });
  return init;
}

t.test('writeIdMaps() writes every range', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const { pid } = await startInNamespace(t);
  const uid = [
    { containerID: 0, hostID: 100000, size: 1000 },
    { containerID: 5000, hostID: 0, size: 1 },
  ];
  const gid = [{ containerID: 0, hostID: 200000, size: 65536 }];
  await writeIdMaps(pid, { uid, gid, ...direct });
  t.same(mapOf(pid, 'uid'), [0, 100000, 1000, 5000, 0, 1]);
  t.same(mapOf(pid, 'gid'), [0, 200000, 65536]);
  t.match(readFileSync(`/proc/${pid}/setgroups`, 'utf8'), 'allow');
});

t.test(
  'writeIdMaps() denies setgroups before it writes the map of groups',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    const { pid } = await startInNamespace(t);
    const own = [{ containerID: 0, hostID: 0, size: 1 }];
    await writeIdMaps(pid, { uid: own, gid: own, ...direct, denySetgroups: true });
    t.match(readFileSync(`/proc/${pid}/setgroups`, 'utf8'), 'deny');
    t.same(mapOf(pid, 'gid'), [0, 0, 1]);
  },
);

t.test('writeIdMaps() names the map that is refused', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const { pid } = await startInNamespace(t);
  const gid = [{ containerID: 0, hostID: 0, size: 1 }];
  const overlapping = [
    { containerID: 0, hostID: 0, size: 10 },
    { containerID: 5, hostID: 100, size: 10 },
  ];
  await t.rejects(writeIdMaps(pid, { uid: overlapping, gid, ...direct }), {
    code: 'host',
    message: /^map uids \["0 0 10","5 100 10"\]: .*EINVAL \(\/linux\/uidMappings of config.json\)$/,
  });
});

t.test('writeIdMaps() says that the process is gone', async (t) => {
  const own = [{ containerID: 0, hostID: 0, size: 1 }];
  // Above the largest possible pid_max.
  await t.rejects(writeIdMaps(4194305, { uid: own, gid: own, ...direct }), {
    code: 'host',
    message: /^map gids \["0 0 1"\]: .*ENOENT \(\/linux\/gidMappings of config.json\)$/,
  });
});

/** The first range of subordinate ids of the user who runs the test; undefined without newuidmap or a range. */
function subordinate(kind: 'uid' | 'gid'): number | undefined {
  const file = `/etc/sub${kind}`;
  if (!existsSync(file) || !existsSync(`/usr/bin/new${kind}map`)) return undefined;
  const { username, uid } = os.userInfo();
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${username}:`) || text.startsWith(`${uid}:`));
  return line === undefined ? undefined : Number(line.split(':')[1]);
}

const ranges = { uid: subordinate('uid'), gid: subordinate('gid') };
const skipTools =
  ranges.uid === undefined || ranges.gid === undefined
    ? 'newuidmap has no range in /etc/subuid and /etc/subgid for this user'
    : false;

t.test('writeIdMaps() takes newuidmap and newgidmap', { skip: skipTools }, async (t) => {
  const init = startInit(t);
  const steps = planNewUserNamespace(makeContext());
  await init.conversation.run({ name: 'enter', steps, replies: true });
  const uid = [{ containerID: 0, hostID: ranges.uid ?? 0, size: 1 }];
  const gid = [{ containerID: 0, hostID: ranges.gid ?? 0, size: 1 }];
  await writeIdMaps(init.pid, { uid, gid, uidTool: true, gidTool: true, denySetgroups: false });
  t.same(mapOf(init.pid, 'uid'), [0, ranges.uid, 1]);
  t.same(mapOf(init.pid, 'gid'), [0, ranges.gid, 1]);
});

const noTools = existsSync('/usr/bin/newuidmap') && existsSync('/usr/bin/newgidmap') ? false : 'newuidmap is missing';

t.test('writeIdMaps() writes each map in its own way', { skip: isRoot ? noTools : 'needs root' }, async (t) => {
  const own = [{ containerID: 0, hostID: 0, size: 1 }];
  // Nobody owns it, as the tools know; root may map it all the same.
  const other = [{ containerID: 0, hostID: 4_000_000_000, size: 1 }];
  const uidByTool = await startInNamespace(t);
  await t.rejects(
    writeIdMaps(uidByTool.pid, { uid: other, gid: other, uidTool: true, gidTool: false, denySetgroups: false }),
    { message: /^map uids \["0 4000000000 1"\] with newuidmap: / },
  );
  t.same(mapOf(uidByTool.pid, 'gid'), [0, 4_000_000_000, 1], 'groups directly');
  const gidByTool = await startInNamespace(t);
  await t.rejects(
    writeIdMaps(gidByTool.pid, { uid: own, gid: other, uidTool: false, gidTool: true, denySetgroups: false }),
    { message: /^map gids \["0 4000000000 1"\] with newgidmap: / },
  );
});

t.test(
  'writeIdMaps() shows what the tool said',
  { skip: existsSync('/usr/bin/newgidmap') ? false : 'newgidmap is not installed' },
  async (t) => {
    const { pid } = await startInNamespace(t);
    const nobody = [{ containerID: 0, hostID: 4294967294, size: 1 }];
    try {
      await writeIdMaps(pid, { uid: nobody, gid: nobody, uidTool: true, gidTool: true, denySetgroups: false });
      t.fail('the ids belong to nobody');
    } catch (error) {
      if (!(error instanceof TsrunError)) throw error;
      t.equal(error.code, 'host');
      t.match(error.message, /^map gids \["0 4294967294 1"\] with newgidmap: exit code 1: newgidmap: ./);
    }
  },
);
