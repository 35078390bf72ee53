import t from 'tap';
import { descriptorNumbers } from '../../src/plan/base/context.ts';
import { planPark, planRunProgram } from '../../src/plan/run-program.ts';
import { stepFailure } from '../../src/process/failure.ts';
import { encode } from '../../src/program/encode.ts';
import { ModelKernel } from '../../src/program/model/kernel.ts';
import { printProgram } from '../../src/program/print.ts';
import { ModelInit } from '../../src/program/model/simulate.ts';
import { Memory } from '../../src/program/step.ts';
import { verify } from '../../src/program/model/verify.ts';
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
   0  close_range(4, ~0U, 0)  # close every other descriptor
   1  execve("/bin/sh", ["sh","-c","true"], ["A=1","HOME=/root"]) = executed, accepts ENOENT ENOTDIR ENOEXEC  # exec: "sh"
   2  if executed < 0 skip 1  # skip 1 when executed < 0
   3    exit_group(1)  # end as one that cannot be run
   4  writev(3, [tag 30, executed], 2)  # exec: "sh": tell why it cannot be executed
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
  const index = run.steps.findIndex((step) => step.kind === 'call' && step.call === 'execve');
  t.match(stepFailure(run, index, -ERRNO.EACCES), {
    code: 'program',
    message: 'exec: "sh": permission denied: EACCES',
  });
  t.match(stepFailure(run, index, -ERRNO.E2BIG), { message: 'exec: "sh": argument list too long: E2BIG' });
  t.end();
});

t.test('planRunProgram() has an init whose executable is unfit tell so, and wait', (t) => {
  const packets = encode(planRunProgram(descriptorNumbers(0), program), { arch: 'x86-64', syncFd: 3 });
  const model = new ModelKernel({ syncFd: 3, openFds: [0, 1, 2, 3], tree: { bin: {} } });
  const { end, failure, replies } = new ModelInit(model, { arch: 'x86-64', syncFd: 3 }).run(packets);
  t.strictSame({ end, failure }, { end: { state: 'waiting' }, failure: undefined });
  t.strictSame(
    replies.map((reply) => [...new BigInt64Array(reply.slice().buffer)]),
    [[30n, BigInt(-ERRNO.ENOENT)]],
  );
  t.end();
});

t.test('planPark() puts the connection in the place of the sync pipe, when it is that of its user', (t) => {
  const park = planPark(descriptorNumbers(0), {
    connection: new Memory().word('connection'),
    proof: { kind: 'uid', uid: 7 },
  });
  t.same(verify(park), []);
  t.equal(
    printProgram(park),
    `wait for start (no reply)
   0  close_range(5, ~0U, 0)  # close what the set-up needed
   1  accept4(4, NULL, NULL, SOCK_CLOEXEC) = connection  # wait for start
   2  getsockopt(connection, SOL_SOCKET, SO_PEERCRED, peer, 12)  # see who starts
   3  if the peer is user 7 skip 1  # skip 1 when the peer is user 7
   4    exit_group(1)  # end, as it is somebody else
   5  dup3(connection, 3, O_CLOEXEC)  # talk to the one that starts
   6  close(connection)  # close the connection
   7  close(4)  # stop listening
`,
  );
  t.end();
});

t.test('planPark() hands out handles until somebody starts, and is ended by nobody', (t) => {
  const memory = new Memory();
  const start = Uint8Array.from({ length: 16 }, (_, index) => index);
  const park = planPark(descriptorNumbers(0), {
    connection: memory.word('connection'),
    proof: { kind: 'token', token: start },
    handOut: { token: start.map((byte) => byte + 16), numbers: [7, 8, 9], memory },
  });
  t.same(verify(park), []);
  const text = printProgram(park);
  t.notMatch(text, 'exit_group');
  t.match(text, 'close_range(5, 6, 0)');
  t.match(text, 'close_range(10, ~0U, 0)', 'the handles stay');
  t.match(text, 'SCM_RIGHTS, [7, 8, 9]');
  t.match(text, /repeat \d+ up to 1000 times/);
  t.notMatch(text, '0706', 'no token is printed');
  t.end();
});

t.test('planPark() has a token compared, all of it, where users cannot be told apart', (t) => {
  const token = Uint8Array.from({ length: 16 }, (_, index) => index);
  const park = planPark(descriptorNumbers(0), {
    connection: new Memory().word('connection'),
    proof: { kind: 'token', token },
  });
  t.same(verify(park), []);
  const checks = park.steps.flatMap((step) => (step.kind === 'check' ? [step.condition] : []));
  t.match(checks, [
    { wanted: 0x0706_0504_0302_0100n, mask: 0xffff_ffff_ffff_ffffn, value: { offset: 0 } },
    { wanted: 0x0f0e_0d0c_0b0a_0908n, mask: 0xffff_ffff_ffff_ffffn, value: { offset: 8 } },
  ]);
  t.equal(park.steps.filter((step) => step.kind === 'call' && step.call === 'exit_group').length, 2);
  t.notMatch(printProgram(park), '0706', 'it is not printed');
  t.end();
});
