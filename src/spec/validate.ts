import { describeIssues, type Issue, TsrunError } from '../errors.ts';
import type { Config, Process, Resources } from './generated/config.ts';
import type { Features } from './generated/features.ts';
import type { State } from './generated/state.ts';
import type { Validator } from './generated/validator.ts';
import * as validators from './generated/validators.js';
import { parseJson } from './parse.ts';
import { pointerOf } from './pointer.ts';
import { advice } from './rules/advice.ts';
import { type DraftConfig, draftWithout } from './rules/draft.ts';
import { processRules, resourcesRules, type Rule, rules } from './rules/table.ts';
import { wording } from '../util/wording.ts';
import { findUnknownMembers } from './unknown-members.ts';
import { findSchemaIssues } from './schema-issues.ts';

/** A document and the remarks on it that do not make it invalid. */
export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly Issue[];
}

/**
 * Reads the text of a config.json.
 *
 * Members that are `null` count as absent, as for runc and crun, and are warned about. Errors: `config`, once, with every
 * problem in `issues`: those of the schema, and of all rules that can be judged in spite of them; `config` with a line
 * and column when the text is not JSON. `name` is what messages call the document.
 */
export function loadConfig(text: string, name = 'config.json'): LoadedConfig {
  const { value, warnings } = readText(text, name);
  refuse(name, validateConfig(value));
  const config = value as Config;
  return { config, warnings: [...warnings, ...findUnknownMembers(config), ...adviseOnConfig(config)] };
}

/** Reads the text of a process document (`exec --process`); as loadConfig(), with pointers into the process. */
export function loadProcess(text: string, name = 'process.json'): Process {
  const { value } = readText(text, name);
  refuse(name, validateProcess(value));
  return value as Process;
}

/**
 * Reads the text of a resources document (`update --resources`); as loadConfig(), with pointers into the resources.
 *
 * `base` holds the resources that the document changes: where a rule compares two values, the one that is missing is taken from it.
 */
export function loadResources(text: string, name = 'resources.json', base: Resources = {}): Resources {
  const { value } = readText(text, name);
  checkResources(value, name, base);
  return value as Resources;
}

/** Errors: `config`, as loadResources(), for resources that were not read from a text. */
export function checkResources(value: unknown, name: string, base: Resources = {}): void {
  refuse(name, validateResources(value, base));
}

/** Reads the text of a state document; unlike in a config, a member that is `null` is a mistake. */
export function loadState(text: string, name = 'state'): State {
  const value = parseNamed(text, name);
  refuse(name, validateState(value));
  return value as State;
}

/** Reads the text of a features document; unlike in a config, a member that is `null` is a mistake. */
export function loadFeatures(text: string, name = 'features'): Features {
  const value = parseNamed(text, name);
  refuse(name, validateFeatures(value));
  return value as Features;
}

/** Everything that is wrong with a config; integers may be numbers or BigInts. */
export function validateConfig(value: unknown): readonly Issue[] {
  if (value === null) return [{ pointer: '', message: `is null, wanted an object: ${wording.configNull}` }];
  const { issues, damaged } = findSchemaIssues(validators.config, value);
  return damaged.includes('') ? issues : [...issues, ...applyRules(rules, value, damaged)];
}

/** Everything that is wrong with a process section on its own. */
export function validateProcess(value: unknown): readonly Issue[] {
  const inConfig = (process: unknown) => ({ process });
  return validateSection(validators.processSection, value, {
    section: '/process',
    sectionRules: processRules,
    inConfig,
  });
}

/** Everything that is wrong with a resources section on its own, or as a change of `base`. */
export function validateResources(value: unknown, base: Resources = {}): readonly Issue[] {
  const inConfig = (resources: unknown) => ({ linux: { resources: withBase(resources as Resources, base) } });
  const section = '/linux/resources';
  return validateSection(validators.resourcesSection, value, { section, sectionRules: resourcesRules, inConfig });
}

/** Everything that is wrong with a state document. */
export function validateState(value: unknown): readonly Issue[] {
  return findSchemaIssues(validators.state, value).issues;
}

/** Everything that is wrong with a features document. */
export function validateFeatures(value: unknown): readonly Issue[] {
  return findSchemaIssues(validators.features, value).issues;
}

/** Remarks on a valid config that deserve a warning. */
export function adviseOnConfig(config: Config): readonly Issue[] {
  return advice.flatMap(({ check }) => check(config));
}

// The value that a limit of swap, or a burst, is compared with; 0 is as good as none.
function withBase(resources: Resources, base: Resources): Resources {
  const { memory, cpu } = resources;
  const limit = base.memory?.limit;
  const quota = base.cpu?.quota;
  const isUnset = (value: unknown): boolean => value === undefined || value === 0 || value === 0n;
  return {
    ...resources,
    ...(isObject(memory) && isUnset(memory.limit) && limit !== undefined && { memory: { ...memory, limit } }),
    ...(isObject(cpu) && isUnset(cpu.quota) && quota !== undefined && { cpu: { ...cpu, quota } }),
  };
}

// The schema may have refused it.
function isObject<T>(value: T | undefined): value is T {
  return typeof value === 'object' && value !== null;
}

interface Section {
  /** Where the document stands in a config. */
  readonly section: string;
  readonly sectionRules: readonly Rule[];
  readonly inConfig: (value: unknown) => unknown;
}

function validateSection(validator: Validator, value: unknown, where: Section): readonly Issue[] {
  const { section, sectionRules, inConfig } = where;
  const { issues, damaged } = findSchemaIssues(validator, value);
  if (damaged.includes('')) return issues;
  const inSection = damaged.map((pointer) => section + pointer);
  const found = applyRules(sectionRules, inConfig(value), inSection);
  return [...issues, ...found.map(({ pointer, message }) => ({ pointer: pointer.slice(section.length), message }))];
}

// Rules never see a value that the schema refused, and what they say about its place or its inside is an echo.
function applyRules(checks: readonly Rule[], config: unknown, damaged: readonly string[]): Issue[] {
  const draft = draftWithout(config, damaged) as DraftConfig;
  const places = new Set(damaged);
  const isEcho = (pointer: string): boolean => {
    let place = pointer;
    while (place !== '' && !places.has(place)) place = place.slice(0, place.lastIndexOf('/'));
    return places.has(place);
  };
  return checks.flatMap(({ check }) => check(draft)).filter(({ pointer }) => !isEcho(pointer));
}

function readText(text: string, name: string): { value: unknown; warnings: Issue[] } {
  const value = parseNamed(text, name);
  spellPageSizes(value);
  const warnings: Issue[] = [];
  if (text.includes('null')) dropNulls(value, [], warnings);
  return { value, warnings };
}

function parseNamed(text: string, name: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    if (!(cause instanceof TsrunError)) throw cause;
    throw new TsrunError(cause.code, `${name}: ${cause.message}`, { cause });
  }
}

// Go's decoder, and so runc, takes the names of members in any case, and this one is written `pagesize` by callers as well.
function spellPageSizes(document: unknown): void {
  const { linux, hugepageLimits } = membersOf(document);
  const own = membersOf(membersOf(linux)['resources'])['hugepageLimits'];
  for (const list of [hugepageLimits, own]) {
    if (!Array.isArray(list)) continue;
    for (const entry of list as unknown[]) {
      const limit = membersOf(entry);
      const name = Object.keys(limit).find((key) => key.toLowerCase() === 'pagesize');
      if (name === undefined || Object.hasOwn(limit, 'pageSize')) continue;
      limit['pageSize'] = limit[name];
      Reflect.deleteProperty(limit, name);
    }
  }
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

// Go's decoder, and so runc, takes a null for an absent member, and callers have come to rely on it.
function dropNulls(value: unknown, path: string[], issues: Issue[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    dropNullsInArray(value, path, issues);
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    if (typeof member !== 'object') continue;
    path.push(key);
    if (member === null) {
      Reflect.deleteProperty(value, key);
      issues.push({ pointer: pointerOf(path), message: 'is null: taken as absent' });
    } else {
      dropNulls(member, path, issues);
    }
    path.pop();
  }
}

// Of tens of thousands of groups none holds anything.
function dropNullsInArray(values: readonly unknown[], path: string[], issues: Issue[]): void {
  for (let index = 0; index < values.length; index++) {
    if (typeof values[index] !== 'object') continue;
    path.push(String(index));
    dropNulls(values[index], path, issues);
    path.pop();
  }
}

function refuse(name: string, issues: readonly Issue[]): void {
  if (issues.length > 0) throw new TsrunError('config', describeIssues(name, issues), { issues });
}
