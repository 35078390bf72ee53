/** Longer than any message that somebody reads; what a config holds may be of any length. */
const LONGEST = 8192;
const END = 2048;

/** The text; of a very long one the beginning and the end, which is where a message has its reason. */
export function shorten(text: string): string {
  if (text.length <= LONGEST) return text;
  const left = text.length - LONGEST;
  return `${text.slice(0, LONGEST - END)} ... (${left} characters left out) ... ${text.slice(-END)}`;
}
