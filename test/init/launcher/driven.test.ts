import { mkdtempSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { planEnd } from '../../../src/plan/launcher/end.ts';
import { LAUNCHER_EXCHANGES } from '../../../src/plan/launcher/exchanges.ts';
import { planAttend, planLookForEnd, planWatch, WATCHED } from '../../../src/plan/launcher/foreground.ts';
import { planOutput } from '../../../src/plan/launcher/output.ts';
import { call, wordBlock } from '../../../src/program/build.ts';
import type { Program } from '../../../src/program/step.ts';
import { LAUNCHED } from '../../../src/util/launched.ts';
import { decodeWill, encodeWill, type Will } from '../../../src/util/wills.ts';
import { SIGNALS } from '../../../src/util/signals.ts';
import { NATIVE_ARCH, platformOf } from '../real-init.ts';
import { coldHeader, ended, FakePlanner, viewOf } from './fake-planner.ts';
import { BUILD } from './place.ts';

const TEXT = new TextEncoder();

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip } = platformOf(arch);

  t.test(`a driven launcher on ${arch} says what was asked for`, { skip }, async (t) => {
    const planner = new FakePlanner(t, arch);
    const env = { A: 'ä=\n', EMPTY: '' };
    const gone = mkdtempSync(path.join(tmpdir(), 'tsrun-gone-'));
    for (const options of [{ env, cwd: t.testdirName }, {}, { cwd: gone, script: `rmdir ${gone}; exec "$@"` }]) {
      const { child, hello, connection } = planner.drive(['state', '', 'ä'], options);
      t.equal(hello.build, BUILD);
      t.same(hello.args.slice(1), ['state', '', 'ä']);
      t.match(hello.args[0], /tsrun$/);
      if (!('script' in options))
        t.same(
          [...hello.environment].sort(),
          Object.entries('env' in options ? env : {}).map((pair) => pair.join('=')),
        );
      t.same([hello.last, hello.descriptors], [0n, 1]);
      const wanted = 'script' in options ? `${gone} (deleted)` : 'cwd' in options ? options.cwd : '/';
      t.equal(readlinkSync(`/proc/self/fd/${hello.cwd.number}`), wanted, 'its working directory');
      hello.cwd.close();
      connection.post(planEnd(connection.context, { code: 7 }));
      t.equal((await ended(child)).status, 7);
      connection.close();
    }
  });

  t.test(`a driven launcher on ${arch} writes the output, and ends with the code`, { skip }, async (t) => {
    const planner = new FakePlanner(t, arch);
    const { child, connection } = planner.drive(['state']);
    const { context } = connection;
    const large = 'x'.repeat(100_000);
    const parts = ended(child);
    t.same(connection.run(planOutput(context, { fd: 2, bytes: TEXT.encode('warned\n') })), [
      LAUNCHER_EXCHANGES.written.tag,
      7n,
    ]);
    t.same(connection.run(planOutput(context, { fd: 77, bytes: TEXT.encode('x') }))[1], BigInt.asUintN(64, -9n));
    const output = [
      { fd: 1, bytes: TEXT.encode('{}\n') },
      { fd: 2, bytes: TEXT.encode('ä\n') },
      { fd: 77, bytes: TEXT.encode('nowhere') },
      { fd: 1, bytes: TEXT.encode('not yet\n') },
    ];
    t.same(connection.run(planEnd(context, { output, code: 1 })), [
      LAUNCHER_EXCHANGES.unwritten.tag,
      2n,
      BigInt.asUintN(64, -9n),
    ]);
    t.same(connection.run(planOutput(context, { fd: 1, bytes: TEXT.encode(large.slice(0, 30_000)) }))[1], 30_000n);
    connection.post(planEnd(context, { output: output.slice(0, 1), code: 42 }));
    const { stdout, stderr, status } = await parts;
    t.equal(status, 42);
    t.ok(stdout === `{}\n${large.slice(0, 30_000)}{}\n`);
    t.equal(stderr, 'warned\nä\n');
    connection.close();
  });

  t.test(`a driven launcher on ${arch} goes cold with the will`, { skip }, async (t) => {
    const planner = new FakePlanner(t, arch);
    planner.place.putEngine();
    const wills: Will[] = [
      { stage: 'anew' },
      { stage: 'again' },
      { stage: 'abandoned' },
      { stage: 'running', pid: 4_194_303 },
    ];
    for (const will of wills) {
      const { child, hello, connection } = planner.drive(['run', 'x']);
      hello.cwd.close();
      connection.run(planLookForEnd(connection.context, { pid: 'any', reap: [] }), { will });
      connection.close();
      const header = await coldHeader(t, child);
      t.equal(header.getBigUint64(LAUNCHED.will, true), BigInt(encodeWill(will)), will.stage);
      t.same(decodeWill(header.getUint32(LAUNCHED.will, true)), { pid: 0, ...will });
      t.equal(header.getBigUint64(LAUNCHED.planner, true), will.stage === 'anew' ? 0n : BigInt(hello.socket));
    }
  });

  t.test(
    `a driven launcher on ${arch} goes cold when it cannot report, or is sent what is no packet`,
    { skip },
    async (t) => {
      const planner = new FakePlanner(t, arch);
      planner.place.putEngine();
      const failing: Program = { name: 'fail', replies: false, steps: [call('close', [-1], { label: 'fail' })] };
      const pause = [call('nanosleep', [wordBlock([0, 200_000_000], '{0.2 s}'), 0], { label: 'wait' })];
      for (const how of ['report', 'garbage', 'short'] as const) {
        const { child, hello, connection } = planner.drive(['run', 'x']);
        hello.cwd.close();
        const will = { stage: 'abandoned' } as const;
        if (how === 'report') {
          t.equal(connection.run(failing, { will })[0], 0n, 'a report');
          connection.post({ ...failing, steps: [...pause, ...failing.steps] }, { will });
          connection.close();
        } else connection.run(planLookForEnd(connection.context, { pid: 'any', reap: [] }), { will });
        if (how === 'garbage') connection.send(Uint8Array.from({ length: 4096 }, (_, index) => (index * 7 + 3) & 0xff));
        if (how === 'short') connection.send(Uint8Array.of(1, 2, 3));
        const header = await coldHeader(t, child);
        t.equal(header.getUint32(LAUNCHED.will, true), encodeWill(will), how);
        if (how !== 'report') connection.close();
      }
    },
  );

  t.test(`a driven launcher on ${arch} watches signals`, { skip }, async (t) => {
    const planner = new FakePlanner(t, arch);
    const { child, connection } = planner.drive(['run', 'x']);
    const { context } = connection;
    // The emulator does not know of subreapers.
    const subreaper = arch === NATIVE_ARCH;
    const { TERM, HUP, CHLD } = SIGNALS;
    const attending = planAttend(context, { pid: process.pid, signals: [TERM, HUP, CHLD], subreaper });
    const [tag, signals = 0n, program = 0n] = connection.run(attending);
    t.equal(tag, LAUNCHER_EXCHANGES.attends.tag);
    const watch = planWatch(context, { signals: Number(signals), program: Number(program) });
    connection.post(watch);
    child.kill('SIGTERM');
    const view = viewOf(connection.receiveBytes());
    t.equal(view.byteLength, 160);
    t.equal(view.getUint32(WATCHED.signal, true), SIGNALS.TERM);
    t.same([view.getUint16(WATCHED.signals, true), view.getUint16(WATCHED.socket, true)], [1, 0]);
    connection.post(watch);
    connection.post(planLookForEnd(context, { pid: 'any', reap: [] }));
    const second = viewOf(connection.receiveBytes());
    t.equal(second.getUint32(WATCHED.signal, true), 0, 'no signal of before');
    t.equal(second.getUint16(WATCHED.socket, true), 1, 'a packet ends the wait');
    t.same(connection.receive().slice(0, 2), [LAUNCHER_EXCHANGES.ended.tag, BigInt.asUintN(64, -10n)]);
    connection.post(planEnd(context, { code: 143 }));
    t.equal((await ended(child)).status, 143);
    connection.close();
  });
}
