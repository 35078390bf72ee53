import { spawnSync } from 'node:child_process';
import t from 'tap';
import { commandTable } from '../../src/cli/command-table.ts';
import { messageOf, runLine } from './fixtures.ts';

/** What bash offers for the last of the words; the ids that exist are `web` and `db`. */
function complete(script: string, words: readonly string[]): string[] {
  const list = words.map((word) => `'${word}'`).join(' ');
  const call = `COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _tsrun; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', `tsrun() { printf 'web\\ndb\\n'; }\n${script}\n${call}`], {
    encoding: 'utf8',
  });
  if (stderr !== '') throw new Error(stderr);
  return stdout.split('\n').filter((word) => word !== '');
}

t.test('completion teaches bash the commands, options and ids', async (t) => {
  const { stdout } = await runLine('completion -s bash');
  const rows: [words: string[], offered: string[]][] = [
    [['tsrun', 'cr'], ['create']],
    [['tsrun', '--log-f'], ['--log-format']],
    [['tsrun', '--root', ''], []],
    [['tsrun', '--root', 'create', 'kil'], ['kill']],
    [['tsrun', 'create', '--no-p'], ['--no-pivot']],
    [['tsrun', '--debug', 'kill', '--a'], ['--all']],
    [
      ['tsrun', 'kill', ''],
      ['web', 'db'],
    ],
    [['tsrun', 'create', '--bundle', ''], []],
    [['tsrun', 'list', ''], []],
    [['tsrun', 'nothing', '--'], []],
  ];
  for (const [words, offered] of rows) t.strictSame(complete(stdout, words), offered, words.join(' '));
});

t.test('completion of every shell has every command and option', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout, code } = await runLine(`completion ${shell}`);
    t.equal(code, 0);
    for (const [name, entry] of Object.entries(commandTable)) {
      t.match(stdout, name);
      for (const option of Object.keys((await entry.load()).command.options)) {
        const spelled = shell === 'fish' ? `__fish_seen_subcommand_from ${name}' -l ${option} ` : `--${option}`;
        t.ok(stdout.includes(spelled), `${shell}: ${name} --${option}`);
      }
    }
  }
});

t.test('completion refuses shells it does not know', async (t) => {
  const message = 'invalid shell "csh": wanted bash, zsh or fish';
  t.equal(messageOf(await runLine('completion -s csh')), message);
  t.match(await runLine('completion'), { code: 1, failure: { code: 'usage' } });
});
