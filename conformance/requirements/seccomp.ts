import type { Seccomp, SeccompOperator, SeccompSyscall } from '../../src/spec/generated/config.ts';
import { put } from '../harness/bundle.ts';
import type { Case } from '../harness/case.ts';
import { equal, match, ok, skipUnless } from '../harness/check.ts';
import { readFileSync } from 'node:fs';
import { section, type Requirement } from '../harness/requirement.ts';

/** config-linux.md, "Seccomp": filters seen by what mkdir(1) does, whose system call is mkdir or mkdirat. */

const { must } = section('config-linux.md', 'Seccomp');

const MKDIR = ['mkdir', 'mkdirat'];
const ENOSYS = 38;

async function observeMkdir(c: Case, seccomp: Partial<Seccomp>): Promise<string> {
  skipUnless(/^Seccomp:/m.test(readFileSync('/proc/self/status', 'utf8')), 'the kernel has no seccomp');
  return c.observe('mkdir /tmp/made 2>&1; echo "exit $?"', (config) => {
    config.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', ...seccomp };
  });
}

/** Rules on the mode of mkdir, 0777, which is its second argument, and the third of mkdirat. */
function modeRules(op: SeccompOperator, value: number, valueTwo?: number): SeccompSyscall[] {
  const second = valueTwo === undefined ? {} : { valueTwo };
  return MKDIR.map((name, index) => ({
    names: [name],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: ENOSYS,
    args: [{ index: index + 1, value, ...second, op }],
  }));
}

/** Operator -> values with which 0777 is refused, and values with which it is not. */
const OPERATORS: readonly (readonly [op: SeccompOperator, hit: readonly number[], miss: readonly number[]])[] = [
  ['SCMP_CMP_EQ', [0o777], [0o776]],
  ['SCMP_CMP_NE', [0o776], [0o777]],
  ['SCMP_CMP_LT', [0o1000], [0o777]],
  ['SCMP_CMP_LE', [0o777], [0o776]],
  ['SCMP_CMP_GE', [0o777], [0o1000]],
  ['SCMP_CMP_GT', [0o776], [0o777]],
  ['SCMP_CMP_MASKED_EQ', [0o070, 0o070], [0o070, 0o060]],
];

const actions: readonly Requirement[] = [
  must('seccomp.errno', 'SCMP_ACT_ERRNO makes the call fail with EPERM', async (c) => {
    const found = await observeMkdir(c, { syscalls: [{ names: MKDIR, action: 'SCMP_ACT_ERRNO' }] });
    match(found, /not permitted\nexit 1/, 'mkdir');
  }),
  must('seccomp.errno-ret', 'SCMP_ACT_ERRNO makes the call fail with errnoRet', async (c) => {
    const found = await observeMkdir(c, { syscalls: [{ names: MKDIR, action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS }] });
    match(found, /not implemented\nexit 1/, 'mkdir');
  }),
  must('seccomp.allow', 'other calls are allowed by the default action', async (c) => {
    const found = await observeMkdir(c, { syscalls: [{ names: ['kexec_load'], action: 'SCMP_ACT_ERRNO' }] });
    equal(found, 'exit 0', 'mkdir');
  }),
  must('seccomp.kill-process', 'SCMP_ACT_KILL_PROCESS ends the process', async (c) => {
    const found = await observeMkdir(c, { syscalls: [{ names: MKDIR, action: 'SCMP_ACT_KILL_PROCESS' }] });
    match(found, /exit 159$/, 'mkdir ends with SIGSYS');
  }),
  must('seccomp.log', 'SCMP_ACT_LOG lets the call pass', async (c) => {
    const found = await observeMkdir(c, { syscalls: [{ names: MKDIR, action: 'SCMP_ACT_LOG' }] });
    equal(found, 'exit 0', 'mkdir');
  }),
  must('seccomp.unknown-syscall', 'a rule for a system call that does not exist is no error', async (c) => {
    const found = await observeMkdir(c, { syscalls: [{ names: ['call_of_the_future'], action: 'SCMP_ACT_ERRNO' }] });
    equal(found, 'exit 0', 'mkdir');
  }),
  must('seccomp.filter', 'the program runs with a filter', async (c) => {
    const found = await c.observe('grep ^Seccomp: /proc/self/status', (config) => {
      config.linux.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: MKDIR, action: 'SCMP_ACT_ERRNO' }],
      };
    });
    match(found, /2$/, 'mode of seccomp');
  }),
];

const operators = OPERATORS.map(([op, hit, miss]) =>
  must(`seccomp.op.${op}`, `${op} compares an argument`, async (c) => {
    const [a = 0, b] = hit;
    match(await observeMkdir(c, { syscalls: modeRules(op, a, b) }), /not implemented/, `mkdir with ${hit.join()}`);
    const [x = 0, y] = miss;
    equal(await observeMkdir(c, { syscalls: modeRules(op, x, y) }), 'exit 0', `mkdir with ${miss.join()}`);
  }),
);

const refused: readonly (readonly [id: string, title: string, seccomp: object, says?: string])[] = [
  ['action', 'an unknown action', { syscalls: [{ names: MKDIR, action: 'SCMP_ACT_NONSENSE' }] }],
  ['default-action', 'an unknown default action', { defaultAction: 'SCMP_ACT_NONSENSE' }],
  [
    'operator',
    'an unknown operator',
    { syscalls: [{ names: MKDIR, action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 0, op: 'X' }] }] },
  ],
  ['architecture', 'an unknown architecture', { architectures: ['SCMP_ARCH_NONSENSE'] }],
  [
    'names',
    'a rule without names',
    { syscalls: [{ names: [], action: 'SCMP_ACT_ERRNO' }] },
    'A rule is to have one name at least.',
  ],
  [
    'errno',
    'errnoRet with an action that takes none',
    { syscalls: [{ names: MKDIR, action: 'SCMP_ACT_KILL', errnoRet: 1 }] },
    'With an action that knows no error number the runtime is to print an error and fail.',
  ],
  [
    'default-errno',
    'defaultErrnoRet with a default action that takes none',
    { defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 1 },
    'With an action that knows no error number the runtime is to print an error and fail.',
  ],
  [
    'metadata',
    'listenerMetadata without listenerPath',
    { listenerMetadata: 'x' },
    'Metadata is not to be set where there is no listener to send it to.',
  ],
];

const refusals = refused.map(([id, title, seccomp, says]) =>
  must(
    `seccomp.invalid.${id}`,
    `${title} is an error`,
    (c) =>
      c.refuses(
        title,
        (config) => {
          put(config.linux, { seccomp: { defaultAction: 'SCMP_ACT_ALLOW', ...seccomp } });
        },
        { at: 'create or start' },
      ),
    says === undefined ? {} : { says },
  ),
);

const listener = must('seccomp.listener.absent', 'a listenerPath where nobody listens is an error', async (c) => {
  const { result, container } = await c.tryCreate({
    change: (config) => {
      config.linux.seccomp = {
        defaultAction: 'SCMP_ACT_ALLOW',
        listenerPath: c.fresh('nobody'),
        syscalls: [{ names: MKDIR, action: 'SCMP_ACT_NOTIFY' }],
      };
    },
  });
  if (result.code !== 0) return;
  const { code } = await c.cli(['start', container.id]);
  ok(code !== 0, 'create or start is an error', code);
});

export const seccompRequirements: readonly Requirement[] = [...actions, ...operators, ...refusals, listener];
