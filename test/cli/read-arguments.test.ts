import t from 'tap';
import { readArguments } from '../../src/cli/read-arguments.ts';

const table = {
  'no-pivot': { type: 'boolean', description: '' },
  bundle: { type: 'string', short: 'b', description: '' },
  env: { type: 'strings', short: 'e', description: '' },
} as const;

const none = { 'no-pivot': undefined, bundle: undefined, env: [] };

t.test('readArguments() gives each option the type of its table', (t) => {
  const rows = [
    [[], none],
    [['--no-pivot'], { ...none, 'no-pivot': true }],
    [['--no-pivot=false'], { ...none, 'no-pivot': false }],
    [['--no-pivot', '--no-pivot=false'], { ...none, 'no-pivot': false }],
    [['-b', 'a', '--bundle=b'], { ...none, bundle: 'b' }],
    [['--bundle', ''], { ...none, bundle: '' }],
    [['--bundle', '007'], { ...none, bundle: '007' }],
    [['--bundle', '"a"'], { ...none, bundle: '"a"' }],
    [['--bundle', "'a'"], { ...none, bundle: "'a'" }],
    [['--bundle', 'a\nb=c'], { ...none, bundle: 'a\nb=c' }],
    [['--env', 'A=1'], { ...none, env: ['A=1'] }],
    [['--env', 'A=1', '-e', 'B=2 3', '-e=C="4"'], { ...none, env: ['A=1', 'B=2 3', 'C="4"'] }],
    [['--env', '--env'], { ...none, env: ['--env'] }],
  ] as const;
  for (const [args, values] of rows) {
    t.strictSame(readArguments(args, { table, owner: '' }), { values, positionals: [] }, args.join(' '));
  }
  t.end();
});

t.test('readArguments() keeps positionals as they are', (t) => {
  const args = ['007', '--no-pivot', 'true', '1e3', '--', '-b', '"q"'];
  t.strictSame(readArguments(args, { table, owner: '' }).positionals, ['007', 'true', '1e3', '-b', '"q"']);
  t.end();
});
