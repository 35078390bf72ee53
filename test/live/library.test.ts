import { mkdirSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Test } from 'tap';
import type * as library from '../../src/index.ts';
import { live, type Rig } from './support/rig.ts';
import { importLibrary, libraryRuntime } from './support/library.ts';
import { waitFor } from './support/wait.ts';

live('the library', async (t, rig) => {
  await t.test('containers in the foreground of one process leave it the threads of its pool', async (t) =>
    meeting(t, rig, await importLibrary()),
  );
});

/** More than the pool has threads. */
const CONTAINERS = 6;
const AT_FIRST = 4;

/** Each waits for all the others, and the last ones are made when the first ones run. */
async function meeting(t: Test, rig: Rig, { runContainer }: typeof library): Promise<void> {
  const place = rig.fresh('meeting');
  mkdirSync(place);
  const run = async (index: number): Promise<number> => {
    const script = `for i in $(seq 400); do [ "$(ls /mnt | wc -l)" != ${CONTAINERS} ] || exit 0; sleep 0.05; done; exit 1`;
    const bundle = rig.bundle({
      args: `touch /mnt/${index}; ${script}`,
      change: (config) => config.mounts.push({ destination: '/mnt', source: place, options: ['rbind'] }),
    });
    return runContainer(libraryRuntime(rig), {
      id: rig.id('meeting'),
      bundle,
      noPivot: false,
      noNewKeyring: true,
      preserved: [],
      stdio: [0, 1, 2],
      detach: false,
      keep: false,
    });
  };
  const indices = Array.from({ length: CONTAINERS }, (_, index) => index);
  const first = indices.slice(0, AT_FIRST).map(run);
  await waitFor(() => readdirSync(place).length === AT_FIRST, 20_000);
  let hasRead = false;
  const reading = readFile('/proc/self/comm').then(() => (hasRead = true));
  await waitFor(() => hasRead, 5_000).catch(() => t.fail('a file is read while they run'));
  const codes = await Promise.all([...first, ...indices.slice(AT_FIRST).map(run)]);
  t.strictSame(
    codes,
    indices.map(() => 0),
  );
  await reading;
}
