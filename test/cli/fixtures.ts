import { readFileSync } from 'node:fs';
import { prepareInvocation } from '../../src/cli/invocation.ts';
import type { SeccompBuild } from '../../src/spec/features.ts';
import type { Operations } from '../../src/cli/operations.ts';
import type { Surroundings } from '../../src/cli/surroundings.ts';
import { readStats } from '../../src/cgroup/stats/stats.ts';
import type { ContainerUsage } from '../../src/container/stats.ts';
import type { ContainerStats, ContainerStatus, RuntimeOptions } from '../../src/container/store/options.ts';

/** A container as operations show it. */
export const status: ContainerStatus = {
  ociVersion: '1.3.0',
  id: 'web',
  pid: 42,
  status: 'running',
  bundle: '/bundles/web',
  rootfs: '/bundles/web/rootfs',
  created: '2026-01-31T12:00:00.123456789Z',
  owner: 'root',
};

/** Statistics of a container that has used nothing. */
export const stats: ContainerStats = { ...readStats({ directories: [] }), networkInterfaces: [] };

/** What a container uses that has used little. */
export const usage: ContainerUsage = {
  id: 'web',
  cpuPercent: 12.345,
  memory: 1024 * 1536,
  memoryLimit: 1024 ** 3,
  pids: 3,
  pidsLimit: 0,
  blockRead: 512,
  blockWritten: 0,
  networkReceived: 10_240,
  networkSent: 123_456_789,
};

/** Surroundings of root in `/work`, which collect what is printed. */
export function fakeSurroundings(changes: Partial<Surroundings> = {}): Surroundings & { readonly printed: string[] } {
  const printed: string[] = [];
  return {
    environment: {},
    pid: 4242,
    uid: 0,
    gid: 0,
    inUserNamespace: () => false,
    currentDirectory: () => '/work',
    openFiles: () => undefined,
    leaving: {},
    readFile: (path) => readFileSync(path, 'utf8'),
    readStdin: () => '{"pids":{"limit":7}}',
    writeStdout: (text) => printed.push(text) > 0,
    printed,
    ...changes,
  };
}

/** A call of an operation: its name, the runtime without its log, and the options. */
export type Call = readonly [name: string, runtime: Omit<RuntimeOptions, 'log'>, options?: unknown];

/** Operations that only note how they are called, with the results given. */
export function fakeOperations(results: Partial<Record<keyof Operations, unknown>> = {}): {
  operations: Operations;
  calls: Call[];
} {
  const calls: Call[] = [];
  const operation =
    (name: keyof Operations, result?: unknown) =>
    ({ root, cgroupManager }: RuntimeOptions, ...options: [options?: unknown]): Promise<never> => {
      // Options of which none is given say nothing.
      const said = options.filter((one) => typeof one !== 'object' || one === null || Object.keys(one).length > 0);
      calls.push([name, { root, cgroupManager }, ...(said as typeof options)]);
      const given = Object.hasOwn(results, name) ? results[name] : result;
      return given instanceof Error ? Promise.reject(given) : Promise.resolve(given as never);
    };
  const operations: Operations = {
    createContainer: operation('createContainer'),
    startContainer: operation('startContainer'),
    runContainer: operation('runContainer', 0),
    execInContainer: operation('execInContainer', 0),
    killContainer: operation('killContainer'),
    pauseContainer: operation('pauseContainer'),
    resumeContainer: operation('resumeContainer'),
    deleteContainer: operation('deleteContainer'),
    readStatus: operation('readStatus', status),
    listContainers: operation('listContainers', [status]),
    updateContainer: operation('updateContainer'),
    checkpointContainer: operation('checkpointContainer'),
    restoreContainer: operation('restoreContainer', 0),
    containerStats: operation('containerStats', stats),
    containerEvents: operation('containerEvents', [
      { type: 'oom', id: 'web' },
      { type: 'stats', id: 'web', data: stats },
    ]),
    listChanges: operation('listChanges', [{ kind: 'added', path: '/new' }]),
    listProcesses: operation('listProcesses', [42, 43]),
    addMount: operation('addMount'),
    removeMount: operation('removeMount'),
    containerUsage: operation('containerUsage', [[usage]]),
    waitForContainer: operation('waitForContainer', 7),
    showProcesses: operation('showProcesses', 'PID CMD\n 42 sh\n'),
    readSeccompBuild: () => Promise.resolve(results.readSeccompBuild as SeccompBuild | undefined),
    servePlanner: operation('servePlanner'),
    askPlanner: operation('askPlanner', '{}'),
    checkBundle: operation('checkBundle', []),
    unpackImage: () => Promise.resolve({ lowers: [] }),
    diagnoseHost: operation('diagnoseHost', []),
    explainContainer: operation('explainContainer', {
      summary: 'container ...\n',
      text: 'mount ...\n',
      json: { phases: [] },
    }),
    compareContainers: operation('compareContainers', 'no difference\n'),
    drawContainer: operation('drawContainer', '<!doctype html>\n'),
  };
  return { operations, calls };
}

/** What became of a command line. */
export interface Outcome {
  /** The exit code, also of a failure. */
  readonly code: number;
  readonly stdout: string;
  readonly calls: readonly Call[];
  readonly failure?: unknown;
}

/** Runs a command line, its words separated by single spaces, or given one by one. */
export async function runLine(
  line: string | readonly string[],
  parts: { surroundings?: Partial<Surroundings>; results?: Partial<Record<keyof Operations, unknown>> } = {},
): Promise<Outcome> {
  const surroundings = fakeSurroundings(parts.surroundings);
  const { operations, calls } = fakeOperations(parts.results);
  const args = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line;
  let exitCodeOf: (failure: unknown) => number = () => 1;
  try {
    const invocation = await prepareInvocation(args, { surroundings, operations, writeStderr: () => undefined });
    exitCodeOf = (failure) => invocation.exitCodeOf(failure);
    const code = await invocation.run();
    return { code, stdout: surroundings.printed.join(''), calls };
  } catch (failure) {
    return { code: exitCodeOf(failure), stdout: surroundings.printed.join(''), calls, failure };
  }
}

/** The message of a failure that was expected. */
export function messageOf({ failure }: Outcome): string {
  return failure instanceof Error ? failure.message : `no failure: ${String(failure)}`;
}
