import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { Test } from 'tap';
import type { CommandResult, RunningCommand } from './support/command.ts';
import {
  expectFailure,
  expectSuccess,
  live,
  removeNamespace,
  setUserNamespace,
  type BaseConfig,
  type BundleOptions,
  type Rig,
} from './support/rig.ts';
import { missingTools, needsRoot, testUser } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

/** How many containers are run one after the other, and how many at a time. */
const RUNS = process.env.TSRUN_TEST_ROUNDS === undefined ? 30 : 100;
const PARALLEL = 20;

/** A network namespace in the place of the host's, which ends with the test; everything about the bridge happens in it. */
class Host {
  readonly #rig: Rig;
  readonly #holder: RunningCommand;

  constructor(rig: Rig) {
    this.#rig = rig;
    this.#holder = rig.start(['unshare', '--net', 'sh', '-c', 'ip link set lo up && echo up && exec sleep 1000'], {
      timeoutMs: 600_000,
    });
  }

  static async begin(t: Test, rig: Rig): Promise<Host> {
    const host = new Host(rig);
    t.teardown(async () => {
      host.#holder.child.kill('SIGKILL');
      await host.#holder.done;
    });
    await waitFor(() => host.#holder.output() === 'up\n');
    return host;
  }

  get pid(): number {
    return this.#holder.pid;
  }

  /** What a command is run under to be in it. */
  get under(): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`];
  }

  async sh(script: string): Promise<CommandResult> {
    return this.#rig.start([...this.under, 'sh', '-c', script]).done;
  }

  /** Standard output, trimmed; the test fails unless it went well. */
  async output(t: Test, script: string): Promise<string> {
    const result = await this.sh(script);
    expectSuccess(t, result, script);
    return result.stdout.trim();
  }

  async tsrun(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    return this.#rig.tsrun(args, { under: this.under, env });
  }

  async run(flags: readonly string[], bundle: BundleOptions, env = {}): Promise<CommandResult> {
    return this.#rig.run(bundle, { under: this.under, flags, env });
  }

  /** A container that runs until it is deleted. */
  async detached(t: Test, flags: readonly string[], bundle: BundleOptions, env = {}): Promise<string> {
    const id = this.#rig.id('net');
    const args = ['run', '--detach', ...flags, '--bundle', this.#rig.bundle(bundle), id];
    expectSuccess(t, await this.tsrun(args, env));
    return id;
  }

  async exec(id: string, script: string): Promise<CommandResult> {
    return this.tsrun(['exec', id, '/bin/sh', '-c', script]);
  }

  async delete(t: Test, ...ids: readonly string[]): Promise<void> {
    for (const id of ids) expectSuccess(t, await this.tsrun(['delete', '--force', id]));
  }

  /** Devices, rules and leases. */
  async requireClean(t: Test): Promise<void> {
    t.notMatch(await this.output(t, 'ip -o link'), 'tsrun', 'no device is left');
    t.equal(await this.output(t, 'nft list ruleset'), '', 'no rule is left');
    t.notOk(existsSync(this.leases()), 'no lease is left');
  }

  leases(): string {
    return `/run/tsrun-network/${statSync(`/proc/${this.pid}/ns/net`).ino}`;
  }
}

const BRIDGE = ['--network', 'bridge'];
const GATEWAY = '10.87.0.1';
/** The address of a container by its own words. */
const SHOW_ADDRESS = "ip -4 -o address show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'";
/** Answers each connection with a line. */
const serve = (line: string): string => `nc -ll -p 8000 -e echo ${line}`;
const ask = (address: string, port: number): string => `busybox nc -w 3 ${address} ${port} </dev/null`;
const SLEEP = { args: ['sleep', '1000'] };

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

live('networks that need no bridge', async (t, rig) => {
  const show = {
    args: 'readlink /proc/self/ns/net; cat /proc/net/dev | sed -n "s/^ *\\([a-z0-9]*\\):.*/\\1/p"; cat /etc/resolv.conf',
  };
  const own = (): string => readlinkSync('/proc/self/ns/net');
  const runIn = (flags: readonly string[], bundle: BundleOptions = show): Promise<CommandResult> =>
    rig.run(bundle, { flags });

  await t.test('none has a loopback interface', async (t) => {
    const remove = (config: BaseConfig): void => {
      removeNamespace(config, 'network');
    };
    const args = 'readlink /proc/self/ns/net; ip -o link';
    const { stdout } = await runIn(['--network', 'none'], { args, change: remove });
    t.notMatch(stdout, own());
    t.match(stdout, /1: lo: <LOOPBACK,UP/);
    t.equal(stdout.trim().split('\n').length, 2, 'and no other');
  });

  await t.test("host is the host's, with its name servers", { skip: needsRoot('sysfs is of the host') }, async (t) => {
    const { stdout } = await runIn(['--network', 'host']);
    t.match(stdout, own());
    t.match(stdout, readFileSync('/etc/resolv.conf', 'utf8'));
    const withSysctl = (config: BaseConfig): void => {
      config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
    };
    const message = /sysctl .*net\.ipv4\.ip_forward.* not allowed in host network namespace/;
    expectFailure(t, await runIn(['--network', 'host'], { change: withSysctl }), { message });
  });

  await t.test('another container shares its own, also with exec', { skip: needsRoot('joins as root') }, async (t) => {
    const first = await rig.sleeper(t);
    const theirs = readlinkSync(`/proc/${first.pid}/ns/net`);
    const id = rig.id('beside');
    const args = ['run', '--detach', '--network', `container:${first.id}`, '--bundle', rig.bundle(SLEEP), id];
    expectSuccess(t, await rig.tsrun(args));
    t.equal(readlinkSync(`/proc/${(await rig.state(id)).pid}/ns/net`), theirs);
    t.equal((await rig.tsrun(['exec', id, 'readlink', '/proc/self/ns/net'])).stdout.trim(), theirs);
    t.match((await runIn(['--network', `ns:/proc/${first.pid}/ns/net`])).stdout, theirs, 'ns:PATH joins as well');
    await rig.delete(t, id, first.id);
    expectFailure(t, await runIn(['--network', `container:${first.id}`]), { message: /container does not exist/ });
    const { id: ended } = await rig.create(t);
    expectSuccess(t, await rig.tsrun(['start', ended]));
    await rig.waitForStatus(ended, 'stopped');
    expectFailure(t, await runIn(['--network', `container:${ended}`]), {
      message: /network .*container:.* is stopped/,
    });
  });

  await t.test('values that make no sense are refused in a line', async (t) => {
    const rows: [flags: string[], message: RegExp][] = [
      [
        ['--network', 'bridges'],
        /invalid value .*bridges.* for option .*--network.*: wanted none, host, bridge, container:ID/,
      ],
      [['--network', 'container:'], /wanted none, host, bridge/],
      [['--network', 'none:x'], /wanted none, host, bridge/],
      [['--network', 'cni:a/b'], /wanted none, host, bridge/],
      [['--network', 'container:a/b'], /invalid container id/i],
      [['--network', 'ns:/nowhere'], /\/nowhere/],
      [['--network', 'none', '-p', '1:1'], /--publish.* needs .*--network bridge/],
      [['-p', '1:1'], /--publish.* needs .*--network bridge/],
      ...['80', '0:80', '80:65536', '1.2.3:80:80', '80:80/sctp', '01.2.3.4:1:1'].map((port): [string[], RegExp] => [
        ['--network', 'bridge', '-p', port],
        /invalid value .* for option .*--publish.*: wanted \[IP:\]HOSTPORT:PORT/,
      ]),
    ];
    for (const [flags, message] of rows) expectFailure(t, await runIn(flags, {}), { message });
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('an ordinary user is told what to do instead', async (t) => {
    const bundle = rig.bundle({});
    const root = rig.fresh('rootless');
    mkdirSync(root);
    chmodSync(root, 0o777);
    const argv = [...rig.tsrunArgv([]), '--root', root, 'run', ...BRIDGE, '--bundle', bundle, rig.id('user')];
    const result = await rig.start(argv, testUser === undefined ? { uid: 12_345 } : {}).done;
    t.equal(result.code, 1);
    t.match(result.stderr, /network .*bridge.* needs root: .* pasta or slirp4netns .*ns:PATH/);
  });
});

live('networks of CNI', async (t, rig) => {
  const cniSkip = needsRoot('plugins are for root') || missingTools('ip', 'nft', 'nsenter');
  const debian = '/usr/lib/cni';

  await t.test('plugins are called in their order, and in reverse at the end', { skip: cniSkip }, async (t) => {
    const { host, env, log } = await beginCni(t, rig, ['first', 'second']);
    const id = await host.detached(t, ['--network', 'cni:test', '-p', '8080:80/udp'], SLEEP, env);
    const { pid } = await rig.state(id);
    const netns = `/proc/${pid}/ns/net`;
    const calls = (): CniLine[] =>
      readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as CniLine);
    t.match(calls(), [
      {
        plugin: 'first',
        command: 'ADD',
        id,
        netns,
        ifname: 'eth0',
        input: { name: 'test', cniVersion: '1.0.0', own: 'first' },
      },
      { plugin: 'second', command: 'ADD', id, netns, input: { prevResult: { ips: [{ address: '10.5.6.7/24' }] } } },
    ]);
    const [first, second] = calls();
    t.notOk(first?.input.prevResult);
    t.notOk(first?.input.capabilities, 'capabilities are not told');
    t.strictSame(first?.input.runtimeConfig, {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'udp' }],
    });
    t.notOk(second?.input.runtimeConfig, 'to a plugin without the capability');
    t.match(
      (await host.exec(id, 'cat /etc/hosts /etc/resolv.conf')).stdout,
      /^10\.5\.6\.7 tsrun-test\nnameserver 10\.5\.6\.1$/m,
    );
    await host.delete(t, id);
    t.match(calls().slice(2), [
      { plugin: 'second', command: 'DEL', id, netns: '', input: { prevResult: { ips: [{ address: '10.5.6.7/24' }] } } },
      { plugin: 'first', command: 'DEL', id, netns: '' },
    ]);
    t.equal(calls().length, 4);
  });

  await t.test('one that fails is quoted, and all are told of the end', { skip: cniSkip }, async (t) => {
    const { host, env, log } = await beginCni(t, rig, ['first', 'failing']);
    const result = await host.run(['--network', 'cni:test'], {}, env);
    expectFailure(t, result, {
      message: /network .*cni:test.*: plugin .*failing.* failed at ADD: no luck; none at all/,
    });
    const calls = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as CniLine);
    t.strictSame(
      calls.map(({ plugin, command }) => `${plugin} ${command}`),
      ['first ADD', 'failing ADD', 'failing DEL', 'first DEL'],
    );
    t.strictSame(rig.leftovers(), []);
    expectFailure(t, await host.run(['--network', 'cni:other'], {}, env), {
      message: /no configuration in .* has this name/,
    });
    const without = { ...env, CNI_PATH: '/nowhere' };
    const message = /CNI plugin .*first.* is not in \/nowhere \(Debian: apt-get install containernetworking-plugins\)/;
    expectFailure(t, await host.run(['--network', 'cni:test'], {}, without), { message });
  });

  const skip = cniSkip || (!existsSync(`${debian}/bridge`) && `needs the plugins of Debian in ${debian}`);
  await t.test('the plugins of Debian connect a container', { skip }, async (t) => {
    const host = await Host.begin(t, rig);
    const configs = rig.fresh('cni');
    const data = rig.fresh('leases');
    mkdirSync(configs);
    const ipam = {
      type: 'host-local',
      dataDir: data,
      ranges: [[{ subnet: '10.99.0.0/24' }]],
      routes: [{ dst: '0.0.0.0/0' }],
    };
    const bridge = { type: 'bridge', bridge: 'cni-test0', isGateway: true, ipam };
    const list = { cniVersion: '1.0.0', name: 'debian', plugins: [bridge, { type: 'tuning' }] };
    writeFileSync(`${configs}/10-debian.conflist`, JSON.stringify(list));
    const env = { NETCONFPATH: configs };
    const web = await host.detached(t, ['--network', 'cni:debian'], { args: serve('web') }, env);
    const client = await host.run(
      ['--network', 'cni:debian'],
      { args: `${SHOW_ADDRESS}; ${ask('10.99.0.2', 8000)}` },
      env,
    );
    t.equal(client.stdout, '10.99.0.3\nweb\n');
    await host.delete(t, web);
    t.strictSame(
      readdirSync(`${data}/debian`).filter((name) => name.startsWith('10.')),
      [],
      'no address is kept',
    );
    await waitFor(async () => !(await host.output(t, 'ip -o link')).includes('veth'));
  });
});

interface CniLine {
  readonly plugin: string;
  readonly command: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Plugins that write down how they are called, and a network `test` of them. */
async function beginCni(t: Test, rig: Rig, names: readonly string[]) {
  const host = await Host.begin(t, rig);
  const directory = rig.fresh('cni');
  const log = `${directory}/log`;
  mkdirSync(directory);
  const result = { cniVersion: '1.0.0', ips: [{ address: '10.5.6.7/24' }], dns: { nameservers: ['10.5.6.1'] } };
  for (const name of names) {
    const line =
      '{\\"plugin\\":\\"%s\\",\\"command\\":\\"%s\\",\\"id\\":\\"%s\\",\\"netns\\":\\"%s\\",\\"ifname\\":\\"%s\\",\\"input\\":%s}\\n';
    const failure = `echo '{ "code": 7, "msg": "no luck", "details": "none at all" }'; exit 1`;
    const script = [
      '#!/bin/sh',
      `printf "${line}" ${name} "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_NETNS" "$CNI_IFNAME" "$(cat)" >>${log}`,
      `[ "$CNI_COMMAND" = DEL ] && exit 0`,
      name === 'failing' ? failure : `echo '${JSON.stringify(result)}'`,
    ];
    writeFileSync(`${directory}/${name}`, script.join('\n'), { mode: 0o755 });
  }
  const plugins = names.map((type) => ({
    type,
    own: type,
    ...(type === 'first' && { capabilities: { portMappings: true } }),
  }));
  writeFileSync(`${directory}/10-test.conflist`, JSON.stringify({ cniVersion: '1.0.0', name: 'test', plugins }));
  return { host, log, env: { NETCONFPATH: directory, CNI_PATH: directory } };
}
