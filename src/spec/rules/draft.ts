import { pointerKeys, pointerTo } from '../pointer.ts';
import type { Config, Linux } from '../generated/config.ts';

/**
 * A document some of whose parts the schema refused: any member may be missing, any item of a list may be a hole.
 *
 * Rules read drafts, so that one wrong value does not hide what is wrong with the rest.
 */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly (Draft<Item> | undefined)[]
  : T extends object
    ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
    : T;

/** A config some of whose parts the schema refused. */
export type DraftConfig = Draft<Config>;

/**
 * A document without the values at the given pointers: members are there but undefined, list items become holes.
 *
 * Members that were undefined to begin with are left out, so that rules can tell a damaged member from an absent one.
 */
export function draftWithout(document: unknown, pointers: Iterable<string>): unknown {
  const damage: Damage = { below: new Map(), pointer: undefined };
  for (const pointer of pointers) addDamage(damage, pointer);
  return draftOf(document, damage);
}

/** Where a document is damaged, as a tree: each value is visited once, however many of them are. */
interface Damage {
  readonly below: Map<string, Damage>;
  /** The pointer of this very value, when it is what cannot be used. */
  pointer: string | undefined;
}

function addDamage(root: Damage, pointer: string): void {
  let place = root;
  for (const key of pointerKeys(pointer)) {
    const next: Damage = place.below.get(key) ?? { below: new Map(), pointer: undefined };
    place.below.set(key, next);
    place = next;
  }
  place.pointer = pointer;
}

function draftOf(value: unknown, damage: Damage | undefined): unknown {
  if (damage?.pointer !== undefined) return replacementFor(damage.pointer);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item, index) => draftOf(item, damage?.below.get(String(index))));
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, draftOf(member, damage?.below.get(name))]));
}

// A list of namespaces that cannot be read may have named any: a hole in it keeps rules from missing one.
function replacementFor(pointer: string): unknown {
  if (pointer === '') return {};
  if (pointer === '/linux') return { namespaces: [undefined] };
  return pointer === '/linux/namespaces' ? [undefined] : undefined;
}

/** The items of a list that are there, each with its pointer. */
export function* itemsOf<T>(list: readonly (T | undefined)[] | undefined, base: string): Generator<[T, string]> {
  for (const [index, item] of (list ?? []).entries()) {
    if (item !== undefined) yield [item, pointerTo(base, index)];
  }
}

/** The members of a map that are there: value, pointer and key. */
export function* membersOf<T>(
  map: Readonly<Record<string, T | undefined>> | undefined,
  base: string,
): Generator<[T, string, string]> {
  for (const [key, member] of Object.entries(map ?? {})) {
    if (member !== undefined) yield [member, pointerTo(base, key), key];
  }
}

type NamespaceType = NonNullable<Linux['namespaces']>[number]['type'];

/** Whether the config lists a namespace of this type, or is too damaged to tell. */
export function hasNamespace(config: DraftConfig, type: NamespaceType): boolean {
  return (config.linux?.namespaces ?? []).some((entry) => entry?.type === undefined || entry.type === type);
}

/** Whether the config lists a namespace of this type that is to be made, not joined, or is too damaged to tell. */
export function makesNamespace(config: DraftConfig, type: NamespaceType): boolean {
  return (config.linux?.namespaces ?? []).some(
    (entry) => entry?.type === undefined || (entry.type === type && isAbsent(entry.path)),
  );
}

/** Whether the config is for Linux: a config that only has another platform's section is not judged as one. */
export function isForLinux(config: DraftConfig): boolean {
  return config.linux !== undefined || !otherPlatforms.some((name) => config[name] !== undefined);
}

/** Whether a member was given but refused by the schema: no rule may take it for absent. */
export function isDamaged(section: object, name: string): boolean {
  return name in section && (section as Record<string, unknown>)[name] === undefined;
}

/** Whether an optional text or list says nothing; callers in Go cannot tell an empty one from an absent one. */
export function isAbsent(value: { readonly length: number } | undefined): boolean {
  return value === undefined || value.length === 0;
}

const otherPlatforms = ['windows', 'solaris', 'vm', 'zos', 'freebsd'] as const;
