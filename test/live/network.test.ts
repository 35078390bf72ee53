import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { CommandResult } from './support/command.ts';
import { BRIDGE, SLEEP } from './support/network.ts';
import { removeNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type BundleOptions } from './support/rig.ts';
import { needsRoot, testUser } from './support/surroundings.ts';

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
    await rig.delete(t, ended);
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
    t.strictSame(readdirSync(rig.root), [], 'no container is left');
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
