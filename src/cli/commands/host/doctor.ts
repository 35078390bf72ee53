import type { Diagnosis } from '../../../container/diagnose.ts';
import { TsrunError } from '../../../errors.ts';
import { defineCommand } from '../../command.ts';
import { reportFormat } from '../../options/format.ts';
import { readTextFormat } from '../../options/values.ts';

/** `tsrun doctor`: what this host can do. The exit code is 1 where this user cannot make containers. */
export const command = defineCommand({
  name: 'doctor',
  description: 'print what this host can do for containers, and how to mend what it cannot',
  usage: '',
  positionals: { minimum: 0, maximum: 0 },
  options: {
    format: reportFormat,
  },
  async run({ values }, { runtime, surroundings, operations }) {
    const format = readTextFormat(values.format);
    const planner = await operations.askPlanner(runtime, 'status').then(
      () => true,
      (error: unknown) => {
        if (error instanceof TsrunError) return false;
        throw error;
      },
    );
    const found = await operations.diagnoseHost(runtime, { planner });
    surroundings.writeStdout(format === 'json' ? `${JSON.stringify(found, undefined, 2)}\n` : describe(found));
    return found.some(({ state }) => state === 'missing') ? 1 : 0;
  },
});

const STATE_WIDTH = 'limited'.length;

/** An area with its lines; a remedy stands below what it mends. */
function describe(found: readonly Diagnosis[]): string {
  const areas = [...new Set(found.map(({ area }) => area))];
  return areas
    .map((area) => {
      const lines = found.filter((one) => one.area === area).map(describeOne);
      return `${area}\n${lines.join('')}`;
    })
    .join('\n');
}

function describeOne({ state, message, remedy }: Diagnosis): string {
  const indent = ' '.repeat(STATE_WIDTH + 4);
  return `  ${state.padEnd(STATE_WIDTH)}  ${message}\n${remedy === undefined ? '' : `${indent}to mend it: ${remedy}\n`}`;
}
