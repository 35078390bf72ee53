import { readHostFacts } from '../../host/facts.ts';
import { readMounts, type MountinfoEntry } from '../../host/mountinfo.ts';
import type { HostFacts } from '../../plan/base/facts.ts';
import type { Caller } from './caller.ts';

/** The mounts that a caller sees. Errors: those of Node. */
export function mountsOf({ host, proc }: Caller): readonly MountinfoEntry[] {
  return host?.mounts() ?? readMounts(proc);
}

/** The facts about the machine as a caller sees it. Errors: those of `readHostFacts`. */
export function hostFactsOf({ host, proc }: Caller): HostFacts {
  return host?.facts() ?? readHostFacts(proc);
}
