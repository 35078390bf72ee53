import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createLog, formatLogLine } from '../../src/log.ts';

const time = new Date('2026-01-31T12:00:00.987Z');
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

t.test('formatLogLine() writes as runc does', (t) => {
  const line = { level: 'error', message: 'open "x":\nENOENT', time } as const;
  const text = 'time="2026-01-31T12:00:00Z" level=error msg="open \\"x\\":\\nENOENT"\n';
  t.equal(formatLogLine('text', line), text);
  const json = '{"level":"error","msg":"open \\"x\\":\\nENOENT","time":"2026-01-31T12:00:00Z"}\n';
  t.equal(formatLogLine('json', line), json);
  t.end();
});

t.test('createLog() appends lines that are JSON with an RFC 3339 time', (t) => {
  const file = join(t.testdir({ log: '{}\n' }), 'log');
  const stderr: string[] = [];
  const log = createLog({ file, format: 'json', level: 'warning', writeStderr: (text) => stderr.push(text) });
  t.equal(log.toFile, true);
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
    t.equal(log.toFile, false);
    t.doesNotThrow(() => {
      log[Symbol.dispose]();
    });
  }
  t.end();
});

t.test('createLog() makes the file at once', (t) => {
  const file = join(t.testdir(), 'log');
  createLog({ file, format: 'json', level: 'error', writeStderr: () => undefined })[Symbol.dispose]();
  t.equal(readFileSync(file, 'utf8'), '');
  t.end();
});

t.test('createLog() refuses a file that cannot be opened', (t) => {
  const file = join(t.testdir(), 'none', 'log');
  const options = { file, format: 'json', level: 'error', writeStderr: () => undefined } as const;
  t.throws(() => createLog(options), { code: 'host', message: `open log file ${JSON.stringify(file)}: ENOENT` });
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
