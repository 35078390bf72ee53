/**
 * Reads what a machine of test/vm prints: `## CONFIGURATION NAME SECONDS s` in front of the TAP of every file, `## end` behind it.
 */
const HEADING = String.raw`## ([\w-]+ [\w/-]+ \d+ s)`;

/**
 * Prints a line for each test file when it is through, until the timer is cleared.
 * @param {() => string} readOutput
 */
export function announceFiles(readOutput) {
  const heading = new RegExp(`^${HEADING}$`);
  let seen = 0;
  return setInterval(() => {
    const lines = readOutput().split('\n');
    for (const line of lines.slice(seen, -1)) if (heading.test(line)) console.log(line.slice(3));
    seen = lines.length - 1;
  }, 500);
}

/**
 * Counts the assertions of every file, and prints the failures and what was skipped.
 * @param {string} text
 */
export function countResults(text) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const [, title = '', body = ''] of text.matchAll(new RegExp(`^${HEADING}\\n([^]*?)^## end$`, 'gm'))) {
    const lines = body.split('\n');
    const leaves = lines.filter((line, index) => /^ *(not )?ok /.test(line) && !endsSubtest(lines, index));
    const failed = leaves.filter((line) => line.trimStart().startsWith('not ok') && !/# TODO/i.test(line)).length;
    const skipped = leaves.filter((line) => /# SKIP/i.test(line));
    const complete = /^1\.\.\d+/m.test(body);
    total.passed += leaves.length - failed - skipped.length;
    total.skipped += skipped.length;
    total.failed += failed + (failed === 0 && (!complete || /^not ok/m.test(body)) ? 1 : 0);
    for (const line of skipped) console.log(`${title}: ${line.trim()}`);
    if (failed > 0 || !complete || /^not ok/m.test(body)) console.log(`\n${title} FAILED\n${body}`);
  }
  return total;
}

/**
 * A line `ok` that sums up the lines indented below the subtest in front of it is no assertion of its own.
 * @param {readonly string[]} lines
 * @param {number} index
 */
function endsSubtest(lines, index) {
  const indent = /^ */.exec(lines[index] ?? '')?.[0] ?? '';
  const before = lines.slice(0, index).findLast((line) => line.trim() !== '');
  return before?.startsWith(`${indent}    1..`) ?? false;
}
