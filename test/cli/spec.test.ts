import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseJson } from '../../src/spec/parse.ts';
import { specTemplate } from '../../src/spec/template.ts';
import { messageOf, runLine } from './fixtures.ts';

t.test('spec writes config.json into the bundle', async (t) => {
  const bundle = t.testdir();
  t.match(await runLine(`spec --bundle ${bundle}`), { code: 0, stdout: '' });
  const text = readFileSync(join(bundle, 'config.json'), 'utf8');
  t.match(text, /^\{\n\t"ociVersion": "1\.3\.0",\n/);
  t.ok(text.endsWith('\n}\n'));
  t.strictSame(parseJson(text), specTemplate({ rootless: false }));
});

t.test('spec goes by the working directory and maps the user', async (t) => {
  const bundle = t.testdir();
  await runLine('spec --rootless', { surroundings: { currentDirectory: () => bundle, uid: 1000, gid: 1001 } });
  const expected = specTemplate({ rootless: true, uid: 1000, gid: 1001 });
  t.strictSame(parseJson(readFileSync(join(bundle, 'config.json'), 'utf8')), expected);
});

t.test('spec never overwrites', async (t) => {
  const bundle = t.testdir({ 'config.json': 'mine' });
  const outcome = await runLine(`spec -b ${bundle}`);
  t.match(outcome, { code: 1, failure: { code: 'bundle' } });
  t.equal(messageOf(outcome), 'File config.json exists. Remove it first');
  t.equal(readFileSync(join(bundle, 'config.json'), 'utf8'), 'mine');
});

t.test('spec says where it cannot write', async (t) => {
  const file = join(t.testdir(), 'none', 'config.json');
  const outcome = await runLine(`spec -b ${join(file, '..')}`);
  t.equal(messageOf(outcome), `write ${JSON.stringify(file)}: no such file or directory: ENOENT`);
  t.notOk(existsSync(file));
});

t.test('spec takes another name', async (t) => {
  const bundle = t.testdir({ 'config.json': 'mine' });
  t.equal((await runLine(`spec -b ${bundle} -f other.json`)).code, 0);
  t.equal(readFileSync(join(bundle, 'config.json'), 'utf8'), 'mine');
  t.match(JSON.parse(readFileSync(join(bundle, 'other.json'), 'utf8')), { ociVersion: /^1\./ });
  t.equal(messageOf(await runLine(`spec -b ${bundle} --file other.json`)), 'File other.json exists. Remove it first');
});

t.test('spec takes what runs, where, and as whom', async (t) => {
  const rows = [
    [['--args', 'httpd -f'], { process: { args: ['httpd', '-f'] } }],
    [['--args', '["sh","-c","echo a b"]'], { process: { args: ['sh', '-c', 'echo a b'] } }],
    [['--rootfs', '/srv/web'], { root: { path: '/srv/web', readonly: true } }],
    [['--user', '33'], { process: { user: { uid: 33, gid: 33 } } }],
    [['--user', '33:4'], { process: { user: { uid: 33, gid: 4 } } }],
  ] as const;
  for (const [args, wanted] of rows) {
    const bundle = t.testdir();
    t.match(await runLine(['spec', '--bundle', bundle, ...args]), { code: 0 });
    const text = readFileSync(join(bundle, 'config.json'), 'utf8');
    t.match(JSON.parse(text), wanted, args.join(' '));
    t.strictSame(Object.keys(JSON.parse(text) as object), Object.keys(specTemplate({ rootless: false })));
  }
  for (const args of [
    ['--args', ''],
    ['--args', '[]'],
    ['--args', '[1]'],
    ['--args', '['],
    ['--user', 'web'],
  ]) {
    t.match(messageOf(await runLine(['spec', '--bundle', t.testdir(), ...args])), /^invalid value .*: wanted /);
  }
});
