import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import type { Hook, Hooks } from '../../src/spec/generated/config.ts';
import { removeNamespace, setUserNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig, type Rig } from './support/rig.ts';
import { needsRoot, testUser } from './support/surroundings.ts';

type Kind = keyof Hooks;
const CREATE_KINDS = ['prestart', 'createRuntime', 'createContainer'] as const;
const KINDS = [...CREATE_KINDS, 'startContainer', 'poststart', 'poststop'] as const;
const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'uts'] as const;

/** A hook that runs a shell script; busybox is /bin/sh inside and the host's shell outside. */
function script(text: string, changes: Partial<Hook> = {}): Hook {
  return { path: '/bin/sh', args: ['sh', '-c', text], env: ['PATH=/bin:/usr/bin'], ...changes };
}

/** A directory that hooks on the host and in the container see under the same path. */
function sharePlace(rig: Rig, config: BaseConfig): string {
  const place = rig.fresh('place');
  mkdirSync(place, { mode: 0o777 });
  config.mounts.push({ destination: place, type: 'bind', source: place, options: ['bind', 'rw'] });
  return place;
}

/** A bundle in which every kind of hook does the same; `$KIND` is its kind and `$PLACE` the shared directory. */
function everyKind(rig: Rig, text: string, change: (config: BaseConfig) => void = () => undefined) {
  const seen = { place: '' };
  const make = (config: BaseConfig): void => {
    change(config);
    seen.place = sharePlace(rig, config);
    const hookOf = (kind: Kind): Hook =>
      script(text, { env: ['PATH=/bin:/usr/bin', `KIND=${kind}`, `PLACE=${seen.place}`] });
    config.hooks = Object.fromEntries(KINDS.map((kind) => [kind, [hookOf(kind)]]));
    config.process.args = ['/bin/sh', '-c', `echo program >> ${seen.place}/order; sleep 1000`];
  };
  return { seen, make };
}

const RECORD = [
  'echo $KIND >> $PLACE/order',
  'cat > $PLACE/$KIND.state',
  `for n in ${NAMESPACES.join(' ')} user cgroup; do readlink -n /proc/self/ns/$n; echo; done > $PLACE/$KIND.ns`,
  'pwd > $PLACE/$KIND.cwd',
  'grep -E ":(pids)?:" /proc/self/cgroup > $PLACE/$KIND.cgroup || true',
].join('; ');

function read(place: string, name: string): string {
  return readFileSync(path.join(place, name), 'utf8').trim();
}

live('hooks in the life of a container', async (t, rig) => {
  await t.test('all six kinds run, in their order, with their state', async (t) => {
    // Without a proc file system of its own the container's hooks could not tell their namespaces.
    const { seen, make } = everyKind(rig, RECORD);
    const { id, pid } = await rig.create(t, { change: make });
    const { place } = seen;
    t.equal(read(place, 'order'), CREATE_KINDS.join('\n'), 'create runs three kinds');
    const inside = NAMESPACES.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
    const outside = NAMESPACES.map((name) => readlinkSync(`/proc/self/ns/${name}`));
    expectSuccess(t, await rig.tsrun(['start', id]));
    await waitForProgram(place);
    await rig.delete(t, id);
    t.equal(
      read(place, 'order')
        .split('\n')
        .filter((line) => line !== 'program')
        .join(' '),
      KINDS.join(' '),
    );
    const statuses = { startContainer: 'created', poststart: 'running', poststop: 'stopped' } as Record<string, string>;
    for (const kind of KINDS) {
      const state = JSON.parse(read(place, `${kind}.state`)) as Record<string, unknown>;
      const isInside = kind === 'createContainer' || kind === 'startContainer';
      t.match(state, { ociVersion: '1.3.0', id, status: statuses[kind] ?? 'created' }, `state of ${kind}`);
      t.equal(state['pid'], isInside ? 1 : kind === 'poststop' ? 0 : pid, `pid of ${kind}`);
      t.equal(state['bundle'], rig.latestBundle());
      if (kind === 'createContainer') continue;
      const namespaces = read(place, `${kind}.ns`).split('\n').slice(0, NAMESPACES.length);
      t.strictSame(namespaces, isInside ? inside : outside, `namespaces of ${kind}`);
    }
    t.equal(read(place, 'createContainer.cwd'), rig.rootfs, 'createContainer starts in the rootfs');
    t.equal(read(place, 'startContainer.cwd'), '/', 'startContainer starts in the cwd of the program');
    t.match(read(place, 'startContainer.cgroup'), /:(pids)?:\//);
  });

  await t.test('createContainer runs in every namespace of the container, and in its cgroup', async (t) => {
    const file = rig.fresh('seen');
    const look = `mount -t proc proc /proc; (${lookAtNamespaces()}; grep -E ":(pids)?:" /proc/self/cgroup) > ${file}`;
    const { id, pid } = await rig.create(t, {
      change: (config) => {
        config.hooks = { createContainer: [script(look)] };
      },
    });
    const lines = read('/', file).split('\n');
    t.strictSame(
      lines.slice(0, NAMESPACES.length),
      NAMESPACES.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)),
    );
    t.match(lines.at(-1), id, "its cgroup is the container's");
    await rig.delete(t, id);
  });

  await t.test('a hook that reads nothing does not end the program', async (t) => {
    const result = await rig.run({
      args: 'sleep 0.3; exit 5',
      change: (config) => {
        // More than a pipe holds: the write of the state is under way when its reader ends.
        config.annotations = { 'org.example.long': 'x'.repeat(200_000) };
        config.hooks = Object.fromEntries(KINDS.map((kind) => [kind, [{ path: '/bin/true' }]]));
      },
    });
    t.equal(result.code, 5, result.stderr);
  });

  await t.test("the path of createContainer is the host's, that of startContainer the container's", async (t) => {
    const hook = rig.fresh('only-on-the-host');
    writeFileSync(hook, '#!/bin/sh\necho ran >&2; exit 7\n', { mode: 0o755 });
    const create = await rig.run({ change: (config) => (config.hooks = { createContainer: [{ path: hook }] }) });
    expectFailure(t, create, { message: /createContainer hook #0: exit status 7, stdout: , stderr: ran/ });
    const start = await rig.run({ change: (config) => (config.hooks = { startContainer: [{ path: hook }] }) });
    expectFailure(t, start, {
      message: /error running startContainer hook #0: .*execute it: no such file or directory: ENOENT/,
    });
    const inside = (rootfs: string): void => {
      writeFileSync(path.join(rootfs, 'inside'), '#!/bin/sh\necho inside >&2; exit 8\n', { mode: 0o755 });
    };
    const change = (config: BaseConfig) => (config.hooks = { startContainer: [{ path: '/inside' }] });
    expectFailure(t, await rig.run({ fill: inside, change }), { message: /exit status 8, stdout: , stderr: inside/ });
  });

  await t.test('without an environment each kind has its own', async (t) => {
    const seen: Record<string, string> = {};
    const run = async (kind: Kind, env?: string[]): Promise<string> => {
      const result = await rig.run(
        {
          change: (config) => {
            config.process.env = ['OWN=container', 'PATH=/bin'];
            const hook: Hook = { path: '/bin/sh', args: ['sh', '-c', 'echo "[$OWN,$HOST,$HOME,$A]"; exit 1'] };
            config.hooks = { [kind]: [env === undefined ? hook : { ...hook, env }] };
          },
        },
        { env: { HOST: 'host' } },
      );
      seen[kind] = result.stderr;
      return /\[(.*?)\]/.exec(result.stderr)?.[1] ?? result.stderr;
    };
    t.equal(await run('createRuntime'), `,host,${testUser === undefined ? '/root' : '/'},`);
    t.equal(await run('createContainer'), ',,,');
    t.equal(await run('startContainer'), 'container,,/root,');
    t.equal(await run('startContainer', ['A=1']), ',,,1');
    t.equal(await run('createContainer', ['A=1']), ',,,1');
  });

  const oneId = needsRoot('an ordinary user maps one id');
  await t.test('startContainer hooks have the rights of the program and no more', { skip: oneId }, async (t) => {
    const inside = '(id -u; id -g; grep -E "CapEff|NoNewPrivs" /proc/self/status; ls /proc/self/fd) >&2; exit 9';
    const result = await rig.run({
      change: (config) => {
        config.process.user = { uid: 1234, gid: 567 };
        config.process.noNewPrivileges = true;
        config.process.capabilities = { bounding: [], effective: [], permitted: [] };
        config.hooks = { startContainer: [script(inside)] };
      },
    });
    const fields = result.stderr.replaceAll('\\n', '\n').replaceAll('\\t', '\t');
    t.match(
      fields,
      /stderr: 1234\n567\nNoNewPrivs:\t1\nCapEff:\t0000000000000000|stderr: 1234\n567\nCapEff:\t0000000000000000\nNoNewPrivs:\t1/,
    );
    t.match(fields, /\n0\n1\n2\n3"?$/m, 'it has three descriptors, and the one that ls opens');
  });

  await t.test('hooks do not inherit preserved descriptors', async (t) => {
    const change = (config: BaseConfig) =>
      (config.hooks = { createContainer: [script('[ -e /proc/self/fd/3 ] || exit 5; exit 6')] });
    const fds = [0, 0];
    const bundle = rig.bundle({ change });
    const result = await rig.tsrun(['run', '--preserve-fds', '1', '--bundle', bundle, rig.id()], { extraFds: fds });
    expectFailure(t, result, { message: /exit status [56]/ });
    t.match(result.stderr, /exit status 5/);
  });
});

/** Prints each namespace of the caller, after /proc has become that of its pid namespace. */
function lookAtNamespaces(): string {
  return NAMESPACES.map((name) => `readlink /proc/self/ns/${name}`).join('; ');
}

async function waitForProgram(place: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!read(place, 'order').includes('program')) {
    if (Date.now() > end) throw new Error('the program does not run');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

live('hooks that fail', async (t, rig) => {
  for (const kind of CREATE_KINDS) {
    await t.test(`${kind}: create fails, and poststop hooks follow`, async (t) => {
      const file = rig.fresh('poststop');
      const change = (config: BaseConfig): void => {
        config.hooks = {
          [kind]: [script('true'), script('echo o; echo e >&2; exit 3')],
          poststop: [script(`cat > ${file}`)],
        };
      };
      const result = await rig.tsrun(['create', '--bundle', rig.bundle({ change }), rig.id()]);
      expectFailure(t, result, {
        message: new RegExp(`error running ${kind} hook #1: exit status 3, stdout: o, stderr: e`),
      });
      t.match(JSON.parse(read('/', file)), { status: 'stopped', pid: 0 });
      t.strictSame(rig.leftovers(), []);
    });
  }

  for (const kind of ['startContainer', 'poststart'] as const) {
    await t.test(`${kind}: start fails, and the container is destroyed`, async (t) => {
      const file = rig.fresh('poststop');
      const program = rig.fresh('program');
      const change = (config: BaseConfig): void => {
        config.hooks = { [kind]: [script('echo o; exit 3')], poststop: [script(`cat > ${file}`)] };
      };
      const { id } = await rig.create(t, { args: ['sleep', '1000'], change });
      const result = await rig.tsrun(['start', id]);
      expectFailure(t, result, {
        message: new RegExp(`error running ${kind} hook #0: exit status 3, stdout: o, stderr: `),
      });
      expectFailure(t, await rig.tsrun(['state', id]), { message: 'does not exist' });
      t.match(JSON.parse(read('/', file)), { status: 'stopped', id });
      t.notOk(existsSync(program));
      t.strictSame(rig.leftovers(), []);
    });

    await t.test(`${kind}: run fails, and leaves nothing`, async (t) => {
      const file = rig.fresh('poststop');
      const change = (config: BaseConfig): void => {
        config.hooks = { [kind]: [script('kill -TERM $$')], poststop: [script(`echo x >> ${file}`)] };
      };
      const result = await rig.run({ args: ['sleep', '1000'], change });
      expectFailure(t, result, { message: `error running ${kind} hook #0: killed by SIGTERM` });
      t.equal(read('/', file), 'x', 'poststop ran once');
      t.strictSame(rig.leftovers(), []);
    });
  }

  await t.test('poststop: a warning, and the next one runs', async (t) => {
    const file = rig.fresh('poststop');
    const change = (config: BaseConfig): void => {
      config.hooks = { poststop: [script('exit 3'), script(`echo x >> ${file}`), script('exit 4')] };
    };
    const result = await rig.run({ change });
    expectSuccess(t, { ...result, stderr: '' });
    t.match(result.stderr, /level=warning msg="error running poststop hook #0: exit status 3/);
    t.match(result.stderr, /level=warning msg="error running poststop hook #2: exit status 4/);
    t.equal(read('/', file), 'x');
  });

  await t.test('a hook in the container that takes too long is killed with its group', async (t) => {
    for (const kind of ['createContainer', 'startContainer'] as const) {
      const slow = script('echo begun; sleep 1000 & sleep 1000', { timeout: 1 });
      const result = await rig.run({ change: (config) => (config.hooks = { [kind]: [slow] }) });
      expectFailure(t, result, {
        message: `error running ${kind} hook #0: timed out after 1 s, stdout: begun, stderr: `,
      });
      t.strictSame(rig.leftovers(), []);
    }
  });

  await t.test('a hook of the host that takes too long is killed, in whatever tsrun waits for besides', async (t) => {
    for (const kind of ['prestart', 'createRuntime', 'poststart'] as const) {
      const slow = script('echo begun; exec sleep 20', { timeout: 1 });
      const result = await rig.run({ change: (config) => (config.hooks = { [kind]: [slow] }) });
      expectFailure(t, result, {
        message: `error running ${kind} hook #0: timed out after 1 s, stdout: begun, stderr: `,
      });
      t.strictSame(rig.leftovers(), []);
    }
  });

  await t.test('a hook in the container is done when it ends, whoever keeps its output open', async (t) => {
    const change = (config: BaseConfig) => (config.hooks = { createContainer: [script('sleep 1000 & echo last')] });
    expectSuccess(t, await rig.run({ change }));
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('output of any size is taken, and the message stays small', async (t) => {
    const loud = script('head -c 3000000 /dev/zero | tr "\\0" x; exit 1');
    const result = await rig.run({ change: (config) => (config.hooks = { createContainer: [loud] }) });
    expectFailure(t, result, { message: 'exit status 1, stdout: xxxx' });
    t.ok(result.stderr.length < 20_000, `${result.stderr.length} characters`);
  });

  await t.test('a state larger than a pipe is fed while the hook reads, or not', async (t) => {
    for (const text of ['[ $(wc -c) -gt 300000 ]', 'true']) {
      const change = (config: BaseConfig): void => {
        config.annotations = { large: 'x'.repeat(300_000) };
        config.hooks = { createContainer: [script(text)], startContainer: [script(text)] };
      };
      expectSuccess(t, await rig.run({ change }));
    }
  });
});

live('hooks in unusual containers', async (t, rig) => {
  const both = (text: string) => (config: BaseConfig) => {
    config.hooks = { createContainer: [script(text)], startContainer: [script(text)] };
  };

  await t.test('with a user namespace', async (t) => {
    const change = (config: BaseConfig): void => {
      setUserNamespace(config);
      both('[ $(id -u) = 0 ] && read a b c < /proc/self/uid_map && [ $b != 0 ]')(config);
    };
    expectSuccess(t, await rig.run({ change }));
  });

  const noProc = needsRoot('proc is mounted by who owns the pid namespace');
  await t.test(
    'without a pid namespace the pid is that of the host, and nothing stays',
    { skip: noProc },
    async (t) => {
      const file = rig.fresh('state');
      const change = (config: BaseConfig): void => {
        removeNamespace(config, 'pid');
        config.hooks = { createContainer: [script(`cat > ${file}; sleep 1000 &`)] };
      };
      const { id, pid } = await rig.create(t, { change });
      t.equal((JSON.parse(read('/', file)) as { pid: number }).pid, pid);
      await rig.delete(t, id);
      t.strictSame(rig.leftovers(), []);
      const failing = (config: BaseConfig): void => {
        removeNamespace(config, 'pid');
        config.hooks = { createContainer: [script('sleep 1000 & exit 2')] };
      };
      expectFailure(t, await rig.run({ change: failing }), { message: 'exit status 2' });
      t.strictSame(rig.leftovers(), []);
    },
  );

  await t.test('with --no-pivot', async (t) => {
    expectSuccess(t, await rig.run({ change: both('true') }, { flags: ['--no-pivot'] }));
    const result = await rig.run({ change: both('exit 4') }, { flags: ['--no-pivot'] });
    expectFailure(t, result, { message: 'createContainer hook #0: exit status 4' });
  });

  await t.test('a tsrun that is killed takes the hook and the container with it', async (t) => {
    for (const changePid of noProc === false ? [false, true] : [false]) {
      const file = rig.fresh('begun');
      const change = (config: BaseConfig): void => {
        if (changePid) removeNamespace(config, 'pid');
        config.hooks = { createContainer: [script(`echo begun > ${file}; sleep 1000`)] };
      };
      const id = rig.id();
      const running = rig.startTsrun(['create', '--bundle', rig.bundle({ change }), id]);
      const end = Date.now() + 10_000;
      while (!existsSync(file) && Date.now() < end) await new Promise((resolve) => setImmediate(resolve));
      running.child.kill('SIGKILL');
      await running.done;
      await rig.waitForAbandoned(id);
      await rig.delete(t, id);
    }
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('the output of hooks is appended to the files of two annotations', async (t) => {
    const [stdout, stderr] = [rig.fresh('out'), rig.fresh('err')];
    const change = (config: BaseConfig): void => {
      config.annotations = { 'run.oci.hooks.stdout': stdout, 'run.oci.hooks.stderr': stderr };
      const say = (kind: string): Hook => script(`echo ${kind}; echo ${kind} >&2`);
      config.hooks = Object.fromEntries(KINDS.map((kind) => [kind, [say(kind)]]));
    };
    expectSuccess(t, await rig.run({ change }));
    for (const file of [stdout, stderr]) t.equal(read('/', file), KINDS.join('\n'));
    const wrong = (config: BaseConfig): void => {
      config.annotations = { 'run.oci.hooks.stdout': '/nowhere/file' };
      both('true')(config);
    };
    expectFailure(t, await rig.run({ change: wrong }), { message: '/annotations/run.oci.hooks.stdout' });
  });

  await t.test('explain shows what init does for them', async (t: Test) => {
    const bundle = rig.bundle({ change: both('true') });
    const { stdout } = await rig.tsrun(['explain', '--steps', '--bundle', bundle]);
    t.match(stdout, 'start createContainer hook #0');
    t.match(stdout, 'start startContainer hook #0');
    t.ok(stdout.indexOf('createContainer hook') < stdout.indexOf('pivot_root('), 'before the root is entered');
  });
});
