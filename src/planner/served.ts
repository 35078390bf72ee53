import { commandTable } from '../cli/command-table.ts';
import type { SplitCommandLine } from '../cli/options/global.ts';
import { specTemplate } from '../spec/template.ts';
import { loadConfig } from '../spec/validate.ts';
import { GoCold } from './reasons.ts';

/**
 * The commands that a planner serves. The others read standard input, write for as long as somebody listens, start processes (`ps`), or
 * are asked for so rarely that nobody waits for them.
 */
const SERVED: ReadonlySet<string> = new Set([
  ...['create', 'start', 'run', 'exec', 'kill', 'delete'],
  ...['state', 'list', 'pause', 'resume', 'update'],
]);

/** Loads what the first command of each kind would have to wait for. */
export async function loadServed(): Promise<void> {
  for (const name of SERVED) await commandTable[name]?.load();
  // The validators, too.
  loadConfig(JSON.stringify(specTemplate({ rootless: false })));
}

/** Errors: `GoCold` for what is left to the caller's engine. */
export function requireServed({ command, help, global }: SplitCommandLine): void {
  if (help || command === undefined || !SERVED.has(command)) throw new GoCold('command');
  // A connection to a service, whose log shows who has sent what.
  const isService = global.logTarget !== undefined && global.logTarget.kind !== 'file';
  if (isService || global.systemdLog) throw new GoCold('command-line');
  // What is measured is a command that does everything by itself, with an init of its own process.
  if (global.traceFile !== undefined || global.logLevel === 'debug') throw new GoCold('measured');
}
