import { fchmodSync, fstatSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { Process } from '../../spec/generated/config.ts';
import { hasErrno } from '../../sys/errno.ts';
import { duplicateAbove, setNonBlocking, type OwnedFd } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { pipe } from '../../sys/pipe.ts';
import { clearOnlcr, copyWindowSize, isTerminal, makeRaw, mayReadTerminal, openPeer } from '../../sys/tty.ts';
import type { ExitStatus } from '../../sys/process/wait.ts';
import { O_NOCTTY, O_RDWR } from '../../util/constants.ts';
import { Relay, type Route } from './relay.ts';
import type { Stdio } from '../store/options.ts';
import type { Caller } from './caller.ts';
import type { Foreground, ForegroundOptions } from './foreground.ts';
import { SignalForwarder } from './signal-forwarder.ts';
import { remedies } from '../../util/remedies.ts';

/**
 * tsrun in the foreground of a container: its terminal relayed, its signals forwarded, until the program ends.
 *
 * A program with a terminal has one of its own, and what it prints arrives at standard output. One without gets the caller's
 * descriptors as they are, but for terminals: pipes stand in for those. What the program leaves running in the container could otherwise
 * go on to read what is typed on the caller's terminal, and write to it.
 */
export class RelayingForeground implements Foreground {
  readonly #stdio: Stdio;
  /** The caller's signals and the terminal of its session, where both are the program's. */
  readonly #own: Pick<Caller, 'signals' | 'terminal'>;
  /** Closed at the end, whatever was opened. */
  readonly #opened: OwnedFd[] = [];
  /** The program's ends of pipes, closed as soon as init has them. */
  readonly #lent: OwnedFd[] = [];
  readonly #routes: Route[] = [];
  #relay: Relay | undefined;
  #terminal: number | undefined;
  #master: OwnedFd | undefined;
  /** Gives the terminal the modes that it had before the first change. */
  #restore: (() => void) | undefined;
  #signals: SignalForwarder | undefined;

  constructor(caller: Pick<Caller, 'signals' | 'terminal'>, { stdio, forwardSignals = false }: ForegroundOptions) {
    this.#stdio = stdio;
    this.#own = forwardSignals ? caller : {};
  }

  requireTerminal(): void {
    this.#terminal = this.#findTerminal();
    if (this.#terminal !== undefined) return;
    throw new TsrunError(
      'usage',
      'cannot relay the terminal of the container: none of standard input, output and error is a terminal',
      { pointer: '/process/terminal', hint: remedies.consoleSocket },
    );
  }

  lend(process: Process | undefined): Stdio {
    if (process?.terminal === true) return this.#stdio;
    const [input, output, error] = this.#stdio;
    const ownOutput = isTerminal(output) ? this.#lendOutput(output) : output;
    // One pipe for one terminal keeps the order of what is printed.
    const isSame = isTerminal(error) && isTerminal(output) && fstatSync(error).rdev === fstatSync(output).rdev;
    const ownError = isTerminal(error) && !isSame ? this.#lendOutput(error) : error;
    return [isTerminal(input) ? this.#lendInput(input) : input, ownOutput, isSame ? ownOutput : ownError];
  }

  closeLent(): void {
    for (const fd of this.#lent.splice(0)) fd.close();
  }

  takeConsole(master: OwnedFd, { consoleSize }: Pick<Process, 'consoleSize'>): void {
    const own = duplicateAbove(master.number, 3);
    this.#opened.push(own);
    this.#master = own;
    setNonBlocking(own.number);
    // While this end is open a program that has closed its last descriptor of the terminal can open it again.
    const peer = openPeer(own.number);
    if (peer !== undefined) this.#opened.push(peer);
    clearOnlcr(own.number);
    const { height = 0, width = 0 } = consoleSize ?? {};
    if (height === 0 || width === 0) this.#copySize();
    const [input, output] = this.#stdio;
    // What is no terminal has an end that says nothing about who watches the program.
    const atEnd = isTerminal(input) ? 'hang-up' : 'nothing';
    this.#routes.push({ from: input, to: own.number, atEnd, terminal: 'from' });
    this.#routes.push({ from: own.number, to: output, atEnd: 'nothing', terminal: 'to' });
  }

  async catchSignals(pidfd: OwnedFd, become: () => Promise<void>): Promise<void> {
    const signals = new SignalForwarder({
      signals: this.#own.signals,
      onWindowChange: this.#master === undefined ? undefined : this.#copySize.bind(this),
      onGone: () => this.#relay?.giveUp(),
      onContinued: () => {
        if (this.#relay !== undefined) this.#makeRaw();
      },
    });
    this.#signals = signals;
    await become();
    signals.forwardTo(pidfd);
  }

  async supervise(pidfd: OwnedFd, wait: () => Promise<ExitStatus>): Promise<ExitStatus> {
    this.#signals?.catchPipes();
    try {
      if (this.#routes.length > 0) {
        this.#makeRaw();
        this.#relay = new Relay(this.#routes, {
          onHangUp: () => this.#signals?.hangUp(),
          onForeground: this.#makeRaw.bind(this),
        });
        await this.#relay.until(pidfd);
      }
      return await wait();
    } finally {
      if (this.#terminal !== undefined && mayReadTerminal(this.#terminal)) this.#restore?.();
      this.#signals?.[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#signals?.[Symbol.dispose]();
    this.#relay?.[Symbol.dispose]();
    this.closeLent();
    for (const fd of this.#opened.splice(0)) fd.close();
  }

  /** As runc looks for one. */
  #findTerminal(): number | undefined {
    const { terminal } = this.#own;
    const found = this.#stdio.find(isTerminal);
    if (found !== undefined || terminal === undefined) return found;
    try {
      const own = openFile(terminal, O_RDWR | O_NOCTTY);
      this.#opened.push(own);
      return own.number;
    } catch (error) {
      if (hasErrno(error, 'ENXIO', 'ENOENT', 'EACCES', 'EPERM', 'EIO')) return undefined;
      throw error;
    }
  }

  /** Not in the background, where the terminal and its modes are the shell's. */
  #makeRaw(): void {
    const terminal = this.#terminal;
    if (this.#master === undefined || terminal === undefined || !mayReadTerminal(terminal)) return;
    // Where the keys are not what the program reads, they still reach this process.
    const restore = makeRaw(terminal, { keepsSignals: terminal !== this.#stdio[0] });
    this.#restore ??= restore;
  }

  #copySize(): void {
    if (this.#terminal !== undefined && this.#master?.isOpen === true) {
      copyWindowSize(this.#terminal, this.#master.number);
    }
  }

  #lendInput(terminal: number): number {
    const [theirs, ours] = this.#makePipe();
    const close = (): void => {
      ours.close();
    };
    this.#keep({ ours, theirs });
    this.#routes.push({ from: terminal, to: ours.number, atEnd: 'close', terminal: 'from', close });
    return theirs.number;
  }

  #lendOutput(terminal: number): number {
    const [ours, theirs] = this.#makePipe();
    this.#keep({ ours, theirs });
    this.#routes.push({ from: ours.number, to: terminal, atEnd: 'nothing', terminal: 'to' });
    return theirs.number;
  }

  #keep({ ours, theirs }: { readonly ours: OwnedFd; readonly theirs: OwnedFd }): void {
    this.#opened.push(ours);
    this.#lent.push(theirs);
  }

  /** Whoever the program runs as may open /dev/stdout anew; nobody else gets at it. */
  #makePipe(): [reader: OwnedFd, writer: OwnedFd] {
    const ends = pipe();
    fchmodSync(ends[0].number, 0o666);
    return ends;
  }
}

/** How a caller waits in the foreground, where it is this process unless it says otherwise. */
export function waitInForeground(caller: Caller, options: ForegroundOptions): Foreground {
  return caller.foreground?.(options) ?? new RelayingForeground(caller, options);
}
