import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { advice } from '../../../src/spec/rules/advice.ts';
import { processRules, resourcesRules, rules } from '../../../src/spec/rules/table.ts';

t.test('rules names every rule once', (t) => {
  const names = [...rules, ...advice].map(({ name }) => name);
  t.strictSame(names, [...new Set(names)]);
  for (const name of names) t.match(name, /^[a-z]+(-[a-z]+)*$/);
  t.end();
});

t.test('rules holds every exported check', (t) => {
  const folder = new URL('../../../src/spec/rules/', import.meta.url);
  const sources = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'));
  const checks = sources.flatMap((source) =>
    [...source.matchAll(/export function (check\w+)\(/g)].map((found) => found[1]),
  );
  const listed = new Set(rules.map(({ check }) => check.name));
  t.strictSame(
    checks.filter((name) => name !== undefined && !listed.has(name)),
    ['checkEnvironment'],
  );
  t.end();
});

t.test('rules holds the rules of both sections', (t) => {
  for (const rule of [...processRules, ...resourcesRules]) t.ok(rules.includes(rule), rule.name);
  t.end();
});

t.test('every rule has a test with rows', (t) => {
  const folder = new URL('./', import.meta.url);
  const tests = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'));
  for (const { check } of rules)
    t.ok(
      tests.some((text) => text.includes(`checkRows(t, ${check.name},`)),
      check.name,
    );
  t.end();
});
