import t from 'tap';
import {
  createContainerSetting,
  HOOK_PIPES,
  planHook,
  startContainerSetting,
  type HookSetting,
} from '../../src/plan/container-hook.ts';
import { descriptorNumbers } from '../../src/plan/base/context.ts';
import { EXCHANGES } from '../../src/plan/base/exchanges.ts';
import { planFilterRules } from '../../src/plan/seccomp/filter.ts';
import type { CompiledSeccomp } from '../../src/plan/seccomp/load.ts';
import { encode } from '../../src/program/encode.ts';
import { ModelKernel } from '../../src/program/model/kernel.ts';
import { printStep } from '../../src/program/print-step.ts';
import { ModelInit, type Simulation } from '../../src/program/model/simulate.ts';
import { Memory, type Program } from '../../src/program/step.ts';
import { knownBehind, verify } from '../../src/program/model/verify.ts';
import type { Hook } from '../../src/spec/generated/config.ts';

const hook: Hook = { path: '/bin/hook' };

function createSetting(preserveFds = 0): HookSetting {
  const memory = new Memory();
  return createContainerSetting({ memory, descriptors: descriptorNumbers(preserveFds) }, memory.word('root'));
}

function startSetting(env: string[] = [], preserveFds = 0): HookSetting {
  const process = { cwd: '/', env };
  return startContainerSetting(descriptorNumbers(preserveFds), { process, home: '/home' });
}

function lines({ steps }: Program): string[] {
  return steps.map(printStep);
}

function kernel(clones: number[], preserveFds = 0): ModelKernel {
  const { sync } = descriptorNumbers(preserveFds);
  const openFds = Array.from({ length: sync }, (_, number) => number);
  return new ModelKernel({ syncFd: sync, openFds, tree: { bin: { hook: '' } }, clones, pid: 7 });
}

function simulate(setting: HookSetting, model: ModelKernel, wanted: Hook = hook): Simulation {
  const { sync } = setting.descriptors;
  const program = planHook(setting, wanted, 'startContainer hook #0').start;
  return new ModelInit(model, { arch: 'x86-64', syncFd: sync }).run(encode(program, { arch: 'x86-64', syncFd: sync }));
}

t.test('planHook() makes programs that may be sent, on both architectures', (t) => {
  for (const setting of [createSetting(), createSetting(3), startSetting(), startSetting(['A=b'], 2)]) {
    const { start, reap } = planHook(setting, hook, 'x hook #0');
    const known = new Map(setting.directory ? [[setting.directory, 'open'] as const] : []);
    t.same(verify(start, { known }), []);
    t.same(verify(reap, { known: knownBehind(start, known) }), []);
    for (const arch of ['x86-64', 'arm64'] as const)
      t.equal(encode(start, { arch, syncFd: setting.descriptors.sync }).length, 1);
  }
  t.end();
});

t.test('planHook() has init tell its pid, and keep no end of a pipe', (t) => {
  const model = kernel([42]);
  const { end, failure, replies } = simulate(startSetting(), model);
  t.same({ end, failure }, { end: { state: 'waiting' }, failure: undefined });
  t.equal(replies.length, 1);
  const view = new DataView((replies[0] ?? new Uint8Array()).buffer);
  t.equal(view.getBigUint64(0, true), EXCHANGES['hook-started'].tag);
  t.equal(view.getBigUint64(8, true), 7n);
  // The model's clone makes no pidfd: the word is 0, and what is closed for it are number 0 and its duplicate.
  t.same([...model.descriptors.keys()].sort(), [1, 2, 3]);
  t.end();
});

t.test('planHook() leaves a hook its standard streams and the report', (t) => {
  for (const preserveFds of [0, 3]) {
    const model = kernel([0], preserveFds);
    const { end } = simulate(startSetting([], preserveFds), model);
    t.same(end, { state: 'executed', path: '/bin/hook' });
    const { sync } = descriptorNumbers(preserveFds);
    t.same([...model.descriptors.keys()].sort(), [0, 1, 2, sync]);
    t.equal(model.descriptors.get(sync)?.kind, 'other', 'the sync pipe is init alone');
    t.equal(model.attributes.get('setsid')?.length, 6);
  }
  t.end();
});

t.test('planHook() has a hook that cannot be executed report by its own pipe, and end', (t) => {
  const model = kernel([0]);
  const { failure, replies } = simulate(startSetting(), model, { path: '/nowhere' });
  const { steps } = planHook(startSetting(), hook, 'x').start;
  t.equal(steps[failure?.step ?? -1]?.label, 'execute it');
  t.equal(failure?.errno, 2);
  t.same(replies, [], 'nothing reaches the sync pipe');
  t.end();
});

t.test('planHook() starts createContainer hooks in the rootfs, startContainer hooks where init is', (t) => {
  const create = lines(planHook(createSetting(), hook, 'x').start);
  t.ok(create.includes('fchdir(root)'));
  t.ok(create.includes('umask(022)'));
  const start = lines(planHook(startSetting(), hook, 'x').start);
  t.notMatch(start.join('\n'), /fchdir|umask/);
  t.end();
});

t.test('startContainerSetting() gives a hook the late filter of the program, unless it has a listener', (t) => {
  const filter: CompiledSeccomp = {
    ...{ rules: planFilterRules({ defaultAction: 'SCMP_ACT_ALLOW' }, 'x86-64'), flags: 0, position: 'late' },
    ...{ defaultAction: 'SCMP_ACT_ALLOW', program: new Uint8Array(8) },
  };
  const settingOf = (seccomp: CompiledSeccomp): HookSetting =>
    startContainerSetting(descriptorNumbers(0), { process: { cwd: '/' }, home: '/', seccomp });
  const listener = { path: '/agent', metadata: undefined, way: 'taken' } as const;
  t.equal(settingOf(filter).filter, filter);
  t.equal(settingOf({ ...filter, listener }).filter, undefined);
  t.equal(settingOf({ ...filter, position: 'early' }).filter, undefined, 'which is on already');
  t.end();
});

t.test('planHook() takes arguments and environment from the hook, else from its kind', (t) => {
  const executed = (setting: HookSetting, changes: Partial<Hook> = {}): string | undefined =>
    lines(planHook(setting, { ...hook, ...changes }, 'x').start).find((line) => line.startsWith('execve'));
  t.equal(executed(createSetting()), 'execve("/bin/hook", ["/bin/hook"], []), accepts ENOEXEC');
  t.equal(executed(startSetting(['A=b'])), 'execve("/bin/hook", ["/bin/hook"], ["A=b","HOME=/home"]), accepts ENOEXEC');
  t.equal(executed(startSetting(['A=b']), { env: [] }), 'execve("/bin/hook", ["/bin/hook"], []), accepts ENOEXEC');
  t.equal(
    executed(createSetting(), { args: ['a', 'b'], env: ['C=d'] }),
    'execve("/bin/hook", ["a","b"], ["C=d"]), accepts ENOEXEC',
  );
  t.equal(executed(createSetting(), { args: [] }), 'execve("/bin/hook", ["/bin/hook"], []), accepts ENOEXEC');
  t.end();
});

t.test('planHook() has the shell run what the kernel has no format for, as execvp(3) does', (t) => {
  const { steps } = planHook(createSetting(), { ...hook, args: ['name', 'a', 'b'], env: ['C=d'] }, 'x').start;
  const executions = steps.filter((step) => step.kind === 'call' && step.call === 'execve').map(printStep);
  t.equal(executions[1], 'execve("/bin/sh", ["/bin/sh","/bin/hook","a","b"], ["C=d"])');
  t.equal(executions.length, 2);
  t.end();
});

t.test('planHook() reaps the hook and no other child', (t) => {
  t.match(lines(planHook(createSetting(), hook, 'x').reap)[0], /^wait4\(hook, &hook-answer, 0, NULL\)$/);
  t.equal(HOOK_PIPES.length, 4);
  t.end();
});
