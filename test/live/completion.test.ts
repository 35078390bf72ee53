import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { live, type Rig } from './support/rig.ts';

/** What a command line turns out to be; the script of the shell still gets the real command. */
const STAND_IN = 'tsrun() { if [ "$1" = completion ]; then command tsrun "$@"; else echo "ran<$*>"; fi; }';

/** Whether this machine has a shell: if not, why its test is skipped. */
function lacks(shell: string): string | false {
  return spawnSync(shell, ['-c', 'true']).status === 0 ? false : `${shell} is not installed (Debian package ${shell})`;
}

/** A directory for PATH in which `tsrun` is the one under test. */
function pathOf(rig: Rig): string {
  const directory = rig.fresh('bin');
  mkdirSync(directory);
  const argv = rig.tsrunArgv([]);
  const words = argv.slice(0, argv.indexOf('--root')).map((word) => `'${word}'`);
  writeFileSync(path.join(directory, 'tsrun'), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 });
  return `${directory}:${process.env['PATH'] ?? ''}`;
}

/** An interactive shell on a terminal of its own, which gets a line at a time. */
class Terminal {
  #output = '';
  readonly #child;
  #heard: () => void = () => undefined;

  constructor(command: string, environment: Readonly<Record<string, string>>) {
    this.#child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
      env: { ...process.env, TERM: 'dumb', HOME: '/nonexistent', ...environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
      this.#heard();
    });
  }

  /** Types a text when the prompt is there, and waits for what comes of it. */
  async type(text: string, wanted: RegExp): Promise<string> {
    const from = this.#output.length;
    this.#child.stdin.write(text);
    for (;;) {
      const found = wanted.exec(this.#output.slice(from));
      if (found !== null) return found[1] ?? '';
      await new Promise<void>((resolve, reject) => {
        this.#heard = resolve;
        const timer = setTimeout(() => {
          reject(
            new Error(`${JSON.stringify(text)}: no ${wanted.source} in ${JSON.stringify(this.#output.slice(from))}`),
          );
        }, 30_000);
        this.#heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    this.#child.stdin.end('exit\n');
    this.#child.kill('SIGHUP');
  }
}

/** Typed text, a tab behind it -> the words that the shell runs then. `1`, `2`, ... are containers. */
type Rows = readonly (readonly [typed: string, ran: string])[];

function rowsFor(root: string, ids: Readonly<Record<'created' | 'running' | 'paused', string>>, folder: string): Rows {
  const { created, running, paused } = ids;
  return [
    ['tsrun creat', 'create'],
    ['tsrun --log-form', '--log-format'],
    ['tsrun --log-level w', '--log-level warning'],
    ['tsrun --log-level=w', '--log-level=warning'],
    [`tsrun --root ${root} start ${created.slice(0, -2)}`, `--root ${root} start ${created}`],
    [`tsrun --root=${root} resume `, `--root=${root} resume ${paused}`],
    [`tsrun --root ${root} kill ${running} SIGTE`, `--root ${root} kill ${running} SIGTERM`],
    [`tsrun exec --cap CAP_SYS_ADM`, 'exec --cap CAP_SYS_ADMIN'],
    [`tsrun create --bundle ${folder.slice(0, -2)}`, `create --bundle ${folder}/`],
    ['tsrun start nothing-like-', 'start nothing-like-'],
    ['tsrun help kil', 'help kill'],
  ];
}

/** zsh takes the slash behind a directory off again when the line is entered. */
function unslashed(line: string): string {
  return line.replace(/\/$/, '');
}

live('completion in real shells', async (t, rig) => {
  const created = await rig.create(t);
  const running = (await rig.sleeper(t)).id;
  const paused = (await rig.sleeper(t)).id;
  await rig.tsrun(['pause', paused]);
  const { root } = rig;
  const folder = rig.fresh('folder-for-bundles');
  mkdirSync(folder);
  const rows = rowsFor(root, { created: created.id, running, paused }, folder);
  const environment = { PATH: pathOf(rig) };

  const shells: [shell: string, command: string, setUp: string[]][] = [
    ['bash', 'bash --norc --noprofile -i', ['source <(tsrun completion bash)']],
    [
      'zsh',
      'zsh -f -i',
      ['unsetopt prompt_cr prompt_sp', 'autoload -U compinit; compinit -u -D', 'source <(tsrun completion zsh)'],
    ],
  ];
  for (const [shell, command, setUp] of shells) {
    await t.test(`${shell} completes a line that is typed`, { skip: lacks(shell) }, async (t) => {
      const terminal = new Terminal(command, environment);
      try {
        for (const line of [...setUp, STAND_IN]) await terminal.type(`${line}; echo rea''dy\n`, /\bready\b/);
        for (const [typed, ran] of rows)
          t.equal(unslashed((await terminal.type(`${typed}\t\n`, /ran<(.*)>/)).trim()), unslashed(ran), typed);
      } finally {
        terminal.close();
      }
    });
  }

  await t.test('fish offers the same', { skip: lacks('fish') }, (t) => {
    for (const [typed, ran] of rows) {
      const script = `tsrun completion fish | source; complete -C '${typed}'`;
      const { stdout } = spawnSync('fish', ['--no-config', '-c', script], {
        encoding: 'utf8',
        env: { ...process.env, HOME: rig.path(), ...environment },
      });
      const last = ran.split(' ').at(-1) ?? '';
      const words = stdout.split('\n').map((line) => line.replace(/\t.*/, ''));
      if (typed.includes('nothing')) t.equal(stdout, '', typed);
      else t.strictSame(words.filter(Boolean), [last], typed);
    }
    t.end();
  });

  await t.test('scripts are what the shells themselves accept', (t) => {
    for (const shell of ['bash', 'zsh', 'fish'].filter((one) => lacks(one) === false)) {
      const { stdout } = spawnSync('tsrun', ['completion', shell], {
        encoding: 'utf8',
        env: { ...process.env, ...environment },
      });
      const file = rig.fresh(shell);
      writeFileSync(file, stdout);
      const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
      t.match({ status, stderr }, { status: 0, stderr: '' }, shell);
    }
    t.end();
  });

  await rig.delete(t, created.id, running, paused);
});
