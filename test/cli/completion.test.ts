import t from 'tap';
import { commandTable } from '../../src/cli/command-table.ts';
import { SIGNALS } from '../../src/util/signals.ts';
import { messageOf, runLine, status } from './fixtures.ts';

const containers = (['created', 'running', 'paused', 'stopped'] as const).map((one) => ({
  ...status,
  id: `${one}-1`,
  status: one,
}));

/** What is offered for the last of the words, without descriptions. */
async function offered(words: readonly string[]): Promise<string[]> {
  const { stdout } = await runLine(['completion', '--words', '--', ...words], {
    results: { listContainers: containers },
  });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/\t.*/, ''));
}

t.test('completion offers what fits the place', async (t) => {
  const rows: [words: string[], offered: string[]][] = [
    [['cr'], ['create']],
    [['checkp'], ['checkpoint']],
    [['--log-f'], ['--log-format']],
    [
      ['--log-format', ''],
      ['text', 'json'],
    ],
    [['--log-level=w'], ['--log-level=warning']],
    [['--cgroup-manager', 's'], ['systemd']],
    [['--root', ''], [':directories']],
    [['--root='], [':directories']],
    [['--log', ''], [':files']],
    [['--root', 'create', 'kil'], ['kill']],
    [['--debug', '--deb'], []],
    [
      ['help', 'st'],
      ['start', 'state', 'stats'],
    ],
    [['help', 'start', ''], []],
    [['create', '--no-p'], ['--no-pivot']],
    [['create', '-b', ''], [':directories']],
    [['create', ''], []],
    [['--debug', 'kill', '--a'], ['--all']],
    [['kill', '-ar', '--'], ['--help']],
    [['exec', 'running-1', '-c', 'CAP_SYS_AD'], ['CAP_SYS_ADMIN']],
    [['exec', '--cap', 'CAP_CHOWN', '--ca'], ['--cap']],
    [['exec', 'running-1', 'ls', '--'], []],
    [['exec', '--cwd', ''], []],
    [
      ['ps', '--format', ''],
      ['table', 'json'],
    ],
    [['ps', 'running-1', '-'], []],
    [
      ['planner', ''],
      ['status', 'stop'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['list', ''], []],
    [['nothing', '--'], []],
    [['kill', 'running-1', 'KI'], ['KILL']],
    [['kill', 'running-1', 'SIGKI'], ['SIGKILL']],
    [['kill', 'running-1', 'KILL', ''], []],
    [['kill', '--', '--'], []],
  ];
  for (const [words, wanted] of rows) t.strictSame(await offered(words), wanted, words.join(' '));
  const signals = await offered(['kill', 'running-1', '']);
  for (const number of new Set(Object.values(SIGNALS)))
    t.ok(
      signals.some((name) => name in SIGNALS && SIGNALS[name as keyof typeof SIGNALS] === number),
      `signal ${number}`,
    );
});

t.test('completion offers the ids that the command can be used on', async (t) => {
  const rows: [words: string[], statuses: string[]][] = [
    [['start', ''], ['created']],
    [
      ['exec', ''],
      ['created', 'running'],
    ],
    [['exec', '--ignore-paused', 'p'], ['paused']],
    [
      ['kill', ''],
      ['created', 'running', 'paused'],
    ],
    [
      ['pause', ''],
      ['created', 'running'],
    ],
    [['resume', ''], ['paused']],
    [
      ['delete', ''],
      ['created', 'stopped'],
    ],
    [
      ['delete', '--force', ''],
      ['created', 'running', 'paused', 'stopped'],
    ],
    [
      ['state', ''],
      ['created', 'running', 'paused', 'stopped'],
    ],
    [['update', 'r'], ['running']],
    [
      ['wait', 'running-1', ''],
      ['created', 'paused', 'stopped'],
    ],
    [['stats', 'running-1', 'paused-1', ''], ['created']],
    [
      ['mount', 'add', ''],
      ['created', 'running', 'paused'],
    ],
    [['start', 'created-1', ''], []],
  ];
  for (const [words, statuses] of rows)
    t.strictSame(
      await offered(words),
      statuses.map((one) => `${one}-1`),
      words.join(' '),
    );
});

t.test('completion looks below the root that is on the line', async (t) => {
  for (const given of [['--root', '/tmp/x'], ['--root=/tmp/x'], ['-r', '/tmp/x']]) {
    const { calls } = await runLine(['completion', '--words', '--', ...given, 'kill', '']);
    t.match(calls, [['listContainers', { root: '/tmp/x' }]], given.join(' '));
  }
});

t.test('completion describes what it offers', async (t) => {
  const { stdout } = await runLine('completion --words -- sta');
  t.equal(
    stdout,
    'start\trun the program of a created container\nstate\tprint the state of a container\nstats\tshow what containers use, until interrupted\n',
  );
});

t.test('completion offers every option of every command', async (t) => {
  for (const [name, entry] of Object.entries(commandTable)) {
    const { command } = await entry.load();
    t.strictSame(
      await offered([name, '--']),
      [...Object.keys(command.options), 'help'].map((option) => `--${option}`),
      name,
    );
    // What a positional is called says whether it is an id of a container that is there.
    const takesOld = /^(ID|\[ID\.)/.test(command.usage) && !['create', 'run', 'restore'].includes(name);
    t.equal(command.offers !== undefined && 'statuses' in (command.offers[0] ?? {}), takesOld, `${name}: ids`);
  }
});

t.test('completion refuses shells it does not know', async (t) => {
  const message = 'invalid shell "csh": wanted bash, zsh or fish';
  t.equal(messageOf(await runLine('completion -s csh')), message);
  t.match(await runLine('completion'), { code: 1, failure: { code: 'usage' } });
});
