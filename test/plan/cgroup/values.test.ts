import t from 'tap';
import { ioWeightFromBlkio, maxOr, swapMax, weightFromShares } from '../../../src/plan/cgroup/values.ts';

t.test('weightFromShares() maps the three fixed points and the ends', (t) => {
  const table = [
    [1, 1],
    [2, 1],
    [3, 2],
    [512, 59],
    [1024, 100],
    [2048, 174],
    [262_143, 10_000],
    [262_144, 10_000],
    [18_446_744_073_709_551_615n, 10_000],
  ] as const;
  for (const [shares, weight] of table) t.equal(weightFromShares(shares), weight, `${shares} shares`);
  t.end();
});

t.test('ioWeightFromBlkio() maps 10..1000 to 1..10000', (t) => {
  t.strictSame([10, 11, 500, 1000].map(ioWeightFromBlkio), [1, 11, 4950, 10_000]);
  t.end();
});

t.test('maxOr() spells -1 as max and keeps 64 bits', (t) => {
  t.strictSame([-1, -1n, 5, 9_223_372_036_854_775_807n].map(maxOr), ['max', 'max', '5', '9223372036854775807']);
  t.end();
});

t.test('swapMax() subtracts memory from memory and swap', (t) => {
  const table = [
    [100, 300, '200'],
    [100, 100, '0'],
    [100, -1, 'max'],
    [-1, 0, 'max'],
    [-1, undefined, 'max'],
    [100, 0, undefined],
    [100, undefined, undefined],
    [undefined, -1, 'max'],
    [undefined, undefined, undefined],
    [9_007_199_254_740_993n, 9_007_199_254_740_996n, '3'],
  ] as const;
  for (const [limit, swap, wanted] of table) t.equal(swapMax(limit, swap), wanted, `limit ${limit}, swap ${swap}`);
  t.end();
});
