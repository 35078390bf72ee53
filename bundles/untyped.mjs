/** What comes from outside without a type: its reader says what it takes it for. */

/**
 * @param {string} text
 * @returns {unknown}
 */
export function parseJson(text) {
  return JSON.parse(text);
}

/**
 * Loads a module that has just been made.
 * @param {string} url
 * @returns {Promise<unknown>}
 */
export async function load(url) {
  return import(url);
}
