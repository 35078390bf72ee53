import t from 'tap';
import { planLeave } from '../../src/plan/leave.ts';
import { encode } from '../../src/program/encode.ts';
import { verify } from '../../src/program/model/verify.ts';
import { printSteps } from './fixtures.ts';

const engine = { path: '/opt/tsrun-cold', args: ['tsrun', 'start', 'c1'], environment: ['A=1'] };

t.test('planLeave() ends when the program runs, and executes the engine for everything else', (t) => {
  const program = planLeave({ connection: 8, packet: new Uint8Array(24), engine });
  t.equal(
    printSteps(program.steps),
    `
   0  sendmsg(8, {packet}, MSG_NOSIGNAL) = answer, accepts any errno  # have init become the program
   1  if answer < 0 skip 1  # skip 1 when answer < 0
   2    recvmsg(8, {first bytes}, MSG_PEEK) = answer, accepts any errno  # wait until it is the program
   3  if not (answer == 0) skip 1  # skip 1 when not (answer == 0)
   4    exit_group(0)  # the program runs
   5  execve("/opt/tsrun-cold", ["tsrun","start","c1"], ["A=1"]), accepts any errno  # execute the engine
   6  write(2, "tsrun: the program did not start, and what would say why cannot be executed\\n", 76), accepts any errno  # say so
   7  exit_group(1)  # end
`,
  );
  t.same(verify(program), []);
  for (const arch of ['x86-64', 'arm64'] as const) t.equal(encode(program, { arch, syncFd: 5 }).length, 1, arch);
  t.end();
});
