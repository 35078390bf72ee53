import { planAcknowledge, planLook } from '../../../src/plan/launcher/acknowledge.ts';
import { launcherContext, type LauncherContext } from '../../../src/plan/launcher/context.ts';
import { planEnd } from '../../../src/plan/launcher/end.ts';
import { planAttend, planLookForEnd, planWatch } from '../../../src/plan/launcher/foreground.ts';
import { planOutput } from '../../../src/plan/launcher/output.ts';
import { planSpawn } from '../../../src/plan/launcher/spawn.ts';
import { planTell, planTellMore } from '../../../src/plan/launcher/start.ts';
import type { Program } from '../../../src/program/step.ts';
import { SIGNALS } from '../../../src/util/signals.ts';

/** A context for one planner, with a socket like that of a launcher. */
export function makeLauncher(): LauncherContext {
  return launcherContext(100);
}

/** One program of each planner for a launcher, in the order of a foreground `run`. */
export function launcherPrograms(): readonly Program[] {
  const context = makeLauncher();
  const output = [
    { fd: 1, bytes: new TextEncoder().encode('{}\n') },
    { fd: 2, bytes: new TextEncoder().encode('warned\n') },
  ];
  return [
    planLook(context, 4321),
    planAcknowledge(context, 2104),
    planSpawn(context, { name: 'tsrun:init', targets: [3, 5], kept: [0, 1, 2] }),
    planAttend(context, { pid: 4400, signals: [SIGNALS.INT, SIGNALS.TERM], subreaper: true }),
    planWatch(context, { signals: 101, program: 102 }),
    planLookForEnd(context, { pid: 'any', reap: [] }),
    planLookForEnd(context, { pid: 4400, reap: [4390] }),
    planTell(context, {
      socketName: 'init/init.sock',
      token: undefined,
      packet: Uint8Array.of(1),
      isLast: true,
    }),
    planTell(context, {
      socketName: 'init/init.sock',
      token: new Uint8Array(16),
      packet: Uint8Array.of(1),
      isLast: false,
    }),
    planTellMore(context, Uint8Array.of(1)),
    planOutput(context, output[0] ?? { fd: 1, bytes: new Uint8Array() }),
    planEnd(context, { output, children: [4399], code: 7 }),
  ];
}
