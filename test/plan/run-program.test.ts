import t from 'tap';
import { descriptorNumbers } from '../../src/plan/context.ts';
import { planPark, planRunProgram } from '../../src/plan/run-program.ts';
import { stepFailure } from '../../src/process/failure.ts';
import { printProgram } from '../../src/program/print.ts';
import { Memory } from '../../src/program/step.ts';
import { verify } from '../../src/program/verify.ts';
import { ERRNO } from '../../src/util/errno.ts';
import { makeProcess } from './fixtures.ts';

const process = makeProcess({ args: ['sh', '-c', 'true'], env: ['A=1'] });
const program = { process, executable: '/bin/sh', home: '/root' };

t.test('CVE-2024-21626: planRunProgram() closes every descriptor but those of the program', (t) => {
  const run = planRunProgram(descriptorNumbers(0), program);
  t.same(verify(run), []);
  t.equal(
    printProgram(run),
    `run "sh" (no reply)
   0  close_range(4, 4294967295, 0)  # close every other descriptor
   1  execve("/bin/sh", ["sh","-c","true"], ["A=1","HOME=/root"])  # exec: "sh"
`,
  );
  const preserving = planRunProgram(descriptorNumbers(2), program);
  // The sync pipe is number 5 then, and close-on-exec.
  t.match(preserving.steps, [{ call: 'close_range', operands: [6, 0xffff_ffff, 0] }, { call: 'execve' }]);
  t.end();
});

t.test('planRunProgram() adds what the runtime has to say to the environment', (t) => {
  const env = ['A=1', 'LISTEN_FDS=9'];
  const run = planRunProgram(descriptorNumbers(0), {
    ...program,
    process: { ...process, env },
    environment: ['LISTEN_FDS=2', 'LISTEN_PID=1'],
  });
  t.match(printProgram(run), '["A=1","LISTEN_FDS=2","LISTEN_PID=1","HOME=/root"]');
  t.end();
});

t.test('planRunProgram() fails in the words that callers look for', (t) => {
  const run = planRunProgram(descriptorNumbers(0), program);
  const last = run.steps.length - 1;
  t.match(stepFailure(run, last, -ERRNO.ENOENT), { code: 'program', message: 'exec: "sh": no such file or directory' });
  t.match(stepFailure(run, last, -ERRNO.EACCES), { code: 'program', message: 'exec: "sh": permission denied' });
  t.match(stepFailure(run, last, -ERRNO.ENOEXEC), { code: 'program', message: 'exec: "sh": exec format error' });
  t.end();
});

t.test('planPark() puts the connection in the place of the sync pipe', (t) => {
  const park = planPark(descriptorNumbers(0), new Memory().word('connection'));
  t.same(verify(park), []);
  t.equal(
    printProgram(park),
    `wait for start (no reply)
   0  close_range(5, 4294967295, 0)  # close what the set-up needed
   1  accept4(4, NULL, NULL, SOCK_CLOEXEC) = connection  # wait for start
   2  dup3(connection, 3, O_CLOEXEC)  # talk to the one that starts
   3  close(connection)  # close the connection
   4  close(4)  # stop listening
`,
  );
  t.end();
});
