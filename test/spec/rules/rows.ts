import type { Test } from 'tap';
import type { Issue } from '../../../src/errors.ts';
import type { DraftConfig } from '../../../src/spec/rules/draft.ts';
import { advice } from '../../../src/spec/rules/advice.ts';
import { rules } from '../../../src/spec/rules/table.ts';

/** Configs a rule accepts, and configs it refuses with the pointer and some words of the only issue expected. */
export interface Rows {
  readonly accepted: readonly DraftConfig[];
  readonly refused: readonly (readonly [config: DraftConfig, pointer: string, words: string])[];
}

/** Runs one rule over its rows, and sees to it that the rule is in one of the tables. */
export function checkRows(t: Test, check: (config: DraftConfig) => Issue[], rows: Rows): void {
  const rule = [...rules, ...advice].find((entry) => entry.check === check);
  if (rule === undefined) throw new Error(`${check.name} is in no table`);
  t.test(`${check.name}()`, (t) => {
    for (const config of rows.accepted) t.strictSame(check(config), [], `accepts ${print(config)}`);
    for (const [config, pointer, words] of rows.refused) {
      const issues = check(config);
      t.equal(issues.length, 1, `finds one issue in ${print(config)}`);
      t.equal(issues[0]?.pointer, pointer, `points at ${pointer}`);
      t.ok(issues[0]?.message.includes(words), `says ${words}: ${issues[0]?.message}`);
      t.notMatch(issues[0]?.message, /\n|\.$/, 'is one clause');
    }
    t.ok(rows.accepted.length > 0 && rows.refused.length > 0, `${rule.name} has rows of both kinds`);
    t.end();
  });
}

function print(config: DraftConfig): string {
  return JSON.stringify(config, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
