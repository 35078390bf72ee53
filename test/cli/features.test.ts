import t from 'tap';
import { validateFeatures } from '../../src/spec/validate.ts';
import { runLine } from './fixtures.ts';

t.test('features prints a valid document, four spaces a level', async (t) => {
  const { stdout, code } = await runLine('features');
  t.equal(code, 0);
  t.match(stdout, /^\{\n {4}"ociVersionMin"/);
  t.strictSame(validateFeatures(JSON.parse(stdout)), []);
});
