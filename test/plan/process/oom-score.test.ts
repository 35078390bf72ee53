import t from 'tap';
import { planOomScore } from '../../../src/plan/process/oom-score.ts';
import { makeContext, makeProcess, printSteps } from '../fixtures.ts';

t.test('planOomScore() writes what is given, also 0, and touches nothing otherwise', (t) => {
  t.same(planOomScore(makeContext(), makeProcess()), []);
  t.same(planOomScore(makeContext(), undefined), []);
  t.equal(
    printSteps(planOomScore(makeContext(), makeProcess({ oomScoreAdj: 0 }))),
    `
   0  openat(AT_FDCWD, "/proc/self/oom_score_adj", O_CLOEXEC|O_WRONLY, 0) = oom_score_adj  # set oom_score_adj 0  (/process/oomScoreAdj)
   1  if oom_score_adj < 0 skip 2  # skip 2 when oom_score_adj < 0
   2    write(oom_score_adj, "0", 1)  # set oom_score_adj 0  (/process/oomScoreAdj)
   3    close(oom_score_adj), accepts any errno  # close oom_score_adj
`,
  );
  t.match(planOomScore(makeContext(), makeProcess({ oomScoreAdj: -1000 }))[2], {
    operands: [{}, { text: '"-1000"' }, 5],
  });
  t.end();
});

t.test('planOomScore() goes on without when an unprivileged user may not, or the root of a user namespace', (t) => {
  const steps = (identity: { euid: number; inUserNamespace?: boolean }): string =>
    printSteps(planOomScore(makeContext({ host: { identity } }), makeProcess({ oomScoreAdj: -5 })));
  t.equal(steps({ euid: 0, inUserNamespace: true }), steps({ euid: 1000 }));
  t.not(steps({ euid: 0, inUserNamespace: true }), steps({ euid: 0 }));
  t.equal(
    steps({ euid: 1000 }),
    `
   0  openat(AT_FDCWD, "/proc/self/oom_score_adj", O_CLOEXEC|O_WRONLY, 0) = oom_score_adj, accepts EACCES EPERM  # set oom_score_adj -5  (/process/oomScoreAdj)
   1  if oom_score_adj < 0 skip 2  # skip 2 when oom_score_adj < 0
   2    write(oom_score_adj, "-5", 2), accepts EACCES EPERM  # set oom_score_adj -5  (/process/oomScoreAdj)
   3    close(oom_score_adj), accepts any errno  # close oom_score_adj
`,
  );
  t.end();
});
