import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { ask, Host, serve, SHOW_ADDRESS, SLEEP } from './support/network.ts';
import { expectFailure, live, type Rig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

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
    t.strictSame(readdirSync(rig.root), [], 'no container is left');
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
