import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { descriptorNumbers } from '../../src/plan/base/context.ts';
import { encode } from '../../src/program/encode.ts';
import type { Arch } from '../../src/program/calls.ts';
import type { Program } from '../../src/program/step.ts';
import { LAUNCHER_LAYOUT } from '../../src/program/layout.ts';
import { launcherPrograms } from './launcher/programs.ts';
import { planScenario, runPrograms, SCENARIOS, TOKEN, type Scenario } from './bundles.ts';

/**
 * What is really sent for the plans that have a golden: a digest of the packets of each program. A change of how plans are printed
 * leaves this file as it is; where it changes, init executes something else. After a change that is meant:
 *
 *     UPDATE_DIGESTS=1 npx tap run test/plan/digests.test.ts && git diff test/plan/goldens/digests.json
 */
const FILE = new URL('goldens/digests.json', import.meta.url);
const ARCHES: readonly Arch[] = ['x86-64', 'arm64'];

/** Shape: a line a program and architecture, in the order in which they are sent. */
function digestsOf(scenario: Scenario): string[] {
  const { phases, park } = planScenario(scenario);
  const { sync: syncFd } = descriptorNumbers(scenario.options?.preserveFds ?? 0);
  const programs = [
    ...phases.map(({ program }) => program),
    park({ start: TOKEN, handles: TOKEN }),
    ...runPrograms(scenario),
  ];
  return ARCHES.flatMap((arch) =>
    programs.map((program) => `${digest(program, { arch, syncFd })} ${program.name} (${arch})`),
  );
}

function digest(program: Program, options: Parameters<typeof encode>[1]): string {
  const hash = createHash('sha256');
  for (const { bytes } of encode(program, options)) hash.update(`${bytes.length}\n`).update(bytes);
  return hash.digest('hex').slice(0, 16);
}

/** Those for a launcher, at the place where each lies when it is executed. */
function launcherDigests(): string[] {
  return ARCHES.flatMap((arch) =>
    launcherPrograms().map((program) => {
      const base = program.name === 'look' ? { base: LAUNCHER_LAYOUT.look.address } : {};
      const options = { arch, syncFd: 100, will: { stage: 'running', pid: 4400 }, ...base } as const;
      return `${digest(program, options)} ${program.name} (${arch})`;
    }),
  );
}

t.test('the plans that have a golden are encoded to the bytes that are recorded', (t) => {
  const found = {
    ...Object.fromEntries(SCENARIOS.map((scenario) => [`${scenario.name}-${scenario.host}`, digestsOf(scenario)])),
    launcher: launcherDigests(),
  };
  if (process.env.UPDATE_DIGESTS === '1') writeFileSync(FILE, `${JSON.stringify(found, undefined, 2)}\n`);
  t.same(found, JSON.parse(readFileSync(FILE, 'utf8')));
  t.end();
});
