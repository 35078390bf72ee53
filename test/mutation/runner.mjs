/**
 * Stryker's runner of tap, but all test files that reach a fault run in one process, which ends at the first test that fails: those that
 * are named after the faulty file come first. A process for each file would cost more than the tests.
 */
import * as fs from 'node:fs';
import { createTapTestRunnerFactory } from '@stryker-mutator/tap-runner';

/** Two workers share the copy of the project. */
const fixtures = `/tmp/tsrun-mutation-${process.pid}`;

/** @param {Parameters<ReturnType<typeof createTapTestRunnerFactory>>[0]} injector */
function createRunner(injector) {
  process.env.TSRUN_TEST_FIXTURES = fixtures;
  const runner = createTapTestRunnerFactory()(injector);
  const runOne = runner.mutantRun.bind(runner);
  /** @type {typeof runOne} */
  runner.mutantRun = async (options) => {
    const { testFilter, sandboxFileName } = options;
    if (testFilter === undefined) return await runOne(options);
    const nearness = (/** @type {string} */ test) => commonLength(sandboxFileName, test);
    const files = [...testFilter].sort((one, other) => nearness(other) - nearness(one));
    const result = await runOne({ ...options, testFilter: [files.join(',')] });
    if (!('killedBy' in result)) return result;
    const killer = files.find((file) => result.failureMessage.startsWith(file));
    return { ...result, killedBy: killer === undefined ? files : [killer] };
  };
  return Object.assign(runner, {
    dispose: () => {
      fs.rmSync(fixtures, { recursive: true, force: true });
    },
  });
}
createRunner.inject = createTapTestRunnerFactory().inject;

export const strykerPlugins = [{ kind: 'TestRunner', name: 'together', factory: createRunner }];

/**
 * How much of its path below src/ a source shares with the path below test/ of a test.
 * @param {string} source
 * @param {string} test
 */
function commonLength(source, test) {
  const path = source.slice(source.lastIndexOf('/src/') + '/src/'.length).replace(/ts$/, '');
  const other = test.slice('test/'.length);
  let length = 0;
  while (length < path.length && path[length] === other[length]) length++;
  return length;
}
