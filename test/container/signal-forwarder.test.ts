import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { SignalForwarder } from '../../src/container/signal-forwarder.ts';
import { pidfdOpen } from '../../src/sys/pidfd.ts';

t.test('a signal that comes before there is a program waits for it', async (t) => {
  const script = 'trap "echo got USR2" USR2; trap "exit 7" HUP; echo ready; while :; do sleep 0.01; done';
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const outputHas = async (text: string): Promise<void> => {
    while (!output.includes(text)) await pause(5);
  };
  await outputHas('ready');
  const before = process.listenerCount('SIGUSR2');
  using pidfd = pidfdOpen(child.pid ?? 0);
  const forwarder = new SignalForwarder();
  process.kill(process.pid, 'SIGUSR2');
  await pause(100);
  t.notMatch(output, 'got', 'nobody to send it to yet');
  forwarder.forwardTo(pidfd);
  await outputHas('got USR2');
  process.kill(process.pid, 'SIGHUP');
  t.strictSame(await once(child, 'exit'), [7, null]);
  process.kill(process.pid, 'SIGUSR2');
  await pause(50);
  forwarder[Symbol.dispose]();
  t.equal(process.listenerCount('SIGUSR2'), before, 'nothing is caught any more');
});
