/**
 * A program that holds many containers at once, as somebody who has installed the package would write it:
 * `node many-containers.mjs LIBRARY ROOTFS DIRECTORY PREFIX CGROUP_MANAGER`. Prints what it found as a JSON document.
 */
import fs from 'node:fs';
import path from 'node:path';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { load } from '../../../bundles/untyped.mjs';

/**
 * @typedef {typeof import('../../../dist/lib/index.js')} Library
 * @typedef {import('../../../dist/lib/index.js').Config} Config
 * @typedef {Config & Required<Pick<Config, 'process' | 'linux'>>} Document as the template is
 * @typedef {NonNullable<import('../../../dist/lib/index.js').RuntimeOptions['cgroupManager']>} CgroupManager
 * @typedef {import('../../../dist/lib/index.js').Container} Container
 * @typedef {import('../../../dist/lib/index.js').Process} Process
 * @typedef {{ stdin: import('node:stream').Writable }} Writes
 * @typedef {{ stdout: import('node:stream').Readable }} Reads
 * @typedef {{ stderr: import('node:stream').Readable }} ReadsErrors
 */

const [library, rootfs, directory, prefix, cgroupManager] =
  /** @type {[string, string, string, string, CgroupManager]} */ (process.argv.slice(2));
const { Runtime, specTemplate } = /** @type {Library} */ (await load(library));

const CONTAINERS = 50;
/** @type {string[]} */
const log = [];
const runtime = new Runtime({
  root: path.join(directory, 'state'),
  cgroupManager,
  cacheDirectory: path.join(directory, 'cache'),
  log: { warn: (message) => log.push(message), error: (message) => log.push(message) },
});

/** @type {string[]} */
const warnings = [];
process.on('warning', ({ name, message }) => warnings.push(`${name}: ${message}`));
let terms = 0;
process.on('SIGTERM', () => (terms += 1));

/**
 * A configuration for a script; `change` has the last word.
 * @param {string} script
 * @param {(document: Document) => unknown} change
 */
function config(script, change = () => undefined) {
  const document = /** @type {Document} */ (specTemplate({ rootless: false }));
  document.process.terminal = false;
  document.process.args = ['/bin/sh', '-c', script];
  change(document);
  return document;
}

let count = 0;
const fresh = (/** @type {string} */ name) => `${prefix}-${name}-${(count += 1)}`;
const limitMemory = (/** @type {Document} */ document) =>
  (document.linux.resources = { memory: { limit: 16 * 1024 * 1024 } });

/** @param {number} index */
async function one(index) {
  const runsOut = index % 10 === 9;
  const script = runsOut ? 'read line; tail /dev/zero' : `cat; echo error of ${index} >&2; exit ${index}`;
  const made = config(script, runsOut ? limitMemory : undefined);
  const container = /** @type {Container & Writes & Reads & ReadsErrors} */ (
    await runtime.createContainer({ id: fresh('many'), config: made, rootfs, stdio: 'pipe' })
  );
  const said = Promise.all([text(container.stdout), text(container.stderr)]);
  await container.start();
  const program = /** @type {Process & Reads} */ (
    await container.exec({
      args: ['/bin/sh', '-c', `echo exec $WHO ${index}; exit ${index + 1}`],
      env: { WHO: 'of' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  );
  const executed = [await text(program.stdout), await program.wait()];
  container.stdin.end(`input of ${index}\n`);
  const end = await container.wait();
  const output = await said;
  const { status } = container.status();
  JSON.stringify([container.status(), runtime.listContainers()]);
  await container.delete();
  return { executed, end, output, status };
}

/** What hangs until somebody loses patience, beside others that are not delayed. */
async function hanging() {
  const losing = new AbortController();
  const { signal } = losing;
  // Somebody listens there who takes no connection, and the backlog is full.
  const deaf = path.join(directory, 'deaf');
  const sleeps = { path: '/bin/sleep', args: ['sleep', '1000'] };
  const startedAt = performance.now();
  /** @type {Record<string, Promise<unknown>>} */
  const hung = {
    createRuntime: runtime.createContainer({
      id: fresh('hung'),
      config: config('true', (document) => (document.hooks = { createRuntime: [sleeps] })),
      rootfs,
      signal,
    }),
    createContainer: runtime.createContainer({
      id: fresh('hung'),
      config: config('true', (document) => (document.hooks = { createContainer: [sleeps] })),
      rootfs,
      signal,
    }),
    poststart: runtime.runContainer({
      id: fresh('hung'),
      config: config('sleep 1000', (document) => (document.hooks = { poststart: [sleeps] })),
      rootfs,
      signal,
    }),
    console: runtime.createContainer({
      id: fresh('hung'),
      config: config('true', (document) => (document.process.terminal = true)),
      rootfs,
      console: deaf,
      signal,
    }),
    pidfd: runtime.createContainer({ id: fresh('hung'), config: config('true'), rootfs, pidfdSocket: deaf, signal }),
    timeout: runtime.createContainer({
      id: fresh('hung'),
      config: config('true', (document) => (document.hooks = { prestart: [sleeps] })),
      rootfs,
      timeoutMs: 1500,
    }),
  };
  /** @type {Record<string, string>} */
  const ends = {};
  const done = Object.entries(hung).map(([name, promise]) =>
    promise.then(
      () => (ends[name] = 'resolved'),
      (/** @type {unknown} */ reason) => {
        const error = /** @type {Error} */ (reason);
        ends[name] = `${error.name}: ${error.message}`;
      },
    ),
  );
  const others = await Promise.all(Array.from({ length: 5 }, (_, index) => one(index)));
  const tookMs = performance.now() - startedAt;
  const early = Object.keys(ends).filter((name) => name !== 'timeout');
  losing.abort(new Error('patience is lost'));
  await Promise.all(done);
  return { ends, early, others: others.length, tookMs };
}

async function various() {
  const sink = new PassThrough();
  const collected = text(sink);
  const written = path.join(directory, 'written');
  const file = fs.openSync(written, 'w');
  const source = new PassThrough();
  source.end('from a stream\n');
  const streamed = await runtime.runContainer({
    id: fresh('streams'),
    config: config('cat; echo to a file >&2'),
    rootfs,
    stdio: [source, sink, file],
  });
  const streamedEnd = await streamed.wait();
  sink.end();
  fs.closeSync(file);

  const terminal = /** @type {Process & Writes & Reads} */ (
    await runtime.runContainer({
      id: fresh('terminal'),
      config: config('read line; stty size; exit 4', (document) => (document.process.terminal = true)),
      rootfs,
    })
  );
  terminal.resize({ columns: 132, rows: 43 });
  terminal.stdin.write('go\n');
  const shown = await text(terminal.stdout);

  const forwarded = /** @type {Process & Reads} */ (
    await runtime.runContainer({
      id: fresh('signals'),
      config: config('trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done'),
      rootfs,
      stdio: ['ignore', 'pipe', 'ignore'],
      forwardSignals: true,
    })
  );
  await once(forwarded.stdout, 'data');
  forwarded.stdout.resume();
  process.kill(process.pid, 'SIGTERM');
  const forwardedEnd = await forwarded.wait();

  const killed = await runtime.createContainer({ id: fresh('killed'), config: config('sleep 1000'), rootfs });
  await killed.start();
  const opened = runtime.openContainer(killed.id);
  const impatient = await killed
    .wait({ timeoutMs: 20 })
    .catch((/** @type {unknown} */ error) => /** @type {Error} */ (error).name);
  await opened.kill('kill');
  const openedEnd = await opened.wait();
  JSON.stringify([opened.status(), killed.status()]);
  opened.close();
  await killed[Symbol.asyncDispose]();
  return {
    streams: [streamedEnd, await collected, fs.readFileSync(written, 'utf8')],
    terminal: [shown, await terminal.wait()],
    forwarded: forwardedEnd,
    opened: [impatient, openedEnd],
  };
}

/** What is open, without the descriptor that has listed the others. */
function descriptors() {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/self/fd/${fd}`).replace(/:\[\d+\]$/, '')];
    } catch {
      return [];
    }
  });
}

/** What this process has that it shall not be left with. */
function state() {
  return {
    children: fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim(),
    listeners: Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)])),
    caught: /** @type {RegExpExecArray} */ (/^SigCgt:\s*(\w+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8')))[1],
    descriptors: descriptors(),
    containers: runtime.listContainers().map(({ id }) => id),
  };
}

// The first makes what serves all later ones: an epoll descriptor, the SIGCHLD handler of Node itself for hooks.
await one(1);
await runtime
  .createContainer({
    id: fresh('hook'),
    config: config('true', (document) => (document.hooks = { prestart: [{ path: '/bin/true' }] })),
    rootfs,
  })
  .then((container) => container.delete());
const before = state();
const hung = await hanging();
const many = await Promise.all(Array.from({ length: CONTAINERS }, (_, index) => one(index)));
process.kill(process.pid, 'SIGTERM');
const rest = await various();
const after = state();
process.stdout.write(JSON.stringify({ before, hung, many, rest, terms, warnings, log, after }));
