import type { Hooks } from '../../../../src/spec/generated/config.ts';
import type { BrokenInput, Subject } from '../row.ts';

type Wanted = Pick<BrokenInput, 'cause' | 'place' | 'remedy'>;

function hooked(name: string, hooks: Hooks, wanted: Wanted): BrokenInput {
  return { name, bundle: { change: (config) => (config.hooks = hooks) }, ...wanted };
}

export const hooks: Subject = {
  subject: 'Hooks',
  rows: [
    hooked(
      'a hook is not there',
      { createRuntime: [{ path: '/no/such/hook' }] },
      {
        cause: 'no such file or directory',
        place: /createRuntime hook #0.*"\/no\/such\/hook"/,
      },
    ),
    hooked(
      'a hook may not be executed',
      { createRuntime: [{ path: '/etc/passwd' }] },
      {
        cause: 'permission denied',
        place: /createRuntime hook #0.*"\/etc\/passwd"/,
        remedy: 'chmod +x',
      },
    ),
    hooked(
      'a hook with a path that is not absolute',
      { poststart: [{ path: 'hook' }] },
      {
        cause: 'absolute',
        place: '/hooks/poststart/0/path',
      },
    ),
    hooked(
      'a hook fails',
      { prestart: [{ path: '/bin/sh', args: ['sh', '-c', 'echo there is no network >&2; exit 3'] }] },
      { cause: /exit status 3.*there is no network/, place: 'prestart hook #0' },
    ),
    hooked(
      'a hook does not come to an end',
      { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '20'], timeout: 1 }] },
      { cause: /1 s|timeout|timed out/, place: 'createRuntime hook #0', remedy: 'timeout' },
    ),
    hooked(
      'a hook is killed',
      { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', 'kill -9 $$'] }] },
      { cause: 'killed by SIGKILL', place: 'createRuntime hook #0' },
    ),
    hooked(
      'a hook in the container is not there',
      { startContainer: [{ path: '/no/such/hook' }] },
      {
        cause: 'no such file or directory',
        place: /startContainer hook #0.*\/no\/such\/hook/,
      },
    ),
    hooked(
      'a hook with a timeout of nothing',
      { createRuntime: [{ path: '/bin/true', timeout: 0 }] },
      {
        cause: /0|greater|> 0/,
        place: '/hooks/createRuntime/0/timeout',
      },
    ),
    {
      name: 'a directory is a hook',
      bundle: { change: (config) => (config.hooks = { createRuntime: [{ path: '/tmp' }] }) },
      cause: 'permission denied',
      place: /createRuntime hook #0: "\/tmp"/,
      remedy: 'wanted a file',
    },
  ],
};
