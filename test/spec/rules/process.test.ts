import t from 'tap';
import { checkArgs, checkCwd, checkEnv, checkRlimits } from '../../../src/spec/rules/process.ts';
import { checkRows } from './rows.ts';

checkRows(t, checkCwd, {
  accepted: [{}, { process: {} }, { process: { cwd: '/' } }],
  refused: [
    [{ process: { cwd: 'tmp' } }, '/process/cwd', 'is "tmp", wanted an absolute path: Cwd must be an absolute path'],
    [{ process: { cwd: '' } }, '/process/cwd', 'Cwd property must not be empty'],
  ],
});

checkRows(t, checkArgs, {
  accepted: [{}, { process: { args: ['sh'] } }, { process: { args: undefined } }, { process: {}, zos: {} }],
  refused: [
    [{ process: {} }, '/process', 'args must not be empty'],
    [{ process: { args: [] } }, '/process/args', 'args must not be empty'],
    [{ process: { args: ['', 'a'] } }, '/process/args/0', 'the name of a program'],
  ],
});

checkRows(t, checkEnv, {
  accepted: [{ process: {} }, { process: { env: ['A=1', 'A=', 'A=b=c', undefined] } }],
  refused: [
    [{ process: { env: ['A=1', 'B'] } }, '/process/env/1', 'is "B", wanted "NAME=value"'],
    [{ process: { env: ['=1'] } }, '/process/env/0', 'NAME=value'],
  ],
});

const most = 18446744073709551615n;
checkRows(t, checkRlimits, {
  accepted: [
    { process: {} },
    {
      process: {
        rlimits: [
          { type: 'RLIMIT_CPU', soft: 1, hard: most },
          { type: 'RLIMIT_AS', soft: most, hard: most },
        ],
      },
    },
  ],
  refused: [
    [
      { process: { rlimits: [{ type: 'RLIMIT_CPU', soft: most, hard: 1 }] } },
      '/process/rlimits/0',
      'has the soft limit 18446744073709551615, wanted at most the hard limit 1',
    ],
    [
      { process: { rlimits: [{ type: 'RLIMIT_CPU' }, { type: 'RLIMIT_AS' }, { type: 'RLIMIT_CPU' }] } },
      '/process/rlimits/2',
      'a second limit of type "RLIMIT_CPU"',
    ],
  ],
});
