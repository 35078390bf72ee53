import { writablePlaces } from '../host/cgroup-layout.ts';
import {
  canMake,
  countSubordinates,
  findCallers,
  findPrograms,
  hasSystemd,
  isThere,
  readFileSystems,
  readRelease,
  readSettings,
  readUserName,
} from '../host/diagnosis-facts.ts';
import { cgroupPlaces } from '../plan/base/cgroup-layout.ts';
import { diagnose, type Diagnosis } from '../plan/diagnosis.ts';
import { readSeccompBuild } from './build/seccomp-build.ts';
import { hostFactsOf } from './caller/host.ts';
import type { Runtime } from './caller/caller.ts';

export type { Diagnosis } from '../plan/diagnosis.ts';

/**
 * What this host can do for the user who asks, and how to mend what it cannot. Changes nothing and needs no root. `planner` says whether
 * one serves this user.
 *
 * Errors: `unsupported` on an architecture or kernel that tsrun does not know.
 */
export function diagnoseHost(
  { caller, root }: Runtime,
  { planner }: { readonly planner: boolean },
): readonly Diagnosis[] {
  const host = hostFactsOf(caller);
  const { euid } = host.identity;
  const user = readUserName(euid);
  const bus = /^unix:path=([^,;]+)/.exec(caller.buses.user ?? '')?.[1];
  return diagnose({
    host,
    release: readRelease(),
    user,
    settings: readSettings(),
    fileSystems: readFileSystems(),
    libseccomp: readSeccompBuild()?.libraryVersion,
    programs: findPrograms(caller.environment['PATH']),
    subordinate: { uid: countSubordinates('uid', euid, user), gid: countSubordinates('gid', euid, user) },
    systemd: hasSystemd(),
    userBus: bus !== undefined && isThere(bus),
    writableCgroups: writablePlaces(cgroupPlaces(host.cgroup)),
    root: { path: root, isWritable: canMake(root) },
    openFiles: caller.openFiles,
    callers: findCallers(),
    planner,
  });
}
