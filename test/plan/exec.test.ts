import t from 'tap';
import { execDescriptors, planExec, type ExecInput } from '../../src/plan/exec.ts';
import { planFilterRules } from '../../src/plan/seccomp/filter.ts';
import type { CompiledSeccomp } from '../../src/plan/seccomp/load.ts';
import { stepFailure } from '../../src/process/failure.ts';
import { encode } from '../../src/program/encode.ts';
import { verify } from '../../src/program/model/verify.ts';
import type { Process } from '../../src/spec/generated/config.ts';
import { minimalConfig } from './bundles.ts';
import { errnoText } from '../../src/util/errno.ts';
import { makeHost, makeProcess, printSteps } from './fixtures.ts';
import { executedCalls, Rehearsal } from './rehearse.ts';

const simple = makeProcess({ args: ['/bin/true'], env: ['HOME=/root'] });

function inputOf(process: Process, changes: Partial<ExecInput> = {}): ExecInput {
  return {
    id: 'c1',
    config: { ...minimalConfig, process },
    host: makeHost(),
    bundle: {
      bundle: '/bundle',
      rootfs: '/bundle/rootfs',
      rootfsMountPoint: '/',
      sources: {},
      danglingLinks: {},
      namespaces: {},
    },
    options: { noPivot: false, noNewKeyring: false, preserveFds: 0 },
    process,
    differing: ['pid', 'mount'],
    cgroup: [],
    attachesToUnit: false,
    changeRoot: false,
    ...changes,
  };
}

const filter: CompiledSeccomp = {
  ...{ rules: planFilterRules({ defaultAction: 'SCMP_ACT_ALLOW' }, 'x86-64'), flags: 0, position: 'late' },
  ...{ defaultAction: 'SCMP_ACT_ALLOW', program: new Uint8Array(8) },
};

const phasesOf = (process: Process, changes: Partial<ExecInput> = {}) => planExec(inputOf(process, changes)).phases;
const labelsOf = (process: Process, changes: Partial<ExecInput> = {}) =>
  phasesOf(process, changes).flatMap(({ program }) => program.steps.map(({ label }) => label));

t.test('execDescriptors() are behind those of the program', (t) => {
  t.same(execDescriptors(0), { sync: 3, listener: -1, pidfd: 4, root: 5, scratch: [6, 7], idmaps: 8 });
  t.equal(execDescriptors(2).sync, 5);
  t.end();
});

t.test('planExec() does in the first process what takes rights, and is born with those of the program', (t) => {
  const [join, become] = phasesOf(simple, { host: makeHost({ kernel: { lastCapability: 1 } }) });
  const steps = join?.program.steps ?? [];
  const stdio = steps.findIndex(({ label }) => label === 'look at stdin');
  const cwd = steps.findIndex(({ label }) => label.startsWith('exec: enter working directory'));
  t.equal(
    printSteps(steps.slice(0, stdio)),
    `
   0  close_range(8, ~0U, 0)  # close inherited descriptors
   1  fcntl(3, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 3 on exec
   2  fcntl(4, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 4 on exec
   3  fcntl(5, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 5 on exec
   4  fcntl(6, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 6 on exec
   5  fcntl(7, F_SETFD, FD_CLOEXEC), accepts EBADF  # close descriptor 7 on exec
   6  dup3(3, 6, O_CLOEXEC)  # keep number 6
   7  dup3(3, 7, O_CLOEXEC)  # keep number 7
   8  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # be opaque to other processes
   9  prctl(PR_SET_NAME, "tsrun:init", 0, 0, 0)  # be called "tsrun:init"
  10  setns(4, CLONE_NEWNS|CLONE_NEWPID)  # join the pid, mount namespaces of the container
  11  keyctl(KEYCTL_JOIN_SESSION_KEYRING, "_ses.c1", 0, 0, 0) = answer, accepts ENOSYS EDQUOT  # join session keyring "_ses.c1"
  12  if answer == -EDQUOT fail EDQUOT  # join session keyring "_ses.c1"
  13  openat(AT_FDCWD, "/", O_CLOEXEC|O_DIRECTORY|O_PATH, 0) = root  # open the root of the container
  14  umask(022)  # set umask to 0022  (/process/user/umask)
`,
  );
  t.equal(
    printSteps(steps.slice(cwd + 4)),
    `
   0  setgroups(0, NULL)  # clear the supplementary groups  (/process/user)
   1  prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0)  # drop CAP_CHOWN from the bounding set  (/process/capabilities/bounding)
   2  prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)  # drop CAP_DAC_OVERRIDE from the bounding set  (/process/capabilities/bounding)
   3  capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=0, permitted=0, inheritable=0})  # keep the capabilities of the program  (/process/capabilities)
   4  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # be opaque to other processes
   5  clone3({flags=CLONE_PARENT}, 88) = pid  # create the process
   6  if this is the new process skip 2  # skip 2 when this is the new process
   7    writev(3, [tag 17, pid], 2)  # tell its pid
   8    exit_group(0)  # end the process that cloned it
`,
  );
  const born = become?.program.steps ?? [];
  t.equal(
    printSteps(born.slice(0, 3)),
    `
   0  setsid()  # start a session
   1  sched_setaffinity(0, 1024, all CPUs), accepts any errno  # allow all CPUs
   2  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)  # keep capabilities across the change of uid
`,
  );
  t.end();
});

t.test('planExec() is born with what is still needed, and no more', (t) => {
  const kept = (process: Process, changes: Partial<ExecInput> = {}): string | undefined =>
    labelsOf(process, changes).find((label) => label.startsWith('keep the capabilities'));
  const seccomp = { ...filter, position: 'early' } as const;
  const rows: readonly (readonly [Process, Partial<ExecInput>, string])[] = [
    [simple, {}, ''],
    [{ ...simple, user: { uid: 1 } }, {}, ' and CAP_SETUID'],
    [{ ...simple, user: { gid: 1 } }, {}, ' and CAP_SETGID'],
    [{ ...simple, scheduler: { policy: 'SCHED_BATCH' } }, {}, ' and CAP_SYS_NICE'],
    [simple, { seccomp }, ' and CAP_SYS_ADMIN'],
    [simple, { seccomp: filter }, ''],
  ];
  for (const [process, changes, more] of rows) {
    t.equal(kept(process, changes), `keep the capabilities of the program${more}`);
  }
  t.end();
});

t.test('planExec() joins nothing when it is in the same namespaces, and the root where that differs', (t) => {
  t.notOk(labelsOf(simple, { differing: [] }).some((label) => label.startsWith('join the')));
  const labels = labelsOf(simple, { changeRoot: true });
  t.ok(labels.indexOf('make it the root') > labels.indexOf('join the pid, mount namespaces of the container'));
  t.ok(labels.indexOf('make it the root') < labels.indexOf('create the process'));
  t.end();
});

t.test('planExec() becomes the root of a user namespace that it joins', (t) => {
  const labels = labelsOf(simple, { differing: ['user', 'mount'] });
  const root = labels.indexOf('become user 0 of the user namespace');
  t.ok(root > labels.indexOf('join the user, mount namespaces of the container'));
  t.notOk(labelsOf(simple).includes('become user 0 of the user namespace'));
  t.end();
});

t.test('planExec() joins the cgroups before it leaves the mounts of the host', (t) => {
  const labels = labelsOf(simple, { cgroup: [{ kind: 'v1', hostPath: '/sys/fs/cgroup/pids/c1' }] });
  const joined = labels.indexOf('join cgroup "/sys/fs/cgroup/pids/c1"');
  t.ok(joined > 0 && joined < labels.indexOf('join the pid, mount namespaces of the container'));
  t.end();
});

t.test('planExec() asks only for what it needs to know', (t) => {
  const exchanges = (process: Process) => phasesOf(process).map(({ exchange }) => exchange);
  t.same(exchanges(simple), ['pid', 'ready']);
  t.same(exchanges(makeProcess({ terminal: true, env: ['HOME=/'] })), ['console', 'pid', 'ready']);
  t.same(exchanges(makeProcess({ terminal: true })), ['console', 'passwd', 'pid', 'ready']);
  t.end();
});

t.test('planExec() refuses a label of a security module that the host does not run', (t) => {
  t.throws(() => phasesOf(makeProcess({ apparmorProfile: 'p' })), { code: 'unsupported' });
  t.throws(() => phasesOf(makeProcess({ selinuxLabel: 'u:r:t:s0' })), { code: 'unsupported' });
  const host = makeHost({ lsm: { apparmor: true } });
  const labels = labelsOf(makeProcess({ apparmorProfile: 'p' }), { host });
  t.ok(labels.indexOf('apply AppArmor profile "p"') > labels.indexOf('open a private proc file system'));
  t.end();
});

t.test('planExec() passes the limits and the places of the program on', (t) => {
  const process = makeProcess({
    args: ['sh'],
    env: ['PATH=/a:/b'],
    rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
  });
  const { candidates, rlimits } = planExec(inputOf(process));
  t.same(candidates, ['/a/sh', '/b/sh']);
  t.match(rlimits, [{ pointer: '/process/rlimits/0' }]);
  t.end();
});

const full = makeProcess({
  terminal: true,
  consoleSize: { height: 24, width: 80 },
  args: ['sh'],
  env: ['PATH=/usr/bin:/bin'],
  user: { uid: 1, gid: 2, additionalGids: [3] },
  capabilities: { bounding: ['CAP_KILL'], effective: ['CAP_KILL'], permitted: ['CAP_KILL'] },
  noNewPrivileges: true,
  oomScoreAdj: 5,
  execCPUAffinity: { initial: '0', final: '0-1' },
  scheduler: { policy: 'SCHED_BATCH' },
  ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 4 },
});

function rehearse(): Rehearsal {
  const input = inputOf(full, {
    cgroup: [{ kind: 'v2', hostPath: '/sys/fs/cgroup/c1' }],
    differing: ['user', 'mount'],
  });
  // The model's container is a host whose /dev/pts is a devpts already; a terminal is planned in create.test.ts.
  const { terminal: _terminal, ...rest } = full;
  const { phases, descriptors } = planExec({ ...input, process: rest });
  const openFds = [0, 1, 2, descriptors.sync, descriptors.pidfd, descriptors.root];
  const programs = phases.map(({ program }) => program);
  for (const program of programs) {
    t.same(verify(program), []);
    for (const arch of ['x86-64', 'arm64'] as const)
      t.ok(encode(program, { arch, syncFd: descriptors.sync }).length > 0);
  }
  return new Rehearsal(programs, { arch: 'x86-64', syncFd: descriptors.sync, openFds, rootfs: 'bare' });
}

t.test('planExec() makes programs that work', (t) => {
  const rehearsal = rehearse();
  const failed = rehearsal
    .run()
    .flatMap(({ failure }, index) =>
      failure === undefined ? [] : [rehearsal.programs[index]?.steps[failure.step]?.failure],
    );
  // The model's host has no programs: the one that is looked for is not found, and nothing else is wrong.
  t.same(failed, ['exec: "sh": executable file not found in $PATH']);
  t.end();
});

t.test('planExec() makes programs whose every step is named when it fails', (t) => {
  const rehearsal = rehearse();
  const flaws: string[] = [];
  for (const [index, simulation] of rehearsal.run().entries()) {
    const program = rehearsal.programs[index];
    if (program === undefined) throw new Error('no such program');
    for (const number of executedCalls(simulation)) {
      const step = program.steps[number];
      if (step?.kind !== 'call' || step.accept === 'any') continue;
      const { failure } = rehearsal.run({ program: index, step: number, errno: 'EIO' }).at(-1) ?? {};
      if (failure?.step !== number) flaws.push(`${step.label}: reported ${JSON.stringify(failure)}`);
      else {
        const { message } = stepFailure(program, number, -failure.errno);
        const text = errnoText('EIO');
        const wanted = step.failure?.replaceAll('{errno}', text) ?? `${step.label}: ${text}`;
        if (!message.startsWith(wanted)) flaws.push(`${step.label}: the message is ${message}`);
      }
    }
  }
  t.same(flaws, []);
  t.end();
});

t.test('planExec() joins the cgroup2 directory before a namespace that would take the right away', (t) => {
  const cgroup = [{ kind: 'v2' as const, hostPath: '/sys/fs/cgroup/c1' }];
  const rows = [
    { differing: ['pid', 'mount'], bornInto: true },
    // With nsdelegate clone3 answers ENOENT when the process comes from outside of the cgroup namespace.
    { differing: ['pid', 'cgroup'], bornInto: false },
    { differing: ['user', 'pid'], bornInto: false },
  ] as const;
  for (const { differing, bornInto } of rows) {
    const labels = labelsOf(simple, { cgroup, differing });
    t.equal(labels.includes('open cgroup "/sys/fs/cgroup/c1"'), bornInto, differing.join());
    const joined = labels.indexOf('join cgroup "/sys/fs/cgroup/c1"');
    t.equal(joined >= 0, !bornInto, differing.join());
    if (joined >= 0) t.ok(joined < labels.findIndex((label) => label.startsWith('join the ')), 'joined first');
  }
  t.end();
});

t.test('planExec() has systemd move it before anything else, where tsrun may not', (t) => {
  const { name, exchange } = { name: 'start init', exchange: 'cgroup' };
  const [first, second] = phasesOf({ cwd: '/', args: ['/x'] }, { attachesToUnit: true });
  t.match(first, { program: { name }, exchange });
  t.equal(second?.exchange, 'passwd', 'the set-up goes on in it');
  t.not(phasesOf({ cwd: '/', args: ['/x'] })[0]?.exchange, 'cgroup');
  t.end();
});
