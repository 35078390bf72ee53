import t from 'tap';
import { validateFeatures } from '../../src/spec/validate.ts';
import { runLine } from './fixtures.ts';

t.test('features prints a valid document, four spaces a level', async (t) => {
  const { stdout, code } = await runLine('features');
  t.equal(code, 0);
  t.match(stdout, /^\{\n {4}"ociVersionMin"/);
  t.strictSame(validateFeatures(JSON.parse(stdout)), []);
});

t.test('features tells what is there for seccomp', async (t) => {
  const results = { readSeccompBuild: { libraryVersion: '2.5.4', supportedFlags: ['SECCOMP_FILTER_FLAG_LOG'] } };
  const { stdout } = await runLine('features', { results });
  t.strictSame(validateFeatures(JSON.parse(stdout)), []);
  t.match(JSON.parse(stdout), {
    linux: { seccomp: { enabled: true, supportedFlags: ['SECCOMP_FILTER_FLAG_LOG'] } },
    annotations: { 'io.github.seccomp.libseccomp.version': '2.5.4' },
  });
  t.match(JSON.parse((await runLine('features')).stdout), { linux: { seccomp: { enabled: false } } });
});
