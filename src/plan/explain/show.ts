/** A text of a user on one line: as it is where that is plain, else as JSON. */
export function show(text: string): string {
  return /^[\w./:@+=,~%-]+$/.test(text) ? text : JSON.stringify(text);
}
