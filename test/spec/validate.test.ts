import fc from 'fast-check';
import t from 'tap';
import { type Issue, TsrunError } from '../../src/errors.ts';
import { parseJson, stringifyJson } from '../../src/spec/parse.ts';
import {
  loadConfig,
  loadFeatures,
  loadProcess,
  loadResources,
  loadState,
  validateConfig,
  validateProcess,
  validateResources,
} from '../../src/spec/validate.ts';
import { fullConfig } from '../fixtures/spec/full-config.ts';

function failureOf(run: () => unknown): TsrunError {
  try {
    run();
  } catch (error) {
    if (error instanceof TsrunError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const pointersOf = (issues: readonly Issue[]) => issues.map(({ pointer }) => pointer).sort();

t.test('loadConfig() reports five mistakes at once, of schema and rules', (t) => {
  const text = JSON.stringify({
    ociVersion: '1.3.0',
    hostname: 'a',
    process: { cwd: 'tmp', args: [], env: ['A=1', 5], noNewPrivileges: 'yes' },
  });
  const failure = failureOf(() => loadConfig(text));
  t.equal(failure.code, 'config');
  t.strictSame(pointersOf(failure.issues), [
    '',
    '/hostname',
    '/process/args',
    '/process/cwd',
    '/process/env/1',
    '/process/noNewPrivileges',
  ]);
  for (const words of ['config.json: 6 problems', 'root must be specified', 'Cwd must be an absolute path']) {
    t.ok(failure.message.includes(words), words);
  }
  t.end();
});

t.test('loadConfig() keeps every bit of large integers', (t) => {
  const text =
    '{"ociVersion":"1.3.0","root":{"path":"rootfs"},"process":{"cwd":"/","args":["sh"],"capabilities":{},"rlimits":[{"type":"RLIMIT_AS","soft":9007199254740993,"hard":18446744073709551615}]},' +
    '"linux":{"resources":{"memory":{"limit":9223372036854775807}}}}';
  const { config, warnings } = loadConfig(text);
  t.strictSame(warnings, []);
  t.strictSame(config.process?.rlimits?.[0], {
    type: 'RLIMIT_AS',
    soft: 9007199254740993n,
    hard: 18446744073709551615n,
  });
  t.equal(stringifyJson(config), text);
  t.end();
});

t.test('loadConfig() takes null for absent and says so', (t) => {
  const text =
    '{"ociVersion":"1.4.0","root":{"path":"rootfs"},"mounts":null,"linux":{"devices":null,"maskedPaths":[]}}';
  const { config, warnings } = loadConfig(text);
  t.strictSame(config, { ociVersion: '1.4.0', root: { path: 'rootfs' }, linux: { maskedPaths: [] } });
  t.strictSame(pointersOf(warnings), ['/linux/devices', '/mounts', '/ociVersion']);
  t.equal(
    failureOf(() => loadConfig('null')).message,
    'config.json: /: is null, wanted an object: config cannot be null',
  );
  t.equal(failureOf(() => loadConfig('[]')).message, 'config.json: /: is [], wanted an object');
  const inList = '{"ociVersion":"1.3.0","root":{"path":"a"},"mounts":[null]}';
  t.strictSame(pointersOf(failureOf(() => loadConfig(inList)).issues), ['/mounts/0']);
  t.end();
});

t.test('loadConfig() names the document when it is not JSON', (t) => {
  const failure = failureOf(() => loadConfig('{]', 'a.json'));
  t.equal(failure.message, 'a.json: broken JSON at line 1, column 2: found "]", wanted a property name or "}"');
  t.equal(failure.code, 'config');
  t.match(failure.cause, { code: 'config', message: /^broken JSON/ });
  t.end();
});

t.test('validateConfig() does not repeat itself about damaged values', (t) => {
  const base = { ociVersion: '1.3.0', root: { path: 'a' } };
  const uts = { ...base, hostname: 'a', linux: { namespaces: [{ type: 'UTS' }] } };
  t.strictSame(
    pointersOf(validateConfig(uts)),
    ['/linux/namespaces/0/type'],
    'the namespace may have been meant as uts',
  );
  t.strictSame(pointersOf(validateConfig({ ...uts, linux: 5 })), ['/linux']);
  t.strictSame(pointersOf(validateConfig({ ...base, root: 5 })), ['/root']);
  t.strictSame(pointersOf(validateConfig({ ...base, root: undefined })), [''], 'an undefined member is absent');
  const args = { ...base, process: { cwd: '/', args: 'sh' } };
  t.strictSame(pointersOf(validateConfig(args)), ['/process/args']);
  t.end();
});

t.test('loadProcess() and loadResources() point into the section', (t) => {
  t.strictSame(loadProcess('{"cwd":"/","args":["sh"]}'), { cwd: '/', args: ['sh'] });
  const failure = failureOf(() => loadProcess('{"args":["sh"],"env":["A"],"terminal":1}'));
  t.strictSame(pointersOf(failure.issues), ['', '/env/0', '/terminal']);
  t.ok(failure.message.startsWith('process.json: 3 problems'));
  t.ok(failure.message.includes('Cwd property must not be empty'));
  t.strictSame(validateProcess([]), [{ pointer: '', message: 'is [], wanted an object' }]);

  t.strictSame(loadResources('{"memory":{"limit":5,"swap":null}}'), { memory: { limit: 5 } });
  t.strictSame(pointersOf(validateResources({ memory: { swap: 5 }, unified: { 'a/b': 1, 'c/d': '' } })), [
    '/memory/swap',
    '/unified/a~1b',
    '/unified/c~1d',
  ]);
  t.equal(failureOf(() => loadResources('null')).message, 'resources.json: /: is null, wanted an object');
  t.end();
});

t.test('loadConfig() and loadResources() read "pageSize" in any case, as Go does', (t) => {
  const limit = { pageSize: '2MB', limit: 5 };
  for (const name of ['pageSize', 'pagesize', 'Pagesize', 'PAGESIZE']) {
    const list = `{"hugepageLimits":[{"${name}":"2MB","limit":5}]}`;
    t.strictSame(loadResources(list).hugepageLimits, [limit], name);
    const { config } = loadConfig(`{"ociVersion":"1.3.0","root":{"path":"a"},"linux":{"resources":${list}}}`);
    t.strictSame(config.linux?.resources?.hugepageLimits, [limit], name);
  }
  const both = '{"hugepageLimits":[{"pagesize":"1GB","pageSize":"2MB","limit":5}]}';
  t.strictSame(loadResources(both).hugepageLimits?.[0]?.pageSize, '2MB', 'its own spelling counts');
  for (const other of ['{"page_size":"2MB","limit":5}', '{"undefined":"2MB","limit":5}'])
    t.strictSame(
      pointersOf(failureOf(() => loadResources(`{"hugepageLimits":[${other}]}`)).issues),
      ['/hugepageLimits/0'],
      other,
    );
  t.end();
});

t.test('loadState() and loadFeatures() read their documents', (t) => {
  const state = { ociVersion: '1.3.0', id: 'a', status: 'running', pid: 5, bundle: '/b' };
  t.strictSame(loadState(JSON.stringify(state)), state);
  t.ok(failureOf(() => loadState('{"id":null}')).message.startsWith('state: 4 problems'));
  const features = { ociVersionMin: '1.0.0', ociVersionMax: '1.3.0' };
  t.strictSame(loadFeatures(JSON.stringify(features)), features);
  t.equal(
    failureOf(() => loadFeatures('{"ociVersionMin":"1.0.0"}')).message,
    'features: /: lacks the property "ociVersionMax"',
  );
  t.end();
});

t.test('validateConfig() accepts a config that uses everything', (t) => {
  t.strictSame(validateConfig(fullConfig), []);
  t.strictSame(loadConfig(stringifyJson(fullConfig)), { config: parseJson(stringifyJson(fullConfig)), warnings: [] });
  t.end();
});

t.test('validateConfig() judges any value in any place', (t) => {
  const text = stringifyJson(fullConfig);
  const places = placesOf(parseJson(text));
  const sameIndex = fc.tuple(fc.nat(), fc.oneof(fc.jsonValue(), fc.bigInt(), fc.constant(undefined)));
  const survives = fc.property(fc.array(sameIndex, { minLength: 1, maxLength: 4 }), (changes) => {
    const config = parseJson(text) as object;
    for (const [number, value] of changes) replaceAt(config, places[number % places.length] ?? [], value);
    return validateConfig(config).every(({ pointer, message }) => /^(\/|$)/.test(pointer) && !message.includes('\n'));
  });
  t.doesNotThrow(() => {
    fc.assert(survives, { numRuns: 2000, seed: 1 });
  });
  t.end();
});

function placesOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [[key], ...placesOf(member).map((path) => [key, ...path])]);
}

function replaceAt(document: object, path: readonly string[], value: unknown): void {
  let parent: unknown = document;
  for (const key of path.slice(0, -1)) parent = (parent as Record<string, unknown> | undefined | null)?.[key];
  const last = path.at(-1);
  if (typeof parent === 'object' && parent !== null && last !== undefined)
    (parent as Record<string, unknown>)[last] = value;
}

t.test('loadResources() compares with what the document changes', (t) => {
  const base = { memory: { limit: 100 }, cpu: { quota: 5000 } };
  t.strictSame(loadResources('{"memory":{"limit":0,"swap":100}}', 'x', base), { memory: { limit: 0, swap: 100 } });
  const wrong = { code: 'config', issues: [{ pointer: '/memory/swap', message: /is 99, wanted at least 100/ }] };
  t.throws(() => loadResources('{"memory":{"swap":99}}', 'x', base), wrong);
  t.throws(() => loadResources('{"memory":{"swap":99}}'), {
    code: 'config',
    issues: [{ message: /without memory limit/ }],
  });
  t.throws(() => loadResources('{"cpu":{"burst":5001}}', 'x', base), {
    code: 'config',
    issues: [{ pointer: '/cpu/burst' }],
  });
  t.throws(() => loadResources('{"memory":5}', 'x', base), { code: 'config', issues: [{ pointer: '/memory' }] });
  t.strictSame(pointersOf(validateResources({ memory: null, cpu: null }, base)), ['/cpu', '/memory']);
  t.end();
});
