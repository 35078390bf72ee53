import { closeSync, openSync, writeSync } from 'node:fs';
import { TsrunError } from './errors.ts';
import { escapeControls } from './util/escape-controls.ts';
import { shorten } from './util/shorten.ts';

/** How much a message matters, the least first. */
export type LogLevel = 'debug' | 'warning' | 'error';
/** How a line looks: `text` as `key=value` pairs, `json` as one object (see `formatLogLine`). */
export type LogFormat = 'text' | 'json';

/** Where tsrun says what is no result. Only the command decides what becomes of it. */
export interface Log {
  debug(message: string): void;
  warning(message: string): void;
  error(message: string, details?: LogDetails): void;
}

/** What a program may want to know of a failure beside its message; members of a line in JSON, and nowhere else. */
export interface LogDetails {
  /** The code of the TsrunError. */
  readonly code?: string;
  /** The label of the step that failed. */
  readonly step?: string;
  /** JSON pointer to the place in config.json; to the first, where there are several. */
  readonly path?: string;
  /** The errno's name. */
  readonly errno?: string;
  /** What mends it. */
  readonly hint?: string;
}

/** A service that takes messages one by one. */
export interface LogSocket extends Disposable {
  /** False when the message could not be sent. */
  send(level: LogLevel, message: string): boolean;
}

/** Where messages go, which of them, and as what. */
export interface LogOptions {
  /** Absolute path that lines are appended to. Default: `socket`, or else standard error. */
  readonly file?: string;
  /** Of whoever the file is made for, beside that of this process. Default: 0. */
  readonly umask?: number;
  /** Takes the messages in place of standard error. The log disposes of it. */
  readonly socket?: LogSocket;
  /** Takes the messages as well. The log disposes of it. */
  readonly also?: LogSocket;
  readonly format: LogFormat;
  /** The least important level that is still written. */
  readonly level: LogLevel;
  /** Writes text on standard error. It may not throw: there is nowhere left to say so. */
  readonly writeStderr: (text: string) => void;
  /** Standard error is a terminal: lines on it are for a person, and a message of several lines stays one. */
  readonly isTerminal?: boolean;
  /** The time of a line. Default: now. */
  readonly now?: () => Date;
}

/** A log that owns the descriptor of its file, and its sockets. */
export interface LogSink extends Log, Disposable {
  /** Whether the lines go to a file or a service, out of the sight of the person at the terminal. */
  readonly isElsewhere: boolean;
}

const weight: Readonly<Record<LogLevel, number>> = { debug: 0, warning: 1, error: 2 };

/**
 * A log with one line for each message, of some 8 KiB at most.
 *
 * A line that cannot be written into the file goes to standard error instead. Errors: `host` when the file cannot be
 * opened. Effects: makes the file (0644 without the umask) if need be, even if nothing is ever logged, because
 * containerd reads it after every failure and reports its absence in place of the failure.
 */
export function createLog(options: LogOptions): LogSink {
  const { socket, also } = options;
  const fd = options.file === undefined ? undefined : openLogFile(options.file, options.umask ?? 0);
  const now = options.now ?? (() => new Date());
  const write = (level: LogLevel, whole: string, details: LogDetails = {}): void => {
    if (weight[level] < weight[options.level]) return;
    const message = shorten(whole);
    also?.send(level, message);
    if (fd === undefined && socket?.send(level, message) === true) return;
    const forPerson = fd === undefined && options.isTerminal === true && options.format === 'text';
    const line = forPerson
      ? `${level === 'error' ? '' : `${level}: `}${escapeControls(message)}\n`
      : formatLogLine(options.format, { level, message, time: now(), details });
    if (fd === undefined || !appendLine(fd, line)) options.writeStderr(line);
  };
  return {
    isElsewhere: fd !== undefined || socket !== undefined,
    debug: (message) => {
      write('debug', message);
    },
    warning: (message) => {
      write('warning', message);
    },
    error: (message, details) => {
      write('error', message, details);
    },
    [Symbol.dispose]: () => {
      if (fd !== undefined) closeSync(fd);
      socket?.[Symbol.dispose]();
      also?.[Symbol.dispose]();
    },
  };
}

/** One message with what is told beside it. Of the time whole seconds are written, in UTC. */
export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly time: Date;
  readonly details?: LogDetails;
}

/**
 * One line as runc's logger writes it, with its line feed.
 *
 * Shape: `time="2026-01-31T12:00:00Z" level=error msg="..."`, or an object with the strings `level`, `msg` and `time`, and
 * the details behind them. containerd reads the objects with a strict decoder: a line that is no JSON, or a time that is not
 * RFC 3339, loses it the failure. Members that it does not know it passes over.
 */
export function formatLogLine(format: LogFormat, { level, message, time, details }: LogLine): string {
  const seconds = `${time.toISOString().slice(0, 19)}Z`;
  if (format === 'json') return `${JSON.stringify({ level, msg: message, time: seconds, ...details })}\n`;
  // JSON leaves alone what steers a terminal from the upper half of Latin-1.
  return `time="${seconds}" level=${level} msg=${escapeControls(JSON.stringify(message))}\n`;
}

function openLogFile(file: string, umask: number): number {
  try {
    return openSync(file, 'a', 0o644 & ~umask);
  } catch (error) {
    throw TsrunError.of('host', `open log file ${JSON.stringify(file)}`, error);
  }
}

// One write call for each line: with O_APPEND, the lines of two processes that share a file do not mix.
function appendLine(fd: number, line: string): boolean {
  const bytes = Buffer.from(line);
  try {
    return writeSync(fd, bytes) === bytes.length;
  } catch {
    // A full disk must not hide the message: the caller writes it on standard error.
    return false;
  }
}
