import type { Test } from 'tap';
import { descriptorNumbers } from '../../src/plan/base/context.ts';
import { stepFailure } from '../../src/process/failure.ts';
import type { CallStep, Program } from '../../src/program/step.ts';
import { inputOf, planScenario, type Scenario } from './bundles.ts';
import { executedCalls, Rehearsal, startDescriptors } from './rehearse.ts';
import { errnoText } from '../../src/util/errno.ts';

function rehearse(scenario: Scenario): Rehearsal {
  const plan = planScenario(scenario);
  const numbers = descriptorNumbers(scenario.options?.preserveFds ?? 0);
  return new Rehearsal(
    plan.phases.map(({ program }) => program),
    {
      arch: inputOf(scenario).host.arch,
      syncFd: numbers.sync,
      openFds: startDescriptors(numbers, plan.idmapNamespaces.length),
      rootfs: 'bare',
    },
  );
}

function accepts({ accept }: CallStep): boolean {
  return accept === 'any' || accept?.includes('EIO') === true;
}

/** What is wrong with the report of a step that failed; undefined when nothing is. */
function judge(rehearsal: Rehearsal, at: { program: number; step: number }): string | undefined {
  const program = rehearsal.programs[at.program] as Program;
  const step = program.steps[at.step] as CallStep;
  const simulation = rehearsal.run({ ...at, errno: 'EIO' }).at(-1);
  const where = `${program.name}, step ${at.step} (${step.label})`;
  const { failure, end, trace } = simulation ?? {};
  // A program that was looked for and not found fails later on; what matters is that it is not this step.
  if (accepts(step)) return failure?.step === at.step ? `${where}: it fails although EIO is accepted` : undefined;
  if (failure?.step !== at.step || failure.errno !== 5) return `${where}: reported ${JSON.stringify(failure)}`;
  if (end?.state !== 'waiting') return `${where}: init does not wait afterwards`;
  if (trace?.at(-1)?.step !== at.step) return `${where}: something was executed behind it`;
  const error = stepFailure(program, failure.step, -failure.errno);
  const wanted = step.failure?.replaceAll('{errno}', errnoText('EIO')) ?? `${step.label}: ${errnoText('EIO')}`;
  const pointer = step.pointer === undefined ? '' : ` (${step.pointer} of config.json)`;
  return error.message === `${wanted}${pointer}` ? undefined : `${where}: the message is ${error.message}`;
}

/** Has every call of a plan fail in turn with an errno that hardly any step accepts; the report names exactly this step. */
export function sweepFaults(t: Test, scenario: Scenario): void {
  const rehearsal = rehearse(scenario);
  const flaws: string[] = [];
  let count = 0;
  for (const [program, simulation] of rehearsal.run().entries()) {
    for (const step of executedCalls(simulation)) {
      const flaw = judge(rehearsal, { program, step });
      if (flaw !== undefined) flaws.push(flaw);
      count++;
    }
  }
  t.same(flaws, []);
  t.ok(count > 50, `${count} steps failed in turn`);
}
