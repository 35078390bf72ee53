import type { Issue } from '../../errors.ts';
import { pointerOf } from '../pointer.ts';
import { quote } from '../quote.ts';
import type { DraftConfig } from './draft.ts';

// What reaches the kernel. Annotations and other platforms' sections do not, and must be let through.
const sections = ['root', 'process', 'hostname', 'domainname', 'mounts', 'hooks', 'linux'] as const;

/** No string holds a NUL, which would end it early in the kernel: `/safe\0/../..` would pass every other check. */
export function checkNulBytes(config: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const name of sections) findNul(config[name], [name], issues);
  return issues;
}

function findNul(value: unknown, path: string[], issues: Issue[]): void {
  if (typeof value === 'string' && value.includes('\0')) {
    issues.push({ pointer: pointerOf(path), message: `is ${quote(value)}, wanted a text without NUL bytes` });
  }
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) findInArray(value, path, issues);
  else
    for (const [key, member] of Object.entries(value)) {
      if (key.includes('\0')) {
        issues.push({ pointer: pointerOf(path), message: `has the key ${quote(key)}, wanted one without NUL bytes` });
      }
      path.push(key);
      findNul(member, path, issues);
      path.pop();
    }
}

/** Of tens of thousands of groups none is a text. */
function findInArray(values: readonly unknown[], path: string[], issues: Issue[]): void {
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (typeof value === 'number') continue;
    path.push(String(index));
    findNul(value, path, issues);
    path.pop();
  }
}
