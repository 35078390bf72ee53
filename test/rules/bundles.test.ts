import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { bundleNames, HintError, launchLine, prepareBundle } from '../../bundles/prepare.mjs';
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
  bridge: [
    /eth0@\S+ +UP +10\.77\.0\.2\/24/,
    /default via 10\.77\.0\.1 dev eth0/,
    /2 packets transmitted, 2 .*\b0% packet loss/,
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

for (const name of bundleNames()) {
  t.test(`the bundle ${name} runs and shows what it promises`, { skip: reasonToSkip(name) }, (t) => {
    const bundle = prepareBundle(name);
    const tsrun = [process.execPath, command, 'run', '--bundle', bundle, `tsrun-test-bundle-${name}-${process.pid}`];
    const [file = '', ...args] = launchLine(name, tsrun);
    const output = execFileSync(file, args, { encoding: 'utf8', input: '' });
    let rest = output;
    for (const pattern of SHOWN[name] ?? []) {
      const found = pattern.exec(rest);
      t.ok(found, `${name} shows ${String(pattern)}`, { output });
      rest = rest.slice(found === null ? 0 : found.index + found[0].length);
    }
    t.end();
  });
}

t.test('the hook of bridge refuses the network of process 1', { skip: reasonToSkip('bridge') }, (t) => {
  // The machine's own network is not at stake: process 1 is here the first of a new pid namespace, in a new network.
  const sandbox = ['--net', '--pid', '--fork', '--mount-proc'];
  const input = JSON.stringify({ pid: 1 });
  for (const action of ['up', 'down']) {
    const args = [...sandbox, 'sh', `${bundles}bridge/hook.sh`, action];
    const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8', input });
    t.equal(status, 1, action);
    t.match(stderr, /^bridge: refused: this is the machine's own network.*\n$/, action);
  }
  t.end();
});

function readConfigText(name: string): string {
  const template = `${bundles}${name}/config.template.json`;
  const file = existsSync(template) ? template : `${bundles}${name}/config.json`;
  return readFileSync(file, 'utf8').replaceAll('@bundle@', `${bundles}${name}`);
}

function reasonToSkip(name: string): string | false {
  if (process.geteuid?.() !== 0) return 'containers need root here';
  ensureBuilt();
  try {
    prepareBundle(name);
    return false;
  } catch (error) {
    if (error instanceof HintError) return error.message;
    throw error;
  }
}
