/** Ends a `switch` over a closed union: a case that was forgotten does not compile. */
export function unreachable(value: never): never {
  throw new Error(`bug: a value outside its type: ${String(value)}`);
}
