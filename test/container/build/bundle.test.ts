import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { readBundle } from '../../../src/container/build/bundle.ts';
import { keepRuntime, makeDirectory } from '../rig.ts';

const minimal = { ociVersion: '1.3.0', root: { path: 'rootfs' }, process: { cwd: '/', args: ['true'] }, linux: {} };

function makeBundle(t: Test, config: unknown = minimal): string {
  const directory = realpathSync(makeDirectory(t));
  mkdirSync(path.join(directory, 'rootfs'));
  writeFileSync(path.join(directory, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  return directory;
}

const read = (bundle: string, configFile?: string) =>
  readBundle({ bundle, ...(configFile !== undefined && { configFile }) }, keepRuntime());

t.test('readBundle() reads the config and looks at the places it names', (t) => {
  const bundle = makeBundle(t);
  const { config, text, facts } = read(bundle);
  t.equal(config.root?.path, 'rootfs');
  t.equal(text, JSON.stringify(minimal));
  t.match(facts, { bundle, rootfs: path.join(bundle, 'rootfs'), sources: {}, namespaces: {} });
  t.end();
});

t.test('readBundle() resolves symlinks on the way to the bundle', (t) => {
  const bundle = makeBundle(t);
  const link = path.join(makeDirectory(t), 'link');
  symlinkSync(bundle, link);
  t.equal(read(link).facts.bundle, bundle);
  t.end();
});

t.test('readBundle() takes a config of another name', (t) => {
  const bundle = makeBundle(t);
  writeFileSync(
    path.join(bundle, 'other.json'),
    JSON.stringify({ ...minimal, hostname: 'other', linux: { namespaces: [{ type: 'uts' }] } }),
  );
  t.equal(read(bundle, 'other.json').config.hostname, 'other');
  t.end();
});

t.test('readBundle() says what is missing, in words that callers know', (t) => {
  const bundle = makeBundle(t);
  t.throws(() => read(path.join(bundle, 'missing')), {
    code: 'bundle',
    errno: 'ENOENT',
    message: `open bundle ${JSON.stringify(path.join(bundle, 'missing'))}: no such file or directory`,
  });
  t.throws(() => read(bundle, 'none.json'), {
    code: 'bundle',
    message: `JSON specification file none.json not found: ${JSON.stringify(path.join(bundle, 'none.json'))}`,
  });
  t.throws(() => read(path.join(bundle, 'config.json')), { code: 'bundle' });
  mkdirSync(path.join(bundle, 'directory.json'));
  t.throws(() => read(bundle, 'directory.json'), { code: 'bundle', errno: 'EISDIR' });
  t.end();
});

t.test('readBundle() refuses a rootfs that is none', (t) => {
  t.throws(() => read(makeBundle(t, { ...minimal, root: { path: 'missing' } })), {
    code: 'bundle',
    message: /^invalid rootfs: ".*\/missing": no such file or directory \(\/root\/path of config\.json\)$/,
  });
  t.throws(() => read(makeBundle(t, { ...minimal, root: { path: 'config.json' } })), {
    code: 'bundle',
    message: /^invalid rootfs: ".*\/config\.json" is not a directory/,
  });
  t.end();
});

t.test('readBundle() refuses a config that is not valid, and warns of what is odd', (t) => {
  t.throws(() => read(makeBundle(t, '{')), { code: 'config' });
  t.throws(() => read(makeBundle(t, { ociVersion: '1.3.0', root: {} })), { code: 'config' });
  t.throws(() => read(makeBundle(t, 'x'.repeat(16 * 1024 * 1024 + 1))), {
    code: 'bundle',
    message: /wanted at most 16777216$/,
  });
  t.end();
});
