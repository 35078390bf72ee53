import t from 'tap';
import { readSeccompBuild } from '../../../src/container/build/seccomp-build.ts';
import { features } from '../../../src/spec/features.ts';
import { validateFeatures } from '../../../src/spec/validate.ts';

t.test('readSeccompBuild() tells the version of libseccomp and the flags of seccomp(2)', (t) => {
  const seccomp = readSeccompBuild();
  t.match(seccomp?.libraryVersion, /^2\.\d+\.\d+$/);
  t.equal(seccomp?.supportedFlags.length, 4);
  t.same(validateFeatures(features({ version: '0', commit: '0', ...(seccomp === undefined ? {} : { seccomp }) })), []);
  t.end();
});
