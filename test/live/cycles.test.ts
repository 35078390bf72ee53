import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { importLibrary, libraryOptions } from './support/library.ts';
import { live } from './support/rig.ts';

/** How many containers are made and removed one after the other. */
const CYCLES = Number(process.env.TSRUN_TEST_CYCLES ?? 200);

live('create and delete, again and again', async (t, rig) => {
  const { Runtime } = await importLibrary();
  const messages: string[] = [];
  const runtime = new Runtime(libraryOptions(rig, (message) => messages.push(message)));
  const bundle = rig.bundle({
    args: ['sleep', '1000'],
    change: (config) => (config.linux.resources = { memory: { limit: 67_108_864 }, pids: { limit: 20 } }),
  });
  const cycle = async (count: number): Promise<void> => {
    const container = await runtime.createContainer({ id: rig.id('cycle'), bundle, noNewKeyring: true });
    // Both that run and that never ran.
    if (count % 4 === 0) await container.start();
    await container.delete({ force: true });
  };
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  await cycle(0);
  const before = listDescriptors();
  for (let count = 1; count < CYCLES; count++) await cycle(count);
  t.strictSame(messages, [], 'without a warning');
  t.strictSame(rig.leftovers(), [], `nothing is left of ${CYCLES} containers`);
  const after = listDescriptors();
  t.equal(after.others, before.others, 'nor a descriptor');
  t.ok(after.epolls - before.epolls <= 1, 'but one that serves all waits of a process, made at the first of them');
  t.equal(readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8'), children, 'nor a zombie');
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
