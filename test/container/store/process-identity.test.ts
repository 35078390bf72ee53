import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { identifyProcess, isAlive, openProcess } from '../../../src/container/store/process-identity.ts';
import { spawn as spawnChild } from '../../../src/sys/process/spawn.ts';
import { waitReadable } from '../../../src/sys/events/poll.ts';
import { pidfdOpen } from '../../../src/sys/process/pidfd.ts';
import { waitChild } from '../../../src/sys/process/wait.ts';
import { GONE, makeDirectory, ownIdentity } from '../rig.ts';

t.test('identifyProcess() reads the start time of a live process', (t) => {
  const identity = ownIdentity();
  t.equal(identity.pid, process.pid);
  const text = readFileSync('/proc/self/stat', 'utf8');
  t.equal(identity.startTime, text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  t.equal(identifyProcess(4194305), undefined);
  t.end();
});

t.test('isAlive() and openProcess() see through a number that was given out again', (t) => {
  t.equal(isAlive(ownIdentity()), true);
  t.equal(isAlive(GONE), false);
  t.equal(openProcess(GONE), undefined);
  t.equal(openProcess({ pid: 4194305, startTime: '1' }), undefined);
  const own = openProcess(ownIdentity());
  t.ok(own?.isOpen);
  own?.close();
  t.end();
});

t.test('isAlive() takes a zombie for dead', async (t) => {
  const pid = spawnChild({ path: '/bin/true', name: 'true', descriptors: new Map([[0, 0]]) });
  using pidfd = pidfdOpen(pid);
  await waitReadable(pidfd.number);
  const identity = identifyProcess(pid);
  t.ok(identity);
  if (identity !== undefined) {
    t.equal(isAlive(identity), false);
    t.equal(openProcess(identity), undefined);
  }
  waitChild(pid);
  t.equal(identifyProcess(pid), undefined);
});

t.test('identifyProcess() is not fooled by the name of a process', async (t) => {
  // A program is called as its file is, which may contain what the fields of /proc/PID/stat look like.
  for (const name of [') R 1 (', 'a b c', '((', '))) Z 0 0']) {
    const file = path.join(makeDirectory(t), name);
    copyFileSync('/bin/cat', file);
    const child = spawn(file, [], { stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.write('x');
    await once(child.stdout, 'data');
    const { pid = 0 } = child;
    t.equal(readFileSync(`/proc/${pid}/comm`, 'utf8'), `${name}\n`);
    const identity = identifyProcess(pid);
    t.match(identity, { pid, startTime: /^\d+$/ });
    t.equal(Number(identity?.startTime) >= Number(ownIdentity().startTime), true, 'it started after this test');
    if (identity !== undefined) t.equal(isAlive(identity), true, name);
    child.stdin.end();
    await once(child, 'exit');
  }
});

t.test(
  'identifyProcess() reads the name that a process gave itself',
  { skip: existsSync('/proc/self/comm') ? false : 'needs /proc/self/comm' },
  async (t) => {
    const script = 'printf ") R 1 (" > /proc/$$/comm; echo ready; read line';
    const child = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    t.equal(readFileSync(`/proc/${child.pid ?? 0}/comm`, 'utf8'), ') R 1 (\n');
    const identity = identifyProcess(child.pid ?? 0);
    t.ok(identity !== undefined && isAlive(identity));
    child.stdin.end('\n');
    await once(child, 'exit');
    if (identity !== undefined) t.equal(isAlive(identity), false);
  },
);
