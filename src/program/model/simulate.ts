import { ERRNO, type Errno } from '../../util/errno.ts';
import type { Arch, CallName } from '../calls.ts';
import { callName } from './decode.ts';
import { encode, stepOfFailure } from '../encode.ts';
import {
  ACCEPT_SLOTS,
  ARGUMENT_COUNT,
  CHECK_NUMBER,
  FLAG_ACCEPT_ANY,
  FLAG_INVERT,
  LAYOUT,
  OFFSETS,
  OPERATION_SIZE,
  PACKET_HEADER_SIZE,
  REPLY_SIZE,
  TRIES_ARGUMENT,
} from '../layout.ts';
import { MemoryFault, ModelMemory } from './memory.ts';
import { ModelSender, type Mailbox } from './sender.ts';
import type { Packet, Program } from '../step.ts';

/** What a simulated init needs of a kernel; ModelKernel is one. */
export interface Kernel extends Mailbox {
  /** The result of a system call, or the negative errno; arguments are from 0 to 2^64 - 1. */
  call(name: CallName, args: readonly bigint[], memory: ModelMemory): bigint;
}

/** What the simulated init was made for, and a fault to put in. */
export interface SimulateOptions {
  readonly arch: Arch;
  readonly syncFd: number;
  /** The call of this step is not executed and has this errno as its result. */
  readonly fail?: { readonly step: number; readonly errno: Errno };
}

/** One executed operation. */
export interface TraceEntry {
  /** Index in the program; -1 for an operation of the encoder. */
  readonly step: number;
  readonly call: CallName | 'check' | undefined;
  /** The values that were passed, indirect ones loaded, from 0 to 2^64 - 1. */
  readonly args: readonly bigint[];
  /** From -4095 upwards; of a check: how many operations it skipped (below 0 where it repeats), or the negative errno. */
  readonly result: bigint;
}

/** What became of init behind the last operation that it executed. */
export type SimulationEnd =
  /** Init reads the next packet. */
  | { readonly state: 'waiting' }
  | { readonly state: 'exited'; readonly code: number }
  /** execve(2) or execveat(2) succeeded; of the latter the path is below a descriptor. */
  | { readonly state: 'executed'; readonly path: string }
  /** Init touched memory that it does not have. */
  | { readonly state: 'crashed'; readonly address: bigint }
  /** A skip went back, and the program did not end within LIMIT operations. */
  | { readonly state: 'endless' };

/** All that can be seen of a program's execution from outside: what it called, answered and ended as. */
export interface Simulation {
  readonly trace: readonly TraceEntry[];
  /** What the sender received, failure reports included, requests for more not. */
  readonly replies: readonly Uint8Array[];
  readonly end: SimulationEnd;
  /** The step that failed, and the errno's number. */
  readonly failure?: { readonly step: number; readonly errno: number };
}

const LIMIT = 100_000;
/** MAX_ERRNO of include/linux/err.h. */
const LOWEST_ERRNO = -4095n;

/** Executes one program in a fresh init, as far as it goes. */
export function simulate(program: Program, kernel: Kernel, options: SimulateOptions): Simulation {
  return new ModelInit(kernel, options).run(encode(program, options), options);
}

/**
 * The init process on a byte memory: the same semantics as src/init, in a form that can be compared with FORMAT.md.
 * Its memory and its kernel live from one program to the next, as in a conversation.
 */
export class ModelInit {
  readonly memory = new ModelMemory();
  readonly #kernel: Kernel;
  readonly #arch: Arch;
  readonly #syncFd: number;

  constructor(kernel: Kernel, { arch, syncFd }: { readonly arch: Arch; readonly syncFd: number }) {
    this.#kernel = kernel;
    this.#arch = arch;
    this.#syncFd = syncFd;
  }

  /** Executes the packets of one program, each of which is sent when the one before asked for it. */
  run(packets: readonly Packet[], { fail }: Pick<SimulateOptions, 'fail'> = {}): Simulation {
    const run: Run = { sender: new ModelSender(packets, this.#kernel), trace: [], fail, failure: undefined };
    const end = this.#receive(run);
    const { trace, sender, failure } = run;
    return { trace, replies: sender.replies, end, ...(failure === undefined ? {} : { failure }) };
  }

  #receive(run: Run): SimulationEnd {
    try {
      for (let bytes = this.#kernel.inbox.shift(); bytes !== undefined; bytes = this.#kernel.inbox.shift()) {
        this.memory.write(BigInt(LAYOUT.message.address), bytes);
        const end = this.#execute(run, run.sender.packetOf(bytes));
        if (end !== undefined) return end;
      }
      return { state: 'waiting' };
    } catch (error) {
      if (error instanceof MemoryFault) return { state: 'crashed', address: error.address };
      throw error;
    }
  }

  #execute(run: Run, packet: Packet): SimulationEnd | undefined {
    let at = BigInt(LAYOUT.message.address + PACKET_HEADER_SIZE);
    while (at < this.memory.readWord(BigInt(LAYOUT.message.address + OFFSETS.end))) {
      if (run.trace.length >= LIMIT) return { state: 'endless' };
      const operation = this.#load(at, packet);
      const { step, call, args } = operation;
      const checked = call === 'check' ? this.#check(operation) : undefined;
      const result = checked === undefined ? this.#call(operation, run.fail) : checked.result;
      run.trace.push({ step, call, args, result });
      run.sender.answer();
      const end = this.#endOf(operation, result);
      if (end !== undefined) return end;
      if (checked === undefined) this.#store(operation, result);
      if (checked === undefined ? !this.#isAccepted(operation, result) : checked.fails) {
        run.failure = { step: stepOfFailure(packet, Number(at)), errno: Number(-result) };
        return this.#report(run, operation, result);
      }
      // Init adds in 64 bits, so a huge skip wraps around.
      at = BigInt.asUintN(64, at + BigInt(OPERATION_SIZE) * (checked === undefined ? 1n : result + 1n));
    }
    return undefined;
  }

  #load(at: bigint, packet: Packet): Operation {
    const { memory } = this;
    const indirect = memory.readNumber(at + BigInt(OFFSETS.indirect), 1);
    const args = Array.from({ length: ARGUMENT_COUNT }, (_, index) => {
      const value = memory.readWord(at + BigInt(OFFSETS.arguments + 8 * index));
      return (indirect & (1 << index)) === 0 ? value : memory.readWord(value);
    });
    const number = memory.readNumber(at + BigInt(OFFSETS.number), 2);
    const index = (Number(at) - LAYOUT.message.address - PACKET_HEADER_SIZE) / OPERATION_SIZE;
    return {
      at,
      step: packet.steps[index] ?? -1,
      call: number === CHECK_NUMBER ? 'check' : callName(number, this.#arch),
      flags: memory.readNumber(at + BigInt(OFFSETS.flags), 1),
      args,
    };
  }

  /** How many operations a check skips, or the negative errno with which it fails. */
  #check({ at, flags, args }: Operation): { readonly result: bigint; readonly fails: boolean } {
    const [address = 0n, mask = 0n, wanted = 0n, count = 0n, tries = 0n, back = 0n] = args;
    const equal = (this.memory.readWord(address) & mask) === wanted;
    const holds = equal !== ((flags & FLAG_INVERT) !== 0);
    if (!holds) return { result: 0n, fails: false };
    const result = BigInt.asIntN(64, count);
    if (result >= 0n || tries === 0n) return { result, fails: result < 0n };
    this.memory.writeWord(at + BigInt(OFFSETS.arguments + 8 * TRIES_ARGUMENT), tries - 1n);
    return { result: BigInt.asIntN(64, back), fails: false };
  }

  /** The result of a call; an address outside of init's memory is the kernel's EFAULT. */
  #call({ step, call, args }: Operation, fail: Run['fail']): bigint {
    if (fail !== undefined && fail.step === step) return -BigInt(ERRNO[fail.errno]);
    if (call === undefined || call === 'check') return -BigInt(ERRNO.ENOSYS);
    try {
      return this.#kernel.call(call, args, this.memory);
    } catch (error) {
      if (error instanceof MemoryFault) return -BigInt(ERRNO.EFAULT);
      throw error;
    }
  }

  #endOf({ call, args: [first = 0n, second = 0n] }: Operation, result: bigint): SimulationEnd | undefined {
    if (result < 0n) return undefined;
    if (call === 'exit_group') return { state: 'exited', code: Number(first & 0xffn) };
    if (call === 'execveat') return { state: 'executed', path: this.memory.readText(second) };
    return call === 'execve' ? { state: 'executed', path: this.memory.readText(first) } : undefined;
  }

  #store({ at }: Operation, result: bigint): void {
    const address = this.memory.readNumber(at + BigInt(OFFSETS.result), 4);
    if (address !== 0) this.memory.writeWord(BigInt(address), result);
  }

  #isAccepted({ at, flags }: Operation, result: bigint): boolean {
    if (result >= 0n || result < LOWEST_ERRNO || (flags & FLAG_ACCEPT_ANY) !== 0) return true;
    for (let slot = 0; slot < ACCEPT_SLOTS; slot++) {
      const errno = this.memory.readNumber(at + BigInt(OFFSETS.accept + 2 * slot), 2);
      if (result === -BigInt(errno)) return true;
    }
    return false;
  }

  /** Writes the failure report; init ends where that cannot be done. */
  #report(run: Run, { at }: Operation, result: bigint): SimulationEnd | undefined {
    const report = BigInt(LAYOUT.memory.address);
    this.memory.writeWord(report + BigInt(OFFSETS.reportAddress), at);
    this.memory.writeWord(report + BigInt(OFFSETS.reportResult), result);
    const written = this.#kernel.call('write', [BigInt(this.#syncFd), report, BigInt(REPLY_SIZE)], this.memory);
    run.sender.answer();
    return written < 0n ? { state: 'exited', code: 1 } : undefined;
  }
}

interface Operation {
  readonly at: bigint;
  readonly step: number;
  readonly call: TraceEntry['call'];
  readonly flags: number;
  readonly args: readonly bigint[];
}

/** One program on its way. */
interface Run {
  readonly sender: ModelSender;
  readonly trace: TraceEntry[];
  readonly fail: SimulateOptions['fail'];
  failure: Simulation['failure'];
}
