import t from 'tap';
import { explainFailure, type FailedContainer } from '../../../src/container/failures/explain-failure.ts';
import { TsrunError, type FailedStep, type StepPurpose } from '../../../src/errors.ts';
import { planClone } from '../../../src/plan/namespaces/clone.ts';
import {
  planCgroupNamespace,
  planNewUserNamespace,
  planTimeNamespace,
} from '../../../src/plan/namespaces/namespaces.ts';
import { planSysctl } from '../../../src/plan/namespaces/sysctl.ts';
import { allocateFound, planFindExecutable } from '../../../src/plan/process/executable.ts';
import { stepFailure } from '../../../src/process/failure.ts';
import type { Step } from '../../../src/program/step.ts';
import type { Config } from '../../../src/spec/generated/config.ts';
import { ERRNO, type Errno } from '../../../src/util/errno.ts';
import { makeContext } from '../../plan/fixtures.ts';

const process = { cwd: '/', args: ['sh'], env: ['PATH=/only/here'] };
const config: Partial<Config> = {
  process,
  linux: {
    namespaces: [{ type: 'pid' }, { type: 'time' }, { type: 'cgroup' }],
    sysctl: { 'net.ipv4.ip_forward': '7', 'net/ipv4/ip_nonlocal_bind': '8' },
  },
};

function container(): FailedContainer {
  const { host } = makeContext();
  return {
    config: { ociVersion: '1.2.0', ...config },
    host: { ...host, identity: { ...host.identity, euid: 1000, egid: 1000 } },
    rootfs: '/rootfs',
    bundle: '/bundle',
  };
}

function explained(step: FailedStep, pointer?: string): string {
  const failure = new TsrunError('step', `do it: ${step.errno}`, { step, pointer });
  return (explainFailure(failure, container()) as Error).message;
}

t.test('explainFailure() goes by what a step is for, whatever its label says', (t) => {
  const rows: [purpose: StepPurpose, errno: string, wanted: RegExp, pointer?: string][] = [
    ['create user namespace', 'ENOSPC', /user\.max_user_namespaces/],
    ['create user namespace', 'EPERM', /tsrun runs as user 1000/],
    ['create namespaces', 'ENOSPC', /user\.max_\*_namespaces/],
    ['create namespaces', 'EPERM', /tsrun spec --rootless/],
    ['map ids of a mount', 'EINVAL', /cannot map ids/],
    ['set sysctl', 'EINVAL', /the value is "7"/, '/linux/sysctl/net.ipv4.ip_forward'],
    ['set sysctl', 'EINVAL', /the value is "8"/, '/linux/sysctl/net~1ipv4~1ip_nonlocal_bind'],
  ];
  for (const [purpose, errno, wanted, pointer] of rows) {
    const step = { index: 0, label: 'another text', call: 'x', errno };
    t.match(explained({ ...step, purpose }, pointer), wanted, purpose);
    t.notMatch(explained(step, pointer), wanted, `${purpose}: not without it`);
  }
  for (const label of ['create user namespace', 'create time namespace', 'bind: map ids', 'set sysctl "x"'])
    for (const errno of ['ENOSPC', 'EPERM', 'EINVAL'])
      t.equal(explained({ index: 0, label, call: 'x', errno }), `do it: ${errno}`, label);
  t.end();
});

t.test('explainFailure() knows the steps of plans', (t) => {
  const context = makeContext({ config });
  const failureOf = (steps: readonly Step[], errno: Errno, isIt: (step: Step) => boolean): string => {
    const index = steps.findIndex(isIt);
    t.not(index, -1, 'the step is there');
    const error = stepFailure({ name: 'x', replies: true, steps }, index, -ERRNO[errno]);
    return (explainFailure(error, container()) as Error).message;
  };
  const isCall =
    (call: string) =>
    (step: Step): boolean =>
      step.kind === 'call' && step.call === call;
  t.match(failureOf(planNewUserNamespace(context), 'ENOSPC', isCall('unshare')), /max_user_namespaces/);
  t.match(failureOf(planTimeNamespace(context), 'ENOSPC', isCall('unshare')), /user\.max_\*/);
  t.match(failureOf(planCgroupNamespace(context), 'ENOSPC', isCall('unshare')), /user\.max_\*/);
  const { clone } = planClone(context, [], { joinsUnified: false });
  t.match(failureOf(clone, 'ENOSPC', isCall('clone3')), /user\.max_\*/);
  t.match(failureOf(planSysctl(context), 'EINVAL', isCall('write')), /the value is "7"/);
  const find = planFindExecutable(context, process, allocateFound(context.memory, process));
  t.match(
    failureOf(find, 'ENOENT', (step) => step.kind === 'check' && 'fail' in step.then),
    /looked for in the PATH of process.env, "\/only\/here"/,
  );
  t.end();
});
