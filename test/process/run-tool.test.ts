import { readFileSync } from 'node:fs';
import t from 'tap';
import { someTurns } from '../fixtures/turns.ts';
import { setInterruptions } from '../../src/sys/events/interruption.ts';
import { readTool, runTool } from '../../src/process/run-tool.ts';

t.test('runTool() answers the exit code and what was said', async (t) => {
  t.same(await runTool('true', []), { code: 0, stderr: '' });
  t.same(await runTool('sh', ['-c', 'echo "$1" >&2; exit 3', 'sh', 'no; such']), { code: 3, stderr: 'no; such\n' });
});

t.test('runTool() gives the tool nothing of the environment', async (t) => {
  process.env['TSRUN_TEST_VARIABLE'] = 'seen';
  t.teardown(() => {
    delete process.env['TSRUN_TEST_VARIABLE'];
  });
  const { stderr } = await runTool('sh', ['-c', 'echo "$PATH, $TSRUN_TEST_VARIABLE, $HOME" >&2']);
  t.equal(stderr, '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin, , \n');
});

t.test('runTool() answers 128 for a tool that is killed', async (t) => {
  t.equal((await runTool('sh', ['-c', 'kill -9 $$'])).code, 128);
});

t.test('runTool() says that a tool is not installed', async (t) => {
  await t.rejects(runTool('no-such-tool-at-all', []), {
    code: 'host',
    errno: 'ENOENT',
    message: /^run "no-such-tool-at-all": .*ENOENT/,
  });
});

t.test('readTool() answers what the tool wrote, however much', async (t) => {
  t.same(await readTool('sh', ['-c', 'echo out; echo err >&2']), { code: 0, stdout: 'out\n', stderr: 'err\n' });
  t.equal((await readTool('head', ['-c', '1000000', '/dev/zero'])).stdout.length, 1_000_000);
});

t.test('runTool() leaves the event loop its turns, and ends a tool that nobody waits for any more', async (t) => {
  const losing = new AbortController();
  setInterruptions({ current: () => losing.signal, exempt: (body) => withoutSignal(body) });
  t.teardown(() => {
    setInterruptions({ current: () => undefined, exempt: (body) => body() });
  });
  function withoutSignal<T>(body: () => T): T {
    setInterruptions({ current: () => undefined, exempt: (inner) => inner() });
    return body();
  }
  const running = runTool('sleep', ['1000']);
  await someTurns();
  t.not(children(), '', 'it runs');
  losing.abort(new Error('no more'));
  await t.rejects(running, { message: 'no more' });
  t.equal(children(), '', 'neither a process nor a zombie is left');
});

function children(): string {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
}
