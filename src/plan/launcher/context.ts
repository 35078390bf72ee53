import { call, wordBlock } from '../../program/build.ts';
import { LAUNCHER_LAYOUT, LAYOUT } from '../../program/layout.ts';
import { Memory, type Block, type CallStep, type Program, type Region, type Step } from '../../program/step.ts';
import { iovec, msghdr } from '../../program/structs.ts';
import { MSG_NOSIGNAL } from '../../util/constants.ts';
import { LAUNCHER_EXCHANGES, type LauncherReply } from './exchanges.ts';

/** A launcher, for the planners of this folder: one for all programs of a conversation. */
export interface LauncherContext {
  /** The number of its socket, which its hello tells. */
  readonly socket: number;
  /** The word of that name, in what the launcher does not keep for itself: the same one however often it is asked for. */
  readonly word: (name: string) => Region;
}

/** The words of the program that looks for a silent planner, in all launchers the same ones. */
export const LOOK_WORDS = { file: 'stat of the planner', count: 'bytes of its state', state: 'state of the planner' };

/** The context of a launcher whose hello has just come. */
export function launcherContext(socket: number): LauncherContext {
  const memory = new Memory(LAUNCHER_LAYOUT.own.address - LAYOUT.memory.address);
  const known = new Map<string, Region>();
  const word = (name: string): Region => {
    const found = known.get(name) ?? memory.word(name);
    known.set(name, found);
    return found;
  };
  for (const name of Object.values(LOOK_WORDS)) word(name);
  return { socket, word };
}

/** A program that ends with an answer. */
export function answered(name: string, reply: LauncherReply, steps: readonly Step[]): Program {
  return { name, steps, replies: true, reply: LAUNCHER_EXCHANGES[reply] };
}

/** Sends a tag, and the values behind it. There is no SIGPIPE where the planner has ended: that is not for the caller to see. */
export function answer(
  { socket }: LauncherContext,
  name: LauncherReply,
  label: string,
  values: readonly (Region | Block)[],
): CallStep {
  const tag = wordBlock([LAUNCHER_EXCHANGES[name].tag], `tag ${LAUNCHER_EXCHANGES[name].tag}`);
  const parts = [tag, ...values].map((of) => ({ of, size: of.kind === 'region' ? of.size : of.bytes.length }));
  const vector = iovec(parts);
  return call('sendmsg', [socket, msghdr(vector, undefined, { shown: () => vector.text }), MSG_NOSIGNAL], { label });
}
