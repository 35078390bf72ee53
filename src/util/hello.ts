/** Every engine has it; the pure folders know no types but those of the language. */
declare class TextDecoder {
  constructor(label: string, options: { readonly ignoreBOM: boolean });
  decode(bytes: Uint8Array): string;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Build, number of arguments, number of the socket, bytes of input. */
const HEADER_BYTES = 32;

/** What a launcher says first (program/FORMAT.md, "The launcher"). */
export interface Hello {
  /** Identity of its build, 64 bits. */
  readonly build: bigint;
  /** Behind the name of the command. What is no UTF-8 has become U+FFFD. */
  readonly args: readonly string[];
  /** Of several entries of one name the first, which is what getenv(3) finds. */
  readonly environment: Readonly<Record<string, string>>;
  /** The number of its end of the connection. */
  readonly socket: number;
  /** What it has read from its standard input. */
  readonly input: Uint8Array;
}

/** Reads a hello; undefined for bytes that are none. */
export function readHello(bytes: Uint8Array): Hello | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (offset: number): number => Number(view.getBigUint64(offset, true));
  const [count, socket, size] = [word(8), word(16), word(24)];
  const end = bytes.length - size;
  if (end <= HEADER_BYTES || bytes[end - 1] !== 0) return undefined;
  const strings = decoder.decode(bytes.subarray(HEADER_BYTES, end - 1)).split('\0');
  if (count < 1 || count > strings.length || socket < 3) return undefined;
  const environment = readEnvironment(strings.slice(count));
  const input = bytes.subarray(end);
  return { build: view.getBigUint64(0, true), args: strings.slice(1, count), environment, socket, input };
}

function readEnvironment(entries: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const entry of entries.toReversed()) {
    const end = entry.indexOf('=');
    if (end > 0) environment[entry.slice(0, end)] = entry.slice(end + 1);
  }
  return environment;
}
