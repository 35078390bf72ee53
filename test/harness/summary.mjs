/** What a process of tests says to the one that started it. */

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * The counts of a line such as `# { total: 6, pass: 3, fail: 1, todo: 1, skip: 1 }`; zeros are left out in it.
 * @param {string} line
 * @returns {Counts | undefined}
 */
export function readSummary(line) {
  if (!/^# \{ total: \d+.*\}$/.test(line)) return undefined;
  const count = (/** @type {string} */ word) => Number(new RegExp(`\\b${word}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') };
}

const RUNNING = 'running the tests of ';

/**
 * Says which file is next, or none. A pipe is written at once: it is known also where that file blocks or kills the process.
 * @param {string} file
 */
export function announce(file) {
  process.stderr.write(`${RUNNING}${file}\n`);
}

/**
 * The file that a line on standard error announces.
 * @param {string} line
 */
export function readAnnouncement(line) {
  return line.startsWith(RUNNING) ? line.slice(RUNNING.length) : undefined;
}
