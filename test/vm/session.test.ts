import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { specTemplate } from '../../src/spec/template.ts';
import { cgroupsOf } from '../live/support/cgroups.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type Rig } from '../live/support/rig.ts';
import type { CommandResult } from '../live/support/command.ts';
import { inSession } from '../live/support/surroundings.ts';

/** The user of guest.sh, whose session is there from the start. */
const USER = 1000;
const AS_USER = ['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', 'env'];
const SYSTEMD = ['--systemd-cgroup'];

function rootlessBundle(rig: Rig, change: (config: BaseConfig) => void): string {
  mkdirSync(rig.root, { recursive: true });
  chownSync(rig.root, USER, USER);
  return rig.bundle({
    change: (config) => {
      const template = specTemplate({ rootless: true, uid: USER, gid: USER }) as BaseConfig;
      Object.assign(config, template, { root: config.root });
      config.process = { ...template.process, terminal: false, args: ['sleep', '1000'] };
      change(config);
    },
  });
}

live('an ordinary user with a session', async (t, rig) => {
  const tsrun = async (...args: readonly string[]): Promise<CommandResult> =>
    rig.tsrun(args, { under: inSession(USER), global: SYSTEMD });
  const succeed = async (t: Test, ...args: readonly string[]): Promise<CommandResult> => {
    const result = await tsrun(...args);
    expectSuccess(t, result, args[0]);
    return result;
  };

  await t.test('has limits, through its own systemd', async (t) => {
    const bundle = rootlessBundle(rig, (config) => {
      config.linux.resources = { memory: { limit: 67_108_864 }, pids: { limit: 44 }, cpu: { shares: 512 } };
    });
    const id = rig.id('session');
    await succeed(t, 'run', '--detach', '--bundle', bundle, id);
    const { pid } = await rig.state(id);
    const directory = cgroupsOf(pid).get('unified') ?? '';
    t.match(directory, new RegExp(`/user@${USER}\\.service/user\\.slice/tsrun-${id}\\.scope`));
    const read = (name: string): string => readFileSync(`${directory}/${name}`, 'utf8').trim();
    t.equal(read('memory.max'), '67108864');
    t.equal(read('pids.max'), '44');
    t.equal(read('cpu.weight'), '59');
    const joined = await succeed(t, 'exec', id, 'cat', '/proc/self/cgroup');
    t.ok(joined.stdout.trim().endsWith(`tsrun-${id}.scope`) || joined.stdout === '0::/\n', joined.stdout);
    await succeed(t, 'pause', id);
    t.equal((await rig.state(id)).status, 'paused');
    t.match(read('cgroup.events'), /^frozen 1$/m);
    await succeed(t, 'resume', id);
    await succeed(t, 'kill', id, 'KILL');
    await rig.waitForStatus(id, 'stopped', 60_000);
    await succeed(t, 'delete', id);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('deletes by force what still runs', async (t) => {
    const id = rig.id('forced');
    await succeed(
      t,
      'run',
      '--detach',
      '--bundle',
      rootlessBundle(rig, () => undefined),
      id,
    );
    await succeed(t, 'pause', id);
    await succeed(t, 'delete', '--force', id);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('and is told when there is no session', async (t) => {
    const bundle = rootlessBundle(rig, () => undefined);
    const args = ['run', '--bundle', bundle, rig.id('none')];
    const under = [...AS_USER, '-u', 'XDG_RUNTIME_DIR', '-u', 'DBUS_SESSION_BUS_ADDRESS'];
    const result = await rig.tsrun(args, { under, global: SYSTEMD });
    expectFailure(t, result, { message: /a user session with DBUS_SESSION_BUS_ADDRESS or XDG_RUNTIME_DIR is needed/ });
    t.strictSame(rig.leftovers(), []);
  });
});
