/** Loaded before the tests of a fault. */
import fc from 'fast-check';

// A property is tried with the same values every time, and not for long, since it is tried for every fault.
fc.configureGlobal({ seed: 1 });
fc.installGlobalPlugin(fc.interruptAfterTimeLimit(500));

// tap leaves the directory that it removes; Stryker's hook writes what it has counted to the one where the process started.
const start = process.cwd();
process.prependListener('exit', () => {
  process.chdir(start);
});
