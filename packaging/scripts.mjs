/**
 * The scripts of the executable: one with the whole command, and one for each command that is called often, with what that command needs:
 * the engine takes time for every function of a script, also for those that are never called and were compiled before.
 */
import path from 'node:path';
import { top } from './bundle.mjs';

const source = path.join(top, 'src');

/** The script with everything, which the others fall back to. */
export const WHOLE = 'whole';

/** The script of containerd's shim, which is another program. */
export const SHIM_SCRIPT = 'shim';

const OWN = ['own-process/own-process.ts', 'own-process/inherited-descriptors.ts'];
const MAKES_PROCESSES = [...OWN, 'own-process/preserved-descriptors.ts'];
const WAITS = [...MAKES_PROCESSES, 'own-process/own-foreground.ts'];

/**
 * Command -> what its script has of the modules that are loaded when they are needed. What it turns out to need beside these (a help text,
 * another command, a socket for its log) it finds in the whole script.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const SCRIPTS = {
  state: ['cli/commands/inspect/state.ts', 'container/state.ts'],
  kill: ['cli/commands/life/kill.ts', 'container/kill.ts'],
  start: [...OWN, 'cli/commands/life/start.ts', 'container/start.ts'],
  delete: [...OWN, 'cli/commands/life/delete.ts', 'container/delete.ts'],
  create: [...MAKES_PROCESSES, 'cli/commands/life/create.ts', 'container/create.ts'],
  run: [...WAITS, 'cli/commands/life/run.ts', 'container/run.ts'],
  exec: [...WAITS, 'cli/commands/life/exec.ts', 'container/exec.ts'],
};

/** The modules that choose what else is loaded. All of them do so before anything was done: the command can begin again. */
const CHOOSERS = ['main.ts', 'cli/invocation.ts', 'cli/command-table.ts', 'cli/operations.ts'];

/**
 * Leaves out what the modules that choose load, but for `kept`: the whole script is evaluated in its place, and takes over. The module
 * that is waited for never comes.
 * @param {readonly string[]} kept
 * @returns {import('esbuild').Plugin}
 */
export function keepOnly(kept) {
  const missing = new Set(kept);
  return {
    name: 'keep-only',
    setup(build) {
      build.onResolve({ filter: /^\./ }, ({ kind, importer, path: wanted }) => {
        if (kind !== 'dynamic-import' || !CHOOSERS.includes(path.relative(source, importer))) return undefined;
        const file = path.relative(source, path.resolve(path.dirname(importer), wanted));
        missing.delete(file);
        return kept.includes(file) ? undefined : { path: file, namespace: 'left-out' };
      });
      build.onLoad({ filter: /./, namespace: 'left-out' }, () => ({
        contents: 'globalThis.tsrunWhole(); exports.then = () => {};',
      }));
      build.onEnd(() => {
        if (missing.size > 0) return { errors: [...missing].map((file) => ({ text: `nothing loads ${file}` })) };
        return undefined;
      });
    },
  };
}
