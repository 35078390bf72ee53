import { readFileSync } from 'node:fs';
import t from 'tap';
import { words } from '../../src/util/words.ts';
import { readSources } from '../rules/sources.ts';

/** What callers search for, as they spell it. */
const wanted: readonly (readonly [found: string, searched: string | RegExp])[] = [
  [words.doesNotExist, 'container does not exist'],
  [words.doesNotExist, /does not exist/],
  [words.notRunning, 'container not running'],
  [words.noSuchProcess, 'no such process'],
  [words.alreadyExists, 'container with given ID already exists'],
  [words.invalidId, 'invalid container ID format'],
  [words.emptyId, 'container id cannot be empty'],
  [words.startStopped, 'cannot start a container that has stopped'],
  [words.startRunning, 'cannot start an already running container'],
  [words.startInState('paused'), 'cannot start a container in the paused state'],
  [words.execStopped, 'cannot exec in a stopped container'],
  [words.execPaused, 'cannot exec in a paused container (use --ignore-paused to override)'],
  [words.deleteNotStopped('web', 'running'), 'cannot delete container web that is not stopped: running'],
  [words.paused, 'container paused'],
  [words.notPaused, 'container not paused'],
  [words.initStillRunning, 'container init still running'],
  [words.ttyWithoutSocket('runc'), 'cannot allocate tty if runc will detach without setting console socket'],
  [words.socketWithoutTty('runc'), 'cannot use console socket if runc will not detach or allocate tty'],
  [words.noPreservedFd(4), 'unable to stat preserved-fd 4'],
  [words.notInPath, 'executable file not found in $PATH'],
  [words.ENOENT, 'no such file or directory'],
  [words.EACCES, 'permission denied'],
  [words.EPERM, 'operation not permitted'],
  [words.ENOTDIR, 'not a directory'],
  [words.EISDIR, 'is a directory'],
  [words.oomKilled, 'container init was OOM-killed (memory limit too low?)'],
  [words.killedInSetup, '(possibly OOM-killed)'],
  [words.memoryLimitTooLow('9', '12', '15'), 'unable to set memory limit to 9 (current usage: 12, peak usage: 15)'],
  [words.cgroupNotEmpty(2), "container's cgroup is not empty: 2 process(es) found"],
  [words.cgroupFrozen, "container's cgroup unexpectedly frozen"],
  [words.noProcess, 'process property must not be empty'],
  [words.emptyCwd, 'Cwd property must not be empty'],
  [words.relativeCwd, 'Cwd must be an absolute path'],
  [words.noArgs, 'args must not be empty'],
  [words.configMissing('config.json'), 'JSON specification file config.json not found'],
  [words.configNull, 'config cannot be null'],
  [words.noRoot, 'root must be specified'],
  [words.configExists('config.json'), 'File config.json exists. Remove it first'],
  [words.unknownSignal, 'unknown signal'],
  [words.invalidFormat, 'invalid format option'],
  [words.invalidLogFormat, 'invalid log-format'],
  [words.rootIsSlash, 'Option --root argument should not be set to /'],
  [words.incorrectUsage, 'Incorrect Usage.'],
  [words.wrongCount('kill', 'a minimum of 1'), '"kill" requires a minimum of 1 argument(s)'],
  [words.noArgsForExec, 'process args cannot be empty'],
  [words.hookFailed('prestart', 0), 'error running prestart hook #0'],
];

t.test('words are what callers search for', (t) => {
  for (const [found, searched] of wanted) {
    if (typeof searched === 'string') t.equal(found, searched);
    else t.match(found, searched);
  }
  const seen = readFileSync(new URL(import.meta.url), 'utf8');
  for (const name of Object.keys(words)) t.match(seen, `[words.${name}`, `${name} is held to the letter here`);
  t.end();
});

t.test('each of the words is used, and written in one place', (t) => {
  const sources = readSources().filter(({ file }) => file !== 'util/words.ts');
  const texts = sources.map(({ file, tree }) => ({ file, text: withoutComments(tree.text) }));
  for (const [name, value] of Object.entries(words)) {
    t.ok(
      texts.some(({ text }) => text.includes(`words.${name}`)),
      `words.${name} is used`,
    );
    // The words of an errno also stand in sentences of our own, such as "x is a directory".
    if (typeof value !== 'string' || /^E[A-Z]+$/.test(name)) continue;
    t.strictSame(
      texts.filter(({ text }) => text.includes(value)).map(({ file }) => file),
      [],
      `${JSON.stringify(value)} is written nowhere else`,
    );
  }
  t.end();
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[^]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}
