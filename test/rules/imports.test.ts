import t from 'tap';
import { CONTAINER_ROOMS, DEVIATIONS, IMPORT_TABLE, ONLY_IN } from './import-table.ts';
import { folderOf, importsOf, parseSource, readSources, type Import } from './sources.ts';

/** More files than this in one folder nobody keeps apart. */
const FILES_MAX = 25;
const sources = readSources();
const files = sources.map(({ file }) => file);
const imports = sources.flatMap(importsOf);

t.test('every import of src/ is one that the table allows', (t) => {
  const allowed = new Set(DEVIATIONS.map(({ file, target }) => `${file} ${target}`));
  const wrong = imports.filter((found) => problemOf(found) !== undefined);
  const unexpected = wrong.filter(({ file, target }) => !allowed.has(`${file} ${target}`));
  t.strictSame(unexpected.map(describe), []);
  const present = new Set(wrong.map(({ file, target }) => `${file} ${target}`));
  t.strictSame(
    [...allowed].filter((entry) => !present.has(entry)),
    [],
    'every listed deviation is still there',
  );
  t.end();
});

t.test('no folder imports, by whatever way, one that imports it', (t) => {
  t.strictSame(findCycle(imports, folderOf), undefined);
  t.end();
});

t.test('no folder imports, by whatever way, a sibling that imports it', (t) => {
  for (const parent of parentsOf(files)) t.strictSame(findCycle(imports, roomOf(parent)), undefined, parent);
  t.end();
});

t.test('no file imports, by whatever way, one that imports it, also for types alone', (t) => {
  t.strictSame(
    findCycle(imports, (file) => file),
    undefined,
  );
  t.end();
});

t.test('no folder holds more files than can be taken in at a glance', (t) => {
  t.strictSame(crowdedFolders(files), []);
  t.end();
});

t.test('the rooms of container/ import those before them, and no verb imports another', (t) => {
  t.strictSame(
    imports.filter(isUpwards).map(({ place, target }) => `${place} imports ${target}`),
    [],
  );
  const rows: [file: string, text: string, isWrong: boolean][] = [
    ['container/run.ts', `import { a } from './create.ts';`, true],
    ['container/run.ts', `import type { A } from './create.ts';`, true],
    ['container/run.ts', `import { a } from './build/attempt.ts';`, false],
    ['container/build/attempt.ts', `import { a } from '../create.ts';`, true],
    ['container/build/attempt.ts', `import { a } from '../store/directory.ts';`, false],
    ['container/build/attempt.ts', `import { a } from './cleanup.ts';`, false],
    ['container/store/record.ts', `import type { A } from '../build/resctrl.ts';`, true],
    ['container/caller/console.ts', `import { a } from '../hooks/runtime.ts';`, true],
    ['container/hooks/runtime.ts', `import type { Caller } from '../caller/caller.ts';`, false],
    ['container/attic/old.ts', `import { a } from '../store/directory.ts';`, true],
  ];
  for (const [file, text, isWrong] of rows) {
    t.strictSame(importsOf(parseSource(file, text)).map(isUpwards), [isWrong], `${file}: ${text}`);
  }
  t.end();
});

t.test('the table itself has no cycle and names what exists', (t) => {
  const folders = new Set([...Object.keys(IMPORT_TABLE), 'seccomp']);
  for (const [name, { folders: wanted, types = [] }] of Object.entries(IMPORT_TABLE)) {
    for (const target of [...wanted, ...types]) t.ok(folders.has(folderOf(target)), `${name} may import ${target}`);
  }
  const edges = Object.entries(IMPORT_TABLE).flatMap(([file, { folders }]) =>
    folders.map((target) => ({ file: `${file}/x`, target: `${target}/x`, isOutside: false })),
  );
  t.equal(findCycle(edges, folderOf), undefined);
  t.end();
});

t.test('what the table forbids is found, in every form of an import', (t) => {
  const rows: [file: string, text: string, wanted: RegExp | undefined][] = [
    ['plan/mounts.ts', `import { a } from '../program/build.ts';`, undefined],
    ['plan/mounts.ts', `import { a } from '../util/errno.ts';`, undefined],
    ['plan/mounts.ts', `import { a } from '../sys/mount.ts';`, /plan may not import sys/],
    ['plan/mounts.ts', `import type { A } from '../sys/mount.ts';`, /plan may not import sys/],
    ['plan/mounts.ts', `export { a } from '../sys/mount.ts';`, /plan may not import sys/],
    ['plan/mounts.ts', `type A = import('../sys/mount.ts').A;`, /plan may not import sys/],
    ['plan/mounts.ts', `const a = await import('../sys/mount.ts');`, /plan may not import sys/],
    ['plan/mounts.ts', `import 'node:fs';`, /plan may not import node:fs/],
    ['plan/mounts.ts', `import { log } from '../log.ts';`, /plan may not import log.ts/],
    ['host/facts.ts', `import type { HostFacts } from '../plan/base/facts.ts';`, undefined],
    ['host/facts.ts', `import { facts } from '../plan/facts.ts';`, /host may not import plan\/facts.ts/],
    ['cli/run.ts', `import { print } from '../program/print.ts';`, undefined],
    ['cli/run.ts', `import { encode } from '../program/encode.ts';`, /cli may not import program\/encode.ts/],
    ['cli/run.ts', `import koffi from 'koffi';`, /cli may not import koffi/],
    ['container/run.ts', `import yargs from 'yargs';`, /container may not import yargs/],
    ['container/run.ts', `import { fork } from 'node:child_process';`, /CVE-2019-5736/],
    ['container/run.ts', `await import(name);`, /container may not import \(computed\)/],
    ['container/hooks/runtime.ts', `import { spawn } from 'node:child_process';`, undefined],
    ['spec/validate.ts', `import Ajv from 'ajv';`, /spec may not import ajv/],
    ['elsewhere/a.ts', `import '../errors.ts';`, /not in the table/],
  ];
  for (const [file, text, wanted] of rows) {
    const [found] = importsOf(parseSource(file, text));
    const problem = found === undefined ? 'no import found' : problemOf(found);
    if (wanted === undefined) t.equal(problem, undefined, `${file}: ${text}`);
    else t.match(problem, wanted, `${file}: ${text}`);
  }
  t.end();
});

t.test('a cycle is found, also one over several folders', (t) => {
  const edge = (file: string, target: string) => ({ file, target, isOutside: false });
  t.match(
    findCycle([edge('a/x.ts', 'b/x.ts'), edge('b/y.ts', 'c/x.ts'), edge('c/y.ts', 'a/y.ts')], folderOf),
    /a -> b -> c -> a/,
  );
  t.equal(
    findCycle([edge('a/x.ts', 'b/x.ts'), edge('a/y.ts', 'c/x.ts'), edge('b/y.ts', 'c/y.ts')], folderOf),
    undefined,
  );
  t.end();
});

t.test('a cycle of files and one of siblings is found in every form of an import', (t) => {
  const rows = [
    `import { b } from './b.ts';`,
    `import type { B } from './b.ts';`,
    `type B = import('./b.ts').B;`,
    `const load = () => import('./b.ts');`,
    `export * from './b.ts';`,
  ];
  const back = importsOf(parseSource('c/b.ts', `import type { A } from './a.ts';`));
  for (const text of rows) {
    const there = importsOf(parseSource('c/a.ts', text));
    t.equal(
      findCycle([...there, ...back], (file) => file),
      'c/a.ts -> c/b.ts -> c/a.ts',
      text,
    );
  }
  const edge = (file: string, target: string) => ({ file, target, isOutside: false });
  const siblings = [edge('c/a/x.ts', 'c/b/x.ts'), edge('c/b/deep/y.ts', 'c/a/y.ts')];
  t.equal(findCycle(siblings, roomOf('c')), 'c/a -> c/b -> c/a');
  t.equal(
    findCycle(siblings, (file) => file),
    undefined,
  );
  const withSubfolder = [edge('c/x.ts', 'c/a/x.ts'), edge('c/a/y.ts', 'c/y.ts')];
  t.equal(findCycle(withSubfolder, roomOf('c')), undefined, 'a folder and its own subfolder are one unit');
  t.same(parentsOf(['c/b/deep/y.ts', 'd/x.ts', 'z.ts']), ['c', 'c/b']);
  t.end();
});

t.test('a crowded folder is found', (t) => {
  const many = Array.from({ length: FILES_MAX }, (_, index) => `a/b/${index}.ts`);
  t.same(crowdedFolders([...many, 'a/c/1.ts', 'a/1.ts']), []);
  t.same(crowdedFolders([...many, 'a/b/one-more.ts']), [`a/b holds ${FILES_MAX + 1} files`]);
  t.end();
});

function describe(found: Import): string {
  return `${found.place}: ${problemOf(found) ?? ''}`;
}

/** Why an import is not allowed; undefined when it is. */
function problemOf({ file, target, isOutside, isTypeOnly }: Import): string | undefined {
  const folder = folderOf(file);
  const rule = IMPORT_TABLE[folder];
  if (rule === undefined) return `${folder} is not in the table of test/rules/import-table.ts`;
  const refusal = `${folder} may not import ${target}${isTypeOnly ? ' (a type)' : ''}`;
  if (isOutside) {
    if (rule.outside?.includes(target) !== true) return refusal;
    const only = ONLY_IN[target];
    return only === undefined || only.files.includes(file) ? undefined : `${refusal}: ${only.reason}`;
  }
  if (folderOf(target) === folder || target === 'errors.ts' || folderOf(target) === 'util') return undefined;
  if (target === 'log.ts' && rule.acts === true) return undefined;
  const wanted = [...rule.folders, ...(isTypeOnly ? (rule.types ?? []) : [])];
  return wanted.some((name) => isWithin(target, name)) ? undefined : refusal;
}

/** Within container/: from a room to a later one or to a verb, or from one verb to another. A room without a place is wrong as well. */
function isUpwards({ file, target }: Import): boolean {
  if (folderOf(file) !== 'container' || folderOf(target) !== 'container') return false;
  const [from, to] = [file, target].map(containerRoomOf);
  if (from === undefined) return to === undefined;
  const [fromPlace, toPlace] = [from, to ?? ''].map((room) => CONTAINER_ROOMS.indexOf(room));
  return fromPlace === -1 || toPlace === -1 || (toPlace ?? 0) > (fromPlace ?? 0);
}

/** `store` of `container/store/ids.ts`; undefined for a verb. */
function containerRoomOf(file: string): string | undefined {
  const [, room, name] = file.split('/');
  return name === undefined ? undefined : room;
}

/** `plan/facts.ts` lies within `plan`, `plan/facts` and `plan/facts.ts`. */
function isWithin(file: string, name: string): boolean {
  return file === name || file === `${name}.ts` || file.startsWith(`${name}/`);
}

/** A file -> the room that it counts as, a file or a folder; undefined for one that does not count. */
type Grouping = (file: string) => string | undefined;

/** The folders directly below `parent`, of which each is one with all that is below it. */
function roomOf(parent: string): Grouping {
  return (file) => {
    if (!file.startsWith(`${parent}/`)) return undefined;
    const end = file.indexOf('/', parent.length + 1);
    return end < 0 ? undefined : file.slice(0, end);
  };
}

/** The folders that have folders below them. */
function parentsOf(paths: readonly string[]): string[] {
  const folders = paths.flatMap((file) => {
    const names = file.split('/').slice(0, -1);
    return names.slice(1).map((_, index) => names.slice(0, index + 1).join('/'));
  });
  return [...new Set(folders)].sort();
}

function crowdedFolders(paths: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const file of paths) {
    const folder = file.slice(0, Math.max(file.lastIndexOf('/'), 0));
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > FILES_MAX)
    .map(([folder, count]) => `${folder} holds ${count} files`);
}

/** A chain of rooms that ends where it begins; undefined when there is none. */
function findCycle(
  edges: readonly Pick<Import, 'file' | 'target' | 'isOutside'>[],
  group: Grouping,
): string | undefined {
  const graph = new Map<string, Set<string>>();
  for (const { file, target, isOutside } of edges) {
    const [from, to] = [group(file), group(target)];
    if (isOutside || from === undefined || to === undefined || from === to) continue;
    graph.set(from, (graph.get(from) ?? new Set()).add(to));
  }
  const done = new Set<string>();
  const follow = (folder: string, chain: readonly string[]): string | undefined => {
    if (chain.includes(folder)) return [...chain.slice(chain.indexOf(folder)), folder].join(' -> ');
    if (done.has(folder)) return undefined;
    for (const next of graph.get(folder) ?? []) {
      const cycle = follow(next, [...chain, folder]);
      if (cycle !== undefined) return cycle;
    }
    done.add(folder);
    return undefined;
  };
  for (const folder of graph.keys()) {
    const cycle = follow(folder, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
