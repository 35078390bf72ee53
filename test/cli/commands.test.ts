import t from 'tap';
import { commandTable } from '../../src/cli/command-table.ts';
import { usageLine } from '../../src/cli/command.ts';
import { commandHelp, globalHelp } from '../../src/cli/help.ts';
import { EXAMPLES } from '../../src/cli/help-texts.ts';

const usages: Record<string, string> = {
  create: 'tsrun create [options] ID',
  start: 'tsrun start ID',
  run: 'tsrun run [options] ID',
  exec: 'tsrun exec [options] ID COMMAND [ARGUMENT...]',
  kill: 'tsrun kill [options] ID [SIGNAL]',
  pause: 'tsrun pause ID',
  resume: 'tsrun resume ID',
  delete: 'tsrun delete [options] ID | --all',
  state: 'tsrun state ID',
  list: 'tsrun list [options]',
  ps: 'tsrun ps [options] ID [PS-OPTION...]',
  stats: 'tsrun stats [options] [ID...]',
  wait: 'tsrun wait ID [ID...]',
  diff: 'tsrun diff [options] ID',
  update: 'tsrun update [options] ID',
  events: 'tsrun events [options] ID',
  mount: 'tsrun mount [options] add [--type TYPE] [-o OPTIONS] ID SOURCE TARGET | remove ID TARGET',
  checkpoint: 'tsrun checkpoint [options] ID',
  restore: 'tsrun restore [options] ID',
  planner: 'tsrun planner [options] [status|stop]',
  unpack: 'tsrun unpack [options] LAYOUT[:TAG] DIR',
  spec: 'tsrun spec [options]',
  features: 'tsrun features',
  completion: 'tsrun completion [options] [SHELL]',
  doctor: 'tsrun doctor [options]',
  check: 'tsrun check [options]',
  explain: 'tsrun explain [options] [ID]',
};

t.test('every command is what the table says', async (t) => {
  t.strictSame(Object.keys(commandTable), Object.keys(usages));
  for (const [name, entry] of Object.entries(commandTable)) {
    const { command } = await entry.load();
    t.equal(command.name, name);
    t.equal(command.description, entry.description, `${name}: description`);
    t.match(command.description, /^[a-z].*[^.]$/);
    t.equal(usageLine(command), usages[name]);
    t.ok(command.positionals.minimum <= command.positionals.maximum);
  }
});

t.test('no two options of a command share a letter', async (t) => {
  for (const [name, entry] of Object.entries(commandTable)) {
    const { options } = (await entry.load()).command;
    const letters = Object.values(options).flatMap(({ short }) => short ?? []);
    t.strictSame(letters, [...new Set(letters)], name);
    t.notOk(letters.includes('h'), `${name}: -h is for help`);
    for (const [option, { description }] of Object.entries(options)) t.match(description, /^\S.*[^.]$/, option);
  }
});

t.test('commandHelp() names every option', async (t) => {
  for (const entry of Object.values(commandTable)) {
    const { command } = await entry.load();
    const text = await commandHelp(command);
    t.ok(text.startsWith(`${usageLine(command)}\n\n${command.description}\n\n`), command.name);
    for (const option of Object.keys(command.options)) t.match(text, `--${option} `, option);
  }
});

t.test('commandHelp() of kill', async (t) => {
  const { command } = (await commandTable['kill']?.load()) ?? {};
  if (command === undefined) throw new Error('no kill');
  const expected = [
    'tsrun kill [options] ID [SIGNAL]',
    '',
    'send a signal to a container',
    '',
    'Options:',
    '  -a, --all                to every process of the container',
    '  -r, --regex              ID is a regular expression; every container that matches',
    '  -h, -?, --help, --usage  print this text',
    '',
    'Examples:',
    '  tsrun kill web             ask the program to end (TERM)',
    '  tsrun kill --all web KILL  end every process',
    '',
    'The global options stand before the command; "tsrun --help" describes them, ID and bundle.',
  ];
  t.strictSame((await commandHelp(command)).split('\n'), expected);
});

t.test('globalHelp() lists every command', async (t) => {
  const text = await globalHelp();
  t.match(text, /^tsrun \[global options\] COMMAND/);
  for (const [name, { description }] of Object.entries(commandTable)) {
    t.match(text, new RegExp(`^  tsrun ${name} +${description}$`, 'm'));
  }
  t.match(text, /^ {6}--cgroup-manager +NAME: cgroupfs, systemd or disabled \(default: cgroupfs\)$/m);
});

t.test('help folds to the terminal, and to no more than 100 characters', async (t) => {
  const { command } = (await commandTable['exec']?.load()) ?? {};
  if (command === undefined) throw new Error('no exec');
  const widest = async (columns?: number): Promise<number> => {
    const texts = [await globalHelp({ columns }), await commandHelp(command, { columns })];
    return Math.max(
      ...texts
        .join('\n')
        .split('\n')
        .map((line) => line.length),
    );
  };
  t.ok((await widest(60)) <= 60);
  t.ok((await widest(1000)) <= 100);
  t.ok((await widest()) > 80);
});

t.test('help says what an ID and a bundle are, the exit codes, and the default of --root', async (t) => {
  const text = (await globalHelp()).replace(/\s+/g, ' ');
  for (const part of ['ID: the name', 'bundle: a directory', 'Exit codes: 0 ', '(default: /run/tsrun; of an ordinary'])
    t.ok(text.includes(part), part);
});

t.test('examples are command lines that are read', async (t) => {
  const { readArguments } = await import('../../src/cli/read-arguments.ts');
  const all = [...EXAMPLES];
  for (const entry of Object.values(commandTable)) all.push(...((await entry.load()).command.examples ?? []));
  for (const [line] of all) {
    for (const [, name = '', rest = ''] of line.matchAll(/\btsrun (\w+)([^|&)]*)/g)) {
      const { command } = (await commandTable[name]?.load()) ?? {};
      if (command === undefined) throw new Error(`${line}: no command ${name}`);
      const { literalFrom } = command.positionals;
      const rules = {
        table: command.options,
        owner: '',
        ...(literalFrom !== undefined && { literalAfter: literalFrom }),
      };
      const { positionals } = readArguments(rest.split(' ').filter(Boolean), rules);
      const { minimum, maximum } = command.positionals;
      t.ok(positionals.length >= minimum && positionals.length <= maximum, line);
    }
  }
});
