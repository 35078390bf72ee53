import { addressOf, call, equals, not, unless } from '../../program/build.ts';
import type { Arch } from '../../program/calls.ts';
import { encode } from '../../program/encode.ts';
import { LAUNCHER_LAYOUT } from '../../program/layout.ts';
import type { Program, Region, Step } from '../../program/step.ts';
import { seconds, TIME_SIZE } from '../../program/structs.ts';
import { AT_FDCWD, O_CLOEXEC, O_RDONLY, SHUT_RDWR, SOL_SOCKET, SO_RCVTIMEO } from '../../util/constants.ts';
import { LOOK_WORDS, type LauncherContext } from './context.ts';

/** The name of a planner's process, by which a launcher finds its state in /proc/PID/stat. */
export const PLANNER_NAME = 'tsrun-planner';

/** After so much silence the launcher looks whether the planner is stopped. */
const SILENCE_S = 1;
/** How often it looks, and how long it waits between: so long a planner may be stopped. */
const LOOKS = 5;
const PAUSE_S = 1;

/** The planner, as the launcher sees it. */
export interface Acknowledgement {
  readonly arch: Arch;
  /** Pid of the planner, whose process is called PLANNER_NAME. */
  readonly planner: number;
}

/**
 * The first datagrams for a launcher, one right behind the other, which have no answer: it is heard, and learns what to do in silence.
 * The cold command would do everything by itself still.
 */
export function acknowledge(context: LauncherContext, { arch, planner }: Acknowledgement): readonly Uint8Array[] {
  const options = { arch, syncFd: context.socket, will: { stage: 'anew' } } as const;
  const looks = encode(planLook(context, planner), { ...options, base: LAUNCHER_LAYOUT.look.address });
  const [look = new Uint8Array()] = looks.map(({ bytes }) => bytes);
  return [...encode(planAcknowledge(context, look.length), options).map(({ bytes }) => bytes), look];
}

/** Takes a program of so many bytes to the place for silence. */
export function planAcknowledge({ socket }: LauncherContext, size: number): Program {
  const { address } = LAUNCHER_LAYOUT.look;
  return {
    name: 'acknowledge',
    replies: false,
    steps: [
      call('setsockopt', [socket, SOL_SOCKET, SO_RCVTIMEO, seconds(SILENCE_S), TIME_SIZE], {
        label: 'bound the silence of the planner',
      }),
      call('read', [socket, address, size], { label: 'learn what to do in silence' }),
    ],
  };
}

/**
 * What a launcher executes in silence: it looks whether the planner is stopped, and when it stays so, ends the connection, behind which
 * the launcher goes cold. A planner that is busy, or has ended, is waited for as before.
 *
 *     look -> not stopped: end
 *       ^        | stopped
 *       +-- pause (LOOKS times) -> end the connection
 */
export function planLook(context: LauncherContext, planner: number): Program {
  const words = {
    file: context.word(LOOK_WORDS.file),
    count: context.word(LOOK_WORDS.count),
    state: context.word(LOOK_WORDS.state),
  };
  let steps: Step[] = [
    call('shutdown', [context.socket, SHUT_RDWR], {
      label: 'end the connection with a stopped planner',
      accept: 'any',
    }),
  ];
  for (let look = 0; look < LOOKS; look++) steps = lookOnce(words, planner, steps);
  return { name: 'look', replies: false, steps };
}

interface LookWords {
  readonly file: Region;
  readonly count: Region;
  readonly state: Region;
}

/** `rest` is for a planner that is stopped. */
function lookOnce({ file, count, state }: LookWords, planner: number, rest: readonly Step[]): Step[] {
  // "PID (NAME) S": the name is known, so that the state has one place (man 5 proc).
  const offset = `${planner} (${PLANNER_NAME}) `.length;
  const stopped = equals(state, BigInt('T'.charCodeAt(0)), { mask: 0xffn, text: 'it is stopped' });
  const isRead = equals(count, 1n, { text: 'its state was read' });
  return [
    call('openat', [AT_FDCWD, `/proc/${planner}/stat`, O_RDONLY | O_CLOEXEC], {
      label: 'look at the planner',
      accept: 'any',
      result: file,
    }),
    call('pread64', [file, addressOf(state), 1, offset], { label: 'read its state', accept: 'any', result: count }),
    call('close', [file], { label: 'close its stat', accept: 'any' }),
    ...unless(
      not(isRead),
      unless(not(stopped), [
        call('nanosleep', [seconds(PAUSE_S), 0], { label: 'wait for it to go on', accept: 'any' }),
        ...rest,
      ]),
    ),
  ];
}
