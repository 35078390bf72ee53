import type { Resources } from '../../spec/generated/config.ts';
import type { MergeOptions, ResourceSection } from './controllers/section.ts';
import { CONTROLLERS } from './controllers/table.ts';
import { unifiedSection } from './controllers/unified.ts';

const SECTIONS: readonly ResourceSection[] = [...CONTROLLERS.flatMap(({ merge }) => merge ?? []), unifiedSection];

/**
 * The changes of an update that ask for something: callers fill in every member of a document, with 0 and empty text for "leave
 * it". Device rules are left out, because an update never touches them.
 */
export function meantChanges(changes: Resources): Resources {
  return combine(({ meant }) => meant(changes));
}

/**
 * What the container's resources are after an update: members that changes name replace the old ones; of lists, the entries for the
 * same device, page size or interface. `changes` are those of `meantChanges`.
 */
export function mergeResources(old: Resources, changes: Resources, options: MergeOptions): Resources {
  return { ...old, ...combine(({ merge }) => merge(old, changes, options)) };
}

/** The changes, completed by what belongs to the same value of the kernel. */
export function writtenResources(changes: Resources, merged: Resources): Resources {
  return combine(({ written }) => written(changes, merged));
}

function combine(part: (section: ResourceSection) => Resources): Resources {
  return SECTIONS.reduce<Resources>((all, section) => ({ ...all, ...part(section) }), {});
}
