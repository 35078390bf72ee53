import type { Test } from 'tap';
import { waitFor } from '../../live/support/wait.ts';
import { CONTAINERD_TOOLS, RUNTIME_ROOT } from './containerd.ts';
import { Cri, CRI_NAMESPACE, documentedHandler, makeHandler } from './cri.ts';
import { Pods } from './pods.ts';
import { engines } from './surroundings.ts';

/** Where a shim keeps the state of its containers; ours is told so by a file, as docs/engines.md has it. */
const ROOTS: Readonly<Record<string, string>> = { runc: RUNTIME_ROOT, tsrun: '/run/tsrun-of-kubernetes' };
const CONFIG = JSON.stringify({ SystemdCgroup: false, Root: ROOTS['tsrun'] });
const PATIENCE_MS = 30_000;

/** A test by its name. */
export type PodTest = readonly [name: string, test: (t: Test, pods: Pods) => Promise<void>];

/** The same tests for containerd's own shim, which shows that they are right, and for ours, on one containerd. */
export function podTests(topic: string, tests: readonly PodTest[]): void {
  engines(topic, { tools: [...CONTAINERD_TOOLS, 'runc'] }, async (t, inside) => {
    const handlers = [makeHandler('runc', 'io.containerd.runc.v2'), documentedHandler()] as const;
    await inside.output(['sh', '-c', 'mkdir -p /etc/containerd; echo "$0" >/etc/containerd/tsrun.json', CONFIG]);
    const cri = await Cri.start(inside, handlers);
    try {
      for (const { name } of handlers)
        await t.test(`handler ${name}`, async (t) => {
          t.setTimeout(0);
          for (const [title, test] of tests) await t.test(title, async (t) => test(t, new Pods(cri, name)));
        });
    } finally {
      cri.close();
      await cri.containerd.daemon.stop(t);
    }
  });
}

/** Where a shim keeps the state of its containers. */
export function stateDirectory({ handler }: Pods): string {
  return `${ROOTS[handler]}/${CRI_NAMESPACE}`;
}

/** Asserts that nothing is left of any pod. */
export async function nothingLeft(t: Test, pods: Pods): Promise<void> {
  const { cri, handler } = pods;
  const list = async (directory: string): Promise<string> => pods.said('ls "$1" 2>/dev/null', directory);
  t.strictSame((await cri.call('ListPodSandbox', {})).items, []);
  t.strictSame((await cri.call('ListContainers', {})).containers, []);
  const processes = 'grep -lE "^(containerd-shim|tsrun:init|sleep.100)" /proc/[0-9]*/comm 2>/dev/null';
  await waitFor(async () => (await pods.said(processes)) === '', PATIENCE_MS).catch(() => undefined);
  t.equal(await pods.said(processes), '', 'no process');
  if (handler === 'tsrun') t.equal(await list('/run/containerd/s'), '', 'no socket');
  await pods.said('rm -f /run/containerd/s/*');
  t.equal(await list(stateDirectory(pods)), '', 'no state');
  const state = `/run/containerd-${cri.containerd.runtime.name}`;
  t.equal(await list(`${state}/io.containerd.runtime.v2.task/${CRI_NAMESPACE}`), '', 'no bundle');
  t.equal(await list('/run/containerd/fifo'), '', 'no FIFO');
  t.equal(await pods.said(`grep -E " ${state}/" /proc/self/mountinfo`), '', 'no mount');
  t.equal(await pods.said('find /sys/fs/cgroup -mindepth 3 -type d -path "*/kubepods/*"'), '', 'no cgroup');
}
