import type { Test } from 'tap';
import type { CommandResult } from '../live/support/command.ts';
import type { BundleOptions, Rig } from '../live/support/rig.ts';
import { findTool } from '../live/support/surroundings.ts';
import { count, record } from './count.mjs';

/** One attack, carried out in the same way against tsrun and, where it is installed, runc. */
export interface Attack {
  /** The row of docs/security.md. */
  readonly name: string;
  readonly bundle: () => BundleOptions;
  /** Descriptors that the caller leaks. */
  readonly extraFds?: readonly number[];
  readonly flags?: readonly string[];
  /** What came of it, in few words; it starts with "succeeds" when the attacker has got what they wanted. */
  readonly judge: (result: CommandResult) => string;
}

/** Carries out an attack; the test fails if it succeeds against tsrun. What runc does is recorded and not judged. */
export async function attack(t: Test, rig: Rig, { name, bundle, extraFds, flags = [], judge }: Attack): Promise<void> {
  const options = extraFds === undefined ? {} : { extraFds };
  count('attacks tried');
  count('containers made');
  const ours = await rig.run(bundle(), { flags, ...options });
  const outcome = judge(ours);
  t.notMatch(outcome, /^succeeds/, `${name}: ${ours.stdout}${ours.stderr}`);
  t.notMatch(ours.stderr, /\n\s+at |bug:/, 'no stack trace');
  t.equal(ours.timedOut, false);
  const runc = findTool('runc');
  let theirs = 'not installed';
  if (runc !== undefined) {
    const id = rig.id('runc');
    const global = [runc, '--root', rig.path('runc')];
    theirs = judge(await rig.start([...global, 'run', ...flags, '--bundle', rig.bundle(bundle()), id], options).done);
    await rig.start([...global, 'delete', '--force', id]).done;
  }
  t.comment(`${name}: tsrun ${outcome}; runc ${theirs}`);
  record({ attack: name, tsrun: outcome, runc: theirs });
}
