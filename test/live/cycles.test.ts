import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { importLibrary, libraryRuntime } from './support/library.ts';
import { live } from './support/rig.ts';

/** How many containers are made and removed one after the other. */
const CYCLES = Number(process.env.TSRUN_TEST_CYCLES ?? 200);

live('create and delete, again and again', async (t, rig) => {
  const { createContainer, deleteContainer, startContainer } = await importLibrary();
  const messages: string[] = [];
  const runtime = libraryRuntime(rig, (message) => messages.push(message));
  const bundle = rig.bundle({
    args: ['sleep', '1000'],
    change: (config) => (config.linux.resources = { memory: { limit: 67_108_864 }, pids: { limit: 20 } }),
  });
  const nothing = openSync('/dev/null', 'r+');
  const cycle = async (count: number): Promise<void> => {
    const id = rig.id('cycle');
    const stdio = [nothing, nothing, nothing] as const;
    await createContainer(runtime, { id, bundle, noPivot: false, noNewKeyring: true, preserved: [], stdio });
    // Both that run and that never ran.
    if (count % 4 === 0) await startContainer(runtime, id);
    await deleteContainer(runtime, { id, force: true });
  };
  await cycle(0);
  const before = listDescriptors();
  for (let count = 1; count < CYCLES; count++) await cycle(count);
  t.strictSame(messages, [], 'without a warning');
  t.strictSame(rig.leftovers(), [], `nothing is left of ${CYCLES} containers`);
  const after = listDescriptors();
  t.equal(after.others, before.others, 'nor a descriptor');
  t.ok(after.epolls - before.epolls <= 1, 'but one that serves all waits of a process, made at the first of them');
  closeSync(nothing);
});

function listDescriptors(): { readonly epolls: number; readonly others: number } {
  const targets = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // That of the directory itself.
      return [];
    }
  });
  const epolls = targets.filter((target) => target === 'anon_inode:[eventpoll]').length;
  return { epolls, others: targets.length - epolls };
}
