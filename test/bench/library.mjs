/**
 * The library in one process, and the floor below it: `node test/bench/library.mjs BUNDLE`. Writes a JSON document.
 *
 * The floor is what the kernel takes: an init is spawned and fed the packets of the very same programs, which were planned and
 * encoded before; its cgroups are made, limited and removed; nothing is read, validated, planned, locked or written down.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { top } from '../../bundles/ready.mjs';

const ROUNDS = 60;
const WARM_UP_ROUNDS = 20;
const CONCURRENT = 8;
const BATCHES = 10;

const bundle = process.argv[2];
const root = fs.mkdtempSync(path.join(path.dirname(bundle), 'library-'));
const log = { debug() {}, info() {}, warning() {}, error() {} };
const load = (file) => import(pathToFileURL(path.join(top, 'dist/lib', file)).href);

const { runContainer } = await import(pathToFileURL(path.join(top, 'dist/bin/index.mjs')).href);
const runtime = { root, cgroupManager: 'cgroupfs', log };
const options = {
  bundle,
  configFile: undefined,
  pidFile: undefined,
  consoleSocket: undefined,
  noPivot: false,
  noNewKeyring: false,
  preserveFds: 0,
  stdio: [0, 1, 2],
  detach: false,
  keep: false,
};

async function runOnce(id) {
  const start = performance.now();
  const code = await runContainer(runtime, { ...options, id });
  if (code !== 0) throw new Error(`run: exit code ${code}`);
  return performance.now() - start;
}

/** Everything of the floor that is decided before the clock runs. */
async function prepareFloor(id) {
  const [{ planContainer }, { readBundle }, { readHostFacts }, context, { planRunProgram }, { encode }] =
    await Promise.all([
      load('container/build-container.js'),
      load('container/bundle.js'),
      load('host/facts.js'),
      load('plan/context.js'),
      load('plan/run-program.js'),
      load('program/encode.js'),
    ]);
  const read = readBundle(bundle, undefined, log);
  const host = readHostFacts();
  const plan = planContainer(runtime, { ...options, id }, read, host);
  if (plan.idmapNamespaces.length > 0) throw new Error('the floor knows no idmapped mounts');
  const descriptors = context.descriptorNumbers(0);
  const last = planRunProgram(descriptors, {
    process: read.config.process,
    executable: plan.candidates[0] ?? '',
    home: '/',
  });
  const toPackets = (program) => encode(program, { arch: host.arch, syncFd: descriptors.sync });
  return {
    arch: host.arch,
    syncFd: descriptors.sync,
    cgroup: plan.cgroup,
    phases: plan.phases.map(({ program, exchange }) => ({ packets: toPackets(program), exchange })),
    last: toPackets(last),
  };
}

async function floorRunner(id) {
  const floor = await prepareFloor(id);
  const [
    { selectCgroupManager },
    { spawnInit },
    { sendMessage, receiveMessage },
    { waitChild },
    { LAYOUT, TAG_FAILURE, TAG_MORE },
  ] = await Promise.all([
    load('cgroup/select.js'),
    load('process/spawn-init.js'),
    load('sys/socket.js'),
    load('sys/wait.js'),
    load('program/layout.js'),
  ]);
  const receive = (socket) => {
    const { bytes, descriptors } = receiveMessage(socket.number, LAYOUT.message.size);
    for (const descriptor of descriptors) descriptor.close();
    if (bytes.length === 0 || bytes.readBigUInt64LE(0) === TAG_FAILURE) throw new Error('floor: init failed');
    return bytes;
  };
  const send = (socket, packets) => {
    packets.forEach((packet, index) => {
      if (index > 0 && receive(socket).readBigUInt64LE(0) !== TAG_MORE) throw new Error('floor: init wanted no more');
      sendMessage(socket.number, packet.bytes);
    });
  };
  return () => {
    const start = performance.now();
    const cgroup = selectCgroupManager(floor.cgroup.manager).create(floor.cgroup);
    const { arch, syncFd } = floor;
    const descriptors = new Map([0, 1, 2].map((fd) => [fd, fd]));
    const spawned = spawnInit({ arch, syncFd, descriptors, fallbackDirectory: root });
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
    if (status.code !== 0) throw new Error('floor: the program failed');
    return performance.now() - start;
  };
}

/** The event loop while containers run in it, a batch after the other. */
async function measureConcurrency() {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  for (let batch = 0; batch < BATCHES; batch++) {
    await Promise.all(Array.from({ length: CONCURRENT }, (_, index) => runOnce(`tsrun-bench-loop-${batch}-${index}`)));
  }
  const elapsed = performance.now() - start;
  delay.disable();
  const ms = (ns) => ns / 1e6;
  return {
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
