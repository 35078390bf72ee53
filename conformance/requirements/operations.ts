import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { hasEnded, type Case, type Container } from '../harness/case.ts';
import { equal, match, ok } from '../harness/check.ts';
import { findCgroups } from '../harness/probe.ts';
import { section, type Requirement } from '../harness/requirement.ts';

/** runtime.md: what each operation does, and when it is an error. */

const state = section('runtime.md', 'State');
const query = section('runtime.md', 'Query State');
const create = section('runtime.md', 'Create');
const start = section('runtime.md', 'Start');
const kill = section('runtime.md', 'Kill');
const remove = section('runtime.md', 'Delete');
const lifecycle = section('runtime.md', 'Lifecycle');
const errors = section('runtime.md', 'Errors');
const scope = section('runtime.md', 'Scope of a Container');

const SLEEP = 'sleep 1000';
const ONCE = 'echo one >> /ran';

async function fails(c: Case, ...args: readonly string[]): Promise<void> {
  const { code, stdout } = await c.cli(args);
  ok(code !== 0, `${args[0]} is an error`, `exit code ${code}, ${stdout}`);
}

async function stopped(c: Case): Promise<Container> {
  const container = await c.start();
  await container.waitForEnd();
  await container.waitForStatus('stopped');
  return container;
}

function linesOf(container: Container, file: string): string {
  const hostPath = path.join(container.bundle, 'rootfs', file);
  return existsSync(hostPath) ? readFileSync(hostPath, 'utf8') : '';
}

function mountsOf({ bundle }: Container): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.includes(bundle));
}

const stateRequirements: readonly Requirement[] = [
  state.must('state.version', 'the state has an ociVersion', async (c) => {
    const { ociVersion } = await (await c.create()).state();
    match(String(ociVersion), /^\d+\.\d+\.\d+([-+].*)?$/, 'ociVersion');
  }),
  state.must('state.id', 'the state has the id of the container', async (c) => {
    const container = await c.create();
    equal((await container.state()).id, container.id, 'id');
  }),
  state.must('state.status.created', 'the status is created after create', async (c) => {
    equal((await (await c.create()).state()).status, 'created', 'status');
  }),
  state.must('state.status.running', 'the status is running while the program runs', async (c) => {
    equal((await (await c.start({ script: SLEEP })).state()).status, 'running', 'status');
  }),
  state.must('state.status.stopped', 'the status is stopped once the program has ended', async (c) => {
    equal((await (await stopped(c)).state()).status, 'stopped', 'status');
  }),
  state.must('state.pid.created', 'the pid of a created container is that of its process', async (c) => {
    const container = await c.create();
    const { pid = 0 } = await container.state();
    equal(pid, container.pid, 'pid');
    ok(pid > 0 && !hasEnded(pid), 'the process is there', pid);
  }),
  state.must('state.pid.running', 'the pid of a running container is that of its program', async (c) => {
    const container = await c.start({ script: 'echo up; while :; do sleep 1; done' });
    await container.waitForOutput('up');
    const { pid = 0 } = await container.state();
    match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /sh\0-c\0echo up/, 'the command line of the pid');
  }),
  state.must('state.bundle', 'bundle is the absolute path of the bundle', async (c) => {
    const container = await c.create();
    equal((await container.state()).bundle, container.bundle, 'bundle');
  }),
  state.must('state.bundle.relative', 'bundle is absolute also where create was given a relative path', async (c) => {
    const bundle = c.bundle();
    const id = c.id();
    const { code, stderr } = await c.cli(['create', '--bundle', '.', id], { cwd: bundle });
    equal(code, 0, `create: ${stderr}`);
    const found = JSON.parse((await c.cli(['state', id])).stdout) as { bundle: string };
    equal(found.bundle, bundle, 'bundle');
  }),
  state.must('state.annotations', 'the state has the annotations of the config', async (c) => {
    const annotations = { 'org.example.key': 'value', 'org.example.empty': '' };
    const container = await c.create({ change: (config) => (config.annotations = annotations) });
    const found = (await container.state()).annotations ?? {};
    for (const [key, value] of Object.entries(annotations)) equal(found[key], value, key);
  }),
  state.must('state.json', 'the state has the types of the JSON schema', async (c) => {
    const found = await (await c.create()).state();
    const types = Object.fromEntries(
      ['ociVersion', 'id', 'status', 'bundle', 'pid'].map((name) => [name, typeof found[name as keyof typeof found]]),
    );
    equal(types, { ociVersion: 'string', id: 'string', status: 'string', bundle: 'string', pid: 'number' }, 'types');
    for (const value of Object.values(found.annotations ?? {})) equal(typeof value, 'string', 'an annotation');
    ok((found.pid ?? -1) >= 0, 'pid is no less than 0', found.pid);
  }),
  state.must('state.unique', 'two containers have two ids and two processes', async (c) => {
    const [one, two] = [await c.create(), await c.create()];
    ok(one.pid !== two.pid, 'pids differ', one.pid);
    equal([(await one.state()).id, (await two.state()).id], [one.id, two.id], 'ids');
  }),
  scope.must('scope.same-entity', 'whoever creates a container can use every operation on it', async (c) => {
    const container = await c.create({ script: SLEEP });
    await container.state();
    await container.start();
    await container.kill('KILL');
    await container.waitForEnd();
    await container.waitForStatus('stopped');
    await container.delete();
  }),
  query.must('query.no-id', 'state without an id is an error', (c) => fails(c, 'state')),
  query.must('query.unknown', 'state of an unknown container is an error', (c) => fails(c, 'state', c.id())),
  query.must('query.deleted', 'state of a deleted container is an error', async (c) => {
    const container = await stopped(c);
    await container.delete();
    await fails(c, 'state', container.id);
  }),
];

const createRequirements: readonly Requirement[] = [
  create.must('create.no-id', 'create without an id is an error', (c) => fails(c, 'create', '--bundle', c.bundle())),
  create.must('create.duplicate', 'create with an id in use is an error', async (c) => {
    const first = await c.create();
    const { result } = await c.tryCreate({ id: first.id });
    ok(result.code !== 0, 'the second create is an error', result.code);
  }),
  create.must('create.duplicate.kept', 'create with an id in use leaves the first container alone', async (c) => {
    const first = await c.create();
    await c.tryCreate({ id: first.id });
    const { status, pid, bundle } = await first.state();
    equal({ status, pid, bundle }, { status: 'created', pid: first.pid, bundle: first.bundle }, 'state');
  }),
  ...[
    ['empty', ''],
    ['slash', 'a/b'],
    ['parent', '..'],
  ].map(([name, id = '']) =>
    create.must(`create.invalid-id.${name}`, `create with the id ${JSON.stringify(id)} is an error`, async (c) => {
      const { code } = await c.cli(['create', '--bundle', c.bundle(), id]);
      ok(code !== 0, 'create is an error', code);
    }),
  ),
  create.must('create.no-bundle', 'create with a path where nothing is, is an error', async (c) => {
    const { code } = await c.cli(['create', '--bundle', c.fresh('nothing'), c.id()]);
    ok(code !== 0, 'create is an error', code);
  }),
  create.must('create.not-run', 'create does not run the program', async (c) => {
    const container = await c.create({ script: ONCE });
    await container.state();
    equal(linesOf(container, 'ran'), '', 'what the program writes');
  }),
  create.must('create.new', 'create makes a container that can be queried', async (c) => {
    await (await c.create()).state();
  }),
  create.must('create.refused.none', 'where a property cannot be applied, no container is made', (c) =>
    c.refuses('a mount of an unknown file system', (config) => {
      config.mounts.push({ destination: '/m', type: 'no-such-file-system', source: 'none' });
    }),
  ),
  create.must('create.refused.again', 'the id of a failed create can be used by the next', async (c) => {
    const failed = await c.tryCreate({
      change: (config) => config.mounts.push({ destination: '/m', type: 'no-such-file-system', source: 'none' }),
    });
    ok(failed.result.code !== 0, 'the first create is an error', failed.result.code);
    const again = await c.tryCreate({ id: failed.container.id });
    equal(again.result.code, 0, `the second create: ${again.result.stderr}`);
  }),
  create.must('create.config-snapshot', 'changes of config.json after create have no effect', async (c) => {
    const container = await c.create({ script: 'echo before' });
    const file = path.join(container.bundle, 'config.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('echo before', 'echo after'));
    await container.start();
    await container.waitForEnd();
    equal(container.output().trim(), 'before', 'output');
  }),
  create.must('create.config-gone', 'a container starts without its config.json', async (c) => {
    const container = await c.create({ script: 'echo here' });
    writeFileSync(path.join(container.bundle, 'config.json'), 'no JSON');
    await container.start();
    await container.waitForEnd();
    equal(container.output().trim(), 'here', 'output');
  }),
  lifecycle.must('create.resources', 'the namespaces of the config exist after create', async (c) => {
    const container = await c.create();
    const read = (pid: number | 'self'): string => readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
    ok(read(container.pid) !== read('self'), 'the process has mounts of its own', 'the same mountinfo');
  }),
  lifecycle.must('create.process-waits', 'the process of a created container waits until start', async (c) => {
    const container = await c.create({ script: 'echo started' });
    equal(hasEnded(container.pid), false, 'the process has ended');
    equal(container.output(), '', 'output');
    await container.start();
    await container.waitForOutput('started');
  }),
  errors.must('errors.no-trace', 'a failed create leaves no process and no cgroup', async (c) => {
    const { container, result } = await c.tryCreate({
      change: (config) => config.mounts.push({ destination: '/m', type: 'no-such-file-system', source: 'none' }),
    });
    ok(result.code !== 0, 'create is an error', result.code);
    equal(findCgroups(container.id), [], 'cgroups with its id');
    equal(mountsOf(container), [], 'mounts of its bundle');
  }),
];

const startRequirements: readonly Requirement[] = [
  start.must('start.no-id', 'start without an id is an error', (c) => fails(c, 'start')),
  start.must('start.unknown', 'start of an unknown container is an error', (c) => fails(c, 'start', c.id())),
  start.must('start.runs', 'start runs the program', async (c) => {
    equal(await c.observe('echo ran'), 'ran', 'output');
  }),
  start.must('start.running', 'start of a running container is an error', async (c) => {
    const container = await c.start({ script: SLEEP });
    await fails(c, 'start', container.id);
  }),
  start.must('start.running.kept', 'start of a running container has no effect on it', async (c) => {
    const container = await c.start({ script: `${ONCE}; echo up; ${SLEEP}` });
    await container.waitForOutput('up');
    await c.cli(['start', container.id]);
    const { status, pid } = await container.state();
    equal({ status, pid }, { status: 'running', pid: container.pid }, 'state');
    equal(linesOf(container, 'ran'), 'one\n', 'runs of the program');
  }),
  start.must('start.stopped', 'start of a stopped container is an error', async (c) => {
    await fails(c, 'start', (await stopped(c)).id);
  }),
  start.must('start.stopped.kept', 'start of a stopped container does not run the program again', async (c) => {
    const container = await c.start({ script: ONCE });
    await container.waitForEnd();
    await container.waitForStatus('stopped');
    await c.cli(['start', container.id]);
    equal(linesOf(container, 'ran'), 'one\n', 'runs of the program');
  }),
  start.must(
    'start.no-process',
    'start is an error where the config has no process',
    async (c) => {
      const { result, container } = await c.tryCreate({
        text: ({ process: _process, ...config }) => JSON.stringify(config),
      });
      equal(result.code, 0, `create: ${result.stderr}`);
      await fails(c, 'start', container.id);
    },
    {
      disputed:
        'the section makes start the error; a runtime that validates config.json at create may be right as well',
    },
  ),
  start.must('start.unknown-program', 'a program that does not exist is an error of create or start', (c) =>
    c.refuses(
      'an unknown program',
      (config) => {
        config.process.args = ['/no/such/program'];
      },
      { at: 'create or start' },
    ),
  ),
];

const signals: readonly (readonly [name: string, argument: string])[] = [
  ['TERM', 'TERM'],
  ['USR1', 'USR1'],
  ['HUP', '1'],
  ['INT', 'SIGINT'],
];

const killRequirements: readonly Requirement[] = [
  kill.must('kill.no-id', 'kill without an id is an error', (c) => fails(c, 'kill')),
  kill.must('kill.unknown', 'kill of an unknown container is an error', (c) => fails(c, 'kill', c.id(), 'KILL')),
  kill.must('kill.stopped', 'kill of a stopped container is an error', async (c) => {
    await fails(c, 'kill', (await stopped(c)).id, 'KILL');
  }),
  kill.must('kill.stopped.kept', 'kill of a stopped container has no effect on it', async (c) => {
    const container = await stopped(c);
    await c.cli(['kill', container.id, 'KILL']);
    equal((await container.state()).status, 'stopped', 'status');
  }),
  kill.must('kill.created', 'kill sends its signal to a created container', async (c) => {
    const container = await c.create({ script: SLEEP });
    await container.kill('KILL');
    await container.waitForEnd();
  }),
  kill.must('kill.unknown-signal', 'kill with an unknown signal is an error, and the container runs on', async (c) => {
    const container = await c.start({ script: SLEEP });
    await fails(c, 'kill', container.id, 'NONSENSE');
    equal((await container.state()).status, 'running', 'status');
  }),
  kill.must('kill.KILL', 'kill with KILL ends the container', async (c) => {
    const container = await c.start({ script: `trap '' TERM; echo up; ${SLEEP}` });
    await container.waitForOutput('up');
    await container.kill('KILL');
    await container.waitForEnd();
  }),
  ...signals.map(([name, argument]) =>
    kill.must(`kill.${name}`, `kill with ${argument} sends that signal to the process`, async (c) => {
      const script = `trap 'echo got ${name}; exit' ${name}; echo up; while :; do sleep 0.02; done`;
      const container = await c.start({ script });
      await container.waitForOutput('up');
      await container.kill(argument);
      await container.waitForOutput(`got ${name}`);
    }),
  ),
];

/** Callers rely on the deletion of created containers: a runtime may follow the specification only where it is told to. */
async function strictFlags(c: Case): Promise<string[]> {
  const help = await c.cli(['delete', '--help']);
  return help.stdout.includes('--strict') ? ['--strict'] : [];
}

const deleteRequirements: readonly Requirement[] = [
  remove.must('delete.no-id', 'delete without an id is an error', (c) => fails(c, 'delete')),
  remove.must('delete.unknown', 'delete of an unknown container is an error', (c) => fails(c, 'delete', c.id())),
  remove.must('delete.running', 'delete of a running container is an error', async (c) => {
    await fails(c, 'delete', (await c.start({ script: SLEEP })).id);
  }),
  remove.must('delete.running.kept', 'delete of a running container has no effect on it', async (c) => {
    const container = await c.start({ script: SLEEP });
    await c.cli(['delete', container.id]);
    const { status, pid } = await container.state();
    equal({ status, pid }, { status: 'running', pid: container.pid }, 'state');
    equal(hasEnded(container.pid), false, 'the process has ended');
  }),
  remove.must(
    'delete.created',
    'delete of a created container is an error',
    async (c) => fails(c, 'delete', ...(await strictFlags(c)), (await c.create()).id),
    { says: 'Anything but a stopped container is to be refused.' },
  ),
  remove.must(
    'delete.created.kept',
    'delete of a created container has no effect on it',
    async (c) => {
      const container = await c.create();
      await c.cli(['delete', ...(await strictFlags(c)), container.id]);
      equal((await container.state()).status, 'created', 'status');
    },
    { says: 'Anything but a stopped container is to be left as it is.' },
  ),
  remove.must('delete.stopped', 'delete removes a stopped container', async (c) => {
    const container = await stopped(c);
    await container.delete();
    await fails(c, 'state', container.id);
  }),
  remove.must('delete.cgroups', 'delete removes the cgroups that create made', async (c) => {
    const container = await stopped(c);
    await container.delete();
    equal(findCgroups(container.id), [], 'cgroups with its id');
  }),
  remove.must('delete.mounts', 'delete leaves no mount of the bundle', async (c) => {
    const container = await stopped(c);
    await container.delete();
    equal(mountsOf(container), [], 'mounts');
  }),
  remove.must('delete.bundle-kept', 'delete leaves the bundle, which create did not make', async (c) => {
    const container = await stopped(c);
    await container.delete();
    for (const name of ['config.json', 'rootfs/bin/busybox'])
      ok(existsSync(path.join(container.bundle, name)), `${name} is there`, 'it is gone');
  }),
  remove.must('delete.volume-kept', 'delete leaves the files of a bind mount', async (c) => {
    const volume = c.fresh('volume');
    writeFileSync(volume, 'kept');
    const container = await c.start({
      change: (config) => config.mounts.push({ destination: '/v', type: 'bind', source: volume, options: ['bind'] }),
    });
    await container.waitForEnd();
    await container.waitForStatus('stopped');
    await container.delete();
    equal(readFileSync(volume, 'utf8'), 'kept', 'the file');
  }),
  remove.must('delete.id-again', 'the id of a deleted container can be used again', async (c) => {
    const container = await stopped(c);
    await container.delete();
    const { result } = await c.tryCreate({ id: container.id });
    equal(result.code, 0, `create: ${result.stderr}`);
  }),
];

export const operations: readonly Requirement[] = [
  ...stateRequirements,
  ...createRequirements,
  ...startRequirements,
  ...killRequirements,
  ...deleteRequirements,
];
