import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { bundleNames, HintError, prepareBundle } from '../../bundles/prepare.mjs';
import { command, ensureBuilt } from '../../bundles/ready.mjs';
import { loadConfig } from '../../src/spec/validate.ts';

const bundles = fileURLToPath(new URL('../../bundles/', import.meta.url));

/** Bundle -> what its output shows, in this order. */
const SHOWN: Readonly<Record<string, readonly RegExp[]>> = {
  'all-namespaces': [
    /pid +1, the first/,
    /hostname +tsrun/,
    /uptime +[3-9]\d{7}\./,
    /time +time:\[\d+\]\n +user +user:\[\d+\]/,
  ],
  busybox: [/^$/],
  capabilities: [/uid 1000, gid 1000/, /bounding +net_bind_service\n/, /ambient +net_bind_service\n/],
  default: [
    /pid +1, the first/,
    /hostname +tsrun/,
    /\/usr +the host's, read-only/,
    /\n {2}1 +sh \/show.sh/,
    /\/proc\/keys +- +masked/,
  ],
  limits: [/memory limit +16777216/, /exit code 137/, /1\d could be started/],
  overlay: [
    /whiteout: character special file 0:0/,
    /Both, merged\n +added.*\n +changed.*upper.*\n +kept.*lower.*\n\n/,
    /written: by/,
  ],
  propagation: [/shared +visible\n.*slave +visible\n.*private +not there/, /shared +not there\n.*slave +visible/],
  'user-namespace': [/uid_map +0 -> 100000, 65536/, /\/etc +uid 0/, /\/usr +uid 65534/],
};

t.test('every bundle is listed, says what it is about and has a valid config.json', (t) => {
  const list = readFileSync(`${bundles}README.md`, 'utf8');
  t.strictSame(bundleNames(), Object.keys(SHOWN).sort());
  for (const name of bundleNames()) {
    t.match(list, `| \`${name}\` | `);
    const { config, warnings } = loadConfig(readConfigText(name));
    t.strictSame(warnings, [], name);
    t.ok(config.annotations?.['org.tsrun.about'], `${name} says what it is about`);
  }
  t.end();
});

t.test('every bundle runs and shows what it promises', { skip: reasonToSkip() }, (t) => {
  for (const name of bundleNames()) {
    const bundle = prepareBundle(name);
    const args = [command, 'run', '--bundle', bundle, `tsrun-test-bundle-${name}-${process.pid}`];
    const output = execFileSync(process.execPath, args, { encoding: 'utf8', input: '' });
    let rest = output;
    for (const pattern of SHOWN[name] ?? []) {
      const found = pattern.exec(rest);
      t.ok(found, `${name} shows ${String(pattern)}`, { output });
      rest = rest.slice(found === null ? 0 : found.index + found[0].length);
    }
  }
  t.end();
});

function readConfigText(name: string): string {
  const file = name === 'overlay' ? 'config.template.json' : 'config.json';
  return readFileSync(`${bundles}${name}/${file}`, 'utf8').replaceAll('@bundle@', `${bundles}${name}`);
}

function reasonToSkip(): string | false {
  if (process.geteuid?.() !== 0) return 'containers need root here';
  ensureBuilt();
  try {
    prepareBundle('busybox');
    return false;
  } catch (error) {
    if (error instanceof HintError) return error.message;
    throw error;
  }
}
