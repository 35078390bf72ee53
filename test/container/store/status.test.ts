import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { readStatus } from '../../../src/container/state.ts';
import { listContainers } from '../../../src/container/list.ts';
import { INIT_SOCKET } from '../../../src/container/store/init-socket.ts';
import { StateDirectory } from '../../../src/container/store/directory.ts';
import type { ContainerRecord } from '../../../src/container/store/record.ts';
import { currentStatus } from '../../../src/container/store/status.ts';
import { identifyProcess } from '../../../src/container/store/process-identity.ts';
import { startInit } from '../../process/init-rig.ts';
import { GONE, keepLog, makeDirectory, makeRecord, ownIdentity } from '../rig.ts';

const own = ownIdentity();

function make(t: Test, changes: Partial<ContainerRecord>, { socket = false } = {}) {
  const root = makeDirectory(t);
  const directory = new StateDirectory(root, 'c1');
  directory.make();
  const record = makeRecord(changes);
  directory.writeRecord(record);
  if (socket) {
    mkdirSync(path.dirname(directory.file(INIT_SOCKET)));
    writeFileSync(directory.file(INIT_SOCKET), '');
  }
  const { log, lines } = keepLog();
  return { root, directory, record, runtime: { root, cgroupManager: 'disabled' as const, log }, lines };
}

t.test('currentStatus() follows from what is there', (t) => {
  const statusOf = (changes: Partial<ContainerRecord>, options = {}) => {
    const { directory, record } = make(t, changes, options);
    return currentStatus(directory, record);
  };
  t.equal(statusOf({ isComplete: false, creator: own }), 'creating');
  const { pid } = startInit(t);
  const waiting = identifyProcess(pid);
  if (waiting === undefined) throw new Error('the init that was just started is gone');
  t.equal(statusOf({ isComplete: false, creator: own, init: waiting }), 'creating');
  t.equal(statusOf({ isComplete: false, creator: GONE }), 'stopped', 'its creator was killed');
  t.equal(statusOf({ isComplete: false, creator: GONE, init: waiting }), 'stopped', 'nothing could be started');
  t.equal(statusOf({ isComplete: false, creator: GONE, init: own }), 'running', 'killed once the program ran');
  t.equal(statusOf({ isComplete: true }), 'stopped');
  t.equal(statusOf({ isComplete: true, init: GONE }), 'stopped', 'the number belongs to another');
  t.equal(statusOf({ isComplete: true, init: GONE }, { socket: true }), 'stopped');
  t.equal(statusOf({ isComplete: true, init: own }), 'running');
  t.equal(statusOf({ isComplete: true, init: own, creator: own }), 'running', 'a creator that is a server');
  t.equal(
    statusOf({ isComplete: true, init: own }, { socket: true }),
    'running',
    'it executes something else than init',
  );
  t.equal(statusOf({ isComplete: true, init: waiting }, { socket: true }), 'created');
  t.equal(statusOf({ isComplete: true, init: waiting }), 'created', 'start has taken the socket away, and is not done');
  t.end();
});

t.test('readStatus() has the properties of the specification', (t) => {
  const { runtime } = make(t, { init: own, annotations: { a: 'b' } });
  t.match(readStatus(runtime, 'c1'), {
    ociVersion: '1.3.0',
    id: 'c1',
    pid: process.pid,
    status: 'running',
    bundle: '/bundle',
    rootfs: '/bundle/rootfs',
    created: '2026-01-02T03:04:05.678Z',
    annotations: { a: 'b' },
    owner: process.geteuid?.() === 0 ? 'root' : String,
  });
  t.equal(readStatus(make(t, { init: GONE }).runtime, 'c1').pid, 0);
  t.throws(() => readStatus(runtime, 'c2'), { code: 'not-found' });
  t.throws(() => readStatus(runtime, '../c1'), { code: 'id' });
  t.end();
});

t.test('listContainers() leaves out what is damaged, and says so', (t) => {
  const { root, runtime, lines } = make(t, { init: own });
  const half = new StateDirectory(root, 'half');
  half.make();
  const damaged = new StateDirectory(root, 'damaged');
  damaged.make();
  writeFileSync(damaged.file('state.json'), '{');
  t.same(
    listContainers(runtime).map(({ id }) => id),
    ['c1'],
  );
  t.equal(lines.length, 1);
  t.match(lines[0], /^warning: list container "damaged": read ".*state\.json": it is no JSON$/);
  t.same(listContainers({ ...runtime, root: `${root}/missing` }), []);
  t.end();
});
