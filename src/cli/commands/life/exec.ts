import { defineCommand, idsOf } from '../../command.ts';
import { ownStdio } from '../../options/create.ts';
import { processOptions, readProcessChange } from '../../options/process-change.ts';
import { readInherited } from '../../service-manager.ts';
import { absolutePath } from '../../surroundings.ts';
import { readSubCgroups } from '../../options/values.ts';

/** `tsrun exec`: runs another program in a container; unless detached, the exit code is the program's. */
export const command = defineCommand({
  name: 'exec',
  description: 'run another program in a container',
  usage: 'ID COMMAND [ARGUMENT...]',
  positionals: { minimum: 1, maximum: Number.POSITIVE_INFINITY, literalFrom: 1 },
  offers: [idsOf(['created', 'running'], 'ignore-paused')],
  options: {
    ...processOptions,
    detach: { type: 'boolean', short: 'd', description: 'do not wait for the program' },
    'pid-file': { type: 'string', placeholder: 'PATH', description: 'file to write the pid to' },
    'console-socket': { type: 'string', placeholder: 'PATH', description: 'unix socket to send the terminal to' },
    'preserve-fds': { type: 'string', placeholder: 'N', description: 'pass N more descriptors, from 3 on' },
    'ignore-paused': { type: 'boolean', description: 'also when the container is paused' },
    cgroup: {
      type: 'strings',
      placeholder: '[CONTROLLER,...:]PATH',
      description: 'run in a cgroup below the container, for all or some controllers',
    },
    'pidfd-socket': {
      type: 'string',
      placeholder: 'PATH',
      description: 'unix socket to send a pidfd of the program to',
    },
  },
  examples: [
    ['tsrun exec -it web sh', 'open a shell'],
    ['tsrun exec --user nobody --env LANG web id', 'as a user of the container, with LANG as it is here'],
    ['tsrun exec --user 1000:1000 --env A=1 web id', 'run a program as somebody else'],
  ],
  failurePrefix: 'exec failed: ',
  failureExitCode: 255,
  async run({ values, positionals: [id = '', ...args] }, { runtime, surroundings, operations }) {
    const pidFile = absolutePath(values['pid-file'], surroundings);
    const consoleSocket = absolutePath(values['console-socket'], surroundings);
    const pidfdSocket = absolutePath(values['pidfd-socket'], surroundings);
    const subCgroups = readSubCgroups(values.cgroup);
    return operations.execInContainer(runtime, {
      id,
      change: readProcessChange(values, { args, surroundings }),
      ...(pidFile !== undefined && { pidFile }),
      ...(consoleSocket !== undefined && { consoleSocket }),
      ...(pidfdSocket !== undefined && { pidfdSocket }),
      detach: values.detach === true,
      ...readInherited(values['preserve-fds'], surroundings),
      ...(subCgroups.length > 0 && { subCgroups }),
      ignorePaused: values['ignore-paused'] === true,
      stdio: ownStdio,
      forwardSignals: true,
    });
  },
});
