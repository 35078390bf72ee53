import { block, call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import { bitMask, parseNumberList } from '../base/number-list.ts';

/** NR_CPUS of the largest kernel configuration. */
const MAX_CPUS = 8192;

/**
 * Allows every CPU again, after the cgroup was joined: the mask of the process that called tsrun must not leak in.
 *
 * The kernel takes off what does not exist or what the cpuset forbids. An error leaves the mask as it is, as in runc.
 */
export function planResetAffinity(): Step[] {
  const everything = block(new Uint8Array(MAX_CPUS / 8).fill(0xff), 'all CPUs');
  return [
    call('sched_setaffinity', [0, everything.bytes.length, everything], { label: 'allow all CPUs', accept: 'any' }),
  ];
}

/**
 * config.md, "Linux Process": `execCPUAffinity`, for `exec` only: `initial` before the cgroup is joined, `final` after it.
 * Throws a TsrunError `config` when it is no list of CPUs.
 */
export function planExecAffinity(process: Process, when: 'initial' | 'final'): Step[] {
  const list = process.execCPUAffinity?.[when];
  if (list === undefined || list === '') return [];
  const pointer = `/process/execCPUAffinity/${when}`;
  const mask = bitMask(parseNumberList(list, { pointer, limit: MAX_CPUS }), `CPUs ${list}`);
  return [
    call('sched_setaffinity', [0, mask.bytes.length, mask], {
      label: `set CPU affinity ${JSON.stringify(list)}`,
      pointer,
    }),
  ];
}
