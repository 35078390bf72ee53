import t from 'tap';
import { planFilterRules } from '../../../src/plan/seccomp/filter.ts';
import type { SeccompPlan } from '../../../src/plan/seccomp/load.ts';
import { answerOf, meaningOfSilence, requirePassableFilter } from '../../../src/plan/seccomp/refusals.ts';
import type { Seccomp, SeccompSyscall } from '../../../src/spec/generated/config.ts';

const rulesOf = (seccomp: Seccomp) => planFilterRules(seccomp, 'x86-64');
const planOf = (seccomp: Seccomp, position: SeccompPlan['position'] = 'early'): SeccompPlan => ({
  rules: rulesOf(seccomp),
  flags: 0,
  position,
  defaultAction: seccomp.defaultAction,
});
const rule = (action: SeccompSyscall['action'], ...names: string[]): SeccompSyscall => ({ names, action });
const sometimes = { args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' as const }] };

t.test('answerOf() tells what is refused or allowed whatever the arguments are', (t) => {
  const answer = (defaultAction: Seccomp['defaultAction'], ...syscalls: SeccompSyscall[]) =>
    answerOf(rulesOf({ defaultAction, syscalls }), 'read');
  for (const action of ['ERRNO', 'KILL', 'KILL_PROCESS', 'KILL_THREAD', 'TRAP', 'TRACE'] as const) {
    t.equal(answer(`SCMP_ACT_${action}`), 'refused', action);
    t.equal(answer(`SCMP_ACT_${action}`, rule('SCMP_ACT_ALLOW', 'read')), 'allowed', action);
    t.equal(answer('SCMP_ACT_ALLOW', rule(`SCMP_ACT_${action}`, 'read')), 'refused', action);
    t.equal(answer('SCMP_ACT_ALLOW', rule(`SCMP_ACT_${action}`, 'write')), 'allowed', action);
    t.equal(answer('SCMP_ACT_ALLOW', { ...rule(`SCMP_ACT_${action}`, 'read'), ...sometimes }), 'unknown', action);
  }
  t.equal(answer('SCMP_ACT_LOG'), 'allowed');
  t.equal(answer('SCMP_ACT_ALLOW', rule('SCMP_ACT_NOTIFY', 'read')), 'unknown', 'an agent decides');
  t.equal(answer('SCMP_ACT_ERRNO', { ...rule('SCMP_ACT_KILL', 'read'), ...sometimes }), 'refused', 'in either case');
  t.end();
});

t.test('requirePassableFilter() refuses an early filter that no container gets past', (t) => {
  const check =
    (seccomp: SeccompPlan | undefined, waits = false) =>
    () => {
      requirePassableFilter(seccomp, { waits });
    };
  const all: Seccomp = { defaultAction: 'SCMP_ACT_ERRNO' };
  t.throws(check(planOf(all)), { code: 'unsupported', message: /it refuses capset, writev, read: / });
  t.throws(check(planOf(all), true), { message: /it refuses capset, writev, read, accept4, dup3: .*config\.json/ });
  t.doesNotThrow(check(planOf(all, 'late'), true));
  t.doesNotThrow(check(undefined, true));
  const noWait: Seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule('SCMP_ACT_KILL', 'accept4')] };
  t.throws(check(planOf(noWait), true), { message: /it refuses accept4: / });
  t.doesNotThrow(check(planOf(noWait)));
  t.end();
});

t.test('meaningOfSilence() knows what a filter keeps init from', (t) => {
  const meaning = (defaultAction: Seccomp['defaultAction'], ...syscalls: SeccompSyscall[]) =>
    meaningOfSilence(planOf({ defaultAction, syscalls }));
  t.equal(meaningOfSilence(undefined), 'success');
  t.equal(meaning('SCMP_ACT_ALLOW'), 'success');
  t.equal(meaning('SCMP_ACT_ERRNO'), 'death');
  t.equal(meaning('SCMP_ACT_ALLOW', rule('SCMP_ACT_KILL', 'execve')), 'death');
  t.equal(meaning('SCMP_ACT_ALLOW', rule('SCMP_ACT_ERRNO', 'write')), 'unknown');
  t.equal(meaning('SCMP_ACT_ERRNO', rule('SCMP_ACT_ALLOW', 'execve')), 'unknown');
  t.equal(meaning('SCMP_ACT_ERRNO', rule('SCMP_ACT_ALLOW', 'execve', 'write')), 'success');
  t.end();
});
