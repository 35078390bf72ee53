import t from 'tap';
import { canonicalArguments, type CanonicalArguments } from '../../src/cli/canonical-arguments.ts';
import type { OptionTable } from '../../src/cli/options/table.ts';

const table: OptionTable = {
  detach: { type: 'boolean', short: 'd', description: '' },
  tty: { type: 'boolean', short: 't', description: '' },
  env: { type: 'strings', short: 'e', description: '' },
  'no-subreaper': { type: 'boolean', description: '' },
  'pid-file': { type: 'string', description: '' },
  cgroup: { type: 'string', description: '', unsupported: true },
};

const rules = { table, owner: ' of "run"' };

function written({ options, positionals }: CanonicalArguments) {
  return { options: options.map(({ name, value }) => `--${name}=${value}`), positionals };
}

t.test('canonicalArguments() knows every spelling', (t) => {
  const rows: [args: string, options: string[], positionals: string[]][] = [
    ['', [], []],
    ['web', [], ['web']],
    ['--detach web', ['--detach=true'], ['web']],
    ['-d true', ['--detach=true'], ['true']],
    ['--detach=false', ['--detach=false'], []],
    ['--detach=0', ['--detach=false'], []],
    ['-t=no', ['--tty=false'], []],
    ['-t=T', ['--tty=true'], []],
    ['-no-subreaper web', ['--no-subreaper=true'], ['web']],
    ['-pid-file /x', ['--pid-file=/x'], []],
    ['-pid-file=/x', ['--pid-file=/x'], []],
    ['--pid-file=', ['--pid-file='], []],
    ['--pid-file --detach', ['--pid-file=--detach'], []],
    ['--pid-file -- web', ['--pid-file=--'], ['web']],
    ['-e A=b=c', ['--env=A=b=c'], []],
    ['--env=A="b"', ['--env=A="b"'], []],
    ['-dt web', ['--detach=true', '--tty=true'], ['web']],
    ['-te A=b web', ['--tty=true', '--env=A=b'], ['web']],
    ['web --detach', ['--detach=true'], ['web']],
    ['-- --detach', [], ['--detach']],
    ['web -', [], ['web', '-']],
  ];
  for (const [args, options, positionals] of rows) {
    const words = args.split(' ').filter((word) => word !== '');
    t.strictSame(written(canonicalArguments(words, rules)), { options, positionals }, args);
  }
  t.end();
});

t.test('canonicalArguments() leaves literal arguments alone', (t) => {
  const rows: [args: string, options: string[], positionals: string[]][] = [
    ['web', [], ['web']],
    ['web ls --detach', [], ['web', 'ls', '--detach']],
    ['web ls -- -d', [], ['web', 'ls', '--', '-d']],
    ['web -- ls --detach', [], ['web', 'ls', '--detach']],
    ['web -t ls -d', ['--tty=true'], ['web', 'ls', '-d']],
    ['-- web ls -d', [], ['web', 'ls', '-d']],
    ['-d web ls', ['--detach=true'], ['web', 'ls']],
  ];
  for (const [args, options, positionals] of rows) {
    const read = canonicalArguments(args.split(' '), { ...rules, literalAfter: 1 });
    t.strictSame(written(read), { options, positionals }, args);
  }
  t.end();
});

t.test('canonicalArguments() names the argument at fault', (t) => {
  const rows = [
    ['--detatch', 'usage', 'unknown option "--detatch" of "run"; did you mean "--detach"?'],
    ['--pidfile x', 'usage', 'unknown option "--pidfile" of "run"; did you mean "--pid-file"?'],
    ['--rm', 'usage', 'unknown option "--rm" of "run"; a container goes with the end of "tsrun run", unless --keep'],
    ['-it', 'usage', 'unknown option "-it" of "run"; "terminal": true of process in config.json says so'],
    ['--frobnicate', 'usage', 'unknown option "--frobnicate" of "run"'],
    ['--d', 'usage', 'unknown option "--d" of "run"'],
    ['-x', 'usage', 'unknown option "-x" of "run"'],
    ['-dx', 'usage', 'unknown option "-dx" of "run"'],
    ['-ed A=b', 'usage', 'unknown option "-ed" of "run"'],
    ['--=x', 'usage', 'unknown option "--" of "run"'],
    ['---', 'usage', 'unknown option "---" of "run"'],
    ['--__proto__=x', 'usage', 'unknown option "--__proto__" of "run"'],
    ['--pid-file', 'usage', 'flag needs an argument: option "--pid-file" of "run" needs a value'],
    ['-e', 'usage', 'flag needs an argument: option "-e" of "run" needs a value'],
    ['--tty=maybe', 'usage', 'invalid value "maybe" for option "--tty" of "run": wanted true or false'],
    ['--cgroup x', 'unsupported', 'option "--cgroup" of "run" is not supported yet'],
  ] as const;
  for (const [args, code, message] of rows) {
    t.throws(() => canonicalArguments(args.split(' '), rules), { code, message }, args);
  }
  t.end();
});
