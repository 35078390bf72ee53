import t from 'tap';
import { descriptorNumbers } from '../../../src/plan/base/context.ts';
import { planExec } from '../../../src/plan/exec.ts';
import { planPark, planRunListened, planRunProgram } from '../../../src/plan/run-program.ts';
import { planSeccomp, type CompiledSeccomp } from '../../../src/plan/seccomp/load.ts';
import { encode } from '../../../src/program/encode.ts';
import { Memory, type Program } from '../../../src/program/step.ts';
import { printProgram } from '../../../src/program/print.ts';
import { verify } from '../../../src/program/model/verify.ts';
import type { Process, Seccomp } from '../../../src/spec/generated/config.ts';
import { minimalConfig, readHost } from '../bundles.ts';
import { makeHost, makeProcess } from '../fixtures.ts';

const host = makeHost();
const notify = { names: ['mount'], action: 'SCMP_ACT_NOTIFY' as const };
const admin = ['CAP_SYS_ADMIN'];

const configOf = (seccomp: Partial<Seccomp>) => ({
  ...minimalConfig,
  linux: { seccomp: { defaultAction: 'SCMP_ACT_ALLOW' as const, ...seccomp } },
});
const planOf = (seccomp: Partial<Seccomp>, process: Process = makeProcess(), on = host) =>
  planSeccomp(configOf(seccomp), process, on);

function compiled(process: Partial<Process>, seccomp: Partial<Seccomp> = {}): CompiledSeccomp {
  const plan = planOf(seccomp, makeProcess(process));
  if (plan === undefined) throw new Error('no plan');
  return { ...plan, program: new Uint8Array(16) };
}

t.test('planSeccomp() plans nothing without a filter or without a process', (t) => {
  t.equal(planSeccomp(minimalConfig, makeProcess(), host), undefined);
  t.equal(planSeccomp(configOf({}), undefined, host), undefined);
  t.end();
});

t.test('planSeccomp() loads the filter late where the process may', (t) => {
  const position = (process: Partial<Process>) => planOf({}, makeProcess(process))?.position;
  t.equal(position({}), 'early');
  t.equal(position({ noNewPrivileges: true }), 'late');
  t.equal(position({ capabilities: { effective: admin, permitted: admin } }), 'late');
  t.equal(position({ capabilities: { effective: admin } }), 'early');
  t.equal(position({ capabilities: { bounding: admin } }), 'early');
  t.end();
});

t.test('planSeccomp() translates the flags', (t) => {
  const flags = (seccomp: Partial<Seccomp>) => planOf(seccomp)?.flags;
  t.equal(flags({}), 4, 'SPEC_ALLOW unless the config says something');
  t.equal(flags({ flags: [] }), 0);
  t.equal(flags({ flags: ['SECCOMP_FILTER_FLAG_LOG'] }), 2);
  t.equal(flags({ flags: ['SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'] }), 4);
  const killable: Seccomp['flags'] = ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'];
  t.equal(flags({ flags: killable }), 0, 'nothing waits without a listener');
  t.equal(flags({ flags: [], syscalls: [notify], listenerPath: '/s' }), 8);
  t.equal(flags({ flags: killable, syscalls: [notify], listenerPath: '/s' }), 8 + 32);
  const old = readHost('old-5.10');
  t.throws(() => planOf({ flags: killable, syscalls: [notify], listenerPath: '/s' }, makeProcess(), old), {
    code: 'unsupported',
    message: /this is Linux 5\.10, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs 5\.19 .*\/linux\/seccomp\/flags/,
  });
  const withKernel = (...version: [number, number]) => ({ ...old, kernel: { ...old.kernel, version } });
  const planWith = (...version: [number, number]) =>
    planOf({ flags: killable, syscalls: [notify], listenerPath: '/s' }, makeProcess(), withKernel(...version));
  t.throws(() => planWith(5, 18), { code: 'unsupported', message: /this is Linux 5\.18, / });
  for (const [major, minor] of [
    [5, 19],
    [6, 0],
  ] as const)
    t.equal(planWith(major, minor)?.flags, 8 + 32, `${major}.${minor}`);
  t.end();
});

t.test('planSeccomp() knows a listener only when a rule asks for it', (t) => {
  t.equal(planOf({ listenerPath: '/s' })?.listener, undefined);
  t.same(planOf({ listenerPath: '/s', listenerMetadata: 'm', syscalls: [notify] })?.listener, {
    path: '/s',
    metadata: 'm',
    way: 'taken',
  });
  t.end();
});

t.test('planSeccomp() has init send the listener to who may not look into it', (t) => {
  const user = makeHost({ identity: { ...host.identity, euid: 1000, effectiveCapabilities: '0' } });
  t.equal(planOf({ listenerPath: '/s', syscalls: [notify] }, makeProcess(), user)?.listener?.way, 'sent');
  const send = { names: ['mount', 'sendmsg'], action: 'SCMP_ACT_NOTIFY' as const };
  const refused = { listenerPath: '/s', syscalls: [{ ...send, action: 'SCMP_ACT_LOG' as const }, send] };
  t.throws(() => planOf(refused, makeProcess(), user), {
    code: 'unsupported',
    message:
      /SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall without CAP_SYS_PTRACE \(\/linux\/seccomp\/syscalls\/1 /,
  });
  t.equal(planOf(refused)?.listener?.way, 'taken', 'root takes it');
  t.end();
});

const text = (program: Program): string => {
  t.same(verify(program), []);
  return printProgram(program);
};
const toRun = (seccomp: CompiledSeccomp) => ({
  process: makeProcess({ args: ['sh'], env: ['HOME=/'] }),
  executable: '/bin/sh',
  home: '/',
  seccomp,
});

t.test('planRunProgram() loads a late filter in front of execve(2)', (t) => {
  t.equal(
    text(planRunProgram(descriptorNumbers(0), toRun(compiled({ noNewPrivileges: true })))),
    `run "sh" (no reply)
   0  close_range(4, ~0U, 0)  # close every other descriptor
   1  seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, {2 instructions, default SCMP_ACT_ALLOW})  # load the seccomp filter (2 instructions, default SCMP_ACT_ALLOW)  (/linux/seccomp)
   2  execve("/bin/sh", ["sh"], ["HOME=/"]) = executed, accepts ENOENT ENOTDIR ENOEXEC  # exec: "sh"
   3  if executed < 0 skip 1  # skip 1 when executed < 0
   4    exit_group(1)  # end as one that cannot be run
   5  writev(3, [tag 30, executed], 2)  # exec: "sh": tell why it cannot be executed
`,
  );
  t.end();
});

t.test('planRunProgram() and planPark() put up with an early filter that knows no close_range', (t) => {
  const early = compiled({});
  const run = text(planRunProgram(descriptorNumbers(0), toRun(early)));
  t.notMatch(run, 'seccomp(');
  t.match(run, /close_range\(4, ~0U, 0\), accepts any errno/);
  const waiting = { connection: new Memory().word('connection'), proof: { kind: 'uid', uid: 0 } } as const;
  const park = text(planPark(descriptorNumbers(0), { ...waiting, seccomp: early }));
  t.match(park, /close_range\(5, ~0U, 0\), accepts any errno/);
  const late = compiled({ noNewPrivileges: true });
  t.notMatch(text(planPark(descriptorNumbers(0), { ...waiting, seccomp: late })), 'accepts');
  t.end();
});

t.test('planRunListened() tells the number of the listener by write(2) and lets go of it', (t) => {
  const late = compiled({ noNewPrivileges: true }, { listenerPath: '/s', syscalls: [notify] });
  const { load, run } = planRunListened(descriptorNumbers(0), toRun(late), late);
  const shown = '{2 instructions, default SCMP_ACT_ALLOW}';
  t.match(
    text(load),
    `   1  seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER|SECCOMP_FILTER_FLAG_SPEC_ALLOW, ${shown}) = tag 27 and the listener+8`,
  );
  t.match(text(load), /2 {2}write\(3, tag 27 and the listener, 16\)/);
  t.match(text(run(7)), /0 {2}close\(7\), accepts any errno.*\n +1 {2}execve/);
  t.end();
});

t.test('planRunListened() sends the listener where it is not taken', (t) => {
  const late = compiled({ noNewPrivileges: true }, { listenerPath: '/s', syscalls: [notify] });
  const sent = { ...late, listener: { path: '/s', metadata: undefined, way: 'sent' as const } };
  const { load, run } = planRunListened(descriptorNumbers(0), toRun(sent), sent);
  t.match(
    text(load),
    / {3}1 {2}seccomp\(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER\|SECCOMP_FILTER_FLAG_SPEC_ALLOW, .*\) = \{SCM_RIGHTS, \[the listener\]\}\+16/,
  );
  t.match(
    text(load),
    /2 {2}sendmsg\(3, \{tag 27, \{SCM_RIGHTS, \[the listener\]\}\}, 0\) {2}# send the seccomp listener/,
  );
  t.match(text(run(7)), /0 {2}close\(7\)/);
  t.end();
});

t.test('the largest filter fits into a packet beside an ordinary program', (t) => {
  const large = { ...compiled({ noNewPrivileges: true }), program: new Uint8Array(4096 * 8) };
  const packets = encode(planRunProgram(descriptorNumbers(0), toRun(large)), { arch: 'x86-64', syncFd: 3 });
  t.equal(packets.length, 1);
  t.end();
});

t.test('planExec() loads an early filter as the user who has looked everything up, and a late one not at all', (t) => {
  const phasesOf = (seccomp: CompiledSeccomp) =>
    planExec({
      id: 'c1',
      config: minimalConfig,
      host,
      bundle: { bundle: '/b', rootfs: '/b/r', rootfsMountPoint: '/', sources: {}, danglingLinks: {}, namespaces: {} },
      options: { noPivot: false, noNewKeyring: false, preserveFds: 0 },
      process: makeProcess({ args: ['/bin/true'], env: ['HOME=/'] }),
      differing: ['mount'],
      cgroup: [],
      changeRoot: false,
      attachesToUnit: false,
      seccomp,
    }).phases;
  const labels = (seccomp: CompiledSeccomp) =>
    phasesOf(seccomp).flatMap(({ program }) => program.steps.map(({ label }) => label));
  const early = labels(compiled({}));
  const at = early.findIndex((label) => label.startsWith('load the seccomp filter'));
  t.ok(at > early.findLastIndex((label) => label.startsWith('exec: ')), 'behind the lookups');
  t.same(early.slice(at - 1), [
    'raise CAP_SYS_ADMIN for the seccomp filter',
    early[at],
    'set effective, permitted and inheritable capabilities',
    'tell that it is ready',
  ]);
  t.notOk(labels(compiled({ noNewPrivileges: true })).some((label) => label.startsWith('load the')));
  const listened = compiled({}, { listenerPath: '/s', syscalls: [notify] });
  t.same(
    phasesOf(listened).map(({ exchange }) => exchange),
    ['pid', 'seccomp', 'ready'],
  );
  t.end();
});
