/**
 * What tests leave behind on the machine. `takeInventory` lists everything that a container runtime makes, `findLeftovers`
 * what a later inventory has beyond an earlier one. On its own:
 *
 *   node test/leftovers.mjs before FILE     writes an inventory
 *   node test/leftovers.mjs after FILE      compares with it; prints what is left, and fails if anything is
 *   node test/leftovers.mjs                 compares with an empty machine
 *
 * Containers and directories of the tests have names with "tsrun" in them.
 */
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const NAME = /tsrun/;
/** Programs of engines that stay with a container, as the kernel cuts their names. */
const ENGINE = /^\((conmon|containerd|containerd-shim|dockerd|docker-proxy|slirp4netns|fuse-overlayfs)/;
/** Where engines mount what containers are made of. */
const ENGINE_MOUNT = /^\/(var\/lib|run)\/(containers|containerd|docker)\//;
/** No cgroup of a test is nested deeper. */
const CGROUP_DEPTH = 6;
/** What was killed needs a moment to be gone: processes are reaped, the last user of a mount closes it. */
const PATIENCE_MS = 2000;
const INTERVAL_MS = 50;

/**
 * Lines `kind: name`, each once; those of the same thing are the same at any time.
 * @returns {string[]}
 */
export function takeInventory() {
  return [...new Set([...processes(), ...mounts(), ...cgroups(), ...hierarchies(), ...files()])];
}

/**
 * Lines that were not there before, after a short wait for what is just going away.
 * @param {readonly string[]} before
 * @param {{ patienceMs?: number }} options
 * @returns {Promise<string[]>}
 */
export async function findLeftovers(before, { patienceMs = PATIENCE_MS } = {}) {
  const known = new Set(before);
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const left = takeInventory().filter((line) => !known.has(line));
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(INTERVAL_MS);
  }
}

/** Processes of containers: init images, whatever is in another pid namespace, and zombies of both. */
function* processes() {
  const own = readLink('/proc/self/ns/pid');
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const stat = readText(`/proc/${pid}/stat`);
    const [state, , , , , , , , , , , , , , , , , , , start] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (start === undefined) continue;
    const name = stat.slice(stat.indexOf('('), stat.lastIndexOf(')') + 1);
    const namespace = readLink(`/proc/${pid}/ns/pid`);
    if (state === 'Z') yield `zombie: ${pid} ${name} started at ${start}`;
    else if (/memfd:tsrun/.test(readLink(`/proc/${pid}/exe`))) yield `init process: ${pid} ${name} started at ${start}`;
    else if (namespace !== '' && namespace !== own) yield `process: ${pid} ${name} started at ${start}`;
    else if (NAME.test(readText(`/proc/${pid}/cgroup`))) yield `process: ${pid} ${name} started at ${start}`;
    else if (ENGINE.test(name)) yield `engine: ${pid} ${name} started at ${start}`;
    else if (readText(`/proc/${pid}/cmdline`).includes('surroundings.sh\0hold\0'))
      yield `supervisor of engines: ${pid} started at ${start}`;
  }
}

/** @returns {Generator<string>} */
function* mounts() {
  for (const line of readText('/proc/self/mountinfo').split('\n')) {
    const where = line.split(' ')[4] ?? '';
    if (NAME.test(where) || ENGINE_MOUNT.test(where) || /\/bundles\/[^/]+\/rootfs(\/|$)/.test(where))
      yield `mount: ${where}`;
  }
}

/** @returns {string[]} */
function cgroups(directory = '/sys/fs/cgroup', depth = CGROUP_DEPTH) {
  return directories(directory).flatMap((name) => {
    const inside = path.join(directory, name);
    if (NAME.test(name)) return [`cgroup: ${inside}`];
    return depth > 0 ? cgroups(inside, depth - 1) : [];
  });
}

/** Hierarchies of cgroup v1 that are mounted nowhere: their last mount has ended while a cgroup was on its way out. */
function* hierarchies() {
  const mounted = readText('/proc/self/mountinfo')
    .split('\n')
    .flatMap((line) => /^.* - cgroup \S+ (.*)$/.exec(line)?.[1]?.split(',') ?? []);
  for (const line of readText('/proc/self/cgroup').split('\n')) {
    const names = /^[1-9]\d*:([^:]+):/.exec(line)?.[1]?.split(',') ?? [];
    if (names.length > 0 && !names.some((name) => mounted.includes(name)))
      yield `cgroup hierarchy without a mount: ${names.join(',')}`;
  }
}

/** State directories, network namespaces with a name, network interfaces, and directories of tests. */
function* files() {
  const roots = ['/run', process.env.XDG_RUNTIME_DIR].filter((root) => root !== undefined && root !== '');
  for (const root of roots) for (const id of list(`${root}/tsrun`)) yield `state directory: ${root}/tsrun/${id}`;
  for (const name of list('/run/netns')) yield `network namespace: ${name}`;
  for (const name of list('/run/docker/netns')) yield `network namespace of docker: ${name}`;
  for (const name of list('/sys/class/net')) yield `network interface: ${name}`;
  for (const name of list(os.tmpdir()))
    if (name.startsWith('tsrun-')) yield `temporary directory: ${os.tmpdir()}/${name}`;
}

// Everything looked at may vanish at any moment; what is gone is empty.

/**
 * @param {string} directory
 * @returns {string[]}
 */
function list(directory) {
  return orElse([], () => fs.readdirSync(directory));
}

/** @param {string} directory */
function directories(directory) {
  const entries = orElse(/** @type {fs.Dirent[]} */ ([]), () => fs.readdirSync(directory, { withFileTypes: true }));
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** @param {string} file */
function readText(file) {
  return orElse('', () => fs.readFileSync(file, 'utf8'));
}

/** @param {string} file */
function readLink(file) {
  return orElse('', () => fs.readlinkSync(file));
}

/**
 * @template T
 * @param {T} value
 * @param {() => T} read
 */
function orElse(value, read) {
  try {
    return read();
  } catch {
    return value;
  }
}

/** @param {readonly string[]} words */
async function main([mode, file]) {
  if (mode === 'before' && file !== undefined) {
    fs.writeFileSync(file, takeInventory().join('\n'));
    return;
  }
  const before = file === undefined ? [] : fs.readFileSync(file, 'utf8').split('\n');
  const left = await findLeftovers(before);
  for (const line of left) console.log(`left behind: ${line}`);
  if (left.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
