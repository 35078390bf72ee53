/** CPU time and memory of processes. */
import * as fs from 'node:fs';
import koffi from 'koffi';

const getrusage = koffi.load('libc.so.6').func('int getrusage(int who, void *usage)');
const RUSAGE_CHILDREN = -1;
/** Bytes of struct rusage, which begins with two struct timeval: of user and of system time (man 2 getrusage). */
const RUSAGE_SIZE = 144;

/**
 * CPU time, in ms, of all children that have ended and were waited for, with theirs; and of a planner, all its threads.
 * @param {number | undefined} planner
 */
export function usedCpuMs(planner) {
  const usage = Buffer.alloc(RUSAGE_SIZE);
  getrusage(RUSAGE_CHILDREN, usage);
  const ms = (/** @type {number} */ at) =>
    Number(usage.readBigInt64LE(at)) * 1e3 + Number(usage.readBigInt64LE(at + 8)) / 1e3;
  return ms(0) + ms(16) + (planner === undefined ? 0 : threadsCpuMs(planner));
}

/** @param {number} pid */
function threadsCpuMs(pid) {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  const [...ns] = threads.map((thread) =>
    Number(readIfThere(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[0] ?? 0),
  );
  return ns.reduce((sum, one) => sum + one, 0) / 1e6;
}

/**
 * KiB that a process shares with no other (man 5 proc, smaps_rollup).
 * @param {number | string} pid
 */
export function privateMemory(pid) {
  const { dirty, clean } = privateParts(pid);
  return dirty + clean;
}

/**
 * The same by what becomes of it: `dirty` is the process's own, `clean` are pages of files (the engine's, mostly) that happen to be
 * mapped by nobody else, and that the kernel can drop.
 * @param {number | string} pid
 */
export function privateParts(pid) {
  const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const size = (/** @type {string} */ name) => Number(new RegExp(`^Private_${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]);
  return { dirty: size('Dirty'), clean: size('Clean') };
}

/** @param {string} file */
export function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
