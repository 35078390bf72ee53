import t from 'tap';
import { planFilterRules } from '../../../src/plan/seccomp/filter.ts';
import type { Seccomp, SeccompAction } from '../../../src/spec/generated/config.ts';

const rulesOf = (seccomp: Partial<Seccomp>) =>
  planFilterRules({ defaultAction: 'SCMP_ACT_ERRNO', ...seccomp }, 'x86-64');

t.test('planFilterRules() puts the native architecture first and each once', (t) => {
  t.same(rulesOf({}).architectures, ['x86_64']);
  t.same(rulesOf({ architectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'] }).architectures, [
    'x86_64',
    'x86',
  ]);
  t.same(
    planFilterRules({ defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_ARM'] }, 'arm64').architectures,
    ['aarch64', 'arm'],
  );
  t.end();
});

t.test('planFilterRules() knows the value of every action', (t) => {
  const rows: [SeccompAction, number | undefined, number][] = [
    ['SCMP_ACT_KILL', undefined, 0],
    ['SCMP_ACT_KILL_THREAD', undefined, 0],
    ['SCMP_ACT_KILL_PROCESS', undefined, 0x80000000],
    ['SCMP_ACT_TRAP', undefined, 0x30000],
    ['SCMP_ACT_ERRNO', undefined, 0x50001],
    ['SCMP_ACT_ERRNO', 0, 0x50000],
    ['SCMP_ACT_ERRNO', 38, 0x50026],
    ['SCMP_ACT_TRACE', undefined, 0x7ff00001],
    ['SCMP_ACT_TRACE', 7, 0x7ff00007],
    ['SCMP_ACT_NOTIFY', undefined, 0x7fc00000],
    ['SCMP_ACT_LOG', undefined, 0x7ffc0000],
    ['SCMP_ACT_ALLOW', undefined, 0x7fff0000],
  ];
  for (const [action, errnoRet, wanted] of rows) {
    const errno = errnoRet === undefined ? {} : { errnoRet };
    const fallback = errnoRet === undefined ? {} : { defaultErrnoRet: errnoRet };
    t.equal(rulesOf({ defaultAction: action, ...fallback }).defaultAction, wanted, `default ${action}`);
    const { rules } = rulesOf({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 99,
      syscalls: [{ names: ['a'], action, ...errno }],
    });
    t.same(rules, [{ syscall: 'a', action: wanted, conditions: [] }], action);
  }
  t.end();
});

t.test('planFilterRules() leaves out rules that say what the default says', (t) => {
  const { rules, known } = rulesOf({
    syscalls: [
      { names: ['a'], action: 'SCMP_ACT_ERRNO' },
      { names: ['b'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
      { names: ['c'], action: 'SCMP_ACT_ERRNO', errnoRet: 2 },
    ],
  });
  t.same(
    rules.map(({ syscall }) => syscall),
    ['c'],
  );
  t.same(known, ['a', 'b', 'c'], 'but the profile knows them');
  t.end();
});

t.test('planFilterRules() makes alternatives of several conditions on one argument', (t) => {
  const eq = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' as const });
  const conditionsOf = (args: ReturnType<typeof eq>[]) =>
    rulesOf({ syscalls: [{ names: ['a', 'b'], action: 'SCMP_ACT_ALLOW', args }] }).rules.map(
      ({ syscall, conditions }) => `${syscall}: ${conditions.map(({ index, value }) => `${index}=${value}`).join(' ')}`,
    );
  t.same(conditionsOf([eq(0, 1), eq(1, 2)]), ['a: 0=1 1=2', 'b: 0=1 1=2']);
  t.same(conditionsOf([eq(0, 1), eq(0, 2), eq(1, 3)]), ['a: 0=1', 'a: 0=2', 'a: 1=3', 'b: 0=1', 'b: 0=2', 'b: 1=3']);
  t.end();
});

t.test('planFilterRules() keeps all 64 bits of values, and both of a masked comparison', (t) => {
  const value = 0xffff_ffff_ffff_fffen;
  const args = [{ index: 5, value, valueTwo: 4, op: 'SCMP_CMP_MASKED_EQ' as const }];
  t.same(rulesOf({ syscalls: [{ names: ['a'], action: 'SCMP_ACT_ALLOW', args }] }).rules[0]?.conditions, [
    { index: 5, operator: 7, value, valueTwo: 4n },
  ]);
  t.end();
});

t.test('planFilterRules() lets new calls get ENOSYS unless the default lets them pass or says so itself', (t) => {
  const syscalls = [{ names: ['a', 'b', 'a'], action: 'SCMP_ACT_LOG' as const }];
  const answers = (defaultAction: SeccompAction, errno?: number) =>
    rulesOf({ defaultAction, syscalls, ...(errno === undefined ? {} : { defaultErrnoRet: errno }) }).known.length > 0;
  for (const action of ['SCMP_ACT_ERRNO', 'SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_TRAP'] as const)
    t.ok(answers(action), action);
  for (const action of ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'] as const) t.notOk(answers(action), action);
  t.notOk(answers('SCMP_ACT_ERRNO', 38));
  t.ok(answers('SCMP_ACT_ERRNO', 1));
  t.end();
});

t.test('planFilterRules() wants a tree for more than 32 calls', (t) => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `call${index}`);
  t.notOk(rulesOf({ syscalls: [{ names: names(32), action: 'SCMP_ACT_ALLOW' }] }).isTree);
  t.ok(
    rulesOf({
      syscalls: [
        { names: names(32), action: 'SCMP_ACT_ALLOW' },
        { names: ['x'], action: 'SCMP_ACT_LOG' },
      ],
    }).isTree,
  );
  t.end();
});
