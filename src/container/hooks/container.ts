import { TsrunError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { HOOK_PIPES, planHook, type HookSetting } from '../../plan/container-hook.ts';
import type { Conversation, Reply } from '../../process/conversation.ts';
import type { Hook } from '../../spec/generated/config.ts';
import type { State } from '../../spec/generated/state.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { readWaitStatus } from '../../sys/process/wait.ts';
import { SIGNALS } from '../../util/signals.ts';
import { HookOutput } from './output.ts';
import { talkWithHook, type HookEnd, type HookPipes } from './pipes.ts';
import { describeEnd } from './runtime.ts';
import { remedies } from '../../util/remedies.ts';

/** Hooks of one kind that run inside the container, in their order, and what each of them reads. */
export interface ContainerHooks {
  readonly setting: HookSetting;
  readonly hooks: readonly Hook[] | undefined;
  /** The pid is filled in: it is init's in its own pid namespace. */
  readonly state: Omit<State, 'pid'>;
  readonly log: Log;
}

/**
 * Runs the hooks of one kind inside the container, as children of the init that waits at the other end of the conversation, in
 * their order, each with the state on its standard input.
 *
 * config.md, "POSIX-platform Hooks". Errors: `hook` for the first that fails, with what it printed; `init`.
 */
export async function runContainerHooks(
  conversation: Conversation,
  { setting, hooks = [], state, log }: ContainerHooks,
): Promise<void> {
  for (const [index, hook] of hooks.entries()) {
    const title = `${setting.kind} hook #${index}`;
    log.debug(`run ${title}: ${JSON.stringify(hook.path)}`);
    await runHook(conversation, setting, { hook, title, state, log });
  }
}

interface OneHook {
  readonly hook: Hook;
  readonly title: string;
  readonly state: Omit<State, 'pid'>;
  readonly log: Log;
}

async function runHook(conversation: Conversation, setting: HookSetting, one: OneHook): Promise<void> {
  const { hook, title, state } = one;
  using output = new HookOutput(state.annotations, one.log);
  const { start, reap } = planHook(setting, hook, title);
  const started = await startHook(() => conversation.run(start), title);
  const pipes = takePipes(started, title);
  let end: HookEnd;
  try {
    const pid = Number(started.body.readBigUInt64LE(0));
    const input = Buffer.from(JSON.stringify({ ...state, pid }));
    end = await talkWithHook(pipes, { input, output, timeoutMs: (hook.timeout ?? 0) * 1000 });
  } finally {
    for (const fd of Object.values<OwnedFd>({ ...pipes })) fd.close();
  }
  const { body } = await conversation.run(reap);
  const failed = `error running ${title}`;
  if (end.report.length > 0) {
    const cause = started.explain(end.report);
    throw new TsrunError('hook', `${failed}: ${JSON.stringify(hook.path)}: ${cause.message}`, {
      cause,
      ...(cause.errno !== undefined && { errno: cause.errno }),
    });
  }
  const status = readWaitStatus(body.readInt32LE(0));
  if (!end.timedOut && status.kind === 'exited' && status.code === 0) return;
  const code = status.kind === 'exited' ? status.code : null;
  const signal = status.kind === 'killed' ? signalName(status.signal) : null;
  throw new TsrunError(
    'hook',
    `${failed}: ${describeEnd({ code, signal, timedOut: end.timedOut, hook })}, ${output.describe()}`,
    { hint: end.timedOut ? remedies.hookTimeout : undefined },
  );
}

/** Init has no room for a further process, for example: that is the hook's failure. */
async function startHook(start: () => Promise<Reply>, title: string): Promise<Reply> {
  try {
    return await start();
  } catch (cause) {
    if (!(cause instanceof TsrunError) || cause.code !== 'step') throw cause;
    throw new TsrunError('hook', `error running ${title}: ${cause.message}`, { cause });
  }
}

/** Keeps this side's ends and the pidfd, and closes the hook's, which init has sent along. */
function takePipes({ descriptors }: Reply, title: string): HookPipes {
  const pidfd = descriptors[HOOK_PIPES.length * 2];
  const ends = HOOK_PIPES.map((_, index) => [descriptors[index * 2], descriptors[index * 2 + 1]] as const);
  const [stdin, stdout, stderr, report] = ends;
  for (const [index, [read, write]] of ends.entries()) (HOOK_PIPES[index] === 'stdin' ? read : write)?.close();
  const own = { stdin: stdin?.[1], stdout: stdout?.[0], stderr: stderr?.[0], report: report?.[0], pidfd };
  if (own.stdin && own.stdout && own.stderr && own.report && own.pidfd) return own as HookPipes;
  for (const fd of descriptors) fd.close();
  throw new TsrunError('init', `start ${title}: init sent ${descriptors.length} descriptors`);
}

function signalName(number: number): string {
  const name = Object.entries(SIGNALS).find(([, value]) => value === number)?.[0];
  return name === undefined ? `signal ${number}` : `SIG${name}`;
}
