import type { KnownEntries } from '../container/known/entries.ts';
import type { KnownPlans } from '../container/known/plans.ts';
import { prepareInvocation, type Invocation } from '../cli/invocation.ts';
import { reportFailure } from '../cli/report-failure.ts';
import { CallerLost } from '../container/caller/caller.ts';
import type { HostView } from '../host/host-view.ts';
import { withPatience } from '../library/interruption.ts';
import type { Output } from '../plan/launcher/output.ts';
import type { Arch } from '../program/calls.ts';
import { currentInterruption } from '../sys/events/interruption.ts';
import { pollReadable, waitAny, waitReadable } from '../sys/events/poll.ts';
import { inTurn } from '../sys/events/turn-queue.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { receiveMessage } from '../sys/socket.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { DeferredLog } from './deferred-log.ts';
import { isTerminalOf } from './descriptors.ts';
import type { Hello } from '../util/hello.ts';
import { requireHello } from './hello.ts';
import type { KnownConfigs } from '../spec/known-configs.ts';
import { isGone, Launcher } from './launcher.ts';
import { launcherOperations } from './launcher-operations.ts';
import type { Paths } from './paths.ts';
import { examinePeer, type Peer, type Standing } from './peer.ts';
import { GoCold, refusalBehind, type Reason } from './reasons.ts';
import { requireServed } from './served.ts';
import { Session } from './session.ts';

/** What a planner knows of itself. */
export interface PlannerFacts {
  readonly arch: Arch;
  readonly acknowledgements: Acknowledgements;
  /** Identity of the build, which launchers name. */
  readonly build: bigint | undefined;
  readonly standing: Standing;
  readonly host: HostView;
  readonly paths: Paths;
  readonly configs: KnownConfigs;
  readonly plans: KnownPlans;
  readonly entries: KnownEntries;
}

/** How the serving of a connection ended. */
export type Served = 'warm' | 'lost' | Reason;

/** The kernel's limit for what a launcher sends is below (net.core.wmem_default). */
const HELLO_BYTES_MAX = 1024 * 1024;
const HELLO_TIMEOUT_MS = 1000;
const HELLO_MOMENT_MS = 1;

/** Serves a launcher from its hello to its end. What it throws is a bug; nothing of the caller's is left open. */
export async function serve(socket: OwnedFd, facts: PlannerFacts): Promise<Served> {
  using connection = socket;
  let launcher: Launcher | undefined;
  try {
    // It is on its way: a turn of the event loop takes longer.
    const isThere = pollReadable(connection.number, HELLO_MOMENT_MS);
    if (!isThere && !(await waitReadable(connection.number, HELLO_TIMEOUT_MS))) return 'hello';
    const { bytes, descriptors } = receiveMessage(connection.number, HELLO_BYTES_MAX);
    const [directory, ...others] = descriptors;
    for (const fd of others) fd.close();
    using held = directory;
    const hello = requireHello(bytes, facts.build);
    if (held === undefined) return 'hello';
    launcher = new Launcher(connection, { arch: facts.arch, number: hello.socket });
    launcher.acknowledge(facts.acknowledgements);
    // Others that have come meanwhile are heard first: none of them waits long for that.
    await new Promise<void>(inTurn);
    const peer = examinePeer(connection.number, facts.standing);
    return await carryOut({ launcher, peer, hello, directory: held, facts }, connection);
  } catch (error) {
    if (isGone(error) || error instanceof CallerLost) return 'lost';
    if (!(error instanceof GoCold)) throw error;
    // Whatever was announced, the command begins from the beginning.
    launcher?.leaveWill({ stage: 'anew' });
    return error.reason;
  } finally {
    launcher?.close();
  }
}

interface Work {
  readonly launcher: Launcher;
  readonly peer: Peer;
  readonly hello: Hello;
  readonly directory: OwnedFd;
  readonly facts: PlannerFacts;
}

/** Carries out the command, unless the caller ends before. Errors: `GoCold`, `CallerLost`. */
async function carryOut(work: Work, connection: OwnedFd): Promise<'warm' | 'lost'> {
  const { launcher } = work;
  const lost = new AbortController();
  const over = new AbortController();
  const watching = waitAny([{ fd: connection.number, events: 0 }], -1, { signal: over.signal, isWeak: true }).then(
    () => {
      lost.abort(new Error('the caller has ended'));
    },
    () => undefined,
  );
  try {
    const { output, code, child } = await withPatience({ signal: lost.signal }, () => run(work));
    // Its own end is none that anybody would be lost by.
    if (launcher.hasEnded) return 'warm';
    if (lost.signal.aborted) return 'lost';
    const children = child === undefined ? [] : [child];
    await launcher.end({ output, code, children }).catch(async (failure: unknown) => {
      const said: Output[] = [];
      reportFailure(failure, {
        log: undefined,
        writeStderr: (text) => said.push({ fd: 2, bytes: Buffer.from(text) }),
        isTerminal: isTerminalOf(work.peer.proc, 2),
      });
      // Where it cannot be said either, the code says it.
      await launcher
        .end({ output: said, code: 1, children })
        .catch(() => launcher.end({ output: [], code: 1, children }));
    });
    return 'warm';
  } finally {
    over.abort();
    await watching;
  }
}

interface Result {
  readonly output: readonly Output[];
  readonly code: number;
  readonly child: number | undefined;
}

async function run(work: Work): Promise<Result> {
  const { peer, hello, facts } = work;
  const { paths } = facts;
  const output: Output[] = [];
  const write = (fd: number) => {
    return (text: string): true => {
      output.push({ fd, bytes: Buffer.from(text) });
      return true;
    };
  };
  const isTerminal = isTerminalOf(peer.proc, 2);
  const writeStderr = write(2);
  let log: DeferredLog | undefined;
  using session = new Session({
    ...work,
    ...facts,
    writeStdout: write(1),
    isSilent: () => output.length === 0 && log?.isEmpty !== false,
    onEffect: () => log?.release(),
  });
  let invocation: Invocation | undefined;
  let code: number;
  try {
    invocation = await prepareInvocation(hello.args, {
      surroundings: session.surroundings(),
      operations: launcherOperations(session, { proc: peer.proc, paths }),
      writeStderr,
      isTerminal,
      umask: peer.standing.umask,
      review: (line) => {
        requireServed(line);
        const { root, logTarget } = line.global;
        paths.requireFast(root);
        if (logTarget?.kind === 'file') paths.require(logTarget.file);
      },
      wrapLog: (own) => (log = new DeferredLog(own)),
    });
    code = await invocation.run();
  } catch (failure) {
    const refusal = refusalBehind(failure);
    if (refusal !== undefined) throw refusal;
    // There is nobody to tell, and nothing that went wrong here.
    if (currentInterruption()?.aborted === true) throw new CallerLost('the caller has ended', { cause: failure });
    if (failure instanceof CallerLost) throw failure;
    log?.release();
    reportFailure(failure, { log, writeStderr, isTerminal });
    code = invocation?.exitCodeOf(failure) ?? 1;
  } finally {
    log?.[Symbol.dispose]();
  }
  log?.release();
  return { output, code, child: session.lastChild };
}
