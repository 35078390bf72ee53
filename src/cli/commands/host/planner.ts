import { ArgumentError } from '../../argument-error.ts';
import { defineCommand } from '../../command.ts';
import type { PlannerQuestion } from '../../operations.ts';
import { readDuration } from '../../options/values.ts';

const QUESTIONS: readonly string[] = ['status', 'stop'] satisfies PlannerQuestion[];

/** `tsrun planner`: stays, and does for the commands of this user what their engines would have to start for. */
export const command = defineCommand({
  name: 'planner',
  description: 'serve the commands of this user without an engine of their own; or ask who does',
  usage: '[status|stop]',
  positionals: { minimum: 0, maximum: 1 },
  offers: [{ words: QUESTIONS }],
  options: {
    idle: { type: 'string', placeholder: 'TIME', description: 'end when nobody has asked for so long, such as 5m' },
  },
  examples: [
    ['tsrun planner --idle 5m', 'serve until nobody has asked for five minutes'],
    ['tsrun planner status', 'what it has served, as JSON'],
    ['systemctl enable --now tsrun-planner.socket', 'let systemd start it when it is asked'],
  ],
  async run({ values, positionals: [question] }, { runtime, operations, surroundings }) {
    if (question === undefined) {
      const { idle = '' } = values;
      await operations.servePlanner(runtime, idle === '' ? {} : { idleMs: readDuration(idle, 'idle') });
      return 0;
    }
    if (!QUESTIONS.includes(question)) throw new ArgumentError(`is ${JSON.stringify(question)}, wanted status or stop`);
    const answer = await operations.askPlanner(runtime, question as PlannerQuestion);
    if (question === 'status') surroundings.writeStdout(`${answer}\n`);
    return 0;
  },
});
