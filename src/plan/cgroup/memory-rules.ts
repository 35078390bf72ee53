import type { MemoryResources } from '../../spec/generated/config.ts';
import type { Problems } from './problems.ts';
import { isSet, type Integer } from './values.ts';

/** Reports memory settings that contradict each other, the same on cgroup v1 and v2. */
export function checkMemory(memory: MemoryResources, problems: Problems): void {
  const pointer = '/linux/resources/memory';
  for (const property of ['limit', 'swap', 'reservation', 'kernelTCP'] as const) {
    const value: Integer | undefined = memory[property];
    if (value !== undefined && BigInt(value) < -1n) {
      problems.wrong(`${pointer}/${property}`, `expected bytes or -1, found ${value}`);
    }
  }
  checkSwap(memory, problems);
}

function checkSwap({ limit, swap }: MemoryResources, problems: Problems): void {
  if (!isSet(swap) || BigInt(swap) < 0n) return;
  const pointer = '/linux/resources/memory/swap';
  if (!isSet(limit) || BigInt(limit) === -1n) {
    problems.wrong(pointer, 'unable to set swap limit without memory limit');
  } else if (BigInt(swap) < BigInt(limit)) {
    problems.wrong(
      pointer,
      `expected at least the memory limit ${limit}, since it counts memory and swap together, found ${swap}`,
    );
  }
}
