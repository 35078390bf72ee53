import t from 'tap';
import { checkIntelRdt } from '../../../src/spec/rules/intel-rdt.ts';
import { checkRows } from './rows.ts';

const closID = (name: string) => ({ linux: { intelRdt: { closID: name } } });

checkRows(t, checkIntelRdt, {
  accepted: [{}, closID(''), closID('/'), closID('guaranteed'), closID('...')],
  refused: ['.', '..', 'a/b', '/a', 'a\nb'].map(
    (name) => [closID(name), '/linux/intelRdt/closID', 'invalid intelRdt.ClosID'] as const,
  ),
});
