import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { BRIDGE, Host } from './support/network.ts';
import { expectFailure, expectSuccess, live, type Rig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const skip = needsRoot('a bridge is for root') || missingTools('ip', 'nft', 'nsenter');

/** A server that is published, the program of a Node script in a namespace in which it may be. */
const PROGRAM = `
import { execFileSync } from 'node:child_process';
import { Runtime } from 'tsrun';
const [root, layersDirectory, bundle, id] = process.argv.slice(2);
const runtime = new Runtime({ root, layersDirectory });
const options = { id, bundle, overlay: true, network: 'bridge', publish: [{ hostPort: 8080, port: 8000 }] };
const { json, text } = await runtime.explain(options);
const server = await runtime.runContainer(options);
const ask = () => execFileSync('busybox', ['nc', '-w', '3', '127.0.0.1', '8080'], { input: '' }).toString().trim();
let answer = '';
for (const end = Date.now() + 10_000; answer === '' && Date.now() < end; ) {
  try {
    answer = ask();
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
await runtime.openContainer(id).kill('SIGKILL');
await server.wait();
console.log(JSON.stringify({ answer, network: json.network, isSaid: text.includes('dnat 8080:8000/tcp') }));
`;

live('networks and layers that are chosen', async (t, rig) => {
  await t.test('explain and check know them, and make nothing', { skip }, async (t) => testExplain(t, rig));

  await t.test('the library has them', { skip }, async (t) => testLibrary(t, rig));
});

async function testExplain(t: Test, rig: Rig): Promise<void> {
  const host = await Host.begin(t, rig);
  const [bundle, lower] = [rig.bundle(), rig.fresh('lower')];
  mkdirSync(lower);
  const chosen = [...BRIDGE, '-p', '127.0.0.1:8080:80/udp', '--overlay', '--lower', lower, '--bundle', bundle];
  const explain = async (...more: string[]): Promise<string> => {
    const result = await host.tsrun(['explain', ...more, ...chosen, 'shown']);
    expectSuccess(t, result, more.join(' '));
    return result.stdout;
  };
  const summary = await explain();
  t.match(summary, /network +an address on the bridge tsrun0/);
  t.match(summary, /port 8080\/udp of the host at 127\.0\.0\.1 leads to port 80/);
  t.match(summary, /a layer in \/\S+\/shown, which goes with the container, over \S+\/lower/);
  t.match(summary, /\/etc\/resolv\.conf +\S+\/shown\/resolv\.conf of the host/);
  const steps = await explain('--steps');
  t.match(steps, /veth pair: one end at tsrun0/);
  t.match(steps, /dnat 127\.0\.0\.1:8080:80\/udp/);
  t.match(steps, new RegExp(`/shown/0, a link to ${lower}`));
  const json = JSON.parse(await explain('--json')) as Readonly<Record<string, unknown>>;
  t.match(json, {
    network: { kind: 'bridge', publish: [{ hostAddress: '127.0.0.1', hostPort: 8080, port: 80, protocol: 'udp' }] },
    overlay: { lowers: [lower, String], isKept: false },
  });
  t.match(await explain('--html', '-'), 'an address on the bridge tsrun0');
  expectSuccess(t, await host.tsrun(['check', ...chosen]), 'check');
  const shared = [
    '--network',
    'host',
    '--bundle',
    rig.bundle({
      change: (config) => {
        config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
      },
    }),
  ];
  expectFailure(t, await host.tsrun(['explain', ...shared]), { message: /net\.ipv4\.ip_forward/ });
  const refused = await host.tsrun(['check', ...shared]);
  t.match(refused, { code: 2, stdout: /error: \/linux\/sysctl/ }, 'check looks at the network that it would have');
  const nobody = await host.tsrun(['explain', '--network', 'container:nobody', '--bundle', bundle]);
  expectFailure(t, nobody, { message: /nobody/ });
  await host.requireClean(t);
}

async function testLibrary(t: Test, rig: Rig): Promise<void> {
  const host = await Host.begin(t, rig);
  const directory = rig.fresh('program');
  mkdirSync(path.join(directory, 'node_modules'), { recursive: true });
  symlinkSync(project, path.join(directory, 'node_modules/tsrun'));
  const file = path.join(directory, 'program.mjs');
  writeFileSync(file, PROGRAM);
  const bundle = rig.bundle({ args: 'echo from the layer > /line; exec nc -ll -p 8000 -e cat /line' });
  const program = [process.execPath, file, rig.root, rig.path('layers'), bundle, rig.id('library')];
  const result = await rig.start([...host.under, ...program], { timeoutMs: 60_000 }).done;
  expectSuccess(t, result, 'the program');
  t.strictSame(JSON.parse(result.stdout), {
    answer: 'from the layer',
    network: { kind: 'bridge', publish: [{ hostPort: 8080, port: 8000, protocol: 'tcp' }] },
    isSaid: true,
  });
  await host.requireClean(t);
}
