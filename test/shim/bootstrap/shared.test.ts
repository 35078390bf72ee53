import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { doorPath, sharedSocketPath, socketPath } from '../../../src/shim/bootstrap/address.ts';
import { askShared, isShared } from '../../../src/shim/bootstrap/shared.ts';
import { readOptions } from '../../../src/shim/task/options.ts';

const log = { debug: () => undefined, warning: () => undefined, error: () => undefined };
const OPTIONS = readOptions(undefined, log);

t.test('isShared() believes the options before the environment', (t) => {
  const set = { TSRUN_SHIM_SHARED: '1' };
  t.equal(isShared(OPTIONS, {}), false);
  t.equal(isShared(OPTIONS, set), true);
  t.equal(isShared(OPTIONS, { TSRUN_SHIM_SHARED: '0' }), false);
  t.equal(isShared(OPTIONS, { TSRUN_SHIM_SHARED: '' }), false);
  t.equal(isShared({ ...OPTIONS, shared: true }, {}), true);
  t.equal(isShared({ ...OPTIONS, shared: false }, set), false);
  t.end();
});

t.test('sharedSocketPath() is one for each containerd and namespace, and no group has it', (t) => {
  const own = { address: '/run/c.sock', namespace: 'ns' };
  const paths = [
    sharedSocketPath(own),
    sharedSocketPath({ ...own, namespace: 'other' }),
    sharedSocketPath({ ...own, address: '/run/d.sock' }),
    socketPath({ ...own, group: 'shared' }),
    socketPath({ ...own, group: '' }),
  ];
  t.equal(new Set(paths).size, paths.length);
  t.equal(sharedSocketPath({ ...own }), paths[0]);
  for (const path of paths) t.match(path, /^\/run\/containerd\/s\/[0-9a-f]{64}$/);
  t.end();
});

t.test('doorPath() is the same for bundles beside each other', (t) => {
  const directory = t.testdir({ ns: { one: {}, two: {} }, other: { one: {} } });
  t.equal(doorPath(`${directory}/ns/one`), doorPath(`${directory}/ns/two`));
  t.not(doorPath(`${directory}/ns/one`), doorPath(`${directory}/other/one`));
  mkdirSync(`${directory}/ns/one/deeper`);
  const { ino } = statSync(`${directory}/ns`);
  const letters = Array.from(ino.toString(16))
    .reverse()
    .map((digit) => 'abcdefghijklmnop'[Number.parseInt(digit, 16)]);
  t.match(doorPath(`${directory}/ns/one`), new RegExp(`^/run/containerd/s/tsrun-${letters.join('')}-[a-p]+$`));
  t.end();
});

t.test('askShared() says that nobody is there', async (t) => {
  // That of the test may be too long for the address of a socket, wherever the checkout is.
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tsrun-none-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  t.equal(await askShared(path.join(directory, 'none'), 'Expect', { id: 'x', timeoutMs: 1000 }), false);
});
