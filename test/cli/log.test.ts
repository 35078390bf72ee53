import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createLog, formatLogLine, type LogSocket } from '../../src/log.ts';

const time = new Date('2026-01-31T12:00:00.987Z');
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

t.test('formatLogLine() writes as runc does', (t) => {
  const line = { level: 'error', message: 'open "x":\nENOENT', time } as const;
  const text = 'time="2026-01-31T12:00:00Z" level=error msg="open \\"x\\":\\nENOENT"\n';
  t.equal(formatLogLine('text', line), text);
  const json = '{"level":"error","msg":"open \\"x\\":\\nENOENT","time":"2026-01-31T12:00:00Z"}\n';
  t.equal(formatLogLine('json', line), json);
  const details = { code: 'step', step: 'mount "x"', path: '/mounts/0', errno: 'EINVAL', hint: 'do' };
  t.strictSame(JSON.parse(formatLogLine('json', { ...line, details })), {
    ...(JSON.parse(json) as object),
    ...details,
  });
  t.equal(formatLogLine('text', { ...line, details }), text, 'a line of text is for people');
  const steering = { level: 'error', message: '\u001b[2J\u009b2J\r\u007f', time } as const;
  t.match(formatLogLine('text', steering), /msg="\\u001b\[2J\\x9b2J\\r\\x7f"\n$/);
  t.strictSame((JSON.parse(formatLogLine('json', steering)) as { msg: string }).msg, steering.message);
  t.end();
});

t.test('createLog() appends lines that are JSON with an RFC 3339 time', (t) => {
  const file = join(t.testdir({ log: '{}\n' }), 'log');
  const stderr: string[] = [];
  const log = createLog({ file, format: 'json', level: 'warning', writeStderr: (text) => stderr.push(text) });
  t.equal(log.isElsewhere, true);
  log.debug('not shown');
  log.warning('two\nlines');
  log.error('quote " backslash \\ nul \0 lone \ud800');
  log[Symbol.dispose]();
  const lines = readFileSync(file, 'utf8').split('\n');
  t.equal(lines.pop(), '');
  t.equal(lines.shift(), '{}');
  const parsed = lines.map((line) => JSON.parse(line) as { level: string; msg: string; time: string });
  t.strictSame(
    parsed.map(({ level, msg }) => [level, msg]),
    [
      ['warning', 'two\nlines'],
      ['error', 'quote " backslash \\ nul \0 lone \ud800'],
    ],
  );
  for (const line of parsed) t.match(line.time, rfc3339);
  t.strictSame(stderr, []);
  t.end();
});

t.test('createLog() goes by level', (t) => {
  const rows = [
    ['debug', ['debug', 'warning', 'error']],
    ['warning', ['warning', 'error']],
    ['error', ['error']],
  ] as const;
  for (const [level, shown] of rows) {
    const stderr: string[] = [];
    const log = createLog({ format: 'text', level, now: () => time, writeStderr: (text) => stderr.push(text) });
    log.debug('m');
    log.warning('m');
    log.error('m');
    t.strictSame(
      stderr,
      shown.map((name) => `time="2026-01-31T12:00:00Z" level=${name} msg="m"\n`),
    );
    t.equal(log.isElsewhere, false);
    t.doesNotThrow(() => {
      log[Symbol.dispose]();
    });
  }
  t.end();
});

t.test('createLog() lets no message steer a terminal', (t) => {
  const stderr: string[] = [];
  const writeStderr = (text: string): void => void stderr.push(text);
  const log = createLog({ format: 'text', level: 'warning', writeStderr, isTerminal: true });
  log.error('first\nsecond \u001b[2J\u009b');
  log.warning('a\tb');
  t.strictSame(stderr, ['first\nsecond \\x1b[2J\\x9b\n', 'warning: a\\x09b\n']);
  t.end();
});

t.test('createLog() sends to a service, and says on standard error what it does not take', (t) => {
  const sent: string[] = [];
  const stderr: string[] = [];
  let works = true;
  let closed = 0;
  const socket: LogSocket = {
    send: (level, message) => {
      if (works) sent.push(`${level} ${message}`);
      return works;
    },
    [Symbol.dispose]: () => {
      closed += 1;
    },
  };
  const writeStderr = (text: string): void => void stderr.push(text);
  const options = { format: 'text', level: 'warning', now: () => time, writeStderr } as const;
  const log = createLog({ ...options, socket });
  t.equal(log.isElsewhere, true);
  log.debug('not sent');
  log.error('one');
  works = false;
  log.error('two');
  log[Symbol.dispose]();
  const line = 'time="2026-01-31T12:00:00Z" level=error msg="two"\n';
  t.strictSame([sent, stderr, closed], [['error one'], [line], 1]);
  works = true;
  const both = createLog({ ...options, also: socket });
  t.equal(both.isElsewhere, false);
  both.error('two');
  both[Symbol.dispose]();
  t.strictSame([sent, stderr, closed], [['error one', 'error two'], [line, line], 2]);
  t.end();
});

t.test('createLog() makes the file at once', (t) => {
  const file = join(t.testdir(), 'log');
  const log = createLog({ file, format: 'json', level: 'error', writeStderr: () => undefined });
  t.equal(statSync(file).mode & 0o7733, 0o600, 'others may read it at most');
  t.match(openFlagsOf(file), /^0?2[0-7]*2001$/, 'O_CLOEXEC, O_APPEND, O_WRONLY');
  log[Symbol.dispose]();
  t.equal(readFileSync(file, 'utf8'), '');
  t.end();
});

t.test('createLog() refuses a file that cannot be opened', (t) => {
  const file = join(t.testdir(), 'none', 'log');
  const options = { file, format: 'json', level: 'error', writeStderr: () => undefined } as const;
  t.throws(() => createLog(options), {
    code: 'host',
    message: `open log file ${JSON.stringify(file)}: no such file or directory: ENOENT`,
  });
  t.end();
});

t.test('createLog() falls back to standard error when the file cannot be written', (t) => {
  const stderr: string[] = [];
  const writeStderr = (text: string): void => void stderr.push(text);
  const log = createLog({ file: '/dev/full', format: 'text', level: 'error', now: () => time, writeStderr });
  log.error('m');
  log[Symbol.dispose]();
  t.strictSame(stderr, ['time="2026-01-31T12:00:00Z" level=error msg="m"\n']);
  t.end();
});

/** The octal flags with which this process holds a file open (man 5 proc_pid_fdinfo). */
function openFlagsOf(file: string): string {
  for (const number of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${number}`) !== file) continue;
    } catch {
      // The descriptor that listed the directory is gone again.
      continue;
    }
    return /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${number}`, 'latin1'))?.[1] ?? '';
  }
  return 'not open';
}
