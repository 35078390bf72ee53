import t from 'tap';
import {
  allocateFound,
  candidates,
  isFound,
  planFindExecutable,
  readExecutable,
} from '../../../src/plan/process/executable.ts';
import type { Process } from '../../../src/spec/generated/config.ts';
import { listFailures, makeContext, makeProcess, printSteps } from '../fixtures.ts';

function plan(process: Process) {
  const context = makeContext();
  const found = allocateFound(context.memory, process);
  return { context, found, steps: planFindExecutable(context, process, found) };
}

t.test('candidates() is argv[0] itself when it has a slash', (t) => {
  t.same(candidates(makeProcess({ args: ['./x'], env: ['PATH=/bin'] })), ['./x']);
  t.end();
});

t.test('candidates() follows PATH, the last of several, an empty entry being the working directory', (t) => {
  const env = ['PATH=/wrong', 'XPATH=/wrong', 'PATH=/bin::/usr/bin/:/bin:rel', 'PATHX=/wrong'];
  t.same(candidates(makeProcess({ args: ['x'], env })), ['/bin/x', './x', '/usr/bin/x', 'rel/x']);
  t.same(candidates(makeProcess({ args: ['x'], env: ['PATH='] })), ['./x']);
  t.end();
});

t.test('candidates() has a PATH of its own when the environment has none', (t) => {
  const directories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  t.same(
    candidates(makeProcess({ args: ['x'] })),
    directories.map((directory) => `${directory}/x`),
  );
  t.end();
});

t.test('candidates() is empty for no name', (t) => {
  t.same(candidates({ cwd: '/' }), []);
  t.same(candidates(makeProcess({ args: [''] })), []);
  t.end();
});

t.test('planFindExecutable() searches PATH without an answer', (t) => {
  const { steps } = plan(makeProcess({ args: ['true'], env: ['PATH=/a:/b'] }));
  t.equal(
    printSteps(steps),
    `
   0  statx(AT_FDCWD, "/a/true", 0, STATX_BASIC_STATS, &stat) = answer, accepts any errno  # exec: "true": look for "/a/true"
   1  if answer < 0 skip 5  # exec: "true": pass over what is not there
   2    if not (is a regular file) skip 4  # exec: "true": pass over what is no file
   3      faccessat2(AT_FDCWD, "/a/true", X_OK, AT_EACCESS) = answer, accepts any errno  # exec: "true": look for "/a/true"
   4      if not (answer == 0) skip 2  # exec: "true": pass over what cannot be executed
   5        getpid() = found  # exec: "true": note where it is
   6        getpid() = found+8  # exec: "true": note where it is
   7  if not (found == 0) skip 7  # exec: "true": go on unless it is found
   8    statx(AT_FDCWD, "/b/true", 0, STATX_BASIC_STATS, &stat) = answer, accepts any errno  # exec: "true": look for "/b/true"
   9    if answer < 0 skip 5  # exec: "true": pass over what is not there
  10      if not (is a regular file) skip 4  # exec: "true": pass over what is no file
  11        faccessat2(AT_FDCWD, "/b/true", X_OK, AT_EACCESS) = answer, accepts any errno  # exec: "true": look for "/b/true"
  12        if not (answer == 0) skip 2  # exec: "true": pass over what cannot be executed
  13          getpid() = found  # exec: "true": note where it is
  14          getpid() = found+16  # exec: "true": note where it is
  15  if found == 0 fail ENOENT  # exec: "true": look for it
`,
  );
  t.same(listFailures(steps), ['exec: "true": executable file not found in $PATH']);
  t.ok(steps.every(({ label, pointer }) => label.startsWith('exec: ') && pointer === undefined));
  t.end();
});

t.test('planFindExecutable() says what is wrong with a path', (t) => {
  const { steps } = plan(makeProcess({ args: ['/bin/x'] }));
  t.equal(
    printSteps(steps),
    `
   0  statx(AT_FDCWD, "/bin/x", 0, STATX_BASIC_STATS, &stat) = answer, accepts ENOENT ENOTDIR EACCES  # exec: "/bin/x": look for it
   1  if answer == -ENOENT fail ENOENT  # exec: "/bin/x": look for it
   2  if answer == -ENOTDIR fail ENOTDIR  # exec: "/bin/x": look for it
   3  if answer == -EACCES fail EACCES  # exec: "/bin/x": look for it
   4  if is a directory fail EISDIR  # exec: "/bin/x": look for it
   5  if not (is a regular file) fail EACCES  # exec: "/bin/x": look for it
   6  faccessat2(AT_FDCWD, "/bin/x", X_OK, AT_EACCESS) = answer, accepts EACCES  # exec: "/bin/x": look for it
   7  if answer == -EACCES fail EACCES  # exec: "/bin/x": look for it
   8  getpid() = found  # exec: "/bin/x": note where it is
   9  getpid() = found+8  # exec: "/bin/x": note where it is
`,
  );
  t.same(listFailures(steps), [
    'exec: "/bin/x": stat /bin/x: {errno}',
    'exec: "/bin/x": stat /bin/x: no such file or directory: ENOENT',
    'exec: "/bin/x": stat /bin/x: not a directory: ENOTDIR',
    'exec: "/bin/x": stat /bin/x: permission denied: EACCES',
    'exec: "/bin/x": is a directory: permission denied: EACCES',
    'exec: "/bin/x": permission denied: EACCES',
    'exec: "/bin/x": {errno}',
    'exec: "/bin/x": permission denied: EACCES',
  ]);
  t.end();
});

t.test('planFindExecutable() stops searching a long PATH and warns', (t) => {
  const path = Array.from({ length: 70 }, (_, index) => `/${index}`).join(':');
  const process = makeProcess({ args: ['x'], env: [`PATH=${path}`] });
  const { context, found } = plan(process);
  t.equal(candidates(process).length, 64);
  t.equal(found.size, 65 * 8);
  t.same(context.warnings, ['the last 6 entries of PATH are not searched for "x"']);
  t.end();
});

t.test('isFound() and readExecutable() read the marks', (t) => {
  const process = makeProcess({ args: ['x'], env: ['PATH=/a:/b'] });
  const { found } = plan(process);
  t.match(isFound(found, 1), { value: { of: found, offset: 16 }, wanted: 0n, invert: true });
  t.equal(readExecutable(process, [1n, 0n, 1n]), '/b/x');
  t.throws(() => readExecutable(process, [0n, 0n, 0n]), /bug/);
  t.throws(() => readExecutable(process, []), /bug/);
  t.end();
});
