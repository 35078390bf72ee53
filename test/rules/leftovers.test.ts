import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { findLeftovers, takeInventory } from '../leftovers.mjs';

/** What is left is known to stay. */
const NOW = { patienceMs: 0 };
const isRoot = process.geteuid?.() === 0;
const needsRoot = isRoot ? false : 'it takes root to leave such things behind';

t.test('an inventory is the same as itself, whatever it lists', (t) => {
  const before = takeInventory();
  t.strictSame(before, [...new Set(before)]);
  // Others may run containers at the same time, so the machine's own list is not compared with a later one.
  t.ok(before.every((line) => /^[a-z ]+: ./.test(line)));
  t.end();
});

t.test('a directory of a test that stays is found', async (t) => {
  const before = takeInventory();
  const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-leftover-'));
  t.teardown(() => {
    rmdirSync(directory);
  });
  t.ok((await findLeftovers(before, NOW)).includes(`temporary directory: ${directory}`));
});

t.test('a process in another pid namespace is found, and gone when it is', { skip: needsRoot }, async (t) => {
  const before = takeInventory();
  const child = spawn('unshare', ['--pid', '--fork', '--kill-child', 'sh', '-c', 'echo ready; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  const isSleep = (line: string): boolean => /^process: \d+ \(sleep\)/.test(line);
  const isShell = (line: string): boolean => /^process: \d+ \(sh\)/.test(line);
  t.ok((await findLeftovers(before, NOW)).some((line) => isSleep(line) || isShell(line)));
  child.kill('SIGKILL');
  await ended;
  const left = await findLeftovers(before);
  t.notOk(left.some((line) => isSleep(line)));
});

t.test('a mount is found', { skip: needsRoot }, (t) => {
  // In a mount namespace of its own: not even this test may leave one.
  const script = [
    'directory=$(mktemp -d -p /tmp other.XXXXXX)',
    'mkdir -p $directory/bundles/b/rootfs $directory/list',
    `${JSON.stringify(process.execPath)} "$0" before $directory/list/file`,
    'mount -t tmpfs none $directory/bundles/b/rootfs',
    `${JSON.stringify(process.execPath)} "$0" after $directory/list/file`,
    'echo "exit code $?"',
    'umount $directory/bundles/b/rootfs && rm -r --one-file-system $directory',
  ].join('\n');
  const program = fileURLToPath(new URL('../leftovers.mjs', import.meta.url));
  const output = execFileSync('unshare', ['--mount', 'sh', '-c', script, program], { encoding: 'utf8' });
  t.match(output, /left behind: mount: \/tmp\/other\.\w+\/bundles\/b\/rootfs\n/);
  t.match(output, /exit code 1\n/);
  t.end();
});
