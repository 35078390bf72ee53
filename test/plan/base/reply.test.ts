import t from 'tap';
import { descriptorNumbers } from '../../../src/plan/base/context.ts';
import { reply, replyWithDescriptors } from '../../../src/plan/base/reply.ts';
import { ModelKernel } from '../../../src/program/model/kernel.ts';
import { simulate } from '../../../src/program/model/simulate.ts';
import { Memory, type Step } from '../../../src/program/step.ts';
import { at, call } from '../../../src/program/build.ts';
import { printSteps } from '../fixtures.ts';

function answers(...steps: Step[]): bigint[][] {
  const program = { name: 'test', steps, replies: true };
  const { replies } = simulate(program, new ModelKernel({ syncFd: 3, pid: 7 }), { arch: 'x86-64', syncFd: 3 });
  return replies.map((bytes) => [...new BigUint64Array(bytes.slice().buffer)]);
}

t.test('reply() sends a tag alone or with the values of words', (t) => {
  const memory = new Memory();
  const [one, two] = [memory.word('one'), memory.buffer('two', 24)];
  const label = { label: 'get it' };
  t.same(answers(reply(3, 'rootfs', 'go on')), [[18n]]);
  t.same(answers(call('getpid', [], { ...label, result: one }), reply(3, 'pid', 'go on', [one])), [[17n, 7n]]);
  t.same(
    answers(
      call('getpid', [], { ...label, result: one }),
      call('getpid', [], { ...label, result: at(two, 16) }),
      reply(3, 'ready', 'go on', [two, one]),
    ),
    [[22n, 0n, 0n, 7n, 7n]],
  );
  t.end();
});

t.test('reply() cannot send a part of a region', (t) => {
  const buffer = new Memory().buffer('buffer', 16);
  t.throws(() => reply(3, 'ready', 'go on', [at(buffer, 8)]), { message: 'bug: buffer+8 cannot be linked to' });
  t.end();
});

t.test('replyWithDescriptors() sends one or two by numbers known in advance', (t) => {
  const memory = new Memory();
  const [one, two] = [memory.word('one'), memory.word('two')];
  const numbers = descriptorNumbers(0);
  t.equal(
    printSteps(replyWithDescriptors(numbers, 'console', 'hand over', [one])),
    `
   0  dup3(one, 5, O_CLOEXEC)  # number one 5
   1  sendmsg(3, {tag 20, {SCM_RIGHTS, [5]}}, 0)  # hand over
`,
  );
  t.equal(
    printSteps(replyWithDescriptors(numbers, 'copy-up', 'hand over', [one, two])),
    `
   0  dup3(one, 5, O_CLOEXEC)  # number one 5
   1  dup3(two, 6, O_CLOEXEC)  # number two 6
   2  sendmsg(3, {tag 19, {SCM_RIGHTS, [5, 6]}}, 0)  # hand over
`,
  );
  t.end();
});

t.test('replyWithDescriptors() writes a control message as cmsg(3) wants it', (t) => {
  const memory = new Memory();
  const words = [memory.word('one'), memory.word('two')];
  const control = (count: number) => {
    const message = replyWithDescriptors(descriptorNumbers(0), 'copy-up', 'hand over', words.slice(0, count)).at(-1);
    const header = message?.kind === 'call' ? message.operands[1] : undefined;
    if (typeof header !== 'object' || header.kind !== 'block') throw new Error('no message header');
    const { to } = header.links.find((link) => link.at === 32) ?? {};
    if (to?.kind !== 'block') throw new Error('no control message');
    const view = new DataView(to.bytes.buffer);
    const length = view.getBigUint64(0, true);
    const numbers = [16, 20].slice(0, count).map((offset) => view.getInt32(offset, true));
    return { size: to.bytes.length, length, level: view.getInt32(8, true), type: view.getInt32(12, true), numbers };
  };
  t.same(control(1), { size: 24, length: 20n, level: 1, type: 1, numbers: [5] });
  t.same(control(2), { size: 24, length: 24n, level: 1, type: 1, numbers: [5, 6] });
  t.end();
});
