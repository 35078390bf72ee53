import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { lacksReason, steady } from '../live/broken-inputs/steady.ts';
import { table } from '../live/broken-inputs/table.ts';

const text = readFileSync(fileURLToPath(new URL('../../docs/errors.md', import.meta.url)), 'utf8');

t.test('docs/errors.md has what the three runtimes say of every broken input', (t) => {
  const [, ...sections] = text.split('\n## ');
  t.strictSame(
    sections.map((section) => section.split('\n')[0]),
    table.map(({ subject }) => subject),
  );
  for (const [index, { rows }] of table.entries()) {
    const written = (sections[index] ?? '').split('\n### ').slice(1);
    t.strictSame(
      written.map((row) => row.split('\n')[0]?.toLowerCase()),
      rows.map(({ name }) => name.toLowerCase()),
    );
    for (const row of written)
      for (const runtime of ['tsrun', 'runc', 'crun'])
        t.match(row, new RegExp(`^\\| ${runtime} \\| (\\d+|SIG[A-Z]+|none within 20 s) \\| .*\\|$`, 'm'));
  }
  t.end();
});

t.test('docs/errors.md has nothing that differs from run to run', (t) => {
  for (const row of text.split('\n').filter((line) => /^\| (?:tsrun|runc|crun) \| /.test(line)))
    for (const message of row.split('`').filter((_, index) => index % 2 === 1)) {
      t.notMatch(
        message,
        /\[\d{2,}\]:|\/proc\/\d|\bpid \d|\b0xc[0-9a-f]{9}\b|usage: \d|\d\d:\d\d:\d\d|[tT]sg[-\w]*\d{4}/,
        row,
      );
      t.notMatch(message, /\/tmp\/(?!DIRECTORY|NAME|:|\s|"|')/, row);
      t.equal(steady(message), message, 'written as it is kept');
    }
  t.end();
});

t.test('steady() has a name for what differs, and keeps the rest', (t) => {
  const rows: readonly (readonly [said: string, wanted: string])[] = [
    ['nsexec-0[25492]: failed to update /proc/25494/uid_map', 'nsexec-0[PID]: failed to update /proc/PID/uid_map'],
    ['nsexec[7]: failed to use newuid map on 26314: x', 'nsexec[PID]: failed to use newuid map on PID: x'],
    ['error adding pid 27381: failed to write 27381: openat2', 'error adding pid PID: failed to write PID: openat2'],
    ['main.setupSpec(0xc0000b86e0?) pc=0x7f83b5', 'main.setupSpec(ADDRESS?) pc=0x7f83b5'],
    ['(current usage: 180224, peak usage: 262144)', '(current usage: BYTES, peak usage: BYTES)'],
    ['at 2026-11-28T14:46:28.5Z: open /tmp/runc-process123', 'at TIME: open /tmp/NAME'],
    ['/sys/fs/cgroup/blkio/ID/no/such/x', '/sys/fs/cgroup/HIERARCHY/ID/no/such/x'],
    [
      'nsexec-1[3]: b\nnsexec-0[2]: a\nFailed to remove cgroup (will retry)\nend',
      'nsexec-0[PID]: a\nnsexec-1[PID]: b\nend',
    ],
    ['setresuid to 70000, /proc/self/fd, mode 0755, 250:250', 'setresuid to 70000, /proc/self/fd, mode 0755, 250:250'],
  ];
  for (const [said, wanted] of rows) t.equal(steady(said), wanted);
  t.ok(lacksReason('write to sync socket: Broken pipe'));
  t.ok(lacksReason('error executing hook (exit code: -33)\nwriting to pipe: Broken pipe'));
  t.notOk(lacksReason("cannot setns '/etc/passwd': Invalid argument"));
  t.end();
});
