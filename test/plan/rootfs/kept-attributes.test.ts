import t from 'tap';
import { remountKeeping } from '../../../src/plan/rootfs/kept-attributes.ts';
import { call } from '../../../src/program/build.ts';
import { ModelKernel } from '../../../src/program/model/kernel.ts';
import { simulate } from '../../../src/program/model/simulate.ts';
import type { Step } from '../../../src/program/step.ts';
import { makeContext, printSteps } from '../fixtures.ts';

const [RDONLY, NOSUID, NODEV, NOEXEC] = [1, 2, 4, 8];
/** ST_NOATIME, ST_RELATIME and ST_VALID, which are none of the flags to keep. */
const OTHERS = 0x400 | 0x1000 | 0x20;

function remount(except: number): Step[] {
  const context = makeContext();
  return remountKeeping(context, context.memory.word('tree'), { label: 'remount', pointer: '/p', except }, (kept) =>
    call('mount', [0, '.', 0, kept, 0], { label: 'remount' }),
  );
}

/** The flags of the mount(2) calls that are executed when statfs(2) shows these flags, among bytes that are all ones. */
function executed(steps: readonly Step[], shown: number): bigint[] {
  const flags: bigint[] = [];
  const kernel = new ModelKernel({ syncFd: 3 });
  kernel.call = (name, args, memory) => {
    const [, second = 0n, , fourth = 0n] = args;
    if (name === 'fstatfs') {
      // struct statfs is 120 bytes, u64 f_flags at 80.
      memory.write(second, new Uint8Array(120).fill(0xff));
      memory.writeWord(second + 80n, BigInt(shown));
    } else if (name === 'mount') flags.push(fourth);
    return 0n;
  };
  const { failure } = simulate({ name: 'test', steps, replies: false }, kernel, { arch: 'x86-64', syncFd: 3 });
  if (failure !== undefined) throw new Error(`step ${failure.step} failed`);
  return flags;
}

t.test('remountKeeping() looks first, and has a remount for each combination', (t) => {
  t.equal(
    printSteps(remount(RDONLY | NODEV)),
    `
   0  fstatfs(tree, &stat)  # remount  (/p)
   1  if not (attributes are 0) skip 1  # keep the attributes 0
   2    mount(NULL, ".", NULL, 0, NULL)  # remount
   3  if not (attributes are 2) skip 1  # keep the attributes 2
   4    mount(NULL, ".", NULL, MS_NOSUID, NULL)  # remount
   5  if not (attributes are 8) skip 1  # keep the attributes 8
   6    mount(NULL, ".", NULL, MS_NOEXEC, NULL)  # remount
   7  if not (attributes are 10) skip 1  # keep the attributes 10
   8    mount(NULL, ".", NULL, MS_NOEXEC|MS_NOSUID, NULL)  # remount
`,
  );
  t.end();
});

t.test('remountKeeping() executes the one remount that keeps what the mount has', (t) => {
  for (const except of [0, RDONLY, NOSUID, NODEV | NOEXEC, RDONLY | NOSUID | NODEV | NOEXEC]) {
    const steps = remount(except);
    for (let has = 0; has <= (RDONLY | NOSUID | NODEV | NOEXEC); has += RDONLY) {
      const kept = [BigInt(has & ~except)];
      t.same(executed(steps, has), kept, `has ${has}, except ${except}`);
      t.same(executed(steps, has | OTHERS), kept, `has ${has} and others, except ${except}`);
    }
  }
  t.end();
});

t.test('remountKeeping() does not mind flags that are not its own in `except`', (t) => {
  t.same(executed(remount(0x400 | NOSUID), NOSUID | NODEV), [BigInt(NODEV)]);
  t.end();
});
