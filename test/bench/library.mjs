/**
 * The library in one process, and the floor below it: `node test/bench/library.mjs BUNDLE`. Writes a JSON document.
 *
 * The floor is what the kernel takes: an init is spawned and fed the packets of the very same programs, which were planned and
 * encoded before; its cgroups are made, limited and removed; nothing is read, validated, planned, locked or written down.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import koffi from 'koffi';
import { top } from '../../bundles/ready.mjs';
import { load } from '../../bundles/untyped.mjs';

const ROUNDS = 60;
const WARM_UP_ROUNDS = 20;
const CONCURRENT = 8;
const BATCHES = 10;
const IDLE_ROUND_MS = 0.2;
const CLOCK_THREAD_CPUTIME_ID = 3;

/**
 * @typedef {import('../../dist/lib/sys/fd.js').OwnedFd} Socket
 * @typedef {import('../../dist/lib/program/step.js').Packet} Packet
 * @typedef {import('../../dist/lib/program/step.js').Program} Program
 */

const clockGettime = koffi.load('libc.so.6').func('int clock_gettime(int clock, void *time)');
const [, , bundle] = /** @type {[string, string, string]} */ (process.argv);
const root = fs.mkdtempSync(path.join(path.dirname(bundle), 'library-'));

const { Runtime } = /** @type {typeof import('../../dist/lib/index.js')} */ (
  await load(pathToFileURL(path.join(top, 'dist/bin/index.mjs')).href)
);
const runtime = new Runtime({ root });

/** @param {string} id */
async function runOnce(id) {
  const start = performance.now();
  const program = await runtime.runContainer({ id, bundle, stdio: 'inherit' });
  const { code } = await program.wait();
  if (code !== 0) throw new Error(`run: exit code ${code}`);
  return performance.now() - start;
}

/**
 * Everything of the floor that is decided before the clock runs.
 * @param {string} id
 */
async function prepareFloor(id) {
  const [{ planFor }, { readBundle }, { ownRuntime }, { readHostFacts }, context, { planRunProgram }, { encode }] =
    await Promise.all([
      import('../../dist/lib/container/build/prepare-container.js'),
      import('../../dist/lib/container/build/bundle.js'),
      import('../../dist/lib/own-process/own-process.js'),
      import('../../dist/lib/host/facts.js'),
      import('../../dist/lib/plan/base/context.js'),
      import('../../dist/lib/plan/run-program.js'),
      import('../../dist/lib/program/encode.js'),
    ]);
  const log = { debug() {}, warning() {}, error() {} };
  const own = ownRuntime({ root, cgroupManager: 'cgroupfs', log });
  const options = { id, bundle, noPivot: false, noNewKeyring: false, preserved: [] };
  const read = readBundle(options, own);
  const { process: user } = read.config;
  if (user === undefined) throw new Error('the bundle has no process');
  const host = readHostFacts(own.caller.proc);
  const plan = planFor(own, options, { bundle: read, host, seccomp: undefined });
  if (plan.idmapNamespaces.length > 0) throw new Error('the floor knows no idmapped mounts');
  const descriptors = context.descriptorNumbers(0);
  const last = planRunProgram(descriptors, {
    process: user,
    executable: plan.candidates[0] ?? '',
    home: '/',
  });
  const toPackets = (/** @type {Program} */ program) => encode(program, { arch: host.arch, syncFd: descriptors.sync });
  return {
    arch: host.arch,
    syncFd: descriptors.sync,
    cgroup: plan.cgroup,
    phases: plan.phases.map(({ program, exchange }) => ({ packets: toPackets(program), exchange })),
    last: toPackets(last),
  };
}

/** @param {string} id */
async function floorRunner(id) {
  const floor = await prepareFloor(id);
  const [
    { makeCgroup },
    { spawnInit },
    { sendMessage, receiveMessage },
    { waitChild },
    { LAYOUT, TAG_FAILURE, TAG_MORE },
  ] = await Promise.all([
    import('../../dist/lib/cgroup/select.js'),
    import('../../dist/lib/process/spawned.js'),
    import('../../dist/lib/sys/socket.js'),
    import('../../dist/lib/sys/process/wait.js'),
    import('../../dist/lib/program/layout.js'),
  ]);
  const receive = (/** @type {Socket} */ socket) => {
    const { bytes, descriptors } = receiveMessage(socket.number, LAYOUT.message.size);
    for (const descriptor of descriptors) descriptor.close();
    if (bytes.length === 0 || bytes.readBigUInt64LE(0) === TAG_FAILURE) throw new Error('floor: init failed');
    return bytes;
  };
  const send = (/** @type {Socket} */ socket, /** @type {readonly Packet[]} */ packets) => {
    packets.forEach((packet, index) => {
      if (index > 0 && receive(socket).readBigUInt64LE(0) !== TAG_MORE) throw new Error('floor: init wanted no more');
      sendMessage(socket.number, packet.bytes);
    });
  };
  return () => {
    const start = performance.now();
    const cgroup = makeCgroup(floor.cgroup, { system: undefined, user: undefined });
    const { arch, syncFd } = floor;
    const callers = new Map([0, 1, 2].map((fd) => [fd, fd]));
    const spawned = spawnInit({ arch, syncFd, callers, fallbackDirectory: root });
    let pid = spawned.pid;
    for (const { packets, exchange } of floor.phases) {
      send(spawned.socket, packets);
      const reply = receive(spawned.socket);
      if (exchange !== 'pid') continue;
      waitChild(spawned.pid);
      pid = Number(reply.readBigUInt64LE(8));
      cgroup.applyLimits(floor.cgroup);
    }
    cgroup.applyDevices(floor.cgroup);
    send(spawned.socket, floor.last);
    const { bytes } = receiveMessage(spawned.socket.number, LAYOUT.message.size);
    if (bytes.length > 0) throw new Error('floor: the program was not executed');
    const status = waitChild(pid);
    spawned.socket.close();
    for (const { hostPath } of cgroup.reference.directories) fs.rmdirSync(hostPath);
    if (status.kind !== 'exited' || status.code !== 0) throw new Error('floor: the program failed');
    return performance.now() - start;
  };
}

/** Processor time of this thread, ms. */
function cpuMs() {
  const time = Buffer.alloc(16);
  clockGettime(CLOCK_THREAD_CPUTIME_ID, time);
  return Number(time.readBigInt64LE(0)) * 1000 + Number(time.readBigInt64LE(8)) / 1e6;
}

/**
 * How much processor time each round of the event loop takes, until it is stopped: the stretches in which nobody else has a turn. A part
 * of some is a collection of garbage, which the engine begins when it likes.
 */
function watchStretches() {
  /** @type {{ ms: number, from: number, to: number }[]} */
  const found = [];
  /** @type {{ from: number, to: number }[]} */
  const collections = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      collections.push({ from: startTime, to: startTime + duration });
  });
  observer.observe({ entryTypes: ['gc'] });
  let last = { cpu: cpuMs(), at: performance.now() };
  let goesOn = true;
  const look = () => {
    const now = { cpu: cpuMs(), at: performance.now() };
    found.push({ ms: now.cpu - last.cpu, from: last.at, to: now.at });
    last = now;
    if (goesOn) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    goesOn = false;
    observer.disconnect();
    // Rounds in which nothing of ours was done are no stretches.
    const stretches = found.filter(({ ms }) => ms > IDLE_ROUND_MS).sort((a, b) => a.ms - b.ms);
    const at = (/** @type {number} */ part) =>
      stretches[Math.min(stretches.length - 1, Math.floor(stretches.length * part))]?.ms ?? NaN;
    const long = stretches.filter(({ ms }) => ms > 5);
    const collecting = long.filter(({ from, to }) => collections.some((one) => one.from < to && from < one.to));
    return {
      median: at(0.5),
      p99: at(0.99),
      max: at(1),
      over5: long.length,
      over5Collecting: collecting.length,
      of: stretches.length,
    };
  };
}

/** The event loop while containers run in it, a batch after the other; once with its delay measured, once its stretches. */
async function measureConcurrency() {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  for (let batch = 0; batch < BATCHES; batch++) {
    await Promise.all(Array.from({ length: CONCURRENT }, (_, index) => runOnce(`tsrun-bench-loop-${batch}-${index}`)));
  }
  const elapsed = performance.now() - start;
  delay.disable();
  const ms = (/** @type {number} */ ns) => ns / 1e6;
  const stop = watchStretches();
  for (let batch = 0; batch < BATCHES; batch++) {
    await Promise.all(Array.from({ length: CONCURRENT }, (_, index) => runOnce(`tsrun-bench-cpu-${batch}-${index}`)));
  }
  return {
    stretchCpuMs: stop(),
    concurrent: CONCURRENT,
    perContainerMs: elapsed / (BATCHES * CONCURRENT),
    delayMs: { median: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) },
  };
}

async function main() {
  const replay = await floorRunner('tsrun-bench-floor');
  const run = [];
  const floor = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const pair = [await runOnce('tsrun-bench-library'), replay()];
    if (round < WARM_UP_ROUNDS) continue;
    run.push(pair[0]);
    floor.push(pair[1]);
  }
  fs.writeSync(1, JSON.stringify({ run, floor, concurrency: await measureConcurrency() }));
}

try {
  await main();
} finally {
  fs.rmSync(root, { recursive: true });
}
