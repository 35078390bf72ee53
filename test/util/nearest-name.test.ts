import t from 'tap';
import { nearestName } from '../../src/util/nearest-name.ts';

const names = ['create', 'start', 'state', 'kill', 'delete'];

t.test('nearestName() finds what was meant', (t) => {
  const rows = [
    ['creat', 'create'],
    ['craete', 'create'],
    ['stat', 'start'],
    ['statee', 'state'],
    ['kil', 'kill'],
    ['remove', undefined],
    ['x', undefined],
    ['', undefined],
  ] as const;
  for (const [name, nearest] of rows) t.equal(nearestName(name, names), nearest, name);
  t.end();
});
