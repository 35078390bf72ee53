/** A thread that exchanges two paths with each other, over and over: `{ first, second }`, until it is terminated. */
import { workerData } from 'node:worker_threads';
import koffi from 'koffi';

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const renameat2 = koffi
  .load(null)
  .func('int renameat2(int oldfd, const char *oldpath, int newfd, const char *newpath, unsigned int flags)');

/** @type {unknown} */
const given = workerData;
const { first, second, counter } = /** @type {{ first: string, second: string, counter: SharedArrayBuffer }} */ (given);
const rounds = new Int32Array(counter);
for (;;) {
  if (renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE) === 0) Atomics.add(rounds, 0, 1);
}
