import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { CACHE_LIMIT_BYTES, FilterCache } from '../../src/seccomp/cache.ts';
import { cacheKey, makeFilter } from '../../src/seccomp/filter.ts';
import { planFilterRules } from '../../src/plan/seccomp/filter.ts';

const fail = (line: string): void => void t.fail(line);
const log = { debug: () => undefined, warning: fail, error: fail };
const uid = process.geteuid?.() ?? 0;
const key = 'a'.repeat(64);
const program = new Uint8Array([6, 0, 0, 0, 0, 0, 0xff, 0x7f]);

function makeCache(root: string): { cache: FilterCache; directory: string; file: string } {
  const cache = new FilterCache(path.join(root, 'cache'), { uid, log });
  cache.write(key, program);
  const directory = path.join(root, 'cache/seccomp');
  return { cache, directory, file: path.join(directory, key) };
}

t.test('FilterCache gives back what it was given, in files that are its own', (t) => {
  const { cache, directory, file } = makeCache(t.testdir());
  t.same(cache.read(key), program);
  t.equal(cache.read('b'.repeat(64)), undefined);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.equal(statSync(directory).mode & 0o777, 0o700);
  t.same(readdirSync(directory), [key], 'no temporary file is left');
  t.end();
});

t.test('FilterCache does not wait for what somebody writes to a FIFO in the place of a file', (t) => {
  const { cache, file } = makeCache(t.testdir());
  rmSync(file);
  execFileSync('mkfifo', ['-m', '600', file]);
  t.equal(cache.read(key), undefined);
  t.end();
});

t.test('FilterCache does not believe a file that is broken', (t) => {
  const { cache, file } = makeCache(t.testdir());
  const good = readFileSync(file);
  const flipped = Buffer.from(good);
  flipped[35] = 1;
  for (const [name, bytes] of Object.entries({
    'a changed instruction': flipped,
    'a short file': good.subarray(0, 36),
    'an empty file': Buffer.alloc(0),
    'no instruction': good.subarray(0, 32),
    'a huge file': Buffer.alloc(100_000),
  })) {
    writeFileSync(file, bytes);
    t.equal(cache.read(key), undefined, name);
  }
  writeFileSync(file, good);
  t.same(cache.read(key), program);
  t.end();
});

t.test('FilterCache does not believe what others could have written', (t) => {
  const { cache, file, directory } = makeCache(t.testdir());
  chmodSync(file, 0o666);
  t.equal(cache.read(key), undefined, 'a file that others may write');
  chmodSync(file, 0o600);
  chmodSync(directory, 0o777);
  t.equal(cache.read(key), undefined, 'a directory that others may write');
  chmodSync(directory, 0o700);
  t.same(cache.read(key), program);
  renameSync(file, `${file}-x`);
  symlinkSync(`${file}-x`, file);
  t.equal(cache.read(key), undefined, 'a symlink');
  t.end();
});

t.test(
  'FilterCache does not believe the files of another user',
  { skip: process.geteuid?.() === 0 ? false : 'only root can give a file away' },
  (t) => {
    const { cache, file, directory } = makeCache(t.testdir());
    chownSync(file, 1, 1);
    t.equal(cache.read(key), undefined);
    chownSync(file, 0, 0);
    t.same(cache.read(key), program);
    chownSync(directory, 1, 1);
    t.equal(cache.read(key), undefined);
    t.end();
  },
);

t.test('FilterCache is no failure where it cannot be written', (t) => {
  const root = t.testdir({ cache: 'a file' });
  const cache = new FilterCache(path.join(root, 'cache'), { uid, log });
  cache.write(key, program);
  t.equal(cache.read(key), undefined);
  t.end();
});

t.test('FilterCache writes nothing below a directory that is not its own', (t) => {
  const root = t.testdir({ other: {} });
  symlinkSync(path.join(root, 'other'), path.join(root, 'cache'));
  new FilterCache(path.join(root, 'cache'), { uid, log }).write(key, program);
  t.same(readdirSync(path.join(root, 'other')), [], 'not even a directory');
  mkdirSync(path.join(root, 'other/seccomp'));
  new FilterCache(path.join(root, 'cache'), { uid, log }).write(key, program);
  t.same(readdirSync(path.join(root, 'other/seccomp')), []);
  t.end();
});

t.test('FilterCache removes the oldest when it grows too large, and what a killed tsrun left', (t) => {
  const { cache, directory } = makeCache(t.testdir());
  const old = new Date(Date.now() - 10 * 3_600_000);
  writeFileSync(path.join(directory, 'c'.repeat(64)), Buffer.alloc(CACHE_LIMIT_BYTES - 60));
  utimesSync(path.join(directory, 'c'.repeat(64)), old, old);
  writeFileSync(path.join(directory, '.stray'), '');
  utimesSync(path.join(directory, '.stray'), old, old);
  writeFileSync(path.join(directory, '.new'), '');
  cache.write('d'.repeat(64), program);
  t.same(readdirSync(directory).sort(), ['.new', key, 'd'.repeat(64)].sort());
  t.end();
});

t.test('makeFilter() compiles once and again when the file is broken', async (t) => {
  const root = t.testdir();
  const cache = new FilterCache(path.join(root, 'cache'), { uid, log });
  const rules = planFilterRules(
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mount'], action: 'SCMP_ACT_KILL' }] },
    process.arch === 'arm64' ? 'arm64' : 'x86-64',
  );
  const first = await makeFilter(rules, { cache, log });
  const [name = ''] = readdirSync(path.join(root, 'cache/seccomp'));
  const file = path.join(root, 'cache/seccomp', name);
  const kept = readFileSync(file);
  t.same(kept.subarray(32), Buffer.from(first));
  t.same(await makeFilter(rules, { cache, log }), first);
  writeFileSync(file, 'broken');
  t.same(await makeFilter(rules, { cache, log }), first);
  t.same(readFileSync(file), kept, 'and the file is mended');
  t.same(await makeFilter(rules, { log }), first, 'the same without a cache');
});

t.test('cacheKey() differs with the rules and the library', (t) => {
  const rules = planFilterRules({ defaultAction: 'SCMP_ACT_ALLOW' }, 'x86-64');
  t.match(cacheKey(rules, 'a'), /^[0-9a-f]{64}$/);
  t.not(cacheKey(rules, 'a'), cacheKey(rules, 'b'));
  t.not(cacheKey(rules, 'a'), cacheKey({ ...rules, isTree: true }, 'a'));
  t.not(cacheKey(rules, 'a'), cacheKey(planFilterRules({ defaultAction: 'SCMP_ACT_ALLOW' }, 'arm64'), 'a'));
  t.end();
});
