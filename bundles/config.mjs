/**
 * `node bundles/config.mjs BASE ROOTFS CGROUP [ARG ...] < PATCH`: prints the config.json of a container of a demonstration,
 * which is that of BASE with a patch. In a patch an object is merged into the one that is there, null removes, a name with
 * a "+" at its end appends to the array that is there, and everything else replaces.
 */
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseJson } from './untyped.mjs';

/** @typedef {Record<string, unknown>} Properties */

/**
 * A JSON value with a patch; neither is changed.
 * @param {unknown} value
 * @param {unknown} patch
 * @returns {unknown}
 */
export function merge(value, patch) {
  if (!isObject(patch)) return patch;
  const result = isObject(value) ? { ...value } : {};
  for (const [key, change] of Object.entries(patch)) {
    const name = key.endsWith('+') ? key.slice(0, -1) : key;
    if (change === null) Reflect.deleteProperty(result, name);
    else if (name === key) result[name] = merge(result[name], change);
    else result[name] = [result[name] ?? [], change].flat();
  }
  return result;
}

/**
 * @param {unknown} value
 * @returns {value is Properties}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {readonly string[]} words */
function main([base = '', rootfs = '', cgroupsPath = '', ...args]) {
  const patch = fs.readFileSync(0, 'utf8').trim();
  const own = { root: { path: rootfs }, linux: { cgroupsPath }, ...(args.length > 0 ? { process: { args } } : {}) };
  const config = merge(parseJson(fs.readFileSync(base, 'utf8')), own);
  console.log(JSON.stringify(merge(config, parseJson(patch === '' ? '{}' : patch)), undefined, 2));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
