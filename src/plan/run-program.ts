import {
  addressOf,
  at,
  block,
  call,
  equals,
  isNegative,
  not,
  repeatWhile,
  stringArray,
  unless,
  when,
} from '../program/build.ts';
import { TRIES_MAX } from '../program/layout.ts';
import { Memory, type Program, type Region, type Step } from '../program/step.ts';
import { O_CLOEXEC, SO_PEERCRED, SOCK_CLOEXEC, SOL_SOCKET } from '../util/constants.ts';
import type { Process } from '../spec/generated/config.ts';
import { EXCHANGES } from './base/exchanges.ts';
import type { DescriptorNumbers } from './base/context.ts';
import { buildEnvironment } from './process/environment.ts';
import { reply } from './base/reply.ts';
import { UNFIT, UNFIT_CODE } from './process/unfit.ts';
import { planSendHandles } from './namespaces/hand-out.ts';
import { planLateRlimits } from './process/rlimits.ts';
import { planLoadFilter, planLoadListenedFilter, type CompiledSeccomp, type SeccompPlan } from './seccomp/load.ts';
import { UCRED_SIZE, ucred } from '../program/structs.ts';

/** All that execve(2) takes, and what is changed just before it. */
export interface ProgramToRun {
  readonly process: Process;
  /** Path inside the container, as `planFindExecutable` found it. */
  readonly executable: string;
  /** The home directory of its user, for when the environment has none. */
  readonly home: string;
  /** Entries `NAME=value` that the runtime adds to the environment of the config. */
  readonly environment?: readonly string[];
  /** The program's seccomp filter. */
  readonly seccomp?: CompiledSeccomp;
}

/**
 * The end of init: it closes what is not the program's and becomes the program. Silence on the sync pipe is success, and `unfit` one that
 * has something to say.
 */
export function planRunProgram(descriptors: DescriptorNumbers, program: ProgramToRun): Program {
  const { seccomp } = program;
  return {
    name: nameOf(program),
    replies: false,
    reply: EXCHANGES.unfit,
    steps: [
      ...planLastChanges(descriptors, program),
      ...(seccomp?.position === 'late' ? [planLoadFilter(seccomp)] : []),
      ...planExecute(descriptors, program),
    ],
  };
}

/**
 * The same in two programs, for a late filter with a listener: `load` answers with the listener's number, and once the parent
 * has handed the listener on, `run` lets go of it and executes.
 */
export function planRunListened(
  descriptors: DescriptorNumbers,
  program: ProgramToRun,
  seccomp: CompiledSeccomp,
): { readonly load: Program; readonly run: (listener: number) => Program } {
  const steps = [...planLastChanges(descriptors, program), ...planLoadListenedFilter(descriptors.sync, seccomp)];
  return {
    load: { name: 'load the seccomp filter', replies: true, reply: EXCHANGES.seccomp, steps },
    run: (listener) => ({
      name: nameOf(program),
      replies: false,
      reply: EXCHANGES.unfit,
      steps: [
        // Close-on-exec anyway, but an execve(2) that waits for its answer would keep a listener alive that nobody has any more.
        call('close', [listener], { label: 'leave the seccomp listener to the parent', accept: 'any' }),
        ...planExecute(descriptors, program),
      ],
    }),
  };
}

function nameOf({ process }: ProgramToRun): string {
  return `run ${JSON.stringify(process.args?.[0] ?? '')}`;
}

function planLastChanges({ sync }: DescriptorNumbers, { process, seccomp }: ProgramToRun): Step[] {
  return [
    ...planLateRlimits(process),
    // The sync pipe itself is close-on-exec: it must live to report that execve failed.
    planCloseRange(sync + 1, { label: 'close every other descriptor', seccomp }),
  ];
}

/** A filter that is on already may know nothing of this call (Linux 5.9). All those descriptors are close-on-exec as well. */
function planCloseRange(
  first: number,
  { label, seccomp }: { readonly label: string; readonly seccomp: SeccompPlan | undefined },
): Step {
  const options = seccomp?.position === 'early' ? { label, accept: 'any' as const } : { label };
  return call('close_range', [first, 0xffff_ffff, 0], options);
}

/**
 * An executable that is unfit is the image's fault and not that of the runtime: init tells its errno in the place of silence, and waits
 * for what it has to say in the name of the container (plan/process/unfit.ts). Any other failure is one of `start`.
 *
 * A seccomp filter may answer 0 in the place of execve(2) (SCMP_ACT_ERRNO with errnoRet 0): then init ends, and waits for nobody.
 */
function planExecute(
  { sync }: DescriptorNumbers,
  { process: given, executable, home, environment = [] }: ProgramToRun,
): Step[] {
  const process = { ...given, env: [...(given.env ?? []), ...environment] };
  const { args = [] } = process;
  const shown = JSON.stringify(args[0] ?? '');
  // Nothing in init's memory is needed any more.
  const executed = new Memory().word('executed');
  return [
    call('execve', [executable, stringArray(args), stringArray(buildEnvironment(process, home))], {
      label: `exec: ${shown}`,
      failure: `exec: ${shown}: {errno}`,
      code: 'program',
      purpose: 'execute program',
      accept: UNFIT,
      result: executed,
    }),
    ...unless(isNegative(executed), [call('exit_group', [UNFIT_CODE], { label: 'end as one that cannot be run' })]),
    {
      ...reply(sync, 'unfit', `exec: ${shown}: tell why it cannot be executed`, [executed]),
      failure: `exec: ${shown}: it cannot be executed, and what would tell why failed: {errno}`,
      code: 'program',
    },
  ];
}

/** What init knows the one by that may start the container. */
export type StartProof =
  { readonly kind: 'uid'; readonly uid: number } | { readonly kind: 'token'; readonly token: Uint8Array };

/** Length of a token, bytes. */
export const TOKEN_SIZE = 16;

/** How init knows the one that starts it. `connection` is the word for the descriptor of whoever has connected. */
export interface ParkOptions {
  readonly connection: Region;
  readonly proof: StartProof;
  readonly seccomp?: SeccompPlan;
  /** What is handed out meanwhile to those who have this token; takes a proof by token. */
  readonly handOut?: { readonly token: Uint8Array; readonly numbers: readonly number[]; readonly memory: Memory };
}

/** `TOKEN_SIZE` bytes each. */
export interface ParkTokens {
  readonly start: Uint8Array;
  readonly handles: Uint8Array;
}

/**
 * Leaves the conversation with the creating tsrun and waits for the one that starts the container: the connection that is
 * accepted takes the sync pipe's place.
 *
 * Only the creator's user can reach the socket. Should somebody else have got there, whoever is connected has all rights that init
 * has: a wrong peer is the end of the container.
 */
export function planPark(descriptors: DescriptorNumbers, options: ParkOptions): Program {
  const { connection, proof, seccomp, handOut } = options;
  if (proof.kind === 'token' && handOut !== undefined)
    return planServe(descriptors, { ...options, start: proof.token, handOut });
  return {
    name: 'wait for start',
    replies: false,
    steps: [
      // Handles that the set-up still held would pin files of the host for as long as nobody starts the container.
      planCloseRange(descriptors.listener + 1, { label: 'close what the set-up needed', seccomp }),
      call('accept4', [descriptors.listener, 0, 0, SOCK_CLOEXEC], { label: 'wait for start', result: connection }),
      ...(proof.kind === 'uid' ? planCheckUid(connection, proof.uid) : planCheckToken(connection, proof.token)),
      call('dup3', [connection, descriptors.sync, O_CLOEXEC], { label: 'talk to the one that starts' }),
      call('close', [connection], { label: 'close the connection' }),
      call('close', [descriptors.listener], { label: 'stop listening' }),
    ],
  };
}

/**
 * The same for an init that hands handles out until somebody starts it. Whoever proves nothing, or is gone again, is left alone, and
 * so is one who takes handles: nothing of theirs is ever executed.
 */
function planServe(
  descriptors: DescriptorNumbers,
  {
    connection,
    start,
    handOut: { token, numbers, memory },
    seccomp,
  }: ParkOptions & { readonly start: Uint8Array; readonly handOut: NonNullable<ParkOptions['handOut']> },
): Program {
  const [given, length, taken] = [
    memory.buffer('given token', TOKEN_SIZE),
    memory.word('length'),
    memory.word('taken'),
  ];
  const [first = 0, last = 0] = [numbers[0], numbers.at(-1)];
  const isWhole = equals(length, BigInt(TOKEN_SIZE), { text: 'it is as long as a token' });
  const whenGiven = (wanted: Uint8Array, what: string, steps: readonly Step[]): Step[] => {
    const view = new DataView(wanted.buffer, wanted.byteOffset, TOKEN_SIZE);
    return [8, 0].reduce<Step[]>(
      (inner, offset) => when(equals(at(given, offset), view.getBigUint64(offset, true), { text: what }), inner),
      [...steps],
    );
  };
  const serve: Step[] = [
    call('accept4', [descriptors.listener, 0, 0, SOCK_CLOEXEC], { label: 'wait for start', result: connection }),
    call('read', [connection, addressOf(given), TOKEN_SIZE], {
      label: 'read the token of the one that comes',
      accept: 'any',
      result: length,
    }),
    // A shorter one leaves there what somebody else has sent.
    ...when(isWhole, [
      ...whenGiven(token, 'the token is that for handles', [planSendHandles(connection, numbers)]),
      ...whenGiven(start, 'the token is that for start', [
        call('dup3', [connection, descriptors.sync, O_CLOEXEC], {
          label: 'talk to the one that starts',
          result: taken,
        }),
      ]),
    ]),
    call('close', [connection], { label: 'close the connection' }),
  ];
  return {
    name: 'wait for start',
    replies: false,
    steps: [
      call('close_range', [descriptors.listener + 1, first - 1, 0], {
        label: 'close what the set-up needed',
        ...(seccomp?.position === 'early' ? { accept: 'any' as const } : {}),
      }),
      planCloseRange(last + 1, { label: 'close what else the set-up needed', seccomp }),
      ...repeatWhile(not(equals(taken, BigInt(descriptors.sync), { text: 'somebody starts' })), serve, {
        tries: TRIES_MAX,
        fail: 'EUSERS',
        label: 'wait for start: too many others came',
      }),
      call('close', [descriptors.listener], { label: 'stop listening' }),
    ],
  };
}

/** man 7 unix, SO_PEERCRED: who the peer was when it connected. */
function planCheckUid(connection: Region, uid: number): Step[] {
  const peer = ucred('peer');
  const isCreator = equals(at(peer, 0), BigInt(uid) << 32n, {
    mask: 0xffff_ffff_0000_0000n,
    text: `the peer is user ${uid}`,
  });
  return [
    call(
      'getsockopt',
      [connection, SOL_SOCKET, SO_PEERCRED, peer, block(Uint8Array.of(UCRED_SIZE, 0, 0, 0), `${UCRED_SIZE}`)],
      {
        label: 'see who starts',
      },
    ),
    ...unless(isCreator, [call('exit_group', [1], { label: 'end, as it is somebody else' })]),
  ];
}

/** In a user namespace the kernel shows every user of the host as the same: what the creator has left for `start` tells instead. */
function planCheckToken(connection: Region, token: Uint8Array): Step[] {
  const given = block(new Uint8Array(TOKEN_SIZE), 'given token');
  const view = new DataView(token.buffer, token.byteOffset, TOKEN_SIZE);
  return [
    call('read', [connection, given, TOKEN_SIZE], { label: 'read the token of the one that starts' }),
    ...[0, 8].flatMap((offset) =>
      unless(equals(at(given, offset), view.getBigUint64(offset, true), { text: 'the token is right' }), [
        call('exit_group', [1], { label: 'end, as the token is wrong' }),
      ]),
    ),
  ];
}
