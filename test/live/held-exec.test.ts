import { existsSync, readdirSync } from 'node:fs';
import type { Test } from 'tap';
import type * as library from '../../src/index.ts';
import { live } from './support/rig.ts';
import { importLibrary, libraryOptions } from './support/library.ts';

live('a process that is held before it enters the container', async (t, rig) => {
  const { Runtime } = await importLibrary();
  const runtime = new Runtime(libraryOptions(rig));
  const started = async (): Promise<library.Container> => {
    const made = await runtime.createContainer({ id: rig.id('held'), bundle: rig.bundle({ args: 'exec sleep 1000' }) });
    await made.start();
    return made;
  };
  await using container = await started();

  await t.test('it goes on when it is let go', async (t) => {
    let seen: unknown;
    const program = await container.exec({ args: ['sh', '-c', 'exit 7'] }, (pid) => {
      seen = { isThere: existsSync(`/proc/${pid}`), isInside: container.processes().includes(pid) };
      return Promise.resolve();
    });
    t.strictSame(seen, { isThere: true, isInside: false });
    t.equal((await program.wait()).code, 7);
  });

  await t.test('it is taken back when that is refused', async (t) => {
    await fails(t, container, () => Promise.reject(new Error('not wanted')), { message: 'not wanted' });
  });

  await t.test('a container that is paused meanwhile is not entered', async (t) => {
    await fails(t, container, () => container.pause(), { code: 'status', message: /paused/ });
    await container.resume();
  });

  await t.test('one that has ended meanwhile is not entered', async (t) => {
    await using other = await started();
    const end = async (): Promise<void> => {
      await other.kill('SIGKILL');
      await other.wait();
    };
    await fails(t, other, end, { code: 'status', message: /stopped/ });
  });
});

interface Failure {
  readonly code?: string;
  readonly message: string | RegExp;
}

async function fails(t: Test, container: library.Container, hold: () => Promise<void>, wanted: Failure): Promise<void> {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  let held = 0;
  const exec = container.exec({ args: ['true'] }, (pid) => {
    held = pid;
    return hold();
  });
  await t.rejects(exec, wanted);
  t.ok(held > 0);
  t.notOk(existsSync(`/proc/${held}`), 'nothing of it is left');
  t.ok(descriptors() <= before, 'nor a descriptor');
}
