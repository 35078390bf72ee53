import { status as CODE } from '@grpc/grpc-js';
import { chmodSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { waitFor } from '../live/support/wait.ts';
import { HUNGRY } from './support/containerd.ts';
import { CONTAINER_STATE, NAMESPACE_MODE, POD_STATE, PROFILE } from './support/cri-messages.ts';
import { nothingLeft, podTests, stateDirectory } from './support/pod-tests.ts';
import { failure, type ContainerConfig, type Pods } from './support/pods.ts';

const PATIENCE_MS = 30_000;

// In this order, as the last one looks for what the others have left.
podTests('Kubernetes with containerd', [
  ['a pod of two containers, from its start to its removal', lifecycle],
  ['processes that are added', added],
  ['logs', logs],
  ['exit codes, and reasons', reasons],
  ['statistics', statistics],
  ['limits that change', update],
  ['containers are asked to stop, and made to', stop],
  ['what a container is given', given],
  ['what a privileged container is given', privileged],
  ['a pod with one pid namespace', sharedPids],
  ['a pod that is stopped with all that runs in it', stopAll],
  ['nothing is left', nothingLeft],
]);

async function lifecycle(t: Test, pods: Pods): Promise<void> {
  const { cri, handler } = pods;
  const pod = await pods.run('pair');
  const { status } = await cri.call('PodSandboxStatus', { podId: pod.id });
  t.match(status, { state: POD_STATE.ready, handler });
  const first = await pods.create(pod, 'first', 'sleep 1000');
  t.match(await pods.status(first), { state: CONTAINER_STATE.created, startedAt: 0, finishedAt: 0 });
  await cri.call('StartContainer', { containerId: first });
  const second = await pods.start(pod, 'second', 'sleep 1000');
  t.match(await pods.status(second), { state: CONTAINER_STATE.running, exitCode: 0, reason: '' });
  const { containers } = await cri.call('ListContainers', { filter: { podId: pod.id } });
  t.strictSame(containers.map(({ metadata, state }) => [metadata?.name, state]).sort(), [
    ['first', CONTAINER_STATE.running],
    ['second', CONTAINER_STATE.running],
  ]);
  const shims = (await pods.said('grep -l "^containerd-shim" /proc/[0-9]*/comm')).trim().split('\n');
  t.equal(shims.length, 1, 'one shim for all three');
  const shim = (shims[0] ?? '').split('/')[2];
  const states = await pods.said('ls "$1"', stateDirectory(pods));
  t.strictSame(states.trim().split('\n').sort(), [pod.id, first, second].sort());
  for (const id of [first, second])
    t.equal(await pods.said('sed -n "s/^PPid:.//p" "/proc/$1/status"', `${await pods.pid(id)}`), `${shim}\n`);
  t.equal((await failure(cri.call('StartContainer', { containerId: first }))).code, CODE.UNKNOWN, 'it runs already');
  await cri.call('StopContainer', { containerId: first, timeoutSeconds: 0 });
  await cri.call('RemoveContainer', { containerId: first });
  t.equal((await failure(cri.call('ContainerStatus', { containerId: first }))).code, CODE.NOT_FOUND);
  t.equal((await pods.exec(second, 'exit 4')).code, 4, 'the other one is as before');
  await cri.call('StopContainer', { containerId: second, timeoutSeconds: 0 });
  await cri.call('RemoveContainer', { containerId: second });
  await cri.call('StopPodSandbox', { podId: pod.id });
  t.match((await cri.call('PodSandboxStatus', { podId: pod.id })).status, { state: POD_STATE.notReady });
  await cri.call('RemovePodSandbox', { podId: pod.id });
  t.equal((await failure(cri.call('PodSandboxStatus', { podId: pod.id }))).code, CODE.NOT_FOUND);
}

async function added(t: Test, pods: Pods): Promise<void> {
  const pod = await pods.run('added');
  const id = await pods.start(pod, 'main', 'sleep 1000');
  t.strictSame(await pods.exec(id, 'echo out; echo err >&2; exit 3'), { code: 3, stdout: 'out\n', stderr: 'err\n' });
  t.equal((await pods.exec(id, 'head -c 1000000 /dev/zero')).stdout.length, 1_000_000);
  t.equal((await pods.exec(id, 'kill -KILL $$')).code, 137);
  // Somebody else may hold the pipe.
  t.strictSame(await pods.exec(id, 'sleep 0.2 & echo last'), { code: 0, stdout: 'last\n', stderr: '' });
  const codes = await Promise.all(
    Array.from({ length: 8 }, async (_, code) => (await pods.exec(id, `exit ${code}`)).code),
  );
  t.strictSame(codes, [0, 1, 2, 3, 4, 5, 6, 7], 'several at a time');
  const late = await failure(pods.exec(id, 'echo before; exec sleep 1001', 1));
  t.equal(late.code, CODE.DEADLINE_EXCEEDED);
  t.match(late.details, 'timeout 1s exceeded');
  t.equal(await pods.said('grep -l "^sleep.1001" /proc/[0-9]*/cmdline'), '', 'it has been killed');
  const missing = await failure(pods.exec(id, ['nosuch']));
  t.equal(missing.code, CODE.UNKNOWN);
  t.match(missing.details, 'OCI runtime exec failed: exec failed:');
  t.match(missing.details, 'exec: "nosuch": executable file not found in $PATH');
  await pods.remove(pod);
}

async function logs(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('logs');
  const id = await pods.start(pod, 'both', 'echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three');
  t.equal((await pods.ended(id)).logPath, path.join(pod.config.logDirectory ?? '', 'both.log'));
  t.strictSame(pods.log(pod, 'both'), [
    ['stdout', 'F', 'one'],
    ['stderr', 'F', 'two'],
    // Its line has no end.
    ['stdout', 'P', 'three'],
  ]);
  await pods.ended(await pods.start(pod, 'long', 'head -c 40000 /dev/zero | tr "\\0" x; echo'));
  const parts = pods.log(pod, 'long').map(([, kind, text = '']) => [kind, text.length]);
  t.strictSame(
    parts.map(([kind]) => kind),
    ['P', 'P', 'F'],
  );
  t.equal(
    parts.reduce((sum, [, length]) => sum + Number(length), 0),
    40_000,
  );
  await pods.ended(await pods.start(pod, 'terminal', 'echo to a terminal; test -t 0 && test -t 2', { tty: true }));
  t.strictSame(pods.log(pod, 'terminal'), [['stdout', 'F', 'to a terminal']]);
  const turned = await pods.start(pod, 'turned', 'echo early; until [ -e /go ]; do sleep 0.02; done; echo late');
  await waitFor(() => pods.log(pod, 'turned').length > 0, PATIENCE_MS);
  const file = path.join(pod.config.logDirectory ?? '', 'turned.log');
  renameSync(file, `${file}.old`);
  await cri.call('ReopenContainerLog', { containerId: turned });
  await pods.exec(turned, 'touch /go');
  await pods.ended(turned);
  await waitFor(() => pods.log(pod, 'turned').length > 0, PATIENCE_MS);
  t.strictSame(pods.log(pod, 'turned'), [['stdout', 'F', 'late']]);
  await pods.remove(pod);
}

async function reasons(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('reasons');
  const memory = { linux: { resources: { memoryLimit: 32 * 1024 * 1024 } } };
  const rows: readonly (readonly [
    name: string,
    command: string,
    code: number,
    reason: string,
    more?: ContainerConfig,
  ])[] = [
    ['good', 'exit 0', 0, 'Completed'],
    ['bad', 'exit 7', 7, 'Error'],
    ['killed', 'kill -KILL $$; sleep 10', 137, 'Error'],
    ['hungry', HUNGRY, 137, 'OOMKilled', memory],
  ];
  const found = await Promise.all(
    rows.map(async ([name, command, , , more]) => {
      // The first process of a pid namespace does not die by its own SIGKILL.
      const argv = name === 'killed' ? `sh -c '${command}'; exit $?` : command;
      const { exitCode, reason, finishedAt, startedAt } = await pods.ended(await pods.start(pod, name, argv, more));
      // Of the start it is said when the shim has answered: it may be after the end.
      t.ok(BigInt(startedAt ?? 0) > 0n && BigInt(finishedAt ?? 0) > 0n, `${name}: it has started and ended`);
      return [name, exitCode, reason];
    }),
  );
  t.strictSame(
    found,
    rows.map(([name, , code, reason]) => [name, code, reason]),
  );
  const missing = await pods.create(pod, 'missing', ['nosuch']);
  const { code, details } = await failure(cri.call('StartContainer', { containerId: missing }));
  t.equal(code, CODE.UNKNOWN);
  t.match(details, 'OCI runtime create failed');
  t.match(details, 'exec: "nosuch": executable file not found in $PATH');
  const status = await pods.status(missing);
  t.match(status, { state: CONTAINER_STATE.exited, exitCode: 128, reason: 'StartError' });
  t.match(status.message, 'exec: "nosuch": executable file not found in $PATH');
  await cri.call('RemoveContainer', { containerId: missing });
  const again = await pods.start(pod, 'missing', 'exit 5');
  t.equal((await pods.ended(again)).exitCode, 5, 'its name is free again');
  await pods.remove(pod);
}

async function statistics(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('statistics');
  const id = await pods.start(pod, 'busy', 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1000');
  const other = await pods.start(pod, 'idle', 'sleep 1000');
  const { stats } = await cri.call('ContainerStats', { containerId: id });
  t.equal(stats?.attributes?.id, id);
  t.ok(Number(stats?.cpu?.used?.value) > 0, 'CPU time');
  t.ok(Number(stats?.memory?.workingSet?.value) > 0, 'memory');
  const all = await cri.call('ListContainerStats', { filter: { podId: pod.id } });
  t.strictSame(all.stats.map(({ attributes }) => attributes?.id).sort(), [id, other].sort());
  for (const one of all.stats) t.ok(Number(one.memory?.workingSet?.value) > 0, 'memory of each');
  await pods.remove(pod);
}

const LIMIT_FILES = [
  'memory/memory.limit_in_bytes',
  'cpu/cpu.shares',
  'cpu/cpu.cfs_quota_us',
  'cpu/cpu.cfs_period_us',
  'cpuset/cpuset.cpus',
];

async function update(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('limits');
  const resources = { memoryLimit: 64 << 20, cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000 };
  const id = await pods.start(pod, 'limited', 'sleep 1000', { linux: { resources } });
  const read = async (): Promise<string[]> => {
    const script = `cd /sys/fs/cgroup && cat ${LIMIT_FILES.join(' ')}`;
    return (await pods.exec(id, script)).stdout.trim().split('\n');
  };
  const [cpus = ''] = (await read()).slice(-1);
  t.strictSame(await read(), [`${64 << 20}`, '512', '50000', '100000', cpus]);
  await cri.call('UpdateContainerResources', {
    containerId: id,
    linux: { memoryLimit: 96 << 20, cpuShares: 256, cpuQuota: 20_000, cpuPeriod: 50_000, cpusetCpus: '0' },
  });
  t.strictSame(await read(), [`${96 << 20}`, '256', '20000', '50000', '0']);
  const adjusted = await pods.said('cat "/proc/$1/oom_score_adj"', `${await pods.pid(id)}`);
  t.match(adjusted, /^\d+\n$/, 'what it may not have it has not');
  await pods.remove(pod);
}

async function stop(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('stop');
  const stopped = async (name: string, script: string, timeoutSeconds: number): Promise<readonly unknown[]> => {
    const containerId = await pods.start(pod, name, `${script}; echo ready; while :; do sleep 0.05; done`);
    await waitFor(() => pods.log(pod, name).length > 0, PATIENCE_MS);
    const start = Date.now();
    await cri.call('StopContainer', { containerId, timeoutSeconds });
    const isPrompt = Date.now() - start < 1000 * timeoutSeconds;
    await cri.call('StopContainer', { containerId, timeoutSeconds });
    const { exitCode, reason } = await pods.status(containerId);
    return [exitCode, reason, isPrompt];
  };
  t.strictSame(
    await Promise.all([
      stopped('polite', 'trap "exit 9" TERM', 20),
      stopped('deaf', 'trap "" TERM', 1),
      // Without a grace period it is not asked.
      stopped('hurried', 'trap "exit 9" TERM', 0),
    ]),
    [
      [9, 'Error', true],
      [137, 'Error', false],
      [137, 'Error', false],
    ],
  );
  await pods.remove(pod);
}

async function given(t: Test, pods: Pods): Promise<void> {
  const pod = await pods.run('given');
  const shared = pods.cri.inside.fresh('shared');
  mkdirSync(shared);
  // Whoever is no root writes there.
  chmodSync(shared, 0o777);
  const { linux } = pod.config;
  const script = [
    'id -u; id -g; id -G; pwd; echo "$NAME $FROM_IMAGE"',
    'sed -n "s/^CapBnd:.//p; s/^NoNewPrivs:.//p; s/^Seccomp:.//p" /proc/self/status',
    'touch /new 2>/dev/null || echo read-only',
    'touch /shared/new && echo written; touch /fixed/other 2>/dev/null || echo fixed',
  ].join('; ');
  const id = await pods.start(pod, 'worker', script, {
    envs: [{ key: 'NAME', value: 'a value' }],
    workingDirectory: '/home/worker',
    mounts: [
      { containerPath: '/shared', hostPath: shared },
      { containerPath: '/fixed', hostPath: shared, readonly: true },
    ],
    linux: {
      securityContext: {
        namespaces: linux?.securityContext?.namespaces,
        runAsUser: { value: 1000 },
        runAsGroup: { value: 1000 },
        supplementalGroups: [3000],
        readonlyRootfs: true,
        noNewPrivileges: true,
        capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
        seccomp: { kind: PROFILE.runtimeDefault },
      },
    },
  });
  t.equal((await pods.ended(id)).exitCode, 0);
  t.strictSame(
    pods.log(pod, 'worker').map(([, , text]) => text),
    [
      '1000',
      '1000',
      '1000 2000 3000',
      '/home/worker',
      'a value yes',
      '0000000000000400',
      '1',
      '2',
      'read-only',
      'written',
      'fixed',
    ],
  );
  await pods.remove(pod);
}

async function privileged(t: Test, pods: Pods): Promise<void> {
  const pod = await pods.run('privileged', { privileged: true });
  const script = [
    'sed -n "s/^Seccomp:.//p" /proc/self/status; mount -t tmpfs none /tmp && echo mounted',
    'test -c /dev/kmsg && echo device; test -w /proc/sys/kernel/domainname && echo writable',
    'head -c 1 /dev/zero | wc -c; mknod /tmp/null c 1 3 && : >/tmp/null && echo made',
  ].join('; ');
  const { namespaces } = pod.config.linux?.securityContext ?? {};
  const more = { linux: { securityContext: { namespaces, privileged: true } } };
  t.equal((await pods.ended(await pods.start(pod, 'trusted', script, more))).exitCode, 0);
  t.strictSame(
    pods.log(pod, 'trusted').map(([, , text]) => text),
    ['0', 'mounted', 'device', 'writable', '1', 'made'],
  );
  await pods.remove(pod);
}

async function sharedPids(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('shared-pids', { pid: NAMESPACE_MODE.pod });
  const first = await pods.start(pod, 'first', 'sleep 1002 & exec sleep 1003');
  const second = await pods.start(pod, 'second', 'sleep 1004');
  const seen = (await pods.exec(second, 'cat /proc/[0-9]*/cmdline | tr "\\0" " "')).stdout;
  for (const number of ['100000', '1002', '1003', '1004']) t.match(seen, `sleep ${number}`);
  t.equal((await pods.exec(second, 'cat /proc/1/cmdline | tr "\\0" " "')).stdout, 'sleep 100000 ');
  await cri.call('StopContainer', { containerId: first });
  const left = (await pods.exec(second, 'cat /proc/[0-9]*/cmdline | tr "\\0" " "')).stdout;
  t.notMatch(left, 'sleep 1002', 'with its first process all of them end');
  t.match(left, 'sleep 1004');
  await pods.remove(pod);
}

async function stopAll(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('stop-all');
  const ids = await Promise.all(
    ['one', 'two', 'three', 'four'].map(async (name) => pods.start(pod, name, 'sleep 1005 & exec sleep 1006')),
  );
  await cri.call('StopPodSandbox', { podId: pod.id });
  for (const id of ids) t.match(await pods.status(id), { state: CONTAINER_STATE.exited, exitCode: 137 });
  await cri.call('StopPodSandbox', { podId: pod.id });
  await cri.call('RemovePodSandbox', { podId: pod.id });
  t.strictSame((await cri.call('ListContainers', { filter: { podId: pod.id } })).containers, []);
}
