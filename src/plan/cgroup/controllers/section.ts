import type { Resources } from '../../../spec/generated/config.ts';
import { isSet } from '../values.ts';

/** How one section of linux.resources changes in an update. Each function answers with that section alone, or with nothing. */
export interface ResourceSection {
  readonly name: keyof Resources;
  /** What of the changes asks for something: callers fill in every member, with 0 and empty text for "leave it". */
  readonly meant: (changes: Resources) => Resources;
  /** The section after the update. */
  readonly merge: (old: Resources, changes: Resources, options: MergeOptions) => Resources;
  /** The changes, completed by what belongs to the same value of the kernel. */
  readonly written: (changes: Resources, merged: Resources) => Resources;
}

/** What of the machine decides how sections are merged. */
export interface MergeOptions {
  /** The kernel limits swap apart from memory (cgroup v2). */
  readonly swapIsApart: boolean;
}

interface SectionParts<Section> {
  /** Undefined for nothing. Default: all of it is meant. */
  readonly meant?: (changes: Section) => Section | undefined;
  /** Default: members that the changes name replace the old ones. */
  readonly merge?: (old: Section | undefined, changes: Section, options: MergeOptions) => Section;
  /** Default: the changes. */
  readonly written?: (changes: Section, merged: Section | undefined) => Section;
}

/** The section of a name, from what is peculiar to it. */
export function resourceSection<Name extends keyof Resources>(
  name: Name,
  parts: SectionParts<NonNullable<Resources[Name]>>,
): ResourceSection {
  type Section = NonNullable<Resources[Name]>;
  const only = (section: Section | undefined): Resources => (section === undefined ? {} : { [name]: section });
  const of = (resources: Resources): Section | undefined => resources[name] as Section | undefined;
  const same = (changes: Section): Section => changes;
  const replace = (old: Section | undefined, changes: Section): Section => Object.assign({}, old, changes);
  const meant: (changes: Section) => Section | undefined = parts.meant ?? same;
  const written: (changes: Section, merged: Section | undefined) => Section = parts.written ?? same;
  const merge: (old: Section | undefined, changes: Section, options: MergeOptions) => Section = parts.merge ?? replace;
  const where = (changes: Resources, change: (section: Section) => Section | undefined): Resources => {
    const section = of(changes);
    return section === undefined ? {} : only(change(section));
  };
  return {
    name,
    meant: (changes) => where(changes, meant),
    merge: (old, changes, options) => where(changes, (section) => merge(of(old), section, options)),
    written: (changes, merged) => where(changes, (section) => written(section, of(merged))),
  };
}

/** The old entries without those that a new one replaces, then the new ones. */
export function upsert<Entry>(
  old: readonly Entry[] = [],
  entries: readonly Entry[],
  keyOf: (entry: Entry) => string,
): Entry[] {
  const replaced = new Set(entries.map(keyOf));
  return [...old.filter((entry) => !replaced.has(keyOf(entry))), ...entries];
}

/** A copy without the named members that are 0. */
export function withoutZeros<Section extends object>(section: Section, ...names: readonly (keyof Section)[]): Section {
  const copy = { ...section };
  for (const name of names) if (!isSet(copy[name] as number | bigint | undefined)) Reflect.deleteProperty(copy, name);
  return copy;
}
