import { TsrunError } from '../errors.ts';
import type { LogLevel, LogSocket } from '../log.ts';
import { connectUnix, sendMessage } from '../sys/socket.ts';
import { escapeControls } from '../util/escape-controls.ts';

/** A service of the host that collects messages, and what they are filed under. */
export interface LogService {
  readonly kind: 'journald' | 'syslog';
  readonly name: string;
  /** Whose messages they are. */
  readonly pid: number;
  /** Default: where the service listens. */
  readonly socketPath?: string;
}

const SOCKET_PATHS: Readonly<Record<LogService['kind'], string>> = {
  journald: '/run/systemd/journal/socket',
  syslog: '/dev/log',
};

/** Severities of RFC 5424, which the journal shares: LOG_ERR, LOG_WARNING, LOG_DEBUG. */
const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, debug: 7 };
/** Facility LOG_DAEMON. */
const FACILITY = 3;
/** rsyslog cuts longer lines (maxMessageSize); the journal's socket buffer takes some 200 KiB. */
const LIMIT_BYTES: Readonly<Record<LogService['kind'], number>> = { journald: 64 * 1024, syslog: 8 * 1024 };

/**
 * A connection to a service of the host, by datagrams, one for each message; longer messages are cut.
 *
 * Errors: `host` when nobody listens there.
 */
export function openLogSocket(service: LogService): LogSocket {
  const { kind, name, pid } = service;
  const path = service.socketPath ?? SOCKET_PATHS[kind];
  const socket = connect(kind, path);
  return {
    send: (level, message) => {
      const line = { name, pid, level, message: cut(message, LIMIT_BYTES[kind]) };
      const bytes = kind === 'journald' ? journalEntry(line) : syslogLine(line, new Date());
      try {
        sendMessage(socket.number, bytes);
        return true;
      } catch {
        // The service has gone in the meantime: the log writes the message on standard error.
        return false;
      }
    },
    [Symbol.dispose]: () => {
      socket.close();
    },
  };
}

function connect(kind: LogService['kind'], path: string): ReturnType<typeof connectUnix> {
  try {
    return connectUnix(path, 'datagram');
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    throw TsrunError.of('host', `open log "${kind}": nobody listens at ${JSON.stringify(path)}`, error);
  }
}

/** A message for a log service; `name` is the identifier that it is filed under (SYSLOG_IDENTIFIER, the tag of syslog). */
export interface ServiceLine {
  readonly name: string;
  readonly pid: number;
  readonly level: LogLevel;
  readonly message: string;
}

/**
 * An entry in the journal's own protocol: a field a line, `NAME=value`, or for a value that may have line feeds the name, a line
 * feed, the length as 64 bits in little endian, the value, a line feed. Source: systemd's JOURNAL_NATIVE_PROTOCOL.
 */
export function journalEntry({ name, level, message }: ServiceLine): Buffer {
  const text = Buffer.from(message);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const fields = `PRIORITY=${SEVERITY[level]}\nSYSLOG_FACILITY=${FACILITY}\nSYSLOG_IDENTIFIER=${name}\nMESSAGE\n`;
  return Buffer.concat([Buffer.from(fields), length, text, Buffer.from('\n')]);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** A line as syslog(3) sends it to the local daemon: no host name, the local time. Source: RFC 3164, "4.1"; man 3 syslog. */
export function syslogLine({ name, pid, level, message }: ServiceLine, time: Date): Buffer {
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = String(time.getDate()).padStart(2, ' ');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  const stamp = `${MONTHS[time.getMonth()] ?? ''} ${day} ${clock}`;
  const text = escapeControls(message, { lines: true });
  return Buffer.from(`<${FACILITY * 8 + SEVERITY[level]}>${stamp} ${name}[${pid}]: ${text}`);
}

function cut(message: string, limitBytes: number): string {
  const bytes = Buffer.from(message);
  // A character that the cut goes through becomes U+FFFD.
  return bytes.length <= limitBytes ? message : bytes.subarray(0, limitBytes).toString('utf8');
}
