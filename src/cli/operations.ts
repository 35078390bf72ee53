import type { LeaveOptions } from '../container/build/leave.ts';
import type {
  AddMountOptions,
  CheckpointOptions,
  ContainerEvent,
  ContainerStats,
  ContainerStatus,
  CreateOptions,
  DeleteOptions,
  EventOptions,
  ExecOptions,
  ExplainOptions,
  KillOptions,
  LayerChange,
  RemoveMountOptions,
  RestoreOptions,
  RunOptions,
  RuntimeOptions,
  ShowProcessesOptions,
  StartOptions,
  UpdateOptions,
  UsageOptions,
} from '../container/store/options.ts';
import type { Finding } from '../container/check.ts';
import type { Diagnosis } from '../container/diagnose.ts';
import type { ContainerUsage } from '../container/stats.ts';
import type { Runtime } from '../container/caller/caller.ts';
import type { Unpacked, UnpackOptions } from '../image/unpack.ts';
import type { SeccompBuild } from '../spec/features.ts';

/** The operations that commands call. */
export interface Operations extends PlannerOperations {
  createContainer(runtime: RuntimeOptions, options: CreateOptions): Promise<void>;
  startContainer(runtime: RuntimeOptions, id: string, options?: StartOptions & LeaveOptions): Promise<void>;
  runContainer(runtime: RuntimeOptions, options: RunOptions): Promise<number>;
  execInContainer(runtime: RuntimeOptions, options: ExecOptions): Promise<number>;
  killContainer(runtime: RuntimeOptions, options: KillOptions): Promise<void>;
  pauseContainer(runtime: RuntimeOptions, id: string): Promise<void>;
  resumeContainer(runtime: RuntimeOptions, id: string): Promise<void>;
  deleteContainer(runtime: RuntimeOptions, options: DeleteOptions): Promise<void>;
  readStatus(runtime: RuntimeOptions, id: string): Promise<ContainerStatus>;
  listContainers(
    runtime: RuntimeOptions,
    options: { readonly requireRoot: boolean },
  ): Promise<readonly ContainerStatus[]>;
  updateContainer(runtime: RuntimeOptions, options: UpdateOptions): Promise<void>;
  checkpointContainer(runtime: RuntimeOptions, options: CheckpointOptions): Promise<void>;
  restoreContainer(runtime: RuntimeOptions, options: RestoreOptions): Promise<number>;
  containerStats(runtime: RuntimeOptions, id: string): Promise<ContainerStats>;
  containerEvents(runtime: RuntimeOptions, options: EventOptions): Promise<AsyncIterable<ContainerEvent>>;
  listProcesses(runtime: RuntimeOptions, id: string): Promise<readonly number[]>;
  showProcesses(runtime: RuntimeOptions, options: ShowProcessesOptions): Promise<string>;
  addMount(runtime: RuntimeOptions, options: AddMountOptions): Promise<void>;
  removeMount(runtime: RuntimeOptions, options: RemoveMountOptions): Promise<void>;
  containerUsage(runtime: RuntimeOptions, options: UsageOptions): Promise<AsyncIterable<readonly ContainerUsage[]>>;
  waitForContainer(runtime: RuntimeOptions, id: string): Promise<number | undefined>;
  listChanges(runtime: RuntimeOptions, id: string): Promise<readonly LayerChange[]>;
  readSeccompBuild(): Promise<SeccompBuild | undefined>;
  explainContainer(
    runtime: RuntimeOptions,
    options: ExplainOptions,
  ): Promise<{ readonly summary: string; readonly text: string; readonly json: unknown }>;
  compareContainers(runtime: RuntimeOptions, options: ExplainOptions, other: ExplainOptions): Promise<string>;
  drawContainer(runtime: RuntimeOptions, options: ExplainOptions, more: { readonly trace?: string }): Promise<string>;
  checkBundle(runtime: RuntimeOptions, options: ExplainOptions): Promise<readonly Finding[]>;
  diagnoseHost(runtime: RuntimeOptions, options: { readonly planner: boolean }): Promise<readonly Diagnosis[]>;
  unpackImage(options: UnpackOptions): Promise<Unpacked>;
}

/** A planner for the commands of this user. */
export interface PlannerOptions {
  /** It ends when nobody has asked for so long. Default: never. */
  readonly idleMs?: number;
}

/** What can be asked of a planner that runs. */
export type PlannerQuestion = 'status' | 'stop';

/** The operations on this user's planner. */
export interface PlannerOperations {
  /** Serves commands until it is stopped. Errors: `host`. */
  servePlanner(runtime: RuntimeOptions, options: PlannerOptions): Promise<void>;
  /** The answer as JSON. Errors: `host` when none runs. */
  askPlanner(runtime: RuntimeOptions, question: PlannerQuestion): Promise<string>;
}

/** The operations of tsrun, each loaded when it is called: a command pays for no other command's code. This process is their caller. */
export const operations: Omit<Operations, keyof PlannerOperations> = {
  async createContainer(runtime, options) {
    await guardDescriptors(options.preserved.length);
    const { createContainer } = await import('../container/create.ts');
    await measured(runtime, { about: ['create', options.id], own: await ownRuntime(runtime) }, (own) =>
      createContainer(own, options),
    );
  },
  async startContainer(runtime, id, options) {
    await guardDescriptors();
    const { startContainer } = await import('../container/start.ts');
    await startContainer(await ownRuntime(runtime), id, options);
  },
  async runContainer(runtime, options) {
    await guardDescriptors(options.preserved.length);
    const { runContainer } = await import('../container/run.ts');
    const own = await ownForegroundRuntime(runtime);
    return measured(runtime, { about: ['run', options.id], own }, (measuring) => runContainer(measuring, options));
  },
  async execInContainer(runtime, options) {
    await guardDescriptors(options.preserved.length);
    const { execInContainer } = await import('../container/exec.ts');
    const own = await ownForegroundRuntime(runtime);
    return measured(runtime, { about: ['exec', options.id], own }, (measuring) => execInContainer(measuring, options));
  },
  async killContainer(runtime, options) {
    const { killContainer } = await import('../container/kill.ts');
    await killContainer(runtime, options);
  },
  async pauseContainer(runtime, id) {
    const { pauseContainer } = await import('../container/pause.ts');
    await pauseContainer(runtime, id);
  },
  async resumeContainer(runtime, id) {
    const { resumeContainer } = await import('../container/resume.ts');
    await resumeContainer(runtime, id);
  },
  async deleteContainer(runtime, options) {
    await guardDescriptors();
    const { deleteContainer } = await import('../container/delete.ts');
    await deleteContainer(await ownRuntime(runtime), options);
  },
  async readStatus(runtime, id) {
    const { readStatus } = await import('../container/state.ts');
    return readStatus(runtime, id);
  },
  async listContainers(runtime, options) {
    const { listContainers } = await import('../container/list.ts');
    return listContainers(runtime, options);
  },
  async updateContainer(runtime, options) {
    const { updateContainer } = await import('../container/update.ts');
    await updateContainer(await ownRuntime(runtime), options);
  },
  async checkpointContainer(runtime, options) {
    await guardDescriptors();
    const { checkpointContainer } = await import('../container/checkpoint.ts');
    await checkpointContainer(await ownRuntime(runtime), options);
  },
  async restoreContainer(runtime, options) {
    await guardDescriptors();
    const { restoreContainer } = await import('../container/restore.ts');
    return restoreContainer(await ownForegroundRuntime(runtime), options);
  },
  async containerStats(runtime, id) {
    const { containerStats } = await import('../container/events.ts');
    return containerStats(await ownRuntime(runtime), id);
  },
  async containerEvents(runtime, options) {
    const { containerEvents } = await import('../container/events.ts');
    return containerEvents(await ownRuntime(runtime), options);
  },
  async listProcesses(runtime, id) {
    const { listProcesses } = await import('../container/ps.ts');
    return listProcesses(runtime, id);
  },
  async showProcesses(runtime, options) {
    await guardDescriptors();
    const { showProcesses } = await import('../container/ps.ts');
    return showProcesses(runtime, options);
  },
  async addMount(runtime, options) {
    await guardDescriptors();
    const { addMount } = await import('../container/mount.ts');
    await addMount(await ownRuntime(runtime), options);
  },
  async removeMount(runtime, options) {
    await guardDescriptors();
    const { removeMount } = await import('../container/mount.ts');
    await removeMount(await ownRuntime(runtime), options);
  },
  async containerUsage(runtime, options) {
    const { containerUsage } = await import('../container/stats.ts');
    return containerUsage(await ownRuntime(runtime), options);
  },
  async waitForContainer(runtime, id) {
    const { waitForContainer } = await import('../container/wait.ts');
    return waitForContainer(runtime, id);
  },
  async listChanges(runtime, id) {
    const { listChanges } = await import('../container/diff.ts');
    return listChanges(runtime, id);
  },
  async readSeccompBuild() {
    const { readSeccompBuild } = await import('../container/build/seccomp-build.ts');
    return readSeccompBuild();
  },
  async explainContainer(runtime, options) {
    const { explainContainer } = await import('../container/explain.ts');
    return explainContainer(await ownRuntime(runtime), options);
  },
  async compareContainers(runtime, options, other) {
    const { compareContainers } = await import('../container/explain.ts');
    return compareContainers(await ownRuntime(runtime), options, other);
  },
  async drawContainer(runtime, options, more) {
    const { drawContainer } = await import('../container/explain.ts');
    return drawContainer(await ownRuntime(runtime), options, more);
  },
  async checkBundle(runtime, options) {
    const { checkBundle } = await import('../container/check.ts');
    return checkBundle(await ownRuntime(runtime), options);
  },
  async diagnoseHost(runtime, options) {
    const { diagnoseHost } = await import('../container/diagnose.ts');
    return diagnoseHost(await ownRuntime(runtime), options);
  },
  async unpackImage(options) {
    const { unpackImage } = await import('../image/unpack.ts');
    return unpackImage(options);
  },
};

/**
 * For operations that start other programs: what a caller has leaked reaches none of them, and what it meant for the container is there.
 * Errors: `usage`.
 */
async function guardDescriptors(preserved = 0): Promise<void> {
  const { keepInheritedFromChildren } = await import('../own-process/inherited-descriptors.ts');
  keepInheritedFromChildren();
  if (preserved === 0) return;
  const { requirePreservedDescriptors } = await import('../own-process/preserved-descriptors.ts');
  requirePreservedDescriptors(preserved);
}

/** An operation that makes a process, measured where somebody asks for it. What measures is loaded only then. */
async function measured<T>(
  { traceFile, logsSteps }: RuntimeOptions,
  { about: [operation, id], own }: { readonly about: readonly [operation: string, id: string]; readonly own: Runtime },
  work: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  if (traceFile === undefined && logsSteps !== true) return await work(own);
  const { traceOperation } = await import('../container/trace.ts');
  const wanted = { ...(traceFile !== undefined && { traceFile }), ...(logsSteps && { logsSteps }) };
  return await traceOperation(own, { ...wanted, about: { operation, id } }, work);
}

async function ownRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { ownRuntime: own } = await import('../own-process/own-process.ts');
  return own(options);
}

async function ownForegroundRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { ownForegroundRuntime: own } = await import('../own-process/own-foreground.ts');
  return own(options);
}
