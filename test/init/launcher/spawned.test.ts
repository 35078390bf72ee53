import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { planEnd } from '../../../src/plan/launcher/end.ts';
import { LAUNCHER_EXCHANGES } from '../../../src/plan/launcher/exchanges.ts';
import { planAttend, planLookForEnd, planWatch, WATCHED } from '../../../src/plan/launcher/foreground.ts';
import { planSpawn } from '../../../src/plan/launcher/spawn.ts';
import { emitInit } from '../../../src/init/image.ts';
import { call, stringArray } from '../../../src/program/build.ts';
import { encode } from '../../../src/program/encode.ts';
import type { Program } from '../../../src/program/step.ts';
import { createSealedExecutable } from '../../../src/sys/memfd.ts';
import { sendMessage, socketPair } from '../../../src/sys/socket.ts';
import { LAUNCHED } from '../../../src/util/launched.ts';
import { encodeWill } from '../../../src/util/wills.ts';
import { SIGNALS } from '../../../src/util/signals.ts';
import { NATIVE_ARCH, platformOf } from '../real-init.ts';
import { coldHeader, ended, FakePlanner, viewOf, type Driven } from './fake-planner.ts';

t.test('a driven launcher spawns a process', { skip: platformOf(NATIVE_ARCH).skip }, async (t) => {
  const planner = new FakePlanner(t, NATIVE_ARCH);
  planner.place.putEngine();
  using image = createSealedExecutable('image', emitInit({ arch: NATIVE_ARCH, syncFd: 3 }));
  const spawnOf = ({ connection }: Driven, image: number, other: number): bigint[] =>
    connection.run(planSpawn(connection.context, { name: 'tsrun', targets: [3, 5], kept: [0, 1, 2] }), {
      descriptors: [image, other, other],
    });

  await t.test('which executes, and is reaped', async (t) => {
    const driven = planner.drive(['run', 'x']);
    const { child, hello, connection } = driven;
    hello.cwd.close();
    const [ours, theirs] = socketPair('seqpacket');
    const [tag, pid = 0n] = spawnOf(driven, image.number, theirs.number);
    t.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^SigBlk:\s*0+$/m, 'the signal mask of the caller');
    theirs.close();
    t.equal(tag, LAUNCHER_EXCHANGES.spawned.tag);
    const open = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
    t.equal(Number(open[3]), child.pid, 'a child of the launcher');
    t.equal(readFileSync(`/proc/${pid}/cmdline`, 'latin1'), 'tsrun\0');
    t.same(readdirSync(`/proc/${pid}/fd`), ['0', '1', '2', '3', '5'], 'and no others');
    const attending = planAttend(connection.context, { pid: Number(pid), signals: [SIGNALS.CHLD], subreaper: true });
    const [, signals = 0n, pidfd = 0n] = connection.run(attending);
    connection.post(planWatch(connection.context, { signals: Number(signals), program: Number(pidfd) }));
    const execute: Program = {
      name: 'execute',
      replies: false,
      steps: [
        call('execve', ['/bin/sh', stringArray(['sh', '-c', 'echo out; exit 9']), stringArray([])], { label: 'x' }),
      ],
    };
    const [packet] = encode(execute, { arch: NATIVE_ARCH, syncFd: 3 });
    sendMessage(ours.number, packet?.bytes ?? new Uint8Array());
    const view = viewOf(connection.receiveBytes());
    t.ok(view.getUint16(WATCHED.program, true) === 1 || view.getUint32(WATCHED.signal, true) === SIGNALS.CHLD);
    for (;;) {
      const found = endOf(connection.run(planLookForEnd(connection.context, { pid: 'any', reap: [] })));
      if (found.pid === 0n) continue;
      t.same(found, { pid, status: 9n });
      break;
    }
    connection.post(planEnd(connection.context, { code: 9 }));
    const { stdout, status } = await ended(child);
    t.same([stdout, status], ['out\n', 9]);
    ours.close();
    connection.close();
  });

  await t.test('or reports why not, and goes on', async (t) => {
    const driven = planner.drive(['run', 'x']);
    const { child, connection } = driven;
    const empty = openSync('/dev/null', 'r');
    const [tag, , errno] = spawnOf(driven, empty, empty);
    t.same([tag, errno], [0n, BigInt.asUintN(64, -13n)], 'the child tells of EACCES');
    connection.post(planEnd(connection.context, { code: 127 }));
    t.equal(
      endOf(connection.run(planLookForEnd(connection.context, { pid: 'any', reap: [] }))).status,
      127n,
      'the child has ended, the parent goes on',
    );
    const [again] = connection.run(planSpawn(connection.context, { name: 'x', targets: [3], kept: [0, 1, 2] }), {
      descriptors: [empty],
    });
    t.equal(again, 0n, 'too few descriptors');
    connection.post(planEnd(connection.context, { code: 3 }));
    t.equal((await ended(child)).status, 3);
    closeSync(empty);
    connection.close();
  });

  await t.test('and goes cold once when the planner is gone in the middle of it', async (t) => {
    const driven = planner.drive(['run', 'x']);
    const { child, connection } = driven;
    const empty = openSync('/dev/null', 'r');
    spawnOf(driven, empty, empty);
    closeSync(empty);
    connection.close();
    const header = await coldHeader(t, child);
    t.equal(header.getUint32(LAUNCHED.will, true), encodeWill({ stage: 'again' }));
  });
});

/** si_pid and si_status of the siginfo_t behind tag and result. */
function endOf(words: readonly bigint[]): { readonly pid: bigint; readonly status: bigint } {
  const [, , , , pid = 0n, status = 0n] = words;
  return { pid: BigInt.asUintN(32, pid), status: BigInt.asUintN(32, status) };
}
