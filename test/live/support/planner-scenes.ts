import { mkdirSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandOptions, CommandResult, RunningCommand } from './command.ts';
import { LAUNCHER, withoutPlanner, type TestPlanner } from './planner.ts';
import type { BaseConfig, Rig } from './rig.ts';

/** How a command is called: its arguments behind those that all have. */
export type Call = (args: readonly string[], options?: CommandOptions & { readonly shell?: string }) => RunningCommand;

/** Carries out something with a new id, and tells what is to be the same with a planner and without. */
export type Scene = (call: Call, id: string, directory: string) => Promise<unknown>;

/** Set by each file before anything else. */
let rig: Rig;

/** The rig that everything here works with. */
export function useRig(own: Rig): void {
  rig = own;
}

/** The part of a result that is to be the same. */
export const outcome = ({ code, signal, stdout, stderr }: CommandResult): unknown => ({ code, signal, stdout, stderr });

/** How a command ends, for comparison. */
export const done = async (running: RunningCommand): Promise<unknown> => outcome(await running.done);

/** A bundle. */
export function bundle(args: readonly string[] | string, change?: (config: BaseConfig) => void): string {
  return rig.bundle({ args, ...(change && { change }) });
}

/** With a container that sleeps. */
export function withSleeper(scene: Scene): Scene {
  return async (call, id, directory) => {
    const made = [
      await done(call(['create', '--bundle', bundle(['sleep', '1000']), id])),
      await done(call(['start', id])),
    ];
    const seen = await scene(call, id, directory);
    return [made, seen, await done(call(['delete', '--force', id]))];
  };
}

/** How many commands of a scene a planner has carried out, lost, and left to the engine. */
export interface ServedCommands {
  readonly warm: number;
  readonly lost: number;
  readonly left: number;
}

/** Plays a scene with the planner and without; the test fails unless the same is seen. */
export async function compare(t: Test, planner: TestPlanner, scene: Scene): Promise<ServedCommands> {
  const id = rig.id('same');
  const play = async (call: Call): Promise<unknown> => {
    const directory = rig.fresh('scene');
    mkdirSync(directory, { mode: 0o755 });
    return neutral(await scene(call, id, directory), directory);
  };
  const before = planner.report();
  const found = await play((args, options) => start(args, options));
  const after = planner.report();
  const wanted = await play((args, options) => start(args, options, withoutPlanner()));
  t.strictSame(found, wanted);
  const sum = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((all, count) => all + count, 0);
  return { warm: after.warm - before.warm, lost: after.lost - before.lost, left: sum(after.cold) - sum(before.cold) };
}

/** Starts a command, by a line of bash where one is given. */
export function start(
  args: readonly string[],
  { shell, ...options }: CommandOptions & { readonly shell?: string } = {},
  before: readonly string[] = [],
): RunningCommand {
  const inShell = shell === undefined ? [] : ['bash', '-c', shell, 'bash'];
  const own = options.cwd === undefined ? {} : { cwd: options.cwd };
  return rig.start([...before, ...inShell, LAUNCHER, '--root', rig.root, ...args], { ...options, ...own });
}

/** Times, pids and the names of this scene are others each time. */
function neutral(value: unknown, directory: string): unknown {
  const text = JSON.stringify(value)
    .replaceAll(directory, 'DIRECTORY')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/bundle-\d+/g, 'BUNDLE')
    .replace(/\\"pid\\": \d+/g, 'PID');
  return JSON.parse(text);
}
