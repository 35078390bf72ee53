import t from 'tap';
import { parseArguments } from '../../conformance/harness/arguments.ts';

t.test('parseArguments() gives what is not said its default', (t) => {
  t.same(parseArguments([], '/tsrun'), { runtimes: ['/tsrun'], only: [], jobs: 4, timeoutMs: 60_000 });
  const argv = [
    '--runtime',
    'a',
    '--runtime',
    'b',
    '--only',
    'kill',
    '--jobs',
    '2',
    '--timeout',
    '0.5',
    '--schemas',
    '/s',
  ];
  t.same(parseArguments([...argv, '--report', 'r', '--runtime-tools', 'd'], '/tsrun'), {
    runtimes: ['a', 'b'],
    only: ['kill'],
    jobs: 2,
    timeoutMs: 500,
    schemas: '/s',
    report: 'r',
    runtimeTools: 'd',
  });
  t.end();
});

t.test('parseArguments() says what is wrong', (t) => {
  for (const [argv, message] of [
    [['--nonsense', '1'], /unknown option/],
    [['kill'], /unknown option/],
    [['--runtime'], /wants a value/],
    [['--jobs', '0'], /--jobs/],
    [['--jobs', 'many'], /--jobs/],
    [['--timeout', '-1'], /--timeout/],
  ] as const)
    t.match(parseArguments(argv, '/tsrun'), message, argv.join(' '));
  t.equal(parseArguments(['--help'], '/tsrun'), '');
  t.end();
});
