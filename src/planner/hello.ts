import { GoCold } from './reasons.ts';

/** Bytes in front of the strings: build, number of arguments, number of the socket, 0. */
const HEADER_BYTES = 32;
/** What stands in a text for bytes that are not UTF-8. */
const REPLACEMENT = '\uFFFD';

/** What a launcher says of the command it stands for (init/launcher). */
export interface Hello {
  /** Behind the name of the command. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The number of its end of the connection. */
  readonly socket: number;
}

/** Reads a hello of a launcher of the same build. Errors: `GoCold`. */
export function readHello(bytes: Buffer, build: bigint | undefined): Hello {
  if (bytes.length < HEADER_BYTES) throw new GoCold('hello');
  if (bytes.readBigUInt64LE(0) !== build) throw new GoCold('build');
  const count = Number(bytes.readBigUInt64LE(8));
  const socket = Number(bytes.readBigUInt64LE(16));
  const text = bytes.toString('utf8', HEADER_BYTES);
  if (!text.endsWith('\0')) throw new GoCold('hello');
  const strings = text.slice(0, -1).split('\0');
  if (count < 1 || count > strings.length || socket < 3) throw new GoCold('hello');
  const args = strings.slice(1, count);
  // Another text than the one that was meant.
  if (args.some((arg) => arg.includes(REPLACEMENT))) throw new GoCold('command-line');
  return { args, environment: readEnvironment(strings.slice(count)), socket };
}

/** Of several entries of one name the first is what getenv(3) finds. */
function readEnvironment(entries: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const entry of entries.toReversed()) {
    const end = entry.indexOf('=');
    if (end > 0) environment[entry.slice(0, end)] = entry.slice(end + 1);
  }
  return environment;
}
