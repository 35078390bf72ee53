import { readFileSync, writeFileSync } from 'node:fs';
import type { BrokenInput, RuntimeName, Scene, Subject } from '../row.ts';

type Wanted = Pick<BrokenInput, 'cause' | 'place' | 'remedy' | 'code'>;

function called(name: string, line: (scene: Scene) => readonly string[], wanted: Wanted): BrokenInput {
  return { name, line, ...wanted };
}

function on(
  container: BrokenInput['container'],
  name: string,
  line: (scene: Scene) => readonly string[],
  wanted: Wanted,
): BrokenInput {
  return { name, line, ...(container && { container }), ...wanted };
}

export const commands: Subject = {
  subject: 'Commands',
  rows: [
    called('a command that is none', () => ['strat', 'web'], {
      cause: 'unknown command',
      place: '"strat"',
      remedy: '"start"',
      code: 3,
    }),
    called('an option that is none', ({ bundle, id }) => ['run', '--bundel', bundle, id], {
      cause: 'unknown option',
      place: '--bundel',
      remedy: '--bundle',
    }),
    called('an option without its value', ({ id }) => ['run', id, '--bundle'], {
      cause: 'flag needs an argument',
      place: 'bundle',
    }),
    called('no id', () => ['state'], { cause: 'requires exactly 1 argument(s)', place: '"state"', remedy: 'ID' }),
    called('an id with a slash', ({ bundle }) => ['run', '--bundle', bundle, 'a/b'], {
      cause: 'invalid container ID format',
      place: '"a/b"',
      remedy: /letters|digits/,
    }),
    called('an id of nothing', ({ bundle }) => ['run', '--bundle', bundle, ''], {
      cause: 'container id cannot be empty',
      place: 'id',
    }),
    called('a container that is not there', () => ['state', 'nobody'], {
      cause: 'container does not exist',
      place: /"nobody"/,
      remedy: 'ROOT',
    }),
    on('created', 'the id is taken', ({ bundle, id }) => ['run', '--bundle', bundle, id], {
      cause: 'container with given ID already exists',
      place: '"ID"',
      remedy: 'delete',
    }),
    called('a format that is none', () => ['list', '--format', 'xml'], {
      cause: 'invalid format option',
      place: '"xml"',
      remedy: 'json',
    }),
    {
      name: 'a format of messages that is none',
      global: ({ root }) => ['--root', root, '--log-format', 'xml'],
      line: () => ['list'],
      cause: 'invalid log-format',
      place: 'xml',
      remedy: 'json',
    },
    on('running', 'a signal that is none', ({ id }) => ['kill', id, 'TREM'], {
      cause: 'unknown signal',
      place: '"TREM"',
      remedy: 'TERM',
    }),
    on('stopped', 'a signal for a container that has ended', ({ id }) => ['kill', id, 'TERM'], {
      cause: 'container not running',
      place: 'ID',
    }),
    on('running', 'start a second time', ({ id }) => ['start', id], {
      cause: 'cannot start an already running container',
      place: 'ID',
    }),
    on('stopped', 'start after the end', ({ id }) => ['start', id], {
      cause: 'cannot start a container that has stopped',
      place: 'ID',
    }),
    on('running', 'delete what runs', ({ id }) => ['delete', id], {
      cause: 'is not stopped: running',
      place: 'ID',
      remedy: /--force|kill/,
    }),
    on('running', 'resume what is not paused', ({ id }) => ['resume', id], {
      cause: 'container not paused',
      place: 'ID',
    }),
    on('stopped', 'pause what has ended', ({ id }) => ['pause', id], { cause: 'container not running', place: 'ID' }),
    on('stopped', 'exec in a container that has ended', ({ id }) => ['exec', id, 'true'], {
      cause: 'cannot exec in a stopped container',
      place: 'ID',
      code: 255,
    }),
    on('running', 'exec of a program that is not there', ({ id }) => ['exec', id, 'nothing'], {
      cause: 'executable file not found in $PATH',
      place: '"nothing"',
      remedy: '/usr/local/sbin',
      code: 255,
    }),
    on(
      'running',
      'exec as a user that the container does not have',
      ({ id }) => ['exec', '--user', 'alice', id, 'true'],
      {
        cause: 'it is not listed there',
        place: /"alice"/,
        remedy: 'a number needs no entry',
        code: 255,
      },
    ),
    on('running', 'exec in a directory that is not there', ({ id }) => ['exec', '--cwd', '/no/such', id, 'true'], {
      cause: 'no such file or directory',
      place: '"/no/such"',
      remedy: '--cwd',
      code: 255,
    }),
    on('running', 'exec with a variable without a name', ({ id }) => ['exec', '--env', '=x', id, 'true'], {
      cause: 'wanted NAME=VALUE or NAME',
      place: '--env',
      code: 255,
    }),
    on(
      'running',
      'exec of a process in a file that is not there',
      ({ id }) => ['exec', '--process', '/no/such.json', id],
      {
        cause: 'no such file or directory',
        place: 'process document "/no/such.json"',
        code: 255,
      },
    ),
    {
      name: 'exec of a process in a file that is cut off',
      container: 'running',
      prepare: ({ place }) => {
        writeFileSync(`${place}/process.json`, '{ "cwd": "/", "args": [ "true" ');
      },
      line: ({ id, place }) => ['exec', '--process', `${place}/process.json`, id],
      cause: 'JSON',
      place: /PLACE\/process\.json.*line 1/,
      code: 255,
    },
    on('running', 'exec in a cgroup that is not there', ({ id }) => ['exec', '--cgroup', 'no/such', id, 'true'], {
      cause: 'no such file or directory',
      place: /no\/such/,
      code: 255,
    }),
    on('running', 'a limit that is no number', ({ id }) => ['update', '--pids-limit', 'many', id], {
      cause: 'wanted an integer',
      place: '--pids-limit',
    }),
    on('running', 'a size that is none', ({ id }) => ['update', '--memory', '12q', id], {
      cause: '"12q"',
      place: '--memory',
      remedy: '512M',
    }),
    on('running', 'a limit of memory below what is used', ({ id }) => ['update', '--memory', '4096', id], {
      cause: 'unable to set memory limit to 4096',
      place: /memory/,
    }),
    on('stopped', 'limits for what has ended', ({ id }) => ['update', '--pids-limit', '10', id], {
      cause: /stopped|not running/,
      place: 'ID',
    }),
    {
      name: 'limits in a file that is not there',
      container: 'running',
      line: ({ id }) => ['update', '--resources', '/no/such.json', id],
      cause: 'no such file or directory',
      place: 'resources document "/no/such.json"',
    },
    on('stopped', 'the events of what has ended', ({ id }) => ['events', id], {
      cause: /not running|stopped/,
      place: 'ID',
    }),
    {
      name: 'config.json is there already',
      line: ({ bundle }) => ['spec', '--bundle', bundle],
      cause: 'exists. Remove it first',
      place: 'config.json',
    },
    {
      name: 'the state of a container is damaged',
      container: 'created',
      prepare: ({ runtime, root, id }) => {
        const file = stateFile(runtime, root, id);
        writeFileSync(`${root}-kept`, readFileSync(file));
        writeFileSync(file, '{');
      },
      line: ({ id }) => ['state', id],
      cause: /JSON/,
      place: 'ROOT/ID/state.json',
      restore: ({ runtime, root, id }) => {
        writeFileSync(stateFile(runtime, root, id), readFileSync(`${root}-kept`));
      },
    },
    {
      name: 'a checkpoint is not there',
      line: ({ bundle, id, place }) => ['restore', '--image-path', `${place}/none`, '--bundle', bundle, id],
      cause: 'no such file or directory',
      place: 'PLACE/none',
    },
  ],
};

function stateFile(runtime: RuntimeName, root: string, id: string): string {
  return `${root}/${id}/${runtime === 'crun' ? 'status' : 'state.json'}`;
}
