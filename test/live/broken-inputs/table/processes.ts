import type { BaseConfig } from '../../support/rig.ts';
import type { BrokenInput, Subject } from '../row.ts';

type Wanted = Pick<BrokenInput, 'cause' | 'place' | 'remedy'>;

function changed(name: string, change: (config: BaseConfig) => unknown, wanted: Wanted): BrokenInput {
  return { name, bundle: { change: (config) => void change(config) }, ...wanted };
}

export const processes: Subject = {
  subject: 'The process',
  rows: [
    changed('the working directory is relative', (config) => (config.process.cwd = 'here'), {
      cause: 'Cwd must be an absolute path',
      place: '/process/cwd',
    }),
    changed(
      'a resource limit that is none',
      (config) => Object.assign(config.process, { rlimits: [{ type: 'RLIMIT_FILES', soft: 1, hard: 1 }] }),
      { cause: /RLIMIT_FILES/, place: '/process/rlimits/0/type', remedy: 'RLIMIT_NOFILE' },
    ),
    changed(
      'a soft limit above the hard one',
      (config) => (config.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 2000, hard: 1000 }]),
      { cause: /2000.*1000/, place: '/process/rlimits/0' },
    ),
    changed(
      'the same limit twice',
      (config) => {
        const limit = { type: 'RLIMIT_NOFILE', soft: 100, hard: 100 } as const;
        config.process.rlimits = [limit, { ...limit }];
      },
      { cause: 'second limit of type', place: '/process/rlimits/1' },
    ),
    changed('a variable without a name', (config) => config.process.env.push('=VALUE'), {
      cause: 'wanted "NAME=value"',
      place: '/process/env/2',
    }),
    changed('an out-of-memory score of 2000', (config) => (config.process.oomScoreAdj = 2000), {
      cause: '1000',
      place: '/process/oomScoreAdj',
    }),
    changed(
      'a scheduler that is none',
      (config) => Object.assign(config.process, { scheduler: { policy: 'SCHED_SOMETIMES' } }),
      { cause: /SCHED_SOMETIMES/, place: '/process/scheduler/policy', remedy: 'SCHED_OTHER' },
    ),
    changed(
      'a priority of input and output out of its range',
      (config) => Object.assign(config.process, { ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 9 } }),
      { cause: /7/, place: '/process/ioPriority/priority' },
    ),
    changed('a terminal, and nobody who takes it', (config) => (config.process.terminal = true), {
      cause: /terminal/,
      place: '/process/terminal',
      remedy: '--console-socket',
    }),
    {
      name: 'create with a terminal and without a socket for it',
      bundle: { change: (config) => (config.process.terminal = true) },
      line: ({ bundle, id }) => ['create', '--bundle', bundle, id],
      cause: 'cannot allocate tty',
      place: /console socket/,
      remedy: '--console-socket',
    },
    {
      name: 'nobody listens on the socket for the terminal',
      bundle: { change: (config) => (config.process.terminal = true) },
      line: ({ bundle, id, place }) => ['create', '--console-socket', `${place}/nobody.sock`, '--bundle', bundle, id],
      cause: 'no such file or directory',
      place: 'PLACE/nobody.sock',
      remedy: '--console-socket',
    },
    {
      name: 'the file for the pid cannot be made',
      line: ({ bundle, id }) => ['create', '--pid-file', '/no/such/directory/pid', '--bundle', bundle, id],
      cause: 'no such file or directory',
      place: '/no/such/directory/pid',
      remedy: '--pid-file',
    },
    {
      name: 'descriptors that are to be passed on are not there',
      line: ({ bundle, id }) => ['run', '--preserve-fds', '9', '--bundle', bundle, id],
      cause: /not open|unable to stat/,
      place: 'preserved-fd 3',
      remedy: 'the caller has to open descriptors 3 to 11',
    },
  ],
};
