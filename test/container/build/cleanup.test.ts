import t from 'tap';
import { Cleanup } from '../../../src/container/build/cleanup.ts';
import { keepLog } from '../rig.ts';

t.test('Cleanup undoes in reverse order, each part when the one before is through', async (t) => {
  const { log, lines } = keepLog();
  const cleanup = new Cleanup(log);
  const done: string[] = [];
  cleanup.add('first', () => void done.push('first'));
  cleanup.add('second', async () => {
    await new Promise((resolve) => setImmediate(resolve));
    done.push('second');
  });
  cleanup.add('third', () => void done.push('third'));
  await cleanup.run();
  t.same(done, ['third', 'second', 'first']);
  t.same(lines, []);
  await cleanup.run();
  t.equal(done.length, 3, 'once only');
});

t.test('Cleanup goes on when a part fails, and says so', async (t) => {
  const { log, lines } = keepLog();
  const cleanup = new Cleanup(log);
  const done: string[] = [];
  cleanup.add('remove it', () => void done.push('removed'));
  cleanup.add('stop it', () => {
    throw new Error('it does not stop');
  });
  cleanup.add('end it', () => Promise.reject(new Error('it does not end')));
  await cleanup.run();
  t.same(done, ['removed']);
  t.same(lines, ['warning: end it: it does not end', 'warning: stop it: it does not stop']);
});
