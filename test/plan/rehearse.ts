import { encode } from '../../src/program/encode.ts';
import type { Arch } from '../../src/program/calls.ts';
import { ModelInit, type Simulation } from '../../src/program/model/simulate.ts';
import type { Packet, Program } from '../../src/program/step.ts';
import type { Errno } from '../../src/util/errno.ts';
import type { DescriptorNumbers } from '../../src/plan/base/context.ts';
import { PlanKernel, type RootfsName } from './plan-kernel.ts';

export interface RehearsalOptions {
  readonly arch: Arch;
  readonly syncFd: number;
  readonly openFds: readonly number[];
  readonly rootfs: RootfsName;
  readonly clone?: number;
}

/** Programs of one conversation, encoded once, to be run in the model as often as wanted. */
export class Rehearsal {
  readonly programs: readonly Program[];
  readonly #packets: readonly (readonly Packet[])[];
  readonly #options: RehearsalOptions;

  constructor(programs: readonly Program[], options: RehearsalOptions) {
    this.programs = programs;
    this.#options = options;
    this.#packets = programs.map((program) => encode(program, options));
  }

  /** The programs up to the one that fails, or all of them. */
  run(fail?: { readonly program: number; readonly step: number; readonly errno: Errno }): Simulation[] {
    const init = new ModelInit(new PlanKernel(this.#options), this.#options);
    const simulations: Simulation[] = [];
    const last = fail?.program ?? this.#packets.length - 1;
    for (const [index, packets] of this.#packets.slice(0, last + 1).entries()) {
      const simulation = init.run(packets, index === fail?.program ? { fail } : {});
      simulations.push(simulation);
      if (simulation.failure !== undefined || simulation.end.state !== 'waiting') break;
    }
    return simulations;
  }
}

/** Indexes of the steps that were executed and are calls. */
export function executedCalls({ trace }: Simulation): Set<number> {
  return new Set(trace.flatMap(({ step, call }) => (call === 'check' || step < 0 ? [] : [step])));
}

/** The descriptors of init at its start: all numbers that the parent gives, without those for a moment's use. */
export function startDescriptors(
  { scratch, idmaps }: Pick<DescriptorNumbers, 'scratch' | 'idmaps'>,
  idmapCount = 0,
): number[] {
  return Array.from({ length: idmaps + idmapCount }, (_, number) => number).filter(
    (number) => !scratch.includes(number),
  );
}
