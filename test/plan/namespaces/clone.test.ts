import t from 'tap';
import { planClone } from '../../../src/plan/namespaces/clone.ts';
import type { Namespace } from '../../../src/spec/generated/config.ts';
import type { Step } from '../../../src/program/step.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const v1 = [
  { kind: 'v1', hostPath: '/sys/fs/cgroup/pids/c1' },
  { kind: 'v1', hostPath: '/sys/fs/cgroup/cpu/c1' },
] as const;
const v2 = [{ kind: 'v2', hostPath: '/sys/fs/cgroup/c1' }] as const;
const apart = { joinsUnified: true } as const;
const together = { joinsUnified: false } as const;

/** struct clone_args as words. */
function cloneArguments(steps: readonly Step[]): bigint[] {
  const step = steps.find((step) => step.kind === 'call' && step.call === 'clone3');
  const operand = step?.kind === 'call' ? step.operands[0] : undefined;
  if (typeof operand !== 'object' || operand.kind !== 'block') throw new Error('no arguments');
  return [...new BigUint64Array(operand.bytes.slice().buffer)];
}

t.test('planClone() makes the new namespaces at once, as a child of tsrun', (t) => {
  const namespaces: Namespace[] = [
    { type: 'mount' },
    { type: 'pid' },
    { type: 'ipc', path: '/proc/7/ns/ipc' },
    { type: 'user' },
    { type: 'time' },
    { type: 'cgroup' },
  ];
  const { joinCgroups, clone } = planClone(makeContext({ config: { linux: { namespaces } } }), [], apart);
  t.same(joinCgroups, []);
  t.equal(
    printSteps(clone),
    `
   0  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # be opaque to other processes
   1  clone3({flags=CLONE_NEWNS|CLONE_NEWPID|CLONE_PARENT}, 88) = pid  # create the process in new pid, mount namespaces
   2  if this is the new process skip 2  # skip 2 when this is the new process
   3    writev(3, [tag 17, pid], 2)  # tell its pid
   4    exit_group(0)  # end the process that cloned it
`,
  );
  // CLONE_NEWPID, CLONE_NEWNS, CLONE_PARENT; the exit signal stays 0, as CLONE_PARENT demands.
  t.same(cloneArguments(clone), [0x2002_8000n, ...Array<bigint>(10).fill(0n)]);
  t.end();
});

t.test('planClone() makes the namespaces that it is told to instead', (t) => {
  const namespaces: Namespace[] = [{ type: 'mount' }];
  const { clone } = planClone(makeContext({ config: { linux: { namespaces } } }), [], { ...together, types: [] });
  t.equal(clone[1]?.label, 'create the process');
  t.equal(cloneArguments(clone)[0], 0x8000n);
  t.end();
});

t.test('planClone() has the process that clones join the v1 cgroups', (t) => {
  const { joinCgroups, clone } = planClone(makeContext(), v1, together);
  t.equal(
    printSteps(joinCgroups),
    `
   0  openat(AT_FDCWD, "/sys/fs/cgroup/pids/c1/tasks", O_CLOEXEC|O_NOFOLLOW|O_WRONLY, 0) = cgroup file  # join cgroup "/sys/fs/cgroup/pids/c1": open tasks
   1  write(cgroup file, "0", 1)  # join cgroup "/sys/fs/cgroup/pids/c1"
   2  close(cgroup file), accepts any errno  # close tasks
   3  openat(AT_FDCWD, "/sys/fs/cgroup/cpu/c1/tasks", O_CLOEXEC|O_NOFOLLOW|O_WRONLY, 0) = cgroup file  # join cgroup "/sys/fs/cgroup/cpu/c1": open tasks
   4  write(cgroup file, "0", 1)  # join cgroup "/sys/fs/cgroup/cpu/c1"
   5  close(cgroup file), accepts any errno  # close tasks
`,
  );
  t.equal(cloneArguments(clone)[0], 0x8000n);
  const other = planClone(makeContext(), v1, apart);
  t.equal(printSteps(other.joinCgroups), printSteps(joinCgroups), 'the same with a user namespace');
  t.end();
});

t.test('planClone() has the process born into its cgroup2 directory', (t) => {
  const { joinCgroups, clone } = planClone(makeContext(), v2, together);
  t.equal(
    printSteps([...joinCgroups, ...clone]),
    `
   0  openat(AT_FDCWD, "/sys/fs/cgroup/c1", O_CLOEXEC|O_DIRECTORY|O_NOFOLLOW|O_PATH, 0) = {flags=CLONE_INTO_CGROUP|CLONE_PARENT}+80  # open cgroup "/sys/fs/cgroup/c1"
   1  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # be opaque to other processes
   2  clone3({flags=CLONE_INTO_CGROUP|CLONE_PARENT}, 88) = pid  # create the process
   3  if this is the new process skip 2  # skip 2 when this is the new process
   4    writev(3, [tag 17, pid], 2)  # tell its pid
   5    exit_group(0)  # end the process that cloned it
`,
  );
  t.equal(cloneArguments(clone)[0], 0x2_0000_8000n);
  t.match(joinCgroups[0], { result: { offset: 80 } }, 'the descriptor goes into the arguments');
  t.end();
});

t.test('planClone() joins the cgroup2 directory before a user namespace takes the right away', (t) => {
  const { joinCgroups, clone } = planClone(makeContext(), v2, apart);
  t.equal(
    printSteps(joinCgroups),
    `
   0  openat(AT_FDCWD, "/sys/fs/cgroup/c1/cgroup.procs", O_CLOEXEC|O_NOFOLLOW|O_WRONLY, 0) = cgroup file  # join cgroup "/sys/fs/cgroup/c1": open cgroup.procs
   1  write(cgroup file, "0", 1)  # join cgroup "/sys/fs/cgroup/c1"
   2  close(cgroup file), accepts any errno  # close cgroup.procs
`,
  );
  t.equal(cloneArguments(clone)[0], 0x8000n);
  t.end();
});

t.test('planClone() is born into the cgroup of init when that of the container takes no processes', (t) => {
  const places = [{ kind: 'v2', hostPath: '/cg/c1', fallback: '/cg/c1/init' }] as const;
  const { joinCgroups, clone } = planClone(makeContext(), places, together);
  t.match(joinCgroups, [{ label: 'open cgroup "/cg/c1"' }, { label: 'open cgroup "/cg/c1/init"', accept: ['ENOENT'] }]);
  t.equal(
    printSteps(clone.slice(0, 4)),
    `
   0  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # be opaque to other processes
   1  clone3({flags=CLONE_INTO_CGROUP|CLONE_PARENT}, 88) = pid, accepts EBUSY  # create the process
   2  if not (pid == -EBUSY) skip 1  # use the cgroup of init when that of the container is busy
   3    clone3({flags=CLONE_INTO_CGROUP|CLONE_PARENT}, 88) = pid  # create the process in the cgroup of init
`,
  );
  t.end();
});
