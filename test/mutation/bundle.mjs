/**
 * Bundles the test files that say something of a folder, with all that they import of src/ and test/, into one script: `bundle.mjs
 * FOLDER`, called by Stryker in its copy of the project, where the sources hold the faults. The script, `dist/mutation/tests/all.mjs`,
 * runs those that its argument names, joined by commas.
 */
import { pack } from '../harness/pack.mjs';
import { testsOf } from './tests-of.mjs';

/** As .taprc says. */
const USUAL_SECONDS = 300;

const [folder = ''] = process.argv.slice(2);
await pack(new Map([['all', testsOf(folder)]]), {
  directory: 'dist/mutation/tests',
  seconds: USUAL_SECONDS,
  choice: "{ only: process.argv[2].split(','), fixtures: process.env.TSRUN_TEST_FIXTURES }",
});
