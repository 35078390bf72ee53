import t from 'tap';
import type { Container } from '../../../src/library/container.ts';
import { Exec } from '../../../src/shim/task/exec.ts';
import type { Setting } from '../../../src/shim/task/setting.ts';
import { waitFor } from '../../live/support/wait.ts';

const places = { terminal: false, stdin: '', stdout: '', stderr: '' };

/** A container that notes what becomes of its processes, and the setting of a shim. */
function rig(): { readonly container: Container; readonly setting: Setting; readonly notes: string[] } {
  const notes: string[] = [];
  const end = { code: 3, signal: undefined, oomKilled: false };
  const process = { pid: 77, stdin: null, stdout: null, stderr: null, wait: () => Promise.resolve(end) };
  const exec = async (_options: unknown, hold?: (pid: number) => Promise<void>): Promise<unknown> => {
    notes.push(hold === undefined ? 'begun when started' : 'prepared');
    try {
      await hold?.(77);
    } catch (error) {
      notes.push('taken back');
      throw error;
    }
    notes.push('runs');
    return process;
  };
  const pause = (_pid: number, until: Promise<void>): Promise<void> => until;
  const reaper = { during: (operation: (pausing: unknown) => unknown) => operation(pause), claim: () => undefined };
  const publisher = { publish: (topic: string) => notes.push(topic) };
  return {
    container: { id: 'c', exec } as unknown as Container,
    setting: { namespace: 'n', reaper, publisher } as unknown as Setting,
    notes,
  };
}

t.test('what was prepared is started', async (t) => {
  const { container, setting, notes } = rig();
  const exec = new Exec('e', places, { cwd: '/' }, setting);
  exec.prepare(container);
  await waitFor(() => notes.length === 1);
  t.equal(exec.status, 'created');
  await exec.start(container);
  t.equal((await exec.exited).status, 3);
  t.strictSame(notes, ['prepared', 'runs', '/tasks/exec-started', '/tasks/exit']);
});

t.test('what nobody starts is taken back, and starts all the same later', async (t) => {
  const { container, setting, notes } = rig();
  const exec = new Exec('e', places, { cwd: '/' }, setting);
  exec.prepare(container, { patienceMs: 1 });
  await waitFor(() => notes.length === 2);
  t.strictSame(notes, ['prepared', 'taken back']);
  await exec.start(container);
  t.strictSame(notes.slice(2, 4), ['begun when started', 'runs']);
});

t.test('what is deleted without having been started is taken back', async (t) => {
  const { container, setting, notes } = rig();
  const exec = new Exec('e', places, { cwd: '/' }, setting);
  exec.prepare(container);
  await waitFor(() => notes.length === 1);
  await exec.close(0);
  t.strictSame(notes, ['prepared', 'taken back']);
  t.equal((await exec.exited).status, 255);
});

t.test('no logger is started before its process', async (t) => {
  const { container, setting, notes } = rig();
  const exec = new Exec('e', { ...places, stdout: 'binary:///bin/false' }, { cwd: '/' }, setting);
  exec.prepare(container);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  t.strictSame(notes, []);
});
