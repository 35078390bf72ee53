import { mkdirSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type * as library from '../../src/index.ts';
import { connectUnix, listenUnix } from '../../src/sys/socket.ts';
import { baseConfig, expectSuccess, live, type Rig } from './support/rig.ts';
import { CHECKPOINT_PAGE, pagesWithExamples, runExamples } from './support/examples.ts';
import { importLibrary, libraryFile, libraryOptions } from './support/library.ts';
import { waitFor } from './support/wait.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));

live('the library', async (t, rig) => {
  await t.test('a program holds many containers at once, and is left with nothing', async (t) => holdMany(t, rig));

  await t.test('a container that somebody else has made can be waited for', async (t) => waitForOthers(t, rig));

  await t.test('a wrong argument is a TypeError with its name', async (t) => refuse(t, rig));

  await t.test('containers of one process leave it the threads of its pool', async (t) =>
    meeting(t, rig, await importLibrary()),
  );

  for (const page of pagesWithExamples().filter((page) => page !== CHECKPOINT_PAGE))
    await t.test(`the examples of ${page} run`, async (t) => runExamples(t, rig, page));
});

interface State {
  readonly children: string;
  readonly listeners: Readonly<Record<string, number>>;
  readonly caught: string;
  readonly descriptors: number;
  readonly containers: readonly string[];
}

interface Report {
  readonly before: State;
  readonly after: State;
  readonly hung: {
    readonly ends: Readonly<Record<string, string>>;
    readonly early: readonly string[];
    readonly others: number;
  };
  readonly many: readonly {
    readonly executed: [string, library.ProcessEnd];
    readonly end: library.ProcessEnd;
    readonly output: [string, string];
    readonly status: string;
  }[];
  readonly rest: Readonly<Record<'streams' | 'terminal' | 'opened', readonly unknown[]>> & {
    readonly forwarded: library.ProcessEnd;
  };
  readonly terms: number;
  readonly warnings: readonly string[];
  readonly log: readonly string[];
}

async function holdMany(t: Test, rig: Rig): Promise<void> {
  const directory = rig.fresh('many');
  mkdirSync(directory);
  const report = await runProgram(t, rig, directory);
  t.strictSame(report.after, report.before, 'no zombie, listener, handler, descriptor or container is left');
  t.strictSame({ warnings: report.warnings, log: report.log }, { warnings: [], log: [] });
  t.equal(report.terms, 2, 'SIGTERM reaches the program itself, also while it forwards signals');
  const lost = 'Error: patience is lost';
  const timeout = 'TimeoutError: not done within 1500 ms';
  const ends = { createRuntime: lost, createContainer: lost, poststart: lost, console: lost, pidfd: lost, timeout };
  t.strictSame(report.hung, { ...report.hung, ends, early: [], others: 5 }, 'what hangs delays nobody');
  for (const [index, { executed, end, output, status }] of report.many.entries()) {
    const isKilled = index % 10 === 9;
    t.strictSame(executed, [`exec of ${index}\n`, { code: index + 1, oomKilled: false }], `exec into ${index}`);
    t.strictSame(end, isKilled ? { signal: 'SIGKILL', oomKilled: true } : { code: index, oomKilled: false });
    t.strictSame(output, isKilled ? ['', ''] : [`input of ${index}\n`, `error of ${index}\n`]);
    t.equal(status, 'stopped');
  }
  t.equal(report.many.length, 50);
  const { streams, terminal, forwarded, opened } = report.rest;
  const ended = (code: number) => ({ code, oomKilled: false });
  t.strictSame(streams, [ended(0), 'from a stream\n', 'to a file\n']);
  t.strictSame(terminal, ['go\r\n43 132\r\n', ended(4)]);
  t.strictSame(forwarded, ended(9), 'the program gets the signal as well');
  t.strictSame(opened, ['TimeoutError', { signal: 'SIGKILL', oomKilled: false }]);
}

async function runProgram(t: Test, rig: Rig, directory: string): Promise<Report> {
  const deaf = path.join(directory, 'deaf');
  using _listener = listenUnix(deaf, 'stream');
  using _first = connectUnix(deaf, 'stream');
  using _second = connectUnix(deaf, 'stream');
  const program = path.join(project, 'test/live/programs/many-containers.mjs');
  const { cgroupManager } = libraryOptions(rig);
  const args = [libraryFile, rig.rootfs, directory, rig.prefix, cgroupManager];
  const result = await rig.start([process.execPath, program, ...args], { timeoutMs: 120_000 }).done;
  expectSuccess(t, result, 'the program');
  return JSON.parse(result.stdout) as Report;
}

async function waitForOthers(t: Test, rig: Rig): Promise<void> {
  const { Runtime } = await importLibrary();
  const runtime = new Runtime(libraryOptions(rig));
  const { id, pid } = await rig.sleeper(t);
  await using container = runtime.openContainer(id);
  t.equal(container.pid, pid);
  t.equal(container.status().status, 'running');
  const waiting = container.wait();
  const program = await container.exec({ args: ['sleep', '1000'] });
  t.ok(program.kill('TERM'));
  t.strictSame(await program.wait(), { code: undefined, signal: 'SIGTERM', oomKilled: false });
  t.notOk(program.kill('TERM'), 'it has ended');
  await container.kill('SIGKILL');
  t.strictSame(await waiting, { code: undefined, signal: undefined, oomKilled: false }, 'nobody can tell how');
  t.strictSame(await container.wait(), await waiting, 'at any time');
  await container.delete();
  t.throws(() => runtime.openContainer(id), { code: 'not-found' });
}

async function refuse(t: Test, rig: Rig): Promise<void> {
  const { Runtime } = await importLibrary();
  const root = rig.path('nowhere');
  const runtime = new Runtime({ root, log: console });
  const wrong = (options: unknown) => runtime.createContainer(options as library.CreateContainerOptions);
  const bundle = rig.bundle();
  const rows: [unknown, string][] = [
    [{ bundle }, 'createContainer: "id" is undefined, wanted a text that is not empty'],
    [{ id: 'a' }, 'createContainer: neither "bundle" nor "config" is given'],
    [{ id: 'a', bundle: 'b' }, 'createContainer: option "bundle" is "b", wanted an absolute path'],
    [{ id: 'a', bundle, stdoi: 'pipe' }, 'createContainer: unknown option "stdoi"'],
    [
      { id: 'a', bundle, timeoutMs: '1' },
      'createContainer: option "timeoutMs" is "1", wanted a number of milliseconds, 0 or more',
    ],
    [{ id: 'a', bundle, signal: 9 }, 'createContainer: option "signal" is 9, wanted an AbortSignal'],
    [{ id: 'a', config: baseConfig() }, 'createContainer: "config" is given without "bundle" and "rootfs"'],
    [
      { id: 'a', bundle, overlay: { lower: ['b'] } },
      'createContainer: option "overlay" is an object, wanted true, or an object of "directory", an absolute path, and "lower", a list of absolute paths',
    ],
    [
      { id: 'a', bundle, network: 'bridges' },
      'createContainer: option "network" is "bridges", wanted none, host, bridge, container:ID, ns:PATH or cni:NAME',
    ],
    [
      { id: 'a', bundle, network: 'ns:run/netns/a' },
      'createContainer: option "network" is "ns:run/netns/a", wanted an absolute path behind "ns:"',
    ],
    [
      { id: 'a', bundle, network: 'host', publish: [{ hostPort: 1, port: 2 }] },
      'createContainer: "publish" is given without "network" of "bridge" or "cni:NAME"',
    ],
    [null, 'createContainer: options is null, wanted an object'],
  ];
  for (const [options, message] of rows) await t.rejects(wrong(options), { name: 'TypeError', message });
  await t.rejects(wrong({ id: 'a/b', bundle }), { name: 'TsrunError', code: 'id' });
  t.throws(() => new Runtime({ root: 'state' }), { name: 'TypeError', message: /option "root" is "state"/ });
  const container = await new Runtime(libraryOptions(rig)).createContainer({ id: rig.id(), bundle });
  await t.rejects(container.kill('SIGNOTHING'), { name: 'TypeError', message: /"signal" is "SIGNOTHING"/ });
  await t.rejects(container.exec({}), { name: 'TypeError', message: 'exec: "args" is empty, wanted a program' });
  await container.delete();
}

/** More than the pool has threads. */
const CONTAINERS = 6;
const AT_FIRST = 4;

/** Each waits for all the others, and the last ones are made when the first ones run. */
async function meeting(t: Test, rig: Rig, { Runtime }: typeof library): Promise<void> {
  const place = rig.fresh('meeting');
  mkdirSync(place);
  const runtime = new Runtime(libraryOptions(rig));
  const run = async (index: number): Promise<number | undefined> => {
    const script = `for i in $(seq 400); do [ "$(ls /mnt | wc -l)" != ${CONTAINERS} ] || exit 0; sleep 0.05; done; exit 1`;
    const bundle = rig.bundle({
      args: `touch /mnt/${index}; ${script}`,
      change: (config) => config.mounts.push({ destination: '/mnt', source: place, options: ['rbind'] }),
    });
    const program = await runtime.runContainer({ id: rig.id('meeting'), bundle, noNewKeyring: true });
    return (await program.wait()).code;
  };
  const indices = Array.from({ length: CONTAINERS }, (_, index) => index);
  const first = indices.slice(0, AT_FIRST).map(run);
  await waitFor(() => readdirSync(place).length === AT_FIRST, 20_000);
  let hasRead = false;
  const reading = readFile('/proc/self/comm').then(() => (hasRead = true));
  await waitFor(() => hasRead, 5_000).catch(() => t.fail('a file is read while they run'));
  const codes = await Promise.all([...first, ...indices.slice(AT_FIRST).map(run)]);
  t.strictSame(
    codes,
    indices.map(() => 0),
  );
  await reading;
}

/** Each is a program of its own; what it prints is in the comment that ends it. */
