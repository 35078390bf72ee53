import type { Test } from 'tap';
import type { CommandResult } from './support/command.ts';
import type { Linux } from '../../src/spec/generated/config.ts';
import { removeNamespace, setNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type Rig } from './support/rig.ts';

type Devices = NonNullable<Linux['netDevices']>;

/** A network namespace that is gone with the command, with two pairs of virtual devices that have addresses. */
const HOST = [
  'ip link add v0 type veth peer name v1',
  'ip link add w0 type veth peer name w1',
  'ip address add 10.9.8.7/24 broadcast 10.9.8.255 dev v0',
  'ip address add fd00::7/64 dev v0 nodad',
  'ip address add 10.1.1.1/32 scope link dev v0',
  'ip address add 10.1.1.2/24 dev v0 valid_lft 1000 preferred_lft 1000',
  'ip link set v0 up',
].join(' && ');

function under(before = 'true', after = 'true'): string[] {
  const script = `${HOST} && ${before} && "$@"; code=$?; ${after}; exit $code`;
  return ['unshare', '--net', 'sh', '-c', script, 'sh'];
}

async function run(
  rig: Rig,
  devices: Devices,
  options: { change?: (config: BaseConfig) => void; before?: string; after?: string; args?: string } = {},
): Promise<CommandResult> {
  const change = (config: BaseConfig): void => {
    config.linux.netDevices = devices;
    options.change?.(config);
  };
  const args = options.args ?? 'ip address; echo; ip link';
  return rig.run({ args, change }, { under: under(options.before, options.after) });
}

/** The lines about one device in what `ip address` prints. */
function about(text: string, name: string): string {
  return new RegExp(`^\\d+: ${name}[@:][\\s\\S]*?(?=^\\d+: |^$)`, 'm').exec(text)?.[0] ?? '';
}

live('network devices', async (t, rig) => {
  await t.test('one is moved, keeps its permanent global addresses and is brought up', async (t) => {
    const result = await run(rig, { v0: {} }, { after: 'echo HOST; ip -o link' });
    expectSuccess(t, result);
    const [inside = '', outside = ''] = result.stdout.split('HOST\n');
    const device = about(inside, 'v0');
    t.match(device, /<[^>]*\bUP\b/);
    t.match(device, 'inet 10.9.8.7/24 brd 10.9.8.255');
    t.match(device, 'inet6 fd00::7/64 scope global');
    t.notMatch(device, '10.1.1.1/32', 'not of link scope');
    t.notMatch(device, '10.1.1.2/24', 'not for a time only');
    t.match(about(inside, 'lo'), /<[^>]*\bUP\b/);
    t.notMatch(outside, 'v0', 'it is not moved back');
    t.match(outside, 'w0');
  });

  await t.test('the name is changed, also by a template, in the order of the file', async (t) => {
    const result = await run(rig, { v0: { name: 'lan%d' }, w0: { name: 'lan%d' }, v1: { name: 'other' } });
    expectSuccess(t, result);
    t.match(about(result.stdout, 'lan0'), '10.9.8.7/24');
    t.not(about(result.stdout, 'lan1'), '');
    t.not(about(result.stdout, 'other'), '');
  });

  await t.test('a clash of names on the host is none in the container', async (t) => {
    expectSuccess(t, await run(rig, { v0: { name: 'w0' }, w0: { name: 'v0' } }));
  });

  await t.test('what cannot be done is refused with the place, and nothing is left', async (t) => {
    const rows: [Devices, RegExp][] = [
      [
        { nowhere: {} },
        /move network device .*nowhere.*there is none of this name: no such device: ENODEV .*\/linux\/netDevices\/nowhere of config/,
      ],
      [
        { v0: { name: 'lo' } },
        /the container has one with the name .*lo.*: file exists: EEXIST .*\/linux\/netDevices\/v0 of config/,
      ],
      [
        { lo: { name: 'x' } },
        /move network device .*lo.* into the container as .*: E[A-Z]+ .*\/linux\/netDevices\/lo of config/,
      ],
    ];
    for (const [devices, message] of rows) {
      expectFailure(t, await run(rig, devices), { message });
      t.strictSame(rig.leftovers(), []);
    }
  });

  await t.test("a network namespace other than the host's is needed", async (t) => {
    const message = /\/linux\/netDevices: network devices need a network namespace/;
    const without = (config: BaseConfig): void => {
      removeNamespace(config, 'network');
    };
    expectFailure(t, await run(rig, { v0: {} }, { change: without }), { message });
    const own = (config: BaseConfig): void => {
      setNamespace(config, 'network', { path: '/proc/self/ns/net' });
    };
    expectFailure(t, await run(rig, { v0: {} }, { change: own }), { message });
  });

  await t.test('a joined namespace receives them as well', async (t: Test) => {
    const holder = rig.start(['unshare', '--net', 'sleep', '100']);
    t.teardown(async () => {
      holder.child.kill('SIGKILL');
      await holder.done;
    });
    const join = (config: BaseConfig): void => {
      setNamespace(config, 'network', { path: `/proc/${holder.pid}/ns/net` });
    };
    // The pid is unshare's own, which becomes sleep: its namespace is another as soon as sleep runs.
    const wait = `while [ "$(cat /proc/${holder.pid}/comm)" != sleep ]; do :; done`;
    const result = await run(rig, { v0: { name: 'mine' } }, { change: join, before: wait });
    expectSuccess(t, result);
    t.match(about(result.stdout, 'mine'), '10.9.8.7/24');
  });

  await t.test('a user namespace does not stand in the way', async (t) => {
    expectSuccess(
      t,
      await run(
        rig,
        { v0: {} },
        {
          change: (config) => {
            setUserNamespace(config);
          },
        },
      ),
    );
  });
});
