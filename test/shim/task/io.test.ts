import t from 'tap';
import { ProcessIo } from '../../../src/shim/task/io.ts';
import type { LoggerOwner } from '../../../src/shim/task/logger.ts';

const nobody = {} as LoggerOwner;

t.test('nothing is waited for where nothing is copied, and no timer stays', async (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const io = await ProcessIo.open({ terminal: false, stdin: '', stdout: '/dev/null', stderr: '' }, nobody);
  const before = timers();
  await io.drain(60_000);
  t.equal(timers(), before);
  io.close();
});
