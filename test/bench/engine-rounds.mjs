/**
 * Measures an engine's command with each runtime, in turns, inside the engine's surroundings: `engine-rounds.mjs JOB RESULT`, two files
 * of JSON. It starts the planner there, and hides it from those who are to do without it.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { executable } from '../../bundles/ready.mjs';
import { load, parseJson } from '../../bundles/untyped.mjs';
import { privateMemory, readIfThere } from './cpu.mjs';
import { plannerStatus, socketAside, startPlanner } from './planner.mjs';

/**
 * @typedef {object} Call one cell of the table
 * @property {readonly string[]} [argv] a command
 * @property {Readonly<Record<string, string>>} [env] of it
 * @property {{ address: string, handler: string }} [pod] the whole life of one of Kubernetes
 * @property {boolean} [warm] the planner may be asked
 *
 * @typedef {object} Job
 * @property {readonly Call[]} calls
 * @property {number} rounds
 * @property {number} limitMs
 * @property {string} podsScript exports `Pods` (pods.ts)
 *
 * @typedef {object} Cell
 * @property {number[]} values ms by the clock, one for each round
 * @property {number[]} cpuMs of all processes of the surroundings; none where nobody counts it
 * @property {Memory[]} [memory] for some numbers of pods
 * @property {string} [reason] why there are no values
 *
 * @typedef {{ pods: number, shims: number, containers: number }} Memory KiB that no two processes share: of all shims, and of all else
 * that came with the pods
 *
 * @typedef {{ warm: number, lost: number, cold: Record<string, number> }} Served as the planner counts
 * @typedef {{ cells: Cell[], served?: Served }} Result
 */

/** They fill caches, and show what a runtime cannot do. */
const WARM_UP_ROUNDS = 2;
const CALL_LIMIT_MS = 60_000;
/** How long what a command leaves at work may take to end. */
const PATIENCE_MS = 10_000;
const INTERVAL_MS = 2;
const REASON_LENGTH = 200;
const POD_COUNTS = [1, 30];
const POD_COUNTS_OF_A_LOOK = [1, 3];
/** Longer than a shared shim waits for its next container. */
const SHIM_PATIENCE_MS = 15_000;
/** In which what has started is at rest. */
const SETTLE_MS = 1000;

const [jobFile = '', resultFile = ''] = process.argv.slice(2);
const errorFile = `${resultFile}.errors`;
const cpuFile = findCpuFile();
/** @type {import('./pods.ts').Pods | undefined} */
let pods;
const job = /** @type {Job} */ (parseJson(fs.readFileSync(jobFile, 'utf8')));
fs.writeFileSync(resultFile, JSON.stringify(await measureAll(job)));
pods?.close();

/**
 * @param {Job} job
 * @returns {Promise<Result>}
 */
async function measureAll({ calls, rounds, limitMs }) {
  const planner = calls.some(({ warm }) => warm)
    ? await startPlanner().catch((/** @type {unknown} */ error) => String(error))
    : 'no call asks it';
  /** @type {readonly (readonly [Call, Cell])[]} */
  const table = calls.map((call) => {
    const reason = call.warm && typeof planner === 'string' ? { reason: planner } : {};
    return [call, { values: [], cpuMs: [], ...reason }];
  });
  const deadline = Date.now() + limitMs;
  let before = served();
  for (let round = -WARM_UP_ROUNDS; round < rounds && (round < 1 || Date.now() < deadline); round++) {
    if (round === 0) before = served();
    for (const [call, cell] of table) {
      if (cell.reason !== undefined) continue;
      const { value, cpuMs, reason } = await measureOnce(call);
      if (reason !== undefined) cell.reason = reason;
      if (reason !== undefined || round < 0) continue;
      cell.values.push(value);
      if (cpuMs !== undefined) cell.cpuMs.push(cpuMs);
    }
  }
  for (const [call, cell] of table) if (cell.reason === undefined) await measureMemory(call, cell);
  const after = served();
  if (typeof planner !== 'string') await planner.stop();
  const cells = table.map(([, cell]) => cell);
  if (before === undefined || after === undefined) return { cells };
  const counts = difference(before, after);
  if (counts.warm === 0)
    for (const [{ warm }, cell] of table) if (warm) cell.reason ??= 'the planner has served none of the calls';
  return { cells, served: counts };
}

/**
 * What a call takes, or why it failed.
 * @param {Call} call
 * @returns {Promise<{ value: number, cpuMs?: number | undefined, reason?: string }>}
 */
async function measureOnce(call) {
  socketAside(call.warm !== true);
  const known = new Set(processes());
  const cpu = usedCpuMs();
  const start = performance.now();
  const reason = call.pod === undefined ? runCommand(call) : await runPod(call.pod);
  const value = performance.now() - start;
  await untilGone(known);
  if (reason !== undefined) return { value, reason };
  return { value, cpuMs: cpu === undefined ? undefined : (usedCpuMs() ?? NaN) - cpu };
}

/**
 * Why it failed, if it did.
 * @param {Call} call
 */
function runCommand({ argv: [file = '', ...args] = [], env = {} }) {
  // No pipe: what outlives the command would hold its other end.
  const errors = fs.openSync(errorFile, 'w');
  const { status } = spawnSync(file, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', errors],
    timeout: CALL_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  fs.closeSync(errors);
  if (status === 0) return undefined;
  return status === null ? 'does not end' : readReason(status);
}

/**
 * The same.
 * @param {NonNullable<Call['pod']>} pod
 */
async function runPod({ address, handler }) {
  try {
    const end = await (await podsOf(address)).start(handler);
    await end();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @param {string} address */
async function podsOf(address) {
  if (pods !== undefined) return pods;
  const { Pods } = /** @type {typeof import('./pods.ts')} */ (await load(pathToFileURL(job.podsScript).href));
  return (pods = new Pods(address));
}

/**
 * What an engine still does for this container is not to be the next one's time, and belongs to the CPU time of this one.
 * @param {ReadonlySet<string>} known processes that stay
 */
async function untilGone(known) {
  const deadline = Date.now() + PATIENCE_MS;
  while (processes().some((pid) => !known.has(pid)) && Date.now() < deadline) await sleep(INTERVAL_MS);
}

/**
 * Of pods, while they run.
 * @param {Call} call
 * @param {Cell} cell
 */
async function measureMemory({ pod }, cell) {
  if (pod === undefined) return;
  cell.memory = [];
  for (const count of job.rounds < 20 ? POD_COUNTS_OF_A_LOOK : POD_COUNTS) {
    await untilShimsEnd();
    const known = new Set(processes());
    const ends = [];
    const made = await podsOf(pod.address);
    for (let index = 0; index < count; index++) ends.push(await made.start(pod.handler));
    await sleep(SETTLE_MS);
    const memory = { pods: count, shims: 0, containers: 0 };
    for (const pid of processes().filter((pid) => !known.has(pid)))
      memory[isShim(pid) ? 'shims' : 'containers'] += privateMemory(pid);
    cell.memory.push(memory);
    for (const end of ends) await end();
    await untilGone(known);
  }
}

/** One that serves all containers of a namespace stays a while without any; those of containers that run all the time stay longer. */
async function untilShimsEnd() {
  const deadline = Date.now() + SHIM_PATIENCE_MS;
  while (processes().some(isShim) && Date.now() < deadline) await sleep(INTERVAL_MS);
}

/** @param {string} pid */
function isShim(pid) {
  return readIfThere(`/proc/${pid}/comm`)?.startsWith('containerd-shim') === true;
}

function processes() {
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/**
 * The last thing that the command has said, and its exit code.
 * @param {number} status
 */
function readReason(status) {
  const said = fs.readFileSync(errorFile, 'utf8').trim().split('\n').at(-1) ?? '';
  // Engines wrap the cause in what they say themselves: it comes last.
  const end = said.length <= REASON_LENGTH ? said : `...${said.slice(-REASON_LENGTH)}`;
  return `exit code ${status}: ${end}`;
}

/** Where the cgroup of the surroundings counts CPU time; undefined where none does. */
function findCpuFile() {
  const controllers = fs
    .readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .map((line) => line.split(':')[1] ?? '')
    .find((names) => names.split(',').includes('cpuacct'));
  return controllers === undefined ? undefined : path.join('/sys/fs/cgroup', controllers, 'cpuacct.usage');
}

/** CPU time, in ms, that all in the surroundings have used by now: daemons and the planner too, but not this process. */
function usedCpuMs() {
  if (cpuFile === undefined) return undefined;
  const { user, system } = process.cpuUsage();
  return Number(fs.readFileSync(cpuFile, 'utf8')) / 1e6 - (user + system) / 1e3;
}

/**
 * What the planner has served by now; undefined where there is none. The engine is asked itself, so that the question is not counted.
 * @returns {Served | undefined}
 */
function served() {
  socketAside(false);
  const text = plannerStatus(`${executable}-cold`);
  return text === '' ? undefined : /** @type {Served} */ (parseJson(text));
}

/**
 * @param {Served} before
 * @param {Served} after
 * @returns {Served}
 */
function difference(before, after) {
  /** @type {Record<string, number>} */
  const cold = {};
  for (const [reason, count] of Object.entries(after.cold)) {
    const more = count - (before.cold[reason] ?? 0);
    if (more > 0) cold[reason] = more;
  }
  return { warm: after.warm - before.warm, lost: after.lost - before.lost, cold };
}
