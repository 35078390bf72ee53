/** Runs test files, bundled, in a few processes, and tells what came of each file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { top } from '../../bundles/ready.mjs';
import { pack } from './pack.mjs';
import { readAnnouncement, readSummary } from './summary.mjs';

/** Processes at a time. */
const JOBS = 2;

/** What a process says when it is stopped from within comes before it is stopped from here. */
const GRACE_SECONDS = 10;

/**
 * @typedef {import('./summary.mjs').Counts} Counts
 * @typedef {object} Options
 * @property {number} seconds how long a file may take
 * @property {() => (line: string) => boolean} picker makes what picks the lines of TAP that are printed
 * @property {(line: string) => void} print
 */

/**
 * @param {readonly string[]} files relative to the project
 * @param {Options} options
 * @returns {Promise<Counts & { processes: number }>}
 */
export async function runPacked(files, options) {
  const groups = groupFiles(files);
  const directory = path.join(top, `node_modules/.cache/tsrun/tests-${process.pid}`);
  const sum = { passed: 0, failed: 0, skipped: 0, processes: groups.size };
  try {
    await pack(groups, { directory, seconds: options.seconds });
    const queue = [...groups.keys()];
    let number = 0;
    const print = (/** @type {string} */ line) => {
      options.print(line.replace(/^((?:not )?ok) \d+/, (_, verdict) => `${verdict} ${++number}`));
    };
    const work = async () => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
        const counts = await runGroup(name, path.join(directory, `${name}.mjs`), { ...options, print });
        sum.passed += counts.passed;
        sum.failed += counts.failed;
        sum.skipped += counts.skipped;
      }
    };
    await Promise.all(Array.from({ length: JOBS }, work));
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
  return sum;
}

/**
 * One group for each folder of test/; the largest come first, so that no long one runs last with nothing
 * beside it.
 * @param {readonly string[]} files
 * @returns {Map<string, string[]>} name of the group -> its files
 */
export function groupFiles(files) {
  const groups = /** @type {Map<string, string[]>} */ (new Map());
  for (const file of files) {
    const [, folder = ''] = file.split('/');
    groups.set(folder, [...(groups.get(folder) ?? []), file]);
  }
  return new Map([...groups].sort(([, one], [, other]) => other.length - one.length));
}

/**
 * @param {string} name
 * @param {string} script
 * @param {Options} options
 * @returns {Promise<Counts>}
 */
async function runGroup(name, script, { seconds, picker, print }) {
  const child = spawn(process.execPath, ['--enable-source-maps', script], {
    cwd: top,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAP: '1' },
  });
  const progress = new Progress(picker(), print);
  /** @type {string | undefined} */
  let stopped;
  const watchdog = setInterval(() => {
    if (progress.secondsOfFile < seconds + GRACE_SECONDS || stopped !== undefined) return;
    stopped = progress.file || `what is left of ${name}`;
    child.kill('SIGKILL');
  }, 1000);
  const readers = [
    createInterface({ input: child.stdout }).on('line', (line) => {
      progress.take(line);
    }),
    createInterface({ input: child.stderr }).on('line', (line) => {
      progress.takeError(line);
    }),
  ];
  const closed = readers.map((reader) => once(reader, 'close'));
  /** @type {unknown} */
  const ended = await once(child, 'close');
  const [code, signal] = /** @type {[number | null, NodeJS.Signals | null]} */ (ended);
  await Promise.all(closed);
  clearInterval(watchdog);
  progress.flush();
  const { passed, failed, skipped } = progress.counts ?? { passed: 0, failed: 0, skipped: 0 };
  if (stopped !== undefined) print(`not ok 0 - ${stopped} does not end: stopped after ${seconds} s`);
  else if (progress.counts === undefined || (code !== 0 && failed === 0))
    print(`not ok 0 - ${progress.file || name} ended its process with ${code ?? signal}`);
  else return { passed, failed, skipped };
  return { passed, failed: failed + 1, skipped };
}

/** Follows the TAP of a process: which file it is at, and what of it is printed, that of a file together. */
class Progress {
  /** @type {Counts | undefined} known at the end */
  counts;
  /** The one that is running. */
  file = '';
  #since = Date.now();
  /** @type {string[]} */
  #held = [];
  #picks;
  #print;

  /**
   * @param {(line: string) => boolean} picks
   * @param {(line: string) => void} print
   */
  constructor(picks, print) {
    this.#picks = picks;
    this.#print = print;
  }

  get secondsOfFile() {
    return (Date.now() - this.#since) / 1000;
  }

  /** @param {string} line */
  take(line) {
    if (line.startsWith('# Subtest: ')) this.flush();
    this.counts ??= readSummary(line);
    if (this.#picks(line) && !/^# (time=|{ total: )/.test(line)) this.#held.push(line);
  }

  /** @param {string} line */
  takeError(line) {
    const file = readAnnouncement(line);
    if (file === undefined) {
      this.#held.push(line);
      return;
    }
    this.file = file;
    this.#since = Date.now();
  }

  flush() {
    for (const line of this.#held) this.#print(line);
    this.#held = [];
  }
}
