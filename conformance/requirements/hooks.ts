import { existsSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Hooks } from '../../src/spec/generated/config.ts';
import { put } from '../harness/bundle.ts';
import { hasEnded, waitUntil, type Case, type Container, type State } from '../harness/case.ts';
import { equal, match, ok } from '../harness/check.ts';
import { section, type Requirement } from '../harness/requirement.ts';
import { kindOf, KINDS, live, Log, scriptHook, wordsOf, type HookKind, type Kind } from './hook-life.ts';

/** config.md, "POSIX-platform Hooks", and the steps of runtime.md, "Lifecycle", that call them. */

/** The name of a hook in ids: `hook.poststop`. */
const idOf = ({ kind }: HookKind, what: string): string => `hook.${kind}.${what}`;

function invocation(kind: HookKind): Requirement[] {
  const { must } = section('config.md', kind.heading);
  const hooks = section('config.md', 'POSIX-platform Hooks');
  const phase = ['create', 'start', 'delete'].indexOf(kind.at);
  return [
    must(idOf(kind, 'when'), `${kind.kind} hooks are called in ${kind.at}`, async (c) => {
      const { seen } = await live(c, (log) => ({ [kind.kind]: [scriptHook(log, kind, 'echo hook >> $LOG')] }));
      const counts = seen.map((text) => wordsOf(text).filter((word) => word === 'hook').length);
      equal(
        counts,
        [0, 1, 2].map((index) => (index >= phase ? 1 : 0)),
        'calls after create, start and delete',
      );
    }),
    hooks.must(idOf(kind, 'order'), `${kind.kind} hooks are called in the listed order`, async (c) => {
      const words = ['one', 'two', 'three'];
      const { log } = await live(c, (log) => ({
        [kind.kind]: words.map((word) => scriptHook(log, kind, `echo ${word} >> $LOG`)),
      }));
      equal(
        wordsOf(log.read()).filter((word) => word !== 'program'),
        words,
        'calls',
      );
    }),
    hooks.must(idOf(kind, 'args'), `${kind.kind} hooks get their arguments`, async (c) => {
      const { log } = await live(c, (log) => {
        const text = `PATH=$PATH:/bin; for a in "$0" "$@"; do echo "<$a>" >> ${log.pathFor(kind)}; done`;
        return { [kind.kind]: [{ path: '/bin/sh', args: ['sh', '-c', text, 'zero', '', 'two words'] }] };
      });
      equal(log.read().replace('program', '').trim(), '<zero>\n<>\n<two words>', 'arguments');
    }),
    hooks.must(idOf(kind, 'env'), `${kind.kind} hooks have their environment`, async (c) => {
      const { log } = await live(c, (log) => ({
        [kind.kind]: [{ ...scriptHook(log, kind, 'echo "$NAME:$OTHER" >> $LOG'), env: ['NAME=a b', 'OTHER=c'] }],
      }));
      match(log.read(), /a b:c/, 'variables');
    }),
    hooks.must(idOf(kind, 'state'), `${kind.kind} hooks get the state on standard input`, async (c) => {
      const { log, container } = await live(c, (log) => ({ [kind.kind]: [scriptHook(log, kind, 'cat >> $LOG')] }));
      const text = log.read().replace('program', '').trim();
      match(text, /^\{/, 'what is on standard input');
      const { id, bundle, ociVersion } = JSON.parse(text) as State;
      equal({ id, bundle }, { id: container.id, bundle: container.bundle }, 'the state');
      match(String(ociVersion), /^\d+\.\d+\.\d+/, 'ociVersion');
    }),
  ];
}

function namespacesOf(kind: HookKind): Requirement {
  const title = `${kind.kind} hooks run in the namespaces of the ${kind.within}`;
  return section('config.md', kind.heading).must(idOf(kind, 'namespaces'), title, async (c) => {
    // The program ends only when its own namespaces have been read from outside.
    const log = new Log(c);
    const files = ['mnt', 'uts', 'ipc', 'net'];
    const script = `for n in ${files.join(' ')}; do readlink /proc/self/ns/$n >> $LOG; done`;
    const container = await c.create({
      script: 'sleep 1000',
      change: (config) => {
        config.mounts.push(log.mount);
        config.hooks = { [kind.kind]: [scriptHook(log, kind, script)] };
      },
    });
    const readAll = (pid: number | 'self'): string[] => files.map((file) => readlinkSync(`/proc/${pid}/ns/${file}`));
    const wanted = kind.within === 'runtime' ? readAll('self') : readAll(container.pid);
    await container.start();
    await container.kill('KILL');
    await container.waitForEnd();
    await container.waitForStatus('stopped');
    await container.delete();
    equal(wordsOf(log.read()), wanted, files.join(', '));
  });
}

function statusOf(kind: HookKind): Requirement {
  const pidIsInside = kind.within === 'container';
  const title = `the state that ${kind.kind} hooks get fits the time of the call`;
  return section('runtime.md', 'State').must(idOf(kind, 'status'), title, async (c) => {
    const log = new Log(c);
    const container = await c.create({
      script: 'sleep 1000',
      change: (config) => {
        config.mounts.push(log.mount);
        config.hooks = { [kind.kind]: [scriptHook(log, kind, 'cat >> $LOG')] };
      },
    });
    const { pid } = container;
    await container.start();
    await waitUntil(
      () => kind.at === 'delete' || log.read() !== '',
      'the hook is not called',
      () => log.read(),
    );
    await container.kill('KILL');
    await container.waitForEnd();
    await container.waitForStatus('stopped');
    await container.delete();
    const state = JSON.parse(log.read()) as State;
    const wanted = { create: ['creating', 'created'], start: ['created', 'running'], delete: ['stopped'] }[kind.at];
    // A runtime may name a status of its own between created and running.
    if (kind.kind !== 'startContainer')
      ok(wanted.includes(String(state.status)), `status is ${wanted.join(' or ')}`, state.status);
    if (kind.kind === 'poststart') equal(state.status, 'running', 'status');
    if (kind.at !== 'delete') equal(state.pid, pidIsInside ? 1 : pid, `pid as the ${kind.within} sees it`);
  });
}

function failure(kind: HookKind): Requirement[] {
  const { must } = section('runtime.md', 'Lifecycle');
  const hooks = section('config.md', 'POSIX-platform Hooks');
  if (kind.kind === 'poststop') return poststopFailure(kind);
  const prepare = async (
    c: Case,
    script = 'exit 3',
  ): Promise<{ code: number | null; container: Container; log: Log }> => {
    const log = new Log(c);
    const { container, result } = await c.tryCreate({
      script: 'echo program >> /log; sleep 1000',
      change: (config) => {
        config.mounts.push(log.mount);
        config.hooks = { [kind.kind]: [{ ...scriptHook(log, kind, script), timeout: 1 }] };
      },
    });
    if (kind.at === 'create') return { code: result.code, container, log };
    equal(result.code, 0, `create: ${result.stderr}`);
    return { code: (await c.cli(['start', container.id])).code, container, log };
  };
  return [
    must(
      idOf(kind, 'failure'),
      `a failing ${kind.kind} hook is an error of ${kind.at}`,
      async (c) => {
        const { code } = await prepare(c);
        ok(code !== 0, `${kind.at} is an error`, `exit code ${code}`);
      },
      kind.kind === 'startContainer'
        ? { disputed: 'the hook runs in the process of the container, which start may only have told to go on' }
        : {},
    ),
    must(idOf(kind, 'failure.stopped'), `a failing ${kind.kind} hook stops the container`, async (c) => {
      const { container, log } = await prepare(c);
      const { code, stdout } = await c.cli(['state', container.id]);
      if (kind.at === 'create') {
        ok(code !== 0, 'there is no container', stdout);
        return;
      }
      if (existsSync(`/proc/${container.pid}`))
        await waitUntil(
          () => hasEnded(container.pid),
          'the process does not end',
          () => log.read(),
        );
      if (kind.kind === 'startContainer') equal(log.read(), '', 'what the program wrote');
    }),
    hooks.must(idOf(kind, 'timeout'), `a ${kind.kind} hook that takes longer than its timeout fails`, async (c) => {
      const begin = Date.now();
      const { code, container } = await prepare(c, 'exec sleep 55');
      if (kind.kind === 'startContainer')
        await waitUntil(
          () => hasEnded(container.pid),
          'the process does not end',
          () => 'it runs',
        );
      else ok(code !== 0, `${kind.at} is an error`, `exit code ${code}`);
      ok(Date.now() - begin < 40_000, 'it ends before the hook would', `${Date.now() - begin} ms`);
    }),
  ];
}

function poststopFailure(kind: HookKind): Requirement[] {
  const { must } = section('runtime.md', 'Lifecycle');
  const hooksOf = (log: Log): Hooks => ({
    poststop: [scriptHook(log, kind, 'exit 3'), scriptHook(log, kind, 'echo second >> $LOG')],
  });
  const says = 'Unlike those of other hooks, a failure here is only to be logged as a warning.';
  return [
    must(
      idOf(kind, 'failure'),
      'a failing poststop hook is no error of delete',
      (c) => live(c, hooksOf).then(() => undefined),
      {
        says,
      },
    ),
    must(
      idOf(kind, 'failure.next'),
      'the poststop hooks after a failing one are called',
      async (c) => {
        const log = new Log(c);
        const container = await c.start({
          change: (config) => (config.hooks = hooksOf(log)),
        });
        await container.waitForEnd();
        await container.waitForStatus('stopped');
        await c.cli(['delete', container.id]);
        equal(log.read(), 'second', 'calls');
      },
      { says },
    ),
    must(idOf(kind, 'failure.deleted'), 'the container is gone after a failing poststop hook', async (c) => {
      const log = new Log(c);
      const container = await c.start({ change: (config) => (config.hooks = hooksOf(log)) });
      await container.waitForEnd();
      await container.waitForStatus('stopped');
      await c.cli(['delete', container.id]);
      const { code, stdout } = await c.cli(['state', container.id]);
      ok(code !== 0, 'state is an error', stdout);
    }),
  ];
}

function refusals(kind: HookKind): Requirement[] {
  const { must } = section('config.md', 'POSIX-platform Hooks');
  const invalid = 'and values that are not valid are errors (config.md, Valid values).';
  return [
    must(
      idOf(kind, 'relative'),
      `a relative path of a ${kind.kind} hook is an error`,
      (c) =>
        c.refuses('a relative path', (config) => {
          // Such a path would be found from the bundle, or from the root of the container.
          const file = kind.isInside ? 'bin/sh' : 'rootfs/bin/sh';
          config.hooks = { [kind.kind]: [{ path: file, args: ['sh', '-c', 'true'] }] };
        }),
      { says: `The path is to be absolute, ${invalid}` },
    ),
    must(
      idOf(kind, 'timeout.zero'),
      `a timeout of 0 of a ${kind.kind} hook is an error`,
      (c) =>
        c.refuses('a timeout of 0', (config) => {
          config.hooks = { [kind.kind]: [{ path: '/bin/sh', args: ['sh', '-c', 'true'], timeout: 0 }] };
        }),
      { says: `A timeout that is set is to be greater than zero, ${invalid}` },
    ),
    must(
      idOf(kind, 'timeout.negative'),
      `a negative timeout of a ${kind.kind} hook is an error`,
      (c) =>
        c.refuses('a timeout of -1', (config) => {
          put(config, { hooks: { [kind.kind]: [{ path: '/bin/sh', args: ['sh', '-c', 'true'], timeout: -1 }] } });
        }),
      { says: `A timeout that is set is to be greater than zero, ${invalid}` },
    ),
  ];
}

async function checkOrder(c: Case, kinds: readonly Kind[]): Promise<void> {
  const { log } = await live(c, (log) =>
    Object.fromEntries(KINDS.map((kind) => [kind.kind, [scriptHook(log, kind, `echo ${kind.kind} >> $LOG`)]] as const)),
  );
  const wanted = new Set<string>(kinds);
  equal(
    wordsOf(log.read()).filter((word) => wanted.has(word)),
    kinds,
    'calls',
  );
}

const together: readonly Requirement[] = [
  section('config.md', 'Prestart').must(
    'hook.order.prestart',
    'prestart hooks are called before createRuntime hooks',
    (c) => checkOrder(c, ['prestart', 'createRuntime']),
  ),
  section('config.md', 'CreateContainer Hooks').must(
    'hook.order.createContainer',
    'createContainer hooks are called after createRuntime hooks',
    (c) => checkOrder(c, ['createRuntime', 'createContainer']),
  ),
  section('config.md', 'StartContainer Hooks').must(
    'hook.order.startContainer',
    'startContainer hooks are called before the program runs',
    async (c) => {
      const { log } = await live(c, (log) => ({
        startContainer: [scriptHook(log, kindOf('startContainer'), 'sleep 0.2; echo hook >> $LOG')],
      }));
      equal(wordsOf(log.read()), ['hook', 'program'], 'what the hook and the program wrote');
    },
  ),
  section('config.md', 'CreateRuntime Hooks').must(
    'hook.createRuntime.environment',
    'createRuntime hooks find the namespaces and the cgroup of the container made',
    async (c) => {
      const log = new Log(c);
      const kind = kindOf('createRuntime');
      const script = 'pid=$(sed -n \'s/.*"pid": *\\([0-9]*\\).*/\\1/p\'); readlink /proc/$pid/ns/net >> $LOG';
      const container = await c.create({
        change: (config) => {
          config.mounts.push(log.mount);
          config.hooks = { createRuntime: [scriptHook(log, kind, script)] };
        },
      });
      equal(log.read(), readlinkSync(`/proc/${container.pid}/ns/net`), 'the network namespace');
    },
  ),
  section('config.md', 'CreateRuntime Hooks').must(
    'hook.createRuntime.before-pivot',
    'createRuntime hooks are called before the container changes its root',
    async (c) => {
      const log = new Log(c);
      const kind = kindOf('createRuntime');
      const script = 'pid=$(sed -n \'s/.*"pid": *\\([0-9]*\\).*/\\1/p\'); ls /proc/$pid/root/ >> $LOG';
      const container = await c.create({
        change: (config, rootfs) => {
          writeFileSync(path.join(rootfs, 'only-in-the-container'), '');
          config.mounts.push(log.mount);
          config.hooks = { createRuntime: [scriptHook(log, kind, script)] };
        },
      });
      ok(!log.read().includes('only-in-the-container'), `the root of ${container.pid} is the machine's`, log.read());
    },
  ),
  section('config.md', 'Poststop').must(
    'hook.poststop.deleted',
    'poststop hooks are called once the process is gone',
    async (c) => {
      const log = new Log(c);
      const container = await c.create({
        script: 'sleep 1000',
        change: (config) => {
          config.hooks = { poststop: [scriptHook(log, kindOf('poststop'), 'echo called >> $LOG')] };
        },
      });
      await container.start();
      equal(log.read(), '', 'calls while the program runs');
      await container.kill('KILL');
      await container.waitForEnd();
      await container.waitForStatus('stopped');
      equal(log.read(), '', 'calls before delete');
      await container.delete();
      equal(log.read(), 'called', 'calls after delete');
    },
  ),
  section('config.md', 'POSIX-platform Hooks').must(
    'hook.unread-state',
    'a hook need not read its standard input',
    async (c) => {
      const annotations = { 'org.example.long': 'x'.repeat(200_000) };
      const container = await c.create({
        change: (config) => {
          config.annotations = annotations;
          config.hooks = { createRuntime: [{ path: '/bin/true' }] };
        },
      });
      equal((await container.state()).status, 'created', 'status');
    },
  ),
];

export const hookRequirements: readonly Requirement[] = [
  ...KINDS.flatMap((kind) => [
    ...invocation(kind),
    namespacesOf(kind),
    statusOf(kind),
    ...failure(kind),
    ...refusals(kind),
  ]),
  ...together,
];
