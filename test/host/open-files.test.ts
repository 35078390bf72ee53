import t from 'tap';
import { callersOpenFiles, parseOpenFiles } from '../../src/host/open-files.ts';

t.test('parseOpenFiles() reads the line of /proc/PID/limits', (t) => {
  const text =
    'Max processes  1 2 processes\nMax open files            1024                 524288               files\n';
  t.same(parseOpenFiles(text), { soft: 1024n, hard: 524288n });
  t.same(parseOpenFiles('Max open files            unlimited            unlimited            files     \n'), {
    soft: 2n ** 64n - 1n,
    hard: 2n ** 64n - 1n,
  });
  t.equal(parseOpenFiles('Max processes 1 2 processes\n'), undefined);
  t.end();
});

t.test('callersOpenFiles() takes the limit of a parent whose hard limit is the same', (t) => {
  const raised = { soft: 4096n, hard: 4096n };
  const parent = { soft: 1024n, hard: 4096n };
  t.same(
    callersOpenFiles(raised, () => parent),
    parent,
  );
  t.equal(
    callersOpenFiles(raised, () => raised),
    undefined,
    'the parent has it, too',
  );
  t.equal(
    callersOpenFiles(parent, () => raised),
    undefined,
    'nothing was raised',
  );
  t.equal(
    callersOpenFiles(undefined, () => parent),
    undefined,
  );
  t.equal(
    callersOpenFiles(raised, () => ({ soft: 1024n, hard: 9999n })),
    'leave RLIMIT_NOFILE at 4096:4096: that of the parent process is 1024:9999',
  );
  t.equal(
    callersOpenFiles(raised, () => undefined),
    'leave RLIMIT_NOFILE at 4096:4096: that of the parent process cannot be read',
  );
  t.end();
});
