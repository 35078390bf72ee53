/** Loaded before the tests: a property is tried with the same values every time, and not for long, since it is tried for every fault. */
import fc from 'fast-check';

fc.configureGlobal({ seed: 1, plugins: [fc.interruptAfterTimeLimit(500)] });
