import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { acknowledge } from '../../../src/plan/launcher/acknowledge.ts';
import { EXCHANGES } from '../../../src/plan/base/exchanges.ts';
import { LAUNCHER_EXCHANGES } from '../../../src/plan/launcher/exchanges.ts';
import { planSpawn } from '../../../src/plan/launcher/spawn.ts';
import { LAUNCHER_LAYOUT, LAYOUT, OFFSETS } from '../../../src/program/layout.ts';
import { verify } from '../../../src/program/model/verify.ts';
import { printProgram } from '../../../src/program/print.ts';
import { launcherPrograms, makeLauncher } from './programs.ts';

/** After a change that is meant: UPDATE_GOLDENS=1 npx tap run test/plan/launcher, and review the diff. */
const GOLDEN = new URL('../goldens/launcher.txt', import.meta.url);

t.test('the programs for a launcher are those of the golden, and valid', (t) => {
  const programs = launcherPrograms();
  for (const program of programs) t.same(verify(program), [], program.name);
  const found = programs.map(printProgram).join('\n');
  if (process.env.UPDATE_GOLDENS === '1') writeFileSync(GOLDEN, found);
  t.equal(found, readFileSync(GOLDEN, 'utf8'));
  t.end();
});

t.test('acknowledge() is two datagrams, of which the second has the addresses of its place', (t) => {
  for (const arch of ['x86-64', 'arm64'] as const) {
    const sent = acknowledge(makeLauncher(), { arch, planner: 4321 });
    t.equal(sent.length, 2);
    const [end, lookEnd] = sent.map(({ buffer, byteOffset }) =>
      Number(new DataView(buffer, byteOffset).getBigUint64(OFFSETS.end, true)),
    );
    t.equal(end, LAYOUT.message.address + 16 + 2 * 64);
    t.equal(lookEnd, LAUNCHER_LAYOUT.look.address + 16 + 31 * 64);
  }
  t.end();
});

t.test('planSpawn() refuses descriptors that reach the socket', (t) => {
  t.throws(() => planSpawn(makeLauncher(), { name: 'x', targets: [3], kept: [100] }), { code: 'unsupported' });
  t.end();
});

t.test('no answer of a launcher has a tag of an answer of init', (t) => {
  const tags = [...Object.values(EXCHANGES), ...Object.values(LAUNCHER_EXCHANGES)].map(({ tag }) => tag);
  t.equal(new Set(tags).size, tags.length);
  t.end();
});
