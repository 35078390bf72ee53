import type { Issue } from '../errors.ts';
import { nearestName } from '../util/nearest-name.ts';
import { members } from './generated/members.ts';
import { pointerOf } from './pointer.ts';
import { quote } from './quote.ts';

/** Whoever has made as many mistakes has made one. */
const MOST_FOUND = 100;

/**
 * What a config holds that the specification does not name: it has to be ignored (config.md, "Extensibility"), and is a typing error more
 * often than an extension. One remark a place, with the name that is meant where one is near.
 */
export function findUnknownMembers(config: unknown): readonly Issue[] {
  const issues: Issue[] = [];
  search(config, { kind: 'Config', path: [] }, issues);
  return issues;
}

interface Place {
  /** As `members` names it. */
  readonly kind: string;
  /** Grows and shrinks with the search: a pointer is made for a remark alone. */
  readonly path: string[];
}

function search(value: unknown, { kind, path }: Place, issues: Issue[]): void {
  if (kind === '' || typeof value !== 'object' || value === null || issues.length >= MOST_FOUND) return;
  const isMany = kind.endsWith(']') || kind.endsWith('}');
  const known = isMany ? {} : (members[kind] ?? {});
  for (const [key, member] of Object.entries(value)) {
    if (!isMany && !Object.hasOwn(known, key)) {
      const message = `is no property of the specification: ignored${suggest(key, known)}`;
      issues.push({ pointer: pointerOf([...path, key]), message });
      continue;
    }
    const below = isMany ? kind.slice(0, -2) : (known[key] ?? '');
    if (below === '') continue;
    path.push(key);
    search(member, { kind: below, path }, issues);
    path.pop();
  }
}

function suggest(key: string, known: Readonly<Record<string, string>>): string {
  const names = Object.keys(known);
  const nearest = names.find((name) => name.toLowerCase() === key.toLowerCase()) ?? nearestName(key, names);
  return nearest === undefined ? '' : `; did you mean ${quote(nearest)}?`;
}
