import { readFileSync } from 'node:fs';
import t from 'tap';
import { wording } from '../../src/util/wording.ts';
import { readSources } from '../rules/sources.ts';

/** What callers search for, as they spell it. */
const wanted: readonly (readonly [found: string, searched: string | RegExp])[] = [
  [wording.doesNotExist, 'container does not exist'],
  [wording.doesNotExist, /does not exist/],
  [wording.notRunning, 'container not running'],
  [wording.noSuchProcess, 'no such process'],
  [wording.alreadyExists, 'container with given ID already exists'],
  [wording.invalidId, 'invalid container ID format'],
  [wording.emptyId, 'container id cannot be empty'],
  [wording.startStopped, 'cannot start a container that has stopped'],
  [wording.startRunning, 'cannot start an already running container'],
  [wording.startInState('paused'), 'cannot start a container in the paused state'],
  [wording.execStopped, 'cannot exec in a stopped container'],
  [wording.execPaused, 'cannot exec in a paused container (use --ignore-paused to override)'],
  [wording.deleteNotStopped('web', 'running'), 'cannot delete container web that is not stopped: running'],
  [wording.paused, 'container paused'],
  [wording.notPaused, 'container not paused'],
  [wording.initStillRunning, 'container init still running'],
  [wording.ttyWithoutSocket('runc'), 'cannot allocate tty if runc will detach without setting console socket'],
  [wording.socketWithoutTty('runc'), 'cannot use console socket if runc will not detach or allocate tty'],
  [wording.noPreservedFd(4), 'unable to stat preserved-fd 4'],
  [wording.notInPath, 'executable file not found in $PATH'],
  [wording.ENOENT, 'no such file or directory'],
  [wording.EACCES, 'permission denied'],
  [wording.EPERM, 'operation not permitted'],
  [wording.ENOTDIR, 'not a directory'],
  [wording.EISDIR, 'is a directory'],
  [wording.oomKilled, 'container init was OOM-killed (memory limit too low?)'],
  [wording.killedInSetup, '(possibly OOM-killed)'],
  [wording.memoryLimitTooLow('9', '12', '15'), 'unable to set memory limit to 9 (current usage: 12, peak usage: 15)'],
  [wording.cgroupNotEmpty(2), "container's cgroup is not empty: 2 process(es) found"],
  [wording.cgroupFrozen, "container's cgroup unexpectedly frozen"],
  [wording.noProcess, 'process property must not be empty'],
  [wording.emptyCwd, 'Cwd property must not be empty'],
  [wording.relativeCwd, 'Cwd must be an absolute path'],
  [wording.noArgs, 'args must not be empty'],
  [wording.configMissing('config.json'), 'JSON specification file config.json not found'],
  [wording.configNull, 'config cannot be null'],
  [wording.noRoot, 'root must be specified'],
  [wording.configExists('config.json'), 'File config.json exists. Remove it first'],
  [wording.unknownSignal, 'unknown signal'],
  [wording.invalidFormat, 'invalid format option'],
  [wording.invalidLogFormat, 'invalid log-format'],
  [wording.rootIsSlash, 'Option --root argument should not be set to /'],
  [wording.wrongCount('kill', 'a minimum of 1'), '"kill" requires a minimum of 1 argument(s)'],
  [wording.noArgsForExec, 'process args cannot be empty'],
  [wording.checkpointStatus('stopped'), 'container cannot be checkpointed in stopped state'],
  [wording.noValue, 'flag needs an argument'],
  [wording.hookFailed('prestart', 0), 'error running prestart hook #0'],
];

t.test('the wording is what callers search for', (t) => {
  for (const [found, searched] of wanted) {
    if (typeof searched === 'string') t.equal(found, searched);
    else t.match(found, searched);
  }
  const seen = readFileSync(new URL(import.meta.url), 'utf8');
  for (const name of Object.keys(wording)) t.match(seen, `[wording.${name}`, `${name} is held to the letter here`);
  t.end();
});

t.test('each part of the wording is used, and written in one place', (t) => {
  const sources = readSources().filter(({ file }) => file !== 'util/wording.ts');
  const texts = sources.map(({ file, tree }) => ({ file, text: withoutComments(tree.text) }));
  for (const [name, value] of Object.entries(wording)) {
    t.ok(
      texts.some(({ text }) => text.includes(`wording.${name}`)),
      `wording.${name} is used`,
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
