import { fstatSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { takeLaunched } from '../../src/cli/launched.ts';
import { LAUNCHED } from '../../src/util/launched.ts';
import { encodeWill } from '../../src/util/wills.ts';

interface Handed {
  readonly soft?: bigint;
  readonly hard?: bigint;
  readonly errno?: bigint;
  readonly will?: number;
  readonly planner?: number;
  readonly blockedBefore?: bigint;
  readonly blockedAfter?: bigint;
  readonly entries?: string;
}

/** What the launcher would leave, and the descriptor of it. */
function hand(
  t: Test,
  { soft = 0n, hard = 0n, errno = 0n, entries = '', will = 0, planner = 0, ...signals }: Handed,
): { env: NodeJS.ProcessEnv; fd: number } {
  const header = Buffer.alloc(LAUNCHED.environment);
  header.writeBigUInt64LE(soft, LAUNCHED.openFilesSoft);
  header.writeBigUInt64LE(hard, LAUNCHED.openFilesHard);
  header.writeBigInt64LE(errno, LAUNCHED.workingDirectory);
  header.writeUInt32LE(will, LAUNCHED.will);
  header.writeUInt32LE(planner, LAUNCHED.planner);
  header.writeBigUInt64LE(signals.blockedBefore ?? 0n, LAUNCHED.blockedBefore);
  header.writeBigUInt64LE(signals.blockedAfter ?? 0n, LAUNCHED.blockedAfter);
  const file = path.join(t.testdir(), 'handed');
  writeFileSync(file, Buffer.concat([header, Buffer.from(entries)]));
  const fd = openSync(file, 'r');
  const digits = [fd & 15, fd >> 4].map((digit) => LAUNCHED.digits.charAt(digit)).join('');
  return { env: { [LAUNCHED.variable]: digits, BUN_JSC_useJIT: '0' }, fd };
}

function told(env: NodeJS.ProcessEnv): object | undefined {
  const { again: _again, ...others } = takeLaunched(env) ?? {};
  return others;
}

t.test('takeLaunched() takes nothing without a launcher', (t) => {
  const env = { A: '1' };
  t.equal(takeLaunched(env), undefined);
  t.same(env, { A: '1' });
  t.end();
});

t.test('takeLaunched() puts the environment of the caller in the place of the own, and closes the descriptor', (t) => {
  const { env, fd } = hand(t, { entries: 'A=1=2\0B=\0A=second\0=odd\0none\0C=ä\n\0__proto__=x\0' });
  t.same(told(env), {});
  t.strictSame({ ...env }, { ...env, A: '1=2', B: '', C: 'ä\n' });
  t.strictSame(
    Object.keys(env)
      .filter((name) => name !== '__proto__')
      .sort(),
    ['A', 'B', 'C'],
  );
  t.throws(() => fstatSync(fd), { code: 'EBADF' });
  t.end();
});

t.test('takeLaunched() tells of the limit and the working directory', (t) => {
  t.same(told(hand(t, { soft: 1024n, hard: 4096n }).env), { openFiles: { soft: 1024n, hard: 4096n } });
  t.same(told(hand(t, { errno: -2n }).env), { workingDirectoryErrno: 'ENOENT' });
  t.end();
});

t.test('takeLaunched() refuses what no launcher has left', (t) => {
  const { env } = hand(t, {});
  for (const digits of ['', 'x', 'ppppppppp', 'aaaaab'])
    t.throws(() => takeLaunched({ [LAUNCHED.variable]: digits }), { code: 'host' }, JSON.stringify(digits));
  t.same(told(env), {});
  t.end();
});

t.test('takeLaunched() knows how the engine becomes itself again, with an answer', (t) => {
  const { env } = hand(t, { soft: 5n, hard: 6n, entries: 'A=ä\0' });
  const again = takeLaunched(env)?.again;
  const file = path.join(t.testdir(), 'again');
  writeFileSync(file, again?.handOver(300) ?? '');
  const fd = openSync(file, 'r');
  const entries = (again?.environment(fd) ?? []).map((entry) => entry.split('=') as [string, string]);
  const environment: NodeJS.ProcessEnv = Object.fromEntries(entries);
  t.match(environment, { BUN_JSC_useJIT: '0' });
  t.same(told(environment), { openFiles: { soft: 5n, hard: 6n }, answer: 300 });
  t.equal(environment['A'], 'ä');
  for (const number of [0, 9, 16, 300]) {
    const digits = again?.environment(number).at(-1)?.split('=')[1] ?? '';
    const found = Array.from(digits).reduceRight((sum, digit) => sum * 16 + LAUNCHED.digits.indexOf(digit), 0);
    t.equal(found, number, digits);
  }
  t.end();
});

t.test('takeLaunched() tells of what a planner has left to do', (t) => {
  const left = { will: encodeWill({ stage: 'running', pid: 4711 }), planner: 100 };
  const will = { stage: 'running', pid: 4711 };
  t.same(told(hand(t, left).env), { will, planner: 100, blocked: 0n });
  const signals = { ...left, blockedBefore: 0b0110n, blockedAfter: 0b1111n };
  t.same(told(hand(t, signals).env), { will, planner: 100, blocked: 0b1001n }, 'the signals that it has had blocked');
  t.same(told(hand(t, { planner: 100 }).env), {}, 'without a will there is no connection either');
  t.throws(() => told(hand(t, { will: 9 }).env), { code: 'host' }, 'a stage that there is not');
  const again = Buffer.from(takeLaunched(hand(t, left).env)?.again.handOver(7) ?? []);
  t.same([again.readUInt32LE(LAUNCHED.will), again.readUInt32LE(LAUNCHED.planner)], [0, 0], 'it is dealt with once');
  t.end();
});
