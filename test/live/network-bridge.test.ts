import { readdirSync, renameSync } from 'node:fs';
import type { Test } from 'tap';
import { ask, BRIDGE, GATEWAY, Host, serve, SHOW_ADDRESS, SLEEP } from './support/network.ts';
import { setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type Rig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

/** How many containers are run one after the other, and how many at a time. */
const RUNS = process.env.TSRUN_TEST_ROUNDS === undefined ? 30 : 100;
const PARALLEL = 20;

const HIDE_NFT = 'mount -t tmpfs none /usr/sbin && "$@"';
const skip = needsRoot('a bridge is for root') || missingTools('ip', 'nft', 'nsenter');

live('a bridge', async (t, rig) => {
  await t.test('for one who may make it, where its tools are', { skip }, (t) => testBridge(t, rig));
});

async function testBridge(t: Test, rig: Rig): Promise<void> {
  await t.test('containers reach each other, the host, and a world outside that knows nothing of them', async (t) => {
    const host = await Host.begin(t, rig);
    const outside = await Host.begin(t, rig);
    await host.output(t, `ip link add cable type veth peer name cable netns ${outside.pid} && ip link set cable up`);
    await host.output(t, 'ip address add 192.0.2.1/24 dev cable');
    await outside.output(t, 'ip address add 192.0.2.2/24 dev cable && ip link set cable up');
    const publish = ['--publish', '8080:8000', '-p', '192.0.2.1:8081:8000/tcp'];
    const web = await host.detached(t, [...BRIDGE, ...publish], { args: serve('web') });
    const client = await host.detached(t, BRIDGE, SLEEP);
    const address = (await host.exec(web, SHOW_ADDRESS)).stdout.trim();
    t.equal(address, '10.87.0.2');
    t.equal((await host.exec(client, SHOW_ADDRESS)).stdout.trim(), '10.87.0.3');
    t.equal((await host.exec(client, ask(address, 8000))).stdout, 'web\n', 'one container from the other');
    t.equal(await host.output(t, ask(address, 8000)), 'web', 'from the host');
    for (const target of ['192.0.2.1', '127.0.0.1', GATEWAY])
      t.equal(await host.output(t, ask(target, 8080)), 'web', `the published port at ${target} of the host`);
    t.equal(await outside.output(t, ask('192.0.2.1', 8080)), 'web', 'from outside');
    t.equal(await outside.output(t, ask('192.0.2.1', 8081)), 'web', 'that of one address from outside');
    t.not((await host.sh(ask('127.0.0.1', 8081))).stdout, 'web\n', 'and of no other');
    t.equal((await host.exec(client, ask('192.0.2.1', 8080))).stdout, 'web\n', 'from another container');
    for (const target of ['192.0.2.1', GATEWAY])
      t.equal((await host.exec(web, ask(target, 8080))).stdout, 'web\n', `from the container itself, at ${target}`);
    const peers = 'busybox netstat -tn | grep 9000';
    const listener = rig.start([...outside.under, 'busybox', 'nc', '-l', '-p', '9000', '-e', 'sh', '-c', peers]);
    await waitFor(async () => (await outside.output(t, 'busybox netstat -ltn')).includes(':9000'));
    const seen = await host.exec(client, ask('192.0.2.2', 9000));
    t.match(
      seen.stdout,
      /192\.0\.2\.2:9000 +\S*192\.0\.2\.1:/,
      'a container reaches the outside, where it looks like the host',
    );
    await listener.done;
    await outside.output(t, 'ip route add 10.87.0.0/22 via 192.0.2.1');
    t.equal(
      (await outside.sh(ask(address, 8000))).stdout,
      '',
      'a port that is not published is not to be had from outside',
    );
    await host.delete(t, web, client);
    await host.requireClean(t);
  });

  await t.test('it has names, a loopback interface and what its config says of files', async (t) => {
    const host = await Host.begin(t, rig);
    const { stdout } = await host.run(BRIDGE, { args: 'cat /etc/hosts; ip -o link show lo; hostname' });
    t.match(stdout, /^10\.87\.0\.2 tsrun-test$/m);
    t.match(stdout, /lo: <LOOPBACK,UP/);
    const own = (config: BaseConfig): void => {
      config.mounts.push({ destination: '/etc/hosts', type: 'bind', source: '/etc/passwd', options: ['bind', 'ro'] });
    };
    t.match((await host.run(BRIDGE, { args: 'cat /etc/hosts', change: own })).stdout, 'root:x:0:0');
    const users = await host.run(BRIDGE, {
      args: `cat /etc/hosts; ${SHOW_ADDRESS}`,
      change: (config) => {
        setUserNamespace(config);
      },
    });
    expectSuccess(t, users, 'in a user namespace');
    t.match(users.stdout, /^10\.87\.0\.2$/m);
    await host.requireClean(t);
  });

  await t.test(`${PARALLEL} at a time have each an address of its own`, async (t) => {
    const host = await Host.begin(t, rig);
    const ids = Array.from({ length: PARALLEL }, () => rig.id('many'));
    const bundle = rig.bundle({ args: ['/bin/sh', '-c', `${SHOW_ADDRESS}; sleep 1000`] });
    const flags = ['run', '--detach', ...BRIDGE, '--bundle', bundle];
    const running = ids.map((id) => rig.startTsrun([...flags, id], { under: host.under, timeoutMs: 120_000 }));
    const results = await Promise.all(running.map(({ done }) => done));
    for (const result of results) expectSuccess(t, result);
    await waitFor(() => results.every((result) => result.readOutput().includes('\n')));
    t.equal(new Set(results.map((result) => result.readOutput().trim())).size, PARALLEL, 'all differ');
    await Promise.all(ids.map((id) => host.delete(t, id)));
    await host.requireClean(t);
  });

  await t.test(`${RUNS} one after the other leave nothing`, { timeout: 600_000 }, async (t) => {
    const host = await Host.begin(t, rig);
    for (let count = 0; count < RUNS; count++) {
      const result = await host.run([...BRIDGE, '--publish', '8080:80'], { args: SHOW_ADDRESS });
      if (result.stdout !== '10.87.0.2\n') t.fail(`run ${count}: ${result.stdout}${result.stderr}`);
    }
    await host.requireClean(t);
  });

  await t.test('what is killed in the middle, or taken away by other means, leaves nothing', async (t) => {
    const host = await Host.begin(t, rig);
    const create = ['create', ...BRIDGE, '-p', '8080:80', '--bundle', rig.bundle(SLEEP)];
    for (let delayMs = 20; delayMs <= 300; delayMs += 40) {
      const id = rig.id('killed');
      const running = rig.startTsrun([...create, id], { under: host.under });
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      running.child.kill('SIGKILL');
      await running.done;
      await host.delete(t, id);
    }
    await host.requireClean(t);
    const id = await host.detached(t, BRIDGE, SLEEP);
    process.kill((await rig.state(id)).pid, 'SIGKILL');
    await rig.waitForStatus(id, 'stopped');
    t.equal(readdirSync(host.leases()).length, 1, 'a stopped container keeps its address');
    t.equal((await host.run(BRIDGE, { args: SHOW_ADDRESS })).stdout, '10.87.0.3\n');
    const elsewhere = rig.fresh('state');
    renameSync(`${rig.root}/${id}`, elsewhere);
    t.equal((await host.run(BRIDGE, { args: SHOW_ADDRESS })).stdout, '10.87.0.2\n', 'one that is gone does not');
    await host.requireClean(t);
    renameSync(elsewhere, `${rig.root}/${id}`);
    const other = await host.detached(t, BRIDGE, SLEEP);
    await host.delete(t, id);
    t.equal((await host.exec(other, SHOW_ADDRESS)).stdout, '10.87.0.2\n', 'and takes nothing from who has it now');
    t.equal(readdirSync(host.leases()).length, 1);
    await host.delete(t, other);
    await host.requireClean(t);
    const failing = await host.run(BRIDGE, {
      args: ['/nowhere'],
    });
    expectFailure(t, failing, { message: /nowhere/ });
    await host.requireClean(t);
  });

  await t.test('what cannot be is refused', async (t) => {
    const host = await Host.begin(t, rig);
    const first = await host.detached(t, [...BRIDGE, '-p', '8080:80'], SLEEP);
    const taken = await host.run([...BRIDGE, '-p', '127.0.0.1:8080:80'], {});
    expectFailure(t, taken, { message: /publish port .*127\.0\.0\.1:8080:80\/tcp.* leads to container .* already/ });
    expectSuccess(t, await host.run([...BRIDGE, '-p', '8080:80/udp'], {}), 'the same port of another protocol');
    await host.delete(t, first);
    await host.output(
      t,
      'ip link add other type veth peer name rest && ip address add 10.87.1.1/16 dev other && ip link set other up',
    );
    const elsewhere = await host.run(BRIDGE, { args: SHOW_ADDRESS });
    t.equal(elsewhere.stdout, '172.29.84.2\n', 'a network that the host has a route into is not used');
    await host.output(t, 'ip link delete other');
    await host.output(t, 'ip link add tsrun0 type bridge && ip address add 10.1.1.1/24 dev tsrun0');
    expectFailure(t, await host.run(BRIDGE, {}), { message: /tsrun0.* that tsrun has not made/ });
    t.match(await host.output(t, 'ip address show tsrun0'), '10.1.1.1', 'nor taken away');
    await host.output(t, 'ip link delete tsrun0');
    const without = await rig.run(
      {},
      { under: ['unshare', '--net', '--mount', 'sh', '-c', HIDE_NFT, 'sh'], flags: BRIDGE },
    );
    expectFailure(t, without, { message: /nft is not installed \(Debian: apt-get install nftables\)/ });
    await host.requireClean(t);
  });
}
