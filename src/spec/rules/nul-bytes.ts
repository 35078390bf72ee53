import type { Issue } from '../../errors.ts';
import { pointerTo } from '../pointer.ts';
import { quote } from '../quote.ts';
import type { DraftConfig } from './draft.ts';

// What reaches the kernel. Annotations and other platforms' sections do not, and must be let through.
const sections = ['root', 'process', 'hostname', 'domainname', 'mounts', 'hooks', 'linux'] as const;

/** No string holds a NUL, which would end it early in the kernel: `/safe\0/../..` would pass every other check. */
export function checkNulBytes(config: DraftConfig): Issue[] {
  return sections.flatMap((name) => [...findNul(config[name], pointerTo('', name))]);
}

function* findNul(value: unknown, pointer: string): Generator<Issue> {
  if (typeof value === 'string' && value.includes('\0')) {
    yield { pointer, message: `is ${quote(value)}, wanted a text without NUL bytes` };
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    if (key.includes('\0')) yield { pointer, message: `has the key ${quote(key)}, wanted one without NUL bytes` };
    yield* findNul(member, pointerTo(pointer, key));
  }
}
