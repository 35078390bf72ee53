import { closeSync, openSync } from 'node:fs';
import {
  createContainer,
  deleteContainer,
  execInContainer,
  killContainer,
  readStatus,
  startContainer,
  TsrunError,
} from './own-caller.ts';
import { live } from '../live/support/rig.ts';
import { isRunning, waitFor } from '../live/support/wait.ts';
import { count } from './count.mjs';
import {
  children,
  createOptions,
  execOptions,
  initPid,
  openDescriptors,
  reap,
  remains,
  runtimeOf,
} from './in-process.ts';

const SEQUENTIAL = 1000;
const PARALLEL = 50;
const RACES = 20;

/** The codes of what was refused; anything but a refusal is thrown. */
function codesOf(results: readonly PromiseSettledResult<unknown>[]): string[] {
  return results.flatMap((result) => {
    if (result.status === 'fulfilled') return [];
    if (result.reason instanceof TsrunError) return [result.reason.code];
    throw result.reason;
  });
}

/** Reaps every child of this process that has ended. */
function reapEnded(): void {
  for (const pid of children()) if (!isRunning(Number(pid))) reap(Number(pid));
}

live('many containers of one process', async (t, rig) => {
  const runtime = runtimeOf(rig);
  const nullFd = openSync('/dev/null', 'r+');
  const sleeper = rig.bundle({ args: ['sleep', '1000'] });
  const short = rig.bundle({ args: ['true'] });
  const make = async (id: string, bundle: string): Promise<number | undefined> => {
    await createContainer(runtime, createOptions(id, bundle, nullFd));
    count('containers made');
    return initPid(rig, id);
  };

  await t.test(`${SEQUENTIAL} in sequence: created, started, deleted`, async (t) => {
    const id = rig.id('sequence');
    let open: string[] = [];
    const started = performance.now();
    for (let round = 0; round < SEQUENTIAL; round++) {
      const pid = await make(id, short);
      await startContainer(runtime, id);
      await deleteContainer(runtime, { id, force: true });
      reap(pid);
      if (round === 10) open = openDescriptors();
    }
    t.strictSame(openDescriptors(), open, 'no descriptor stays open');
    t.strictSame(remains(rig, id), []);
    t.comment(`${((performance.now() - started) / SEQUENTIAL).toFixed(1)} ms for each`);
  });

  await t.test(`${PARALLEL} at the same time`, async (t) => {
    const ids = Array.from({ length: PARALLEL }, () => rig.id('parallel'));
    const pids = await Promise.all(ids.map((id) => make(id, sleeper)));
    t.equal(new Set(pids).size, PARALLEL);
    await Promise.all(ids.map((id) => startContainer(runtime, id)));
    t.ok(ids.every((id) => readStatus(runtime, id).status === 'running'));
    await Promise.all(ids.map((id) => killContainer(runtime, { id, signal: 9, all: false })));
    await waitFor(() => ids.every((id) => readStatus(runtime, id).status === 'stopped'), 30_000);
    await Promise.all(ids.map((id) => deleteContainer(runtime, { id, force: false })));
    pids.forEach(reap);
    t.strictSame(rig.leftovers(), []);
    t.strictSame(children(), []);
  });

  await t.test('twenty creates of one id: one wins', async (t) => {
    const id = rig.id('same');
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => make(id, sleeper)));
    t.strictSame(
      codesOf(results),
      Array.from({ length: 19 }, () => 'exists'),
    );
    t.equal(readStatus(runtime, id).status, 'created');
    const pid = initPid(rig, id);
    await deleteContainer(runtime, { id, force: true });
    reap(pid);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('create, delete and state race on one id', async (t) => {
    const id = rig.id('race');
    const codes = new Set<string>();
    for (let round = 0; round < RACES; round++) {
      const results = await Promise.allSettled([
        make(id, sleeper),
        ...[1, 2].map(async () => deleteContainer(runtime, { id, force: true })),
        Promise.resolve().then(() => readStatus(runtime, id)),
        startContainer(runtime, id),
      ]);
      for (const code of codesOf(results)) codes.add(code);
      await deleteContainer(runtime, { id, force: true });
      await waitFor(() => (reapEnded(), remains(rig, id).length === 0));
    }
    t.comment(`refusals: ${[...codes].join(', ')}`);
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('kill races with the end of the program', async (t) => {
    const id = rig.id('end');
    for (let round = 0; round < RACES; round++) {
      await make(id, short);
      await startContainer(runtime, id);
      const results = await Promise.allSettled(
        Array.from({ length: 5 }, () => killContainer(runtime, { id, signal: 9, all: false })),
      );
      const codes = codesOf(results);
      if (codes.some((code) => code !== 'status')) t.fail(codes.join());
      await waitFor(() => readStatus(runtime, id).status === 'stopped');
      await deleteContainer(runtime, { id, force: false });
      reapEnded();
    }
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('processes of exec at the same time, and while the container is deleted', async (t) => {
    const id = rig.id('exec');
    await make(id, sleeper);
    await startContainer(runtime, id);
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, number) =>
        execInContainer(runtime, execOptions(id, ['sh', '-c', `exit ${number}`], nullFd)),
      ),
    );
    t.strictSame(codes, [...codes.keys()]);
    const running = Promise.allSettled(
      Array.from({ length: 10 }, () => execInContainer(runtime, execOptions(id, ['sleep', '1000'], nullFd))),
    );
    await deleteContainer(runtime, { id, force: true });
    const results = await running;
    const ended = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    t.ok(ended.every((code) => code === 137));
    t.comment(`${ended.length} were killed, refused: ${codesOf(results).join(', ')}`);
    await waitFor(() => (reapEnded(), children().length === 0));
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('through the command: eight at the same time, and a create that races with delete', async (t) => {
    const ids = Array.from({ length: 8 }, () => rig.id('command'));
    const results = await Promise.all(
      ids.map((id) => rig.tsrun(['run', '--bundle', short, id], { timeoutMs: 60_000 })),
    );
    t.ok(
      results.every(({ code }) => code === 0),
      results.map(({ stderr }) => stderr).join(''),
    );
    count('containers made', ids.length);
    const id = rig.id('command');
    const [created, ...deleted] = await Promise.all([
      rig.tsrun(['create', '--bundle', sleeper, id], { timeoutMs: 60_000 }),
      ...[1, 2].map(() => rig.tsrun(['delete', '--force', id], { timeoutMs: 60_000 })),
    ]);
    t.ok([created, ...deleted].every(({ stderr }) => !/\n\s+at |bug/.test(stderr)));
    await rig.delete(t, id);
    t.strictSame(rig.leftovers(), []);
  });
  closeSync(nullFd);
});
