/** Every engine has it; the pure folders know no types but those of the language. */
declare class TextEncoder {
  encode(text: string): Uint8Array;
  encodeInto(text: string, target: Uint8Array): { readonly read: number; readonly written: number };
}

declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}

const encoder = new TextEncoder();

/** UTF-8 bytes of a string. Lone surrogates become U+FFFD. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Writes a string in UTF-8 at an offset. Shape: how many bytes; undefined where they do not fit, and some are written all the same. */
export function writeUtf8(bytes: Uint8Array, offset: number, text: string): number | undefined {
  const { read, written } = encoder.encodeInto(text, bytes.subarray(offset));
  return read === text.length ? written : undefined;
}

/** The string of UTF-8 bytes; what is none becomes U+FFFD. */
export function textOfUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
