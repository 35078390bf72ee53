/**
 * What a build knows about itself: the version of the package, the commit it is built from, the version of koffi.
 *
 * The commit is `TSRUN_COMMIT` of the environment where a packager sets it, else what git says of this folder, with `-dirty` behind
 * it when a file that git knows has changed; `unknown` for sources that are no clone.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseJson } from '../bundles/untyped.mjs';

const top = realpathSync(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** @returns {{ version: string, commit: string, koffi: string }} */
export function describeBuild() {
  const { version, dependencies } = /** @type {{ version: string, dependencies: { koffi: string } }} */ (
    parseJson(readFileSync(path.join(top, 'package.json'), 'utf8'))
  );
  return { version, commit: readCommit(), koffi: dependencies.koffi };
}

/**
 * The time that the files of a package have, in seconds: `SOURCE_DATE_EPOCH`, else that of the commit, else 0. Nothing that is made says
 * when it was made.
 */
export function timeOfBuild() {
  return Number(process.env['SOURCE_DATE_EPOCH'] ?? git('log', '-1', '--format=%ct') ?? 0);
}

function readCommit() {
  const given = process.env.TSRUN_COMMIT ?? '';
  // Callers split the line at its colon and take one word.
  if (/^[\w.+~-]{1,128}$/.test(given)) return given;
  // An unpacked archive inside some other clone has that clone's commit around it, which says nothing.
  if (git('rev-parse', '--show-toplevel') !== top) return 'unknown';
  const commit = git('rev-parse', '--verify', 'HEAD');
  if (commit === undefined) return 'unknown';
  return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit}-dirty`;
}

/**
 * What git prints; nothing when it fails or is not there.
 * @param {string[]} args
 */
function git(...args) {
  const { status, stdout } = spawnSync('git', args, {
    cwd: top,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? stdout.trim() : undefined;
}
