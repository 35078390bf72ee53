import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { SignalForwarder } from '../../../src/container/caller/signal-forwarder.ts';
import { catchSignals } from '../../../src/sys/events/signals.ts';
import { pidfdOpen } from '../../../src/sys/process/pidfd.ts';

/** Waiting for a signal keeps no process alive. */
const alive = setInterval(() => undefined, 60_000);
t.teardown(() => {
  clearInterval(alive);
});

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
  using pidfd = pidfdOpen(child.pid ?? 0);
  const forwarder = new SignalForwarder({ signals: catchSignals });
  process.kill(process.pid, 'SIGUSR2');
  await pause(100);
  t.notMatch(output, 'got', 'nobody to send it to yet');
  forwarder.forwardTo(pidfd);
  await outputHas('got USR2');
  process.kill(process.pid, 'SIGHUP');
  t.strictSame(await once(child, 'exit'), [7, null]);
  const gone = once(process, 'SIGUSR2');
  process.kill(process.pid, 'SIGUSR2');
  await gone;
  forwarder[Symbol.dispose]();
});

t.test('what was done at a signal before is done again afterwards', async (t) => {
  const actions = (): string =>
    readFileSync('/proc/self/status', 'utf8')
      .split('\n')
      .filter((line) => /^Sig(Blk|Ign|Cgt):/.test(line))
      .join(' ');
  // libuv itself begins to listen to SIGCHLD at the first child.
  const before = actions();
  const forwarder = new SignalForwarder({ signals: catchSignals, onWindowChange: () => undefined });
  forwarder.catchPipes();
  t.not(actions(), before);
  // A listener of the process's own hears it as well.
  const heard = once(process, 'SIGUSR1');
  process.kill(process.pid, 'SIGUSR1');
  await heard;
  forwarder[Symbol.dispose]();
  t.equal(actions(), before);
  const uncaught = new SignalForwarder({ signals: undefined });
  t.equal(actions(), before, 'nobody asked for it');
  uncaught[Symbol.dispose]();
});
