import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { top } from '../../bundles/ready.mjs';

/**
 * Runs a command in the project's folder and collects its output; lines that `shows` picks are printed as they come.
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ shows?: (line: string) => boolean, environment?: Readonly<Record<string, string>> }} options
 * @returns {Promise<{ code: number, output: string }>} 128 after a signal
 */
export function runCaptured(file, args, { shows = () => false, environment = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: top,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    /** @type {string[]} */
    const lines = [];
    const take = (/** @type {string} */ line) => {
      lines.push(line);
      if (shows(line)) console.log(line);
    };
    const readers = [child.stdout, child.stderr].map((input) => createInterface({ input }).on('line', take));
    child.on('error', reject);
    const closed = readers.map((reader) => once(reader, 'close'));
    child.on('close', (code) => {
      Promise.all(closed).then(() => {
        resolve({ code: code ?? 128, output: lines.join('\n') });
      }, reject);
    });
  });
}
