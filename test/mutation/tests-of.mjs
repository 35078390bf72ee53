/** Which tests say something of a folder. */
import * as fs from 'node:fs';
import path from 'node:path';

/**
 * Folder of src/ -> folders of test/ whose tests are about it as well. None of container/: some of its tests take the signals that
 * Stryker's hook takes.
 * @type {Readonly<Record<string, readonly string[] | undefined>>}
 */
const ALSO = { program: ['init', 'plan'] };

/** They fail each step of each program in turn: too long for every fault, and about no single one. */
const LEFT_OUT = /\/fault-sweep-/;

/**
 * @param {string} folder such as `plan` or `spec/rules`
 * @returns {string[]} relative to the project
 */
export function testsOf(folder) {
  const [room = ''] = folder.split('/');
  return [folder, ...(ALSO[/** @type {keyof typeof ALSO} */ (room)] ?? [])]
    .map((name) => path.join('test', name))
    .filter((name) => fs.existsSync(name))
    .flatMap((name) => fs.readdirSync(name, { recursive: true, encoding: 'utf8' }).map((file) => path.join(name, file)))
    .filter((name) => name.endsWith('.test.ts') && !LEFT_OUT.test(name));
}
