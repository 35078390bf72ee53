import t from 'tap';
import { formatUsageJson, formatUsageTable } from '../../src/cli/usage-output.ts';
import { messageOf, runLine, usage } from './fixtures.ts';

t.test('formatUsageTable() shows sizes that people read', (t) => {
  const other = { ...usage, id: 'db', cpuPercent: undefined, pidsLimit: 20, memory: 0 };
  const [heading, ...lines] = formatUsageTable([usage, other]).trimEnd().split('\n');
  t.match(heading, /^ID +CPU % +MEMORY \/ LIMIT +MEM % +PIDS +NET IN \/ OUT +BLOCK READ \/ WRITTEN$/);
  t.strictSame(
    lines.map((line) => line.split(/ {2,}/)),
    [
      ['web', '12.35%', '1.5MiB / 1GiB', '0.15%', '3', '10KiB / 118MiB', '512B / 0B'],
      ['db', '-', '0B / 1GiB', '0.00%', '3 / 20', '10KiB / 118MiB', '512B / 0B'],
    ],
  );
  t.end();
});

t.test('formatUsageJson() writes a document a line', (t) => {
  const lines = formatUsageJson([usage, { ...usage, cpuPercent: undefined }])
    .trimEnd()
    .split('\n');
  t.match(JSON.parse(lines[0] ?? ''), { id: 'web', cpuPercent: 12.35, memory: 1572864, memoryPercent: 0.15, pids: 3 });
  t.match(JSON.parse(lines[1] ?? ''), { cpuPercent: null });
  t.equal(formatUsageJson([]), '');
  t.end();
});

t.test('stats refreshes a terminal, and writes nothing but the table elsewhere', async (t) => {
  const terminal = await runLine('stats', { surroundings: { columns: () => 80 } });
  t.ok(terminal.stdout.startsWith('\u001b[H\u001b[JID '));
  const options = { ids: ['web'], intervalMs: 1500, once: true };
  const once = await runLine('stats --no-stream --interval 1.5s web', { surroundings: { columns: () => 80 } });
  t.ok(once.stdout.startsWith('ID '));
  t.strictSame(once.calls[0]?.[2], options);
  t.match(messageOf(await runLine('stats --format xml')), /invalid format/);
});

t.test('wait prints a line for each, and says what nobody can tell', async (t) => {
  t.match(await runLine('wait web db'), { code: 0, stdout: '7\n7\n' });
  const unknown = await runLine('wait web', { results: { waitForContainer: undefined } });
  t.match(unknown, { code: 4, stdout: '' });
});
