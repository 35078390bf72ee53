import { encode, type EncodeOptions } from '../program/encode.ts';
import { RECORD_SIZE, RECORDS_LAYOUT } from '../program/layout.ts';
import type { Packet, Program } from '../program/step.ts';
import { planRecords, timeProgram } from '../program/timed.ts';
import { spanProgram, type PhaseSpan, type Timeline } from '../program/timeline.ts';
import { startedUs, usedProcessor, wallClockUs } from '../sys/clock.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { readPart } from '../sys/io.ts';
import { createMemfd } from '../sys/memfd.ts';

/** A program that is under way, or was. */
interface Sent {
  readonly program: Program;
  /** Number of its first record. */
  readonly first: number;
  readonly records: readonly number[];
  /** Microseconds; 0 for one that has not been sent. */
  from: number;
  to: number;
}

/**
 * Measures one operation for whoever wants to know where its time went: what this process does, phase by phase, and each step of the
 * init that it talks with. Nothing of it is there otherwise, and what init is sent is another program only here.
 *
 *     this process                    init
 *       start(..) --- file --------->   maps it
 *       encode    --- timed program ->  writes records into it
 *       finish    <-- reads them
 */
export class Tracer implements Disposable {
  readonly #file: OwnedFd = createMemfd('tsrun:times', RECORDS_LAYOUT.size);
  readonly #sent = new Map<Program, Sent>();
  readonly #phases: PhaseSpan[] = [];
  #phase = { name: 'start the engine', from: startedUs(), userUs: 0, kernelUs: 0 };
  #next = 0;
  #isMapped = false;
  #isFiltered = false;
  readonly #tell: (timeline: Timeline) => void;
  #isFinished = false;

  /** `tell` gets what was measured, once. */
  constructor(tell: (timeline: Timeline) => void) {
    this.#tell = tell;
  }

  /** From now on it is something else that takes time. */
  phase(name: string): void {
    if (this.#isFinished) return;
    const now = wallClockUs();
    const used = usedProcessor();
    const { name: before, from, userUs, kernelUs } = this.#phase;
    this.#phases.push({
      name: before,
      from,
      to: now,
      userUs: used.userUs - userUs,
      kernelUs: used.kernelUs - kernelUs,
    });
    this.#phase = { name, from: now, ...used };
  }

  /** The descriptors of an init, and the one with which it can tell the time, behind all others. */
  lend(descriptors: ReadonlyMap<number, number>, others: Iterable<number>): Map<number, number> {
    const number = Math.max(...descriptors.keys(), ...others) + 1;
    return new Map(descriptors).set(number, this.#file.number);
  }

  /** The first program of an init that was given these descriptors. */
  planFirst(lent: ReadonlyMap<number, number>, sync: number): Program {
    this.#isMapped = true;
    return planRecords({ file: Math.max(...lent.keys()), sync });
  }

  /** The packets of a program, with the time of each step where that can be told; failures are those of the program as it was planned. */
  encode(program: Program, options: EncodeOptions): Packet[] {
    const sent = this.#sent.get(program) ?? { program, first: this.#next, records: [], from: 0, to: 0 };
    if (!this.#isMapped || this.#isFiltered) {
      this.#sent.set(program, sent);
      return encode(program, options);
    }
    const timed = timeProgram(program, this.#next);
    this.#sent.set(program, { ...sent, first: this.#next, records: timed.records });
    this.#next += timed.records.length;
    this.#isFiltered = timed.filters;
    const packets = encode(timed.program, options);
    return packets.map(({ bytes, payload, steps }) => {
      return { bytes, payload, steps: steps.map((step) => timed.origins[step] ?? -1) };
    });
  }

  begin(program: Program): void {
    const sent = this.#sent.get(program);
    if (sent !== undefined) sent.from = wallClockUs();
    this.phase(program.name);
  }

  end(program: Program): void {
    const sent = this.#sent.get(program);
    if (sent !== undefined) sent.to = wallClockUs();
  }

  /** Tells what was measured until now. Nothing is measured any more, and nothing happens the next time. */
  finish(): void {
    if (this.#isFinished) return;
    this.phase('');
    this.#isFinished = true;
    const times = this.#readTimes();
    const programs = [...this.#sent.values()]
      .filter(({ from, to }) => from > 0 && to > 0)
      .map(({ first, records, ...sent }) =>
        spanProgram({ ...sent, records, times: times.slice(first, first + records.length) }),
      );
    this.#tell({ phases: this.#phases, programs });
  }

  #readTimes(): number[] {
    const bytes = readPart(this.#file.number, 0, this.#next * RECORD_SIZE);
    return Array.from({ length: this.#next }, (_, index) => {
      const at = index * RECORD_SIZE;
      return Number(bytes.readBigInt64LE(at)) * 1e6 + Number(bytes.readBigInt64LE(at + 8)) / 1000;
    });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
