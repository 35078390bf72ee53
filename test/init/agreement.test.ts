import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { call, wordBlock } from '../../src/program/build.ts';
import { encode } from '../../src/program/encode.ts';
import type { TreeDescription } from '../../src/program/model/files.ts';
import { ModelKernel } from '../../src/program/model/kernel.ts';
import { ModelInit, simulate } from '../../src/program/model/simulate.ts';
import type { Program, Step } from '../../src/program/step.ts';
import { fileSteps, harmlessSteps } from '../program/arbitraries.ts';
import { NATIVE_ARCH, platformOf, RealInit, SYNC_FD, wordsOf } from './real-init.ts';

/** Read without process.umask(), which would write it. */
const OUR_UMASK = Number.parseInt(/^Umask:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '22', 8);
const END = 0xfeed_beefn;
const REPORT_SIZE = 24;

/** Two programs in one conversation, so that memory, descriptors and a failure of the first are seen by the second. */
const conversations = fc
  .array(harmlessSteps(SYNC_FD), { minLength: 1, maxLength: 2 })
  .map((all) => all.map(endWithReply));

function endWithReply(steps: readonly Step[]): Program {
  const end = call('write', [SYNC_FD, wordBlock([END, END, END, END], 'end'), 32], { label: 'end' });
  return { name: 'test', steps: [...steps, end], replies: true };
}

/** The final reply, or a failure report; the other replies of these programs have 8 or 16 bytes. */
function isLast(reply: Uint8Array): boolean {
  return reply.length === 32 || reply.length === REPORT_SIZE;
}

for (const { arch, runs } of [
  { arch: 'x86-64', runs: 150 },
  { arch: 'arm64', runs: 15 },
] as const) {
  const { skip, options } = platformOf(arch);
  t.test(`the simulation and the init process on ${arch} agree`, { skip }, async (t) => {
    const directory = t.testdir();
    await fc.assert(
      fc.asyncProperty(conversations, async (programs) => {
        const init = new RealInit({ ...options, cwd: '/dev', directory });
        const kernel = new ModelKernel({
          arch,
          syncFd: SYNC_FD,
          tree: { dev: { null: '' } },
          cwd: '/dev',
          pid: init.pid,
          umask: OUR_UMASK,
        });
        const model = new ModelInit(kernel, { arch, syncFd: SYNC_FD });
        try {
          for (const program of programs) {
            const packets = encode(program, { arch, syncFd: SYNC_FD });
            const { replies } = model.run(packets);
            const real = init.runPackets(packets, isLast);
            if (replies.length !== real.length) return false;
            if (!replies.every((reply, index) => isSame(reply, real[index] ?? new Uint8Array()))) return false;
          }
          return true;
        } finally {
          await init.close();
        }
      }),
      { numRuns: runs },
    );
    t.pass(`${runs} conversations`);
  });
}

t.test('the model kernel and the real one agree on files', { skip: platformOf(NATIVE_ARCH).skip }, async (t) => {
  const directory = t.testdir();
  await fc.assert(
    fc.asyncProperty(fileSteps(SYNC_FD), async (steps) => {
      // Deep enough that `..` in three components of a path does not leave the directory of this test.
      const cwd = join(mkdtempSync(join(directory, 'files-')), 'w', 'x', 'y', 'z');
      mkdirSync(cwd, { recursive: true });
      const tree = cwd
        .split('/')
        .reduceRight<TreeDescription>((inner, name) => (name === '' ? inner : { [name]: inner }), {});
      const init = new RealInit({ arch: NATIVE_ARCH, cwd, directory });
      const kernel = new ModelKernel({ syncFd: SYNC_FD, arch: NATIVE_ARCH, tree, cwd });
      const program: Program = { name: 'test', steps, replies: true };
      try {
        const { replies } = simulate(program, kernel, { arch: NATIVE_ARCH, syncFd: SYNC_FD });
        const [real] = init.run(program);
        const [model] = replies;
        if (real === undefined || model === undefined) return false;
        if (!isSame(model, real)) throw new Error(`${signed(model)} in the model, ${signed(real)} in the kernel`);
        return true;
      } finally {
        await init.close();
      }
    }),
    { numRuns: 100 },
  );
  t.pass('100 programs');
});

function signed(reply: Uint8Array): string {
  return wordsOf(reply)
    .map((word) => BigInt.asIntN(64, word))
    .join(' ');
}

function isSame(first: Uint8Array, second: Uint8Array): boolean {
  return first.length === second.length && wordsOf(first).join() === wordsOf(second).join();
}
