import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { openProcessHandle } from '../../../src/container/store/process-handle.ts';
import { identifyProcess } from '../../../src/container/store/process-identity.ts';
import { GONE, ownIdentity } from '../rig.ts';

t.test('openProcessHandle() opens this very process and no other', (t) => {
  using own = openProcessHandle(ownIdentity());
  t.match(readFileSync(`${own?.path ?? ''}/stat`, 'latin1'), new RegExp(`^${process.pid} `));
  t.equal(own?.isAlive(), true);
  t.equal(openProcessHandle(GONE), undefined);
  t.equal(openProcessHandle({ pid: 4194305, startTime: '1' }), undefined);
  t.end();
});

t.test('a handle of a process that has ended leads nowhere', async (t) => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const identity = identifyProcess(child.pid ?? 0);
  using handle = identity === undefined ? undefined : openProcessHandle(identity);
  t.equal(handle?.isAlive(), true);
  child.kill('SIGKILL');
  await ended;
  t.equal(handle?.isAlive(), false);
  t.throws(() => readFileSync(`${handle?.path ?? ''}/stat`), { code: /^(ENOENT|ESRCH)$/ });
});
