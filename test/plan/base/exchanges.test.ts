import t from 'tap';
import { EXCHANGES } from '../../../src/plan/base/exchanges.ts';
import { TAG_FAILURE, TAG_MORE } from '../../../src/program/layout.ts';

t.test('EXCHANGES has no tag of the format and none twice', (t) => {
  const tags: bigint[] = Object.values(EXCHANGES).map(({ tag }) => tag);
  t.equal(new Set(tags).size, tags.length);
  t.notOk(tags.includes(TAG_FAILURE) || tags.includes(TAG_MORE));
  t.end();
});
