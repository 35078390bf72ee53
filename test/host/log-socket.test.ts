import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { journalEntry, openLogSocket, syslogLine } from '../../src/host/log-socket.ts';
import { listenUnix, receiveMessage } from '../../src/sys/socket.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsrun-test-'));
t.teardown(() => {
  rmSync(directory, { recursive: true });
});

t.test('journalEntry() keeps a message apart from the fields', (t) => {
  const message = 'a\nPRIORITY=0';
  const entry = journalEntry({ name: 'web', pid: 7, level: 'error', message });
  const head = 'PRIORITY=3\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=web\nMESSAGE\n';
  t.equal(entry.subarray(0, head.length).toString(), head);
  t.equal(entry.readBigUInt64LE(head.length), BigInt(message.length));
  t.equal(entry.subarray(head.length + 8).toString(), `${message}\n`);
  t.end();
});

t.test('syslogLine() writes as syslog(3) does', (t) => {
  const time = new Date(2026, 0, 3, 4, 5, 6);
  const line = syslogLine({ name: 'web', pid: 7, level: 'warning', message: 'a\nb' }, time);
  t.equal(line.toString(), '<28>Jan  3 04:05:06 web[7]: a\\x0ab');
  t.match(syslogLine({ name: 'web', pid: 7, level: 'debug', message: '' }, time).toString(), /^<31>/);
  t.end();
});

t.test('openLogSocket() sends a datagram for each message', (t) => {
  for (const kind of ['journald', 'syslog'] as const) {
    // A directory of the tests may have a longer name than a socket can.
    const socketPath = join(directory, kind);
    using server = listenUnix(socketPath, 'datagram');
    using log = openLogSocket({ kind, name: 'web', pid: 7, socketPath });
    t.equal(log.send('error', 'first'), true);
    t.equal(log.send('warning', 'x'.repeat(100_000)), true);
    t.match(receiveMessage(server.number, 200_000).bytes.toString(), /first\n?$/);
    const { length } = receiveMessage(server.number, 200_000).bytes;
    t.ok(length > 8000 && length < 70_000, 'a long message is cut');
    server.close();
    t.equal(log.send('error', 'second'), false, 'nobody listens any more');
  }
  t.end();
});

t.test('openLogSocket() says where nobody listens', (t) => {
  const socketPath = join(directory, 'none');
  const message = `open log "syslog": nobody listens at ${JSON.stringify(socketPath)}: no such file or directory: ENOENT`;
  t.throws(() => openLogSocket({ kind: 'syslog', name: 'web', pid: 7, socketPath }), {
    code: 'host',
    errno: 'ENOENT',
    message,
  });
  t.end();
});
