import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { OwnedFd } from '../../../src/sys/fd.ts';
import { openFile } from '../../../src/sys/file.ts';
import { bindLibc } from '../../../src/sys/library.ts';
import { waitReadable } from '../../../src/sys/events/poll.ts';
import { openPeer } from '../../../src/sys/tty.ts';
import { O_NOCTTY, O_RDWR, TIOCSPTLCK, TIOCSWINSZ } from '../../../src/util/constants.ts';
import { slowness } from './surroundings.ts';

const ioctl = bindLibc('int ioctl(int fd, unsigned long request, void *argument)');
const readCall = bindLibc('long read(int fd, void *bytes, size_t count)');
const writeCall = bindLibc('long write(int fd, const void *bytes, size_t count)');

const TIMEOUT_MS = 20_000 * slowness;

export interface TerminalProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Exit code, or the name of the signal. */
  readonly done: Promise<number | string>;
}

/** A descriptor in the place of the terminal. */
export interface OtherStdio {
  readonly stdin?: number | 'ignore';
  readonly stdout?: number | 'ignore';
  readonly stderr?: number | 'ignore';
  readonly env?: Readonly<Record<string, string>>;
}

/** A terminal of the tests, with somebody at it. */
export class Terminal implements Disposable {
  readonly #master: OwnedFd;
  readonly slave: OwnedFd;
  /** What has appeared on it. */
  text = '';

  constructor({ rows, columns }: { readonly rows: number; readonly columns: number } = { rows: 30, columns: 90 }) {
    this.#master = openFile('/dev/ptmx', O_RDWR | O_NOCTTY);
    ioctl(this.#master.number, TIOCSPTLCK, Buffer.alloc(4));
    this.resize({ rows, columns });
    const slave = openPeer(this.#master.number);
    if (slave === undefined) throw new Error('no terminal');
    this.slave = slave;
  }

  resize({ rows, columns }: { readonly rows: number; readonly columns: number }): void {
    const size = Buffer.alloc(8);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    ioctl(this.#master.number, TIOCSWINSZ, size);
  }

  /** Starts a command whose session has this as its terminal. */
  start(argv: readonly string[], other: OtherStdio = {}): TerminalProcess {
    const number = this.slave.number;
    const { stdin = number, stdout = number, stderr = number, env = {} } = other;
    // setsid(1) takes the terminal from its standard input; the shell then exchanges what shall be something else.
    // Node leaves what it is to ignore above descriptor 2 closed.
    const nothing = openSync('/dev/null', 'r+');
    const stdio = [stdin, stdout, stderr].map((each) => (each === 'ignore' ? nothing : each));
    const shell = ['sh', '-c', 'exec "$@" 0<&3 1>&4 2>&5 3<&- 4>&- 5>&-', 'sh'];
    const child = spawn('setsid', ['--ctty', ...shell, ...argv], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
      stdio: [number, 'ignore', 'ignore', ...stdio],
    });
    closeSync(nothing);
    const done = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    void done.finally(() => {
      clearTimeout(timer);
    });
    return { pid: child.pid ?? 0, child, done };
  }

  type(text: string): void {
    writeCall(this.#master.number, Buffer.from(text), text.length);
  }

  /** Reads until something has appeared; fails with what has appeared instead. */
  async readUntil(wanted: string): Promise<string> {
    const bytes = Buffer.alloc(4096);
    while (!this.text.includes(wanted)) {
      const count = (await waitReadable(this.#master.number, TIMEOUT_MS))
        ? readCall(this.#master.number, bytes, bytes.length)
        : 0;
      if (count <= 0) throw new Error(`no ${JSON.stringify(wanted)} on the terminal: ${JSON.stringify(this.text)}`);
      this.text += bytes.toString('utf8', 0, count);
    }
    return this.text;
  }

  /** As when the line is cut. */
  hangUp(): void {
    this.slave.close();
    this.#master.close();
  }

  [Symbol.dispose](): void {
    this.hangUp();
  }
}
