import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { forMatchingIds } from '../../../src/container/store/select-ids.ts';
import { TsrunError } from '../../../src/errors.ts';

function runtimeWith(root: string, warnings: string[] = []): Parameters<typeof forMatchingIds>[0] {
  const log = {
    debug: () => undefined,
    warning: (message: string) => void warnings.push(message),
    error: () => undefined,
  };
  return { root, log };
}

t.test('forMatchingIds() goes on after one that fails', async (t) => {
  const root = t.testdir();
  for (const id of ['web-1', 'web-2', 'db-1', 'x.web']) mkdirSync(join(root, id));
  const warnings: string[] = [];
  const seen: string[] = [];
  const action = (id: string): Promise<void> => {
    seen.push(id);
    return id === 'web-1' ? Promise.reject(new TsrunError('status', 'container not running')) : Promise.resolve();
  };
  await forMatchingIds(runtimeWith(root, warnings), '^web-[0-9]+$', action);
  t.strictSame(seen, ['web-1', 'web-2']);
  t.strictSame(warnings, ['container "web-1": container not running']);
  seen.length = 0;
  await forMatchingIds(runtimeWith(root), 'web', action);
  t.strictSame(seen, ['web-1', 'web-2', 'x.web'], 'anywhere in the id');
  await forMatchingIds(runtimeWith(join(root, 'none')), '.', action);
  t.equal(seen.length, 3, 'no root directory is no container');
  const bug = (): Promise<void> => Promise.reject(new TypeError('bug'));
  await t.rejects(forMatchingIds(runtimeWith(root), 'db', bug), TypeError);
});

t.test('forMatchingIds() refuses what is no expression', async (t) => {
  const action = (): Promise<void> => Promise.resolve();
  const refused = { code: 'usage', message: /^invalid regular expression "\[": / };
  await t.rejects(forMatchingIds(runtimeWith(t.testdir()), '[', action), refused);
});
