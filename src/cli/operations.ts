import type { LeaveOptions } from '../container/build/leave.ts';
import type {
  ContainerEvent,
  ContainerStats,
  ContainerStatus,
  CreateOptions,
  DeleteOptions,
  EventOptions,
  ExecOptions,
  KillOptions,
  RunOptions,
  Runtime,
  ShowProcessesOptions,
  StartOptions,
  UpdateOptions,
} from '../container/store/options.ts';
import type { SeccompBuild } from '../spec/features.ts';

/** What `explain` is asked for. */
export type ExplainOptions = Pick<
  CreateOptions,
  'id' | 'bundle' | 'configFile' | 'noPivot' | 'noNewKeyring' | 'preserveFds'
>;

/** The operations that commands call. */
export interface Operations {
  createContainer(runtime: Runtime, options: CreateOptions): Promise<void>;
  startContainer(runtime: Runtime, id: string, options?: StartOptions & LeaveOptions): Promise<void>;
  runContainer(runtime: Runtime, options: RunOptions): Promise<number>;
  execInContainer(runtime: Runtime, options: ExecOptions): Promise<number>;
  killContainer(runtime: Runtime, options: KillOptions): Promise<void>;
  pauseContainer(runtime: Runtime, id: string): Promise<void>;
  resumeContainer(runtime: Runtime, id: string): Promise<void>;
  deleteContainer(runtime: Runtime, options: DeleteOptions): Promise<void>;
  readStatus(runtime: Runtime, id: string): Promise<ContainerStatus>;
  listContainers(runtime: Runtime, options: { readonly requireRoot: boolean }): Promise<readonly ContainerStatus[]>;
  updateContainer(runtime: Runtime, options: UpdateOptions): Promise<void>;
  containerStats(runtime: Runtime, id: string): Promise<ContainerStats>;
  containerEvents(runtime: Runtime, options: EventOptions): Promise<AsyncIterable<ContainerEvent>>;
  listProcesses(runtime: Runtime, id: string): Promise<readonly number[]>;
  showProcesses(runtime: Runtime, options: ShowProcessesOptions): Promise<string>;
  readSeccompBuild(): Promise<SeccompBuild | undefined>;
  explainContainer(
    runtime: Runtime,
    options: ExplainOptions,
  ): Promise<{ readonly text: string; readonly json: unknown }>;
}

/** The operations of tsrun, each loaded when it is called: a command pays for no other command's code. */
export const operations: Operations = {
  async createContainer(runtime, options) {
    await keepInheritedFromChildren();
    const { createContainer } = await import('../container/create.ts');
    await createContainer(runtime, options);
  },
  async startContainer(runtime, id, options) {
    await keepInheritedFromChildren();
    const { startContainer } = await import('../container/start.ts');
    await startContainer(runtime, id, options);
  },
  async runContainer(runtime, options) {
    await keepInheritedFromChildren();
    const { runContainer } = await import('../container/run.ts');
    return runContainer(runtime, options);
  },
  async execInContainer(runtime, options) {
    await keepInheritedFromChildren();
    const { execInContainer } = await import('../container/exec.ts');
    return execInContainer(runtime, options);
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
    await keepInheritedFromChildren();
    const { deleteContainer } = await import('../container/delete.ts');
    await deleteContainer(runtime, options);
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
    await updateContainer(runtime, options);
  },
  async containerStats(runtime, id) {
    const { containerStats } = await import('../container/events.ts');
    return containerStats(runtime, id);
  },
  async containerEvents(runtime, options) {
    const { containerEvents } = await import('../container/events.ts');
    return containerEvents(runtime, options);
  },
  async listProcesses(runtime, id) {
    const { listProcesses } = await import('../container/ps.ts');
    return listProcesses(runtime, id);
  },
  async showProcesses(runtime, options) {
    await keepInheritedFromChildren();
    const { showProcesses } = await import('../container/ps.ts');
    return showProcesses(runtime, options);
  },
  async readSeccompBuild() {
    const { readSeccompBuild } = await import('../container/build/seccomp-build.ts');
    return readSeccompBuild();
  },
  async explainContainer(runtime, options) {
    const { explainContainer } = await import('../container/explain.ts');
    return explainContainer(runtime, options);
  },
};

/** For operations that start other programs, which shall not inherit what a caller has leaked. */
async function keepInheritedFromChildren(): Promise<void> {
  const { keepInheritedFromChildren: keep } = await import('../container/caller/inherited-descriptors.ts');
  keep();
}
