import type { Test } from 'tap';
import { waitFor } from '../live/support/wait.ts';
import { CONTAINER_STATE, POD_STATE } from './support/cri-messages.ts';
import { nothingLeft, podTests } from './support/pod-tests.ts';
import type { Pods } from './support/pods.ts';

const PATIENCE_MS = 30_000;

podTests('Kubernetes with containerd, disturbed', [
  ['pods outlive containerd', outlive],
  ['a pod whose shim is killed', killed],
  ['pods at the same time', many],
  ['nothing is left', nothingLeft],
]);

async function outlive(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('lasting');
  const script = 'echo early; until [ -e /go ]; do sleep 0.02; done; echo late; exit 6';
  const [lasting, ending] = [await pods.start(pod, 'lasting', script), await pods.start(pod, 'ending', script)];
  const pid = await pods.pid(lasting);
  const root = `/proc/${await pods.pid(ending)}/root`;
  await cri.restart(t, async () => {
    await pods.said('touch "$1/go"; while [ -e "$1" ]; do sleep 0.02; done', root);
  });
  t.match((await cri.call('PodSandboxStatus', { podId: pod.id })).status, { state: POD_STATE.ready });
  t.match(await pods.status(lasting), { state: CONTAINER_STATE.running });
  t.equal(await pods.pid(lasting), pid);
  const { exitCode, reason } = await pods.ended(ending);
  t.strictSame([exitCode, reason], [6, 'Error'], 'of the end meanwhile it is told');
  await pods.exec(lasting, 'touch /go');
  t.equal((await pods.ended(lasting)).exitCode, 6);
  t.strictSame(pods.log(pod, 'lasting').at(-1), ['stdout', 'F', 'late']);
  await pods.remove(pod);
}

async function killed(t: Test, pods: Pods): Promise<void> {
  const { cri } = pods;
  const pod = await pods.run('orphaned');
  const ids = [await pods.start(pod, 'first', 'sleep 1000'), await pods.start(pod, 'second', 'sleep 1000 & wait')];
  await pods.said('kill -KILL "$(sed -n "s/^PPid:.//p" "/proc/$1/status")"', `${await pods.pid(ids[0] ?? '')}`);
  for (const id of ids) t.not((await pods.ended(id)).exitCode, 0);
  await waitFor(async () => {
    const { status } = await cri.call('PodSandboxStatus', { podId: pod.id });
    return status?.state === POD_STATE.notReady;
  }, PATIENCE_MS);
  await waitFor(async () => (await pods.said('grep -l "^sleep.1000" /proc/[0-9]*/cmdline')) === '', PATIENCE_MS).catch(
    () => t.fail('all that ran in it is gone'),
  );
  await pods.remove(pod);
  const again = await pods.run('orphaned');
  t.equal((await pods.ended(await pods.start(again, 'first', 'exit 3'))).exitCode, 3, 'the next one is as any other');
  await pods.remove(again);
}

async function many(t: Test, pods: Pods): Promise<void> {
  const codes = await Promise.all(
    Array.from({ length: 8 }, async (_, code) => {
      const pod = await pods.run(`crowd-${code}`);
      const ids = await Promise.all(
        [code, code + 10].map(async (wanted) => pods.start(pod, `code-${wanted}`, `exit ${wanted}`)),
      );
      const ended = await Promise.all(ids.map(async (id) => (await pods.ended(id)).exitCode));
      await pods.remove(pod);
      return ended;
    }),
  );
  t.strictSame(
    codes,
    codes.map((_, code) => [code, code + 10]),
  );
}
