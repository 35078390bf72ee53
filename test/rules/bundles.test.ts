import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { merge } from '../../bundles/config.mjs';
import { bundleNames, describe, findBundle, HintError, isDemonstration, TOUR } from '../../bundles/prepare.mjs';
import { loadConfig } from '../../src/spec/validate.ts';

const bundles = fileURLToPath(new URL('../../bundles/', import.meta.url));

/** What older texts call the demonstrations. */
const ALSO = ['all-namespaces', 'bridge', 'busybox', 'overlay', 'propagation', 'user-namespace'];

t.test('every bundle is listed in README.md, and says what it is about', (t) => {
  const list = readFileSync(`${bundles}README.md`, 'utf8');
  const listed = [...list.matchAll(/^\| `([^`]+)` \| /gm)].map(([, name]) => name);
  t.strictSame(listed, bundleNames());
  for (const name of bundleNames()) t.match(describe(name), /^.{20,130}$/, `${name}: ${describe(name)}`);
  t.end();
});

t.test('every demonstration is on the tour, and in docs/techniques.md', (t) => {
  t.strictSame(bundleNames().filter(isDemonstration), TOUR);
  const techniques = readFileSync(`${bundles}../docs/techniques.md`, 'utf8');
  for (const name of TOUR) t.match(techniques, `\`${name}\``, name);
  t.end();
});

t.test('every demo.sh has the parts of a demonstration', (t) => {
  for (const name of TOUR) {
    const script = readFileSync(`${bundles}${name}/demo.sh`, 'utf8');
    t.match(
      script,
      /^#!\/bin\/sh\n# .*\n(PRIVATE=.*\n)?\. "\$\(dirname "\$0"\)\/\.\.\/lib\.sh"\n/,
      `${name} begins with lib.sh`,
    );
    t.match(script, /^ *try /m, `${name} says what to try next`);
    t.ok(script.split('\n').length <= 90, `${name} is short`);
  }
  t.end();
});

t.test('findBundle() knows every word that a reader may have, and names the others to who has none', (t) => {
  for (const word of [...ALSO, ...TOUR]) t.ok(isDemonstration(findBundle(word)), word);
  t.equal(findBundle('overlay'), 'layers');
  for (const word of ['no-such', 'constructor', '../default'])
    t.throws(() => findBundle(word), {
      name: HintError.prototype.name,
      message: /^no bundle is called ".*"; there are: default, /,
    });
  t.end();
});

t.test('--list needs no root and nothing that is built', (t) => {
  const output = execFileSync(process.execPath, [`${bundles}start.mjs`, '--list'], { encoding: 'utf8' });
  t.strictSame(
    output.split('\n').map((line) => line.split(' ')[0]),
    [...TOUR, 'tour', ''],
  );
  t.end();
});

t.test('every config.json is valid', (t) => {
  for (const name of bundleNames().filter((name) => existsSync(`${bundles}${name}/config.json`))) {
    const { config, warnings } = loadConfig(readFileSync(`${bundles}${name}/config.json`, 'utf8'));
    t.strictSame(warnings, [], name);
    t.ok(config.annotations?.['org.tsrun.about'], `${name} says what it is about`);
  }
  t.end();
});

t.test('merge() patches objects, appends at a "+", removes at null, and replaces the rest', (t) => {
  const base = { a: { b: 1, c: [1] }, d: [1, 2], e: 'x' };
  const patch = { a: { 'c+': [2], f: {} }, d: [3], e: null, 'g+': [4] };
  t.strictSame(merge(base, patch), { a: { b: 1, c: [1, 2], f: {} }, d: [3], g: [4] });
  t.strictSame(base, { a: { b: 1, c: [1] }, d: [1, 2], e: 'x' }, 'and changes neither');
  t.end();
});

const skip = process.geteuid?.() === 0 ? false : 'namespaces need root here';

t.test('the hook of networks refuses the network of process 1', { skip }, (t) => {
  // The machine's own network is not at stake: process 1 is here the first of a new pid namespace, in a new network.
  const sandbox = ['--net', '--pid', '--fork', '--mount-proc'];
  const input = JSON.stringify({ pid: 1 });
  for (const action of ['up', 'down']) {
    const args = [...sandbox, 'sh', `${bundles}networks/hook.sh`, action, '10.77.0.9'];
    const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8', input });
    t.equal(status, 1, action);
    t.match(stderr, /^networks: refused: this is the machine's own network.*\n$/, action);
  }
  t.end();
});
