import { KnownEntries } from '../container/known/entries.ts';
import { KnownPlans } from '../container/known/plans.ts';
import { mkdirSync, rmSync } from 'node:fs';
import type { PlannerOptions } from '../cli/operations.ts';
import type { RuntimeOptions } from '../container/store/options.ts';
import { TsrunError } from '../errors.ts';
import { readArch } from '../host/facts.ts';
import { HostView } from '../host/host-view.ts';
import { readBuildId } from '../host/version.ts';
import { PLANNER_NAME } from '../plan/launcher/acknowledge.ts';
import { waitAny } from '../sys/events/poll.ts';
import { catchSignals } from '../sys/events/signals.ts';
import { OwnedFd, setNonBlocking } from '../sys/fd.ts';
import { openFile, tryLock } from '../sys/file.ts';
import { O_NOFOLLOW } from '../sys/open-flags.ts';
import { getRlimit } from '../sys/process/prlimit.ts';
import { setProcessName } from '../sys/process/name.ts';
import { acceptUnix, listenUnix } from '../sys/socket.ts';
import { O_CREAT, O_RDWR, POLLIN, RLIMIT_NOFILE } from '../util/constants.ts';
import { SIGNALS } from '../util/signals.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { Control } from './control.ts';
import { plannerDirectory, requireOwnDirectory } from './directory.ts';
import { readStanding } from './peer.ts';
import { KnownConfigs } from '../spec/known-configs.ts';
import { Paths } from './paths.ts';
import { loadServed } from './served.ts';
import { serve, type PlannerFacts } from './serve.ts';
import { Statistics } from './statistics.ts';

const SOCKET = 'socket';
const LOCK = 'lock';
/** What the kernel allows by default (net.core.somaxconn); a launcher waits 50 ms for a place. */
const BACKLOG = 4096;
const FIRST_ACTIVATED = 3;
/** Of the engine and the planner itself; and of one command, with its init, its cgroups, and its files. */
const OWN_DESCRIPTORS = 64;
const SERVING_DESCRIPTORS = 24;
const FULL_PAUSE_MS = 10;

/**
 * Serves the commands of this user until it is stopped, or nobody has asked for so long. Errors: `host`, also when a planner runs already.
 */
export async function servePlanner(
  { log, environment = {} }: Pick<RuntimeOptions, 'log' | 'environment'>,
  { idleMs = -1 }: PlannerOptions,
): Promise<void> {
  setProcessName(PLANNER_NAME);
  const directory = plannerDirectory(environment);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  requireOwnDirectory(directory);
  await loadServed();
  using lock = openFile(`${directory}/${LOCK}`, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  if (!tryLock(lock.number)) throw new TsrunError('host', `a planner serves ${JSON.stringify(directory)} already`);
  const activated = activatedSocket(environment);
  using listener = activated ?? listenAnew(`${directory}/${SOCKET}`);
  setNonBlocking(listener.number);
  const stopping = new AbortController();
  const stop = (): void => {
    stopping.abort();
  };
  using _signals = catchSignals([SIGNALS.TERM, SIGNALS.INT], stop);
  const statistics = new Statistics();
  using control = new Control(directory, { statistics, stop });
  process.chdir('/');
  // Whatever is made for a caller has its mode given; the mask of that caller is the caller's own.
  process.umask(0o022);
  try {
    await acceptAll(listener, { idleMs, stopping: stopping.signal, statistics, control, log });
  } finally {
    if (activated === undefined) rmSync(`${directory}/${SOCKET}`, { force: true });
  }
}

interface Serving {
  readonly idleMs: number;
  readonly stopping: AbortSignal;
  readonly statistics: Statistics;
  readonly control: Control;
  readonly log: RuntimeOptions['log'];
}

async function acceptAll(listener: OwnedFd, { idleMs, stopping, statistics, control, log }: Serving): Promise<void> {
  const host = new HostView('/proc/self');
  const arch = readArch();
  const facts: PlannerFacts = {
    arch,
    acknowledgements: new Acknowledgements({ arch, planner: process.pid }),
    build: readBuildId(),
    standing: readStanding('/proc/self'),
    host,
    paths: new Paths(host),
    configs: new KnownConfigs(),
    plans: new KnownPlans(),
    entries: new KnownEntries(),
  };
  const most = readCapacity();
  for (;;) {
    const isFull = statistics.underWay >= most;
    const interests = (isFull ? [control.number] : [listener.number, control.number]).map((fd) => ({
      fd,
      events: POLLIN,
    }));
    const timeoutMs = isFull ? FULL_PAUSE_MS : idleMs;
    const waiting = waitAny(interests, timeoutMs, { signal: stopping, isUrgent: true });
    const ready = await waiting.catch((): readonly number[] => []);
    const isIdle = ready.length === 0 && !isFull && statistics.underWay === 0;
    if (stopping.aborted || isIdle) return;
    if (ready.includes(control.number)) control.answer();
    if (!ready.includes(listener.number)) continue;
    while (statistics.underWay < most) {
      const socket = acceptUnix(listener.number);
      if (socket === undefined) break;
      void statistics.count(serve(socket, facts), log);
    }
  }
}

/** How many can be served with the descriptors that there are: who comes then waits a moment, and goes cold. */
function readCapacity(): number {
  const { soft } = getRlimit(RLIMIT_NOFILE);
  return Math.max(1, Math.floor((Number(soft) - OWN_DESCRIPTORS) / SERVING_DESCRIPTORS));
}

function listenAnew(path: string): OwnedFd {
  // Of a planner that has ended: the lock is this one's.
  rmSync(path, { force: true });
  return listenUnix(path, 'seqpacket', { mode: 0o600, backlog: BACKLOG });
}

/** The socket of a service manager, by sd_listen_fds(3). */
function activatedSocket({ LISTEN_PID, LISTEN_FDS }: NonNullable<RuntimeOptions['environment']>): OwnedFd | undefined {
  return LISTEN_PID === String(process.pid) && LISTEN_FDS === '1' ? new OwnedFd(FIRST_ACTIVATED) : undefined;
}
