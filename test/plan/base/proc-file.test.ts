import t from 'tap';
import { openProcFile, writeProcFile } from '../../../src/plan/base/proc-file.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const options = { label: 'x', pointer: '/p' };

t.test('openProcFile() refuses symlinks and mounts; with `follow` only magic links', (t) => {
  const context = makeContext();
  t.equal(
    printSteps([
      openProcFile(context, 'sys/a', context.memory.word('one'), options),
      openProcFile(context, 'thread-self/b', context.memory.word('other'), { ...options, follow: true }),
    ]),
    `
   0  openat2(proc, "sys/a", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_NO_XDEV}, 24) = one  # x  (/p)
   1  openat2(proc, "thread-self/b", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24) = other  # x  (/p)
`,
  );
  t.end();
});

t.test('writeProcFile() writes the bytes of the text at once', (t) => {
  t.equal(
    printSteps([writeProcFile(makeContext().memory.word('file'), 'ä', options)]),
    `
   0  write(file, "ä", 2)  # x  (/p)
`,
  );
  t.end();
});
