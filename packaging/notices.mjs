/**
 * The licences of what a bundle has of other packages, which ask for their text to go with every copy.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { parseJson } from '../bundles/untyped.mjs';

/**
 * The packages of a bundle, by what esbuild says went into it.
 * @param {import('esbuild').Metafile} metafile
 * @param {string} top where its paths begin
 */
export function noticesOf(metafile, top) {
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
  const folders = inputs.flatMap((file) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set(folders)]
    .sort()
    .map((folder) => noticeOf(path.join(top, folder)))
    .join('\n');
}

/**
 * The name and the licence of a package.
 * @param {string} folder
 */
export function noticeOf(folder) {
  const { name, version, license } = /** @type {{ name: string, version: string, license: string }} */ (
    parseJson(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  );
  const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? '' : `\n${fs.readFileSync(path.join(folder, file), 'utf8').trim()}\n`;
  return `${name} ${version}: ${license}\n${text}`;
}
