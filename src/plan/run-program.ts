import { call, stringArray } from '../program/build.ts';
import type { Program, Region } from '../program/step.ts';
import { O_CLOEXEC, SOCK_CLOEXEC } from '../util/constants.ts';
import type { Process } from '../spec/generated/config.ts';
import type { DescriptorNumbers } from './context.ts';
import { buildEnvironment } from './environment.ts';
import { planLateRlimits } from './rlimits.ts';

export interface ProgramToRun {
  readonly process: Process;
  /** Path inside the container, as `planFindExecutable` found it. */
  readonly executable: string;
  /** The home directory of its user, for when the environment has none. */
  readonly home: string;
  /** Entries `NAME=value` that the runtime adds to the environment of the config. */
  readonly environment?: readonly string[];
}

/** The end of init: it closes what is not the program's and becomes the program. Silence on the sync pipe is success. */
export function planRunProgram(descriptors: DescriptorNumbers, program: ProgramToRun): Program {
  const { executable, home, environment = [] } = program;
  const process = { ...program.process, env: [...(program.process.env ?? []), ...environment] };
  const { sync } = descriptors;
  const { args = [] } = process;
  const shown = JSON.stringify(args[0] ?? '');
  return {
    name: `run ${shown}`,
    replies: false,
    steps: [
      ...planLateRlimits(process),
      // The sync pipe itself is close-on-exec: it must live to report that execve failed.
      call('close_range', [sync + 1, 0xffff_ffff, 0], { label: 'close every other descriptor' }),
      call('execve', [executable, stringArray(args), stringArray(buildEnvironment(process, home))], {
        label: `exec: ${shown}`,
        failure: `exec: ${shown}: {error}`,
      }),
    ],
  };
}

/**
 * Leaves the conversation with the creating tsrun and waits for the one that starts the container: the connection that is
 * accepted takes the sync pipe's place.
 */
export function planPark(descriptors: DescriptorNumbers, connection: Region): Program {
  return {
    name: 'wait for start',
    replies: false,
    steps: [
      // Handles that the set-up still held would pin files of the host for as long as nobody starts the container.
      call('close_range', [descriptors.listener + 1, 0xffff_ffff, 0], { label: 'close what the set-up needed' }),
      call('accept4', [descriptors.listener, 0, 0, SOCK_CLOEXEC], { label: 'wait for start', result: connection }),
      call('dup3', [connection, descriptors.sync, O_CLOEXEC], { label: 'talk to the one that starts' }),
      call('close', [connection], { label: 'close the connection' }),
      call('close', [descriptors.listener], { label: 'stop listening' }),
    ],
  };
}
