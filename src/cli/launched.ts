import { closeSync, fstatSync, readSync } from 'node:fs';
import type { OpenFilesLimit } from '../host/open-files.ts';
import type { Again } from '../container/build/leave.ts';
import { TsrunError } from '../errors.ts';
import { errnoName } from '../util/errno.ts';
import { LAUNCHED } from '../util/launched.ts';
import { decodeWill, type Will } from '../util/wills.ts';

/** What the launcher saw before the engine changed it. */
export interface Launched {
  /** The caller's limit of open files. */
  readonly openFiles?: OpenFilesLimit;
  /** Why there is no working directory. */
  readonly workingDirectoryErrno?: string;
  /** The descriptor on which this process finds the answer, when it was the engine before. */
  readonly answer?: number;
  /** What remains of a command that a planner had begun. */
  readonly will?: Required<Will>;
  /** With a will: the connection with that planner, which every process inherits until it is closed. */
  readonly planner?: number;
  /** With a will: the signals that the planner has had blocked, bit n - 1 for signal n. */
  readonly blocked?: bigint;
  /** How this process becomes the engine again. */
  readonly again: Again;
}

/**
 * Takes what the launcher handed over, and puts the caller's environment in the place of the engine's. Undefined without a launcher.
 *
 * Call it before anything reads the environment. Errors: `host`. Effects: closes the descriptor; nobody inherits it.
 */
export function takeLaunched(environment: NodeJS.ProcessEnv): Launched | undefined {
  const digits = environment[LAUNCHED.variable];
  if (digits === undefined) return undefined;
  const bytes = readWhole(toNumber(digits));
  const settings = Object.entries(environment).filter(([name]) => name !== LAUNCHED.variable);
  for (const name of Object.keys(environment)) Reflect.deleteProperty(environment, name);
  putEntries(environment, bytes.toString('utf8', LAUNCHED.environment));
  const hard = bytes.readBigUInt64LE(LAUNCHED.openFilesHard);
  const errno = Number(-bytes.readBigInt64LE(LAUNCHED.workingDirectory));
  const answer = Number(bytes.readBigInt64LE(LAUNCHED.answer));
  return {
    ...readWill(bytes),
    ...(answer > 0 && { answer }),
    again: {
      handOver: (descriptor) => {
        const header = Buffer.from(bytes);
        header.writeBigInt64LE(BigInt(descriptor), LAUNCHED.answer);
        header.fill(0, LAUNCHED.will, LAUNCHED.environment);
        return header;
      },
      environment: (file) => [
        ...settings.map(([name, value]) => `${name}=${value ?? ''}`),
        `${LAUNCHED.variable}=${toDigits(file)}`,
      ],
    },
    ...(hard > 0n && { openFiles: { soft: bytes.readBigUInt64LE(LAUNCHED.openFilesSoft), hard } }),
    ...(errno > 0 && { workingDirectoryErrno: errnoName(errno) }),
  };
}

function readWill(bytes: Buffer): Pick<Launched, 'will' | 'planner' | 'blocked'> {
  const word = bytes.readUInt32LE(LAUNCHED.will);
  if (word === 0) return {};
  const will = decodeWill(word);
  if (will === undefined) throw unreadable();
  const blocked = bytes.readBigUInt64LE(LAUNCHED.blockedAfter) & ~bytes.readBigUInt64LE(LAUNCHED.blockedBefore);
  return { will, planner: bytes.readUInt32LE(LAUNCHED.planner), blocked };
}

function toDigits(number: number): string {
  const { length } = LAUNCHED.digits;
  const first = LAUNCHED.digits.charAt(number % length);
  return number < length ? first : first + toDigits(Math.floor(number / length));
}

function toNumber(digits: string): number {
  const { length } = LAUNCHED.digits;
  return Array.from(digits).reduceRight((sum, digit) => sum * length + LAUNCHED.digits.indexOf(digit), 0);
}

function readWhole(fd: number): Buffer {
  try {
    const bytes = Buffer.alloc(fstatSync(fd).size);
    for (let at = 0; at < bytes.length;) {
      const count = readSync(fd, bytes, at, bytes.length - at, at);
      if (count === 0) break;
      at += count;
    }
    closeSync(fd);
    if (bytes.length >= LAUNCHED.environment) return bytes;
  } catch (cause) {
    throw unreadable(cause);
  }
  throw unreadable();
}

function unreadable(cause?: unknown): TsrunError {
  const message = `read what ${JSON.stringify(LAUNCHED.variable)} of the environment names: only the launcher sets it`;
  return new TsrunError('host', message, { cause });
}

/** Of several entries of one name the first is what getenv(3) finds. */
function putEntries(environment: NodeJS.ProcessEnv, text: string): void {
  for (const entry of text.split('\0').reverse()) {
    const end = entry.indexOf('=');
    if (end > 0) environment[entry.slice(0, end)] = entry.slice(end + 1);
  }
}
