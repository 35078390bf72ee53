import { TsrunError } from '../../errors.ts';
import type { JoinPlace } from './path.ts';

/** A cgroup below the container's own, in which a further process of it is to run. It has to be there. */
export interface SubCgroup {
  /** Controllers of v1 hierarchies. Default: every hierarchy. */
  readonly controllers?: readonly string[];
  /** Relative to the container's cgroup, with or without a slash in front. */
  readonly path: string;
}

/** A cgroup of a container, as its state names it. */
export interface ContainerCgroup extends JoinPlace {
  readonly controllers: readonly string[];
}

/**
 * Where the process of an `exec` goes: the container's cgroups with the wanted ones in place.
 *
 * A path alone counts for all v1 hierarchies; cgroup2 follows it only where it is the only one, since on a hybrid machine
 * nobody who makes cgroups below controllers makes them there too. Errors: `cgroup` for a path that leads out of the
 * container's cgroup, a controller that has no v1 hierarchy, or two paths in one hierarchy.
 */
export function planSubCgroups(places: readonly ContainerCgroup[], wanted: readonly SubCgroup[]): JoinPlace[] {
  const below = new Map<ContainerCgroup, string>();
  const choose = (place: ContainerCgroup, path: string): void => {
    const earlier = below.get(place);
    if (earlier !== undefined && earlier !== path) {
      throw cgroupError(`controllers ${place.controllers.join(',')} share a hierarchy, found two paths for it`);
    }
    below.set(place, path);
  };
  for (const { controllers, path } of wanted) {
    const cleaned = cleanSubPath(path);
    if (controllers === undefined) {
      const v1 = places.filter(({ kind }) => kind === 'v1');
      for (const place of v1.length > 0 ? v1 : places) choose(place, cleaned);
    } else for (const controller of controllers) choose(findHierarchy(places, controller), cleaned);
  }
  return places.map((place) => {
    const { kind, hostPath, fallback } = place;
    const path = below.get(place) ?? '';
    if (path !== '') return { kind, hostPath, below: path };
    return { kind, hostPath, ...(fallback === undefined ? {} : { fallback }) };
  });
}

function findHierarchy(places: readonly ContainerCgroup[], controller: string): ContainerCgroup {
  const found = places.find(({ kind, controllers }) => kind === 'v1' && controllers.includes(controller));
  if (found === undefined) throw cgroupError(`unknown controller ${controller} in SubCgroupPaths`);
  return found;
}

/** The names of the path, joined again; the empty string is the container's cgroup itself. */
function cleanSubPath(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) throw cgroupError(`bad sub cgroup path: ${path}`);
  }
  // The kernel takes neither in a name.
  if (/[\0\n]/.test(path)) throw cgroupError(`bad sub cgroup path: ${JSON.stringify(path)}`);
  return names.join('/');
}

function cgroupError(message: string): TsrunError {
  return new TsrunError('cgroup', message);
}
