import t from 'tap';
import { describeCriuFailure, quoteLog, remedyFor } from '../../../src/plan/checkpoint/explain.ts';

const LOG = [
  ...Array.from({ length: 20 }, (_, index) => `(00.0000${index}) line ${index}`),
  "(00.063790) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted",
  '(00.063800) goes on',
  "(00.070000)      1: Error (criu/files-reg.c:1710): Can't lookup mount=21 for fd=1 path=/out",
  '(00.080000) Error (criu/cr-dump.c:1975): Dumping FAILED.',
].join('\n');

t.test('quoteLog() shows the errors that are a cause, and what was before', (t) => {
  const lines = quoteLog(LOG);
  t.equal(lines.length, 6);
  t.match(lines[0], 'line 17');
  t.match(lines.at(-1), "Can't lookup mount=21");
  t.strictSame(quoteLog(''), []);
  t.strictSame(quoteLog('nothing\nwrong'), []);
  t.equal(quoteLog(`Error (a): ${'x'.repeat(1000)}`)[0]?.length, 300, 'a line has its bounds');
  t.equal(quoteLog('Error (a): b\n'.repeat(100)).length, 3, 'so has their number');
  t.end();
});

t.test('describeCriuFailure() says the cause, and what helps', (t) => {
  t.equal(
    describeCriuFailure('checkpoint container "a"', { log: LOG, errno: 52, message: 'rlimit' }),
    `checkpoint container "a": CRIU failed (errno 52): 1: Error (criu/files-reg.c:1710): Can't lookup mount=21 for fd=1 path=/out; ` +
      'to mend it, files outside of the container cannot be saved: connect the program with pipes or a terminal',
  );
  t.equal(describeCriuFailure('a', { log: '' }), 'a: CRIU failed: it gives no reason');
  t.equal(describeCriuFailure('a', { log: '', message: 'it says so\n' }), 'a: CRIU failed: it says so');
  t.end();
});

t.test('remedyFor() knows what options are for', (t) => {
  const rows: [line: string, wanted: RegExp | undefined][] = [
    ['inet: Connected TCP socket, consider using --tcp-established option.', /--tcp-established/],
    ['In-flight connection (l) for 5', /--tcp-skip-in-flight/],
    ['sk unix: External socket is used. Consider using --ext-unix-sk option.', /--ext-unix-sk/],
    ['Some file locks are hold by dumping tasks! You can try --file-locks to dump them.', /--file-locks/],
    ['tty: Found dangling tty with sid 1 pgid 1 (pts) on peer fd 0.', /--shell-job/],
    ["Can't create link remap for /a. Use link-remap option.", /--link-remap/],
    ['Tracking memory is not available. Consider omitting --track-mem option.', /--pre-dump/],
    ['Unable to open tty-info.img: Permission denied', /search the directory of the images/],
    ['File tmp/count has bad size 3 (expect 0)', /root file system as it was/],
    ['something that nobody has seen', undefined],
  ];
  for (const [line, wanted] of rows) {
    const remedy = remedyFor({ log: `(00.1) Error (criu/a.c:1): ${line}` });
    if (wanted === undefined) t.equal(remedy, undefined, line);
    else t.match(remedy, wanted, line);
  }
  t.end();
});
