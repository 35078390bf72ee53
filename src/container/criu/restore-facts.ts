import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CgroupReference } from '../../cgroup/cgroup.ts';
import { placeInRootfs } from '../../host/links-in-rootfs.ts';
import { externalDestinations, outsidePlaces } from '../../plan/checkpoint/external.ts';
import type { RestoreFacts } from '../../plan/checkpoint/restore.ts';
import type { Bundle } from '../build/bundle.ts';

/** What of a container to restore is known in advance. */
export interface Restored {
  readonly bundle: Bundle;
  readonly cgroup: CgroupReference;
  /** A mount of the rootfs. */
  readonly root: string;
  readonly descriptors: readonly string[];
}

/** What a request to restore is planned from. */
export function restoreFacts({ bundle: { config, facts }, cgroup, root, descriptors }: Restored): RestoreFacts {
  const outside = outsidePlaces(config);
  return {
    root,
    places: Object.fromEntries(externalDestinations(config).map((one) => [one, placeInRootfs(facts.rootfs, one)])),
    sources: Object.fromEntries(
      outside.map(({ source, device = '' }) => [
        source,
        facts.devices?.[device]?.path ?? path.resolve(facts.bundle, source),
      ]),
    ),
    cgroups: cgroup.directories,
    cgroupMode: cgroup.version,
    descriptors,
  };
}

/** The cgroups of a process, as CRIU is told of them: those that what it restores is to be below. Errors: those of Node. */
export function readCgroupRoots(pid: number): { readonly ctrl: string; readonly path: string }[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, controllers, place] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || place === undefined) return [];
    return controllers.split(',').map((ctrl) => ({ ctrl, path: place }));
  });
}
