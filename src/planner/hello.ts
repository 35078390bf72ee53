import { readHello, type Hello } from '../util/hello.ts';
import { GoCold } from './reasons.ts';

/** What stands in a text for bytes that are not UTF-8. */
const REPLACEMENT = '\uFFFD';

/** Reads a hello of a launcher of the same build. Errors: `GoCold`. */
export function requireHello(bytes: Uint8Array, build: bigint | undefined): Hello {
  const hello = readHello(bytes);
  if (hello === undefined) throw new GoCold('hello');
  if (hello.build !== build) throw new GoCold('build');
  // Another text than the one that was meant.
  if (hello.args.some((arg) => arg.includes(REPLACEMENT))) throw new GoCold('command-line');
  return hello;
}
