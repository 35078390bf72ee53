import t from 'tap';
import { Preparation } from '../../../src/shim/task/preparation.ts';

t.test('it waits until it is to go on', async (t) => {
  const steps: string[] = [];
  const preparation = new Preparation(async (hold) => {
    steps.push('begun');
    await hold();
    steps.push('gone on');
    return 7;
  });
  await Promise.resolve();
  t.strictSame(steps, ['begun']);
  preparation.go();
  t.equal(await preparation.result, 7);
  t.strictSame(steps, ['begun', 'gone on']);
});

t.test('what fails before it waits might as well not have been begun', async (t) => {
  const preparation = new Preparation<number>(() => Promise.reject(new Error('too early')));
  preparation.go();
  const found = (await preparation.result) as unknown;
  t.equal(found, undefined);
});

t.test('what fails later is what was asked for', async (t) => {
  const preparation = new Preparation(async (hold) => {
    await hold();
    throw new Error('failed');
  });
  preparation.go();
  await t.rejects(preparation.result, { message: 'failed' });
});

t.test('it is taken back when it is given up, which is waited for', async (t) => {
  let isTakenBack = false;
  const preparation = new Preparation(async (hold) => {
    try {
      await hold();
    } finally {
      await new Promise((resolve) => setImmediate(resolve));
      isTakenBack = true;
    }
  });
  await preparation.giveUp();
  t.ok(isTakenBack);
});

t.test('it is given up before it waits, and is taken back when it comes to that', async (t) => {
  let reach: () => void = () => undefined;
  let isTakenBack = false;
  const preparation = new Preparation(async (hold) => {
    await new Promise<void>((resolve) => {
      reach = resolve;
    });
    await hold().finally(() => {
      isTakenBack = true;
    });
  });
  await preparation.giveUp();
  reach();
  await t.rejects(preparation.result);
  t.ok(isTakenBack);
});
