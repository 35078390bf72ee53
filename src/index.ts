/**
 * The library: the operations of the command as functions for any Node process. They print nothing, never exit, and take
 * descriptors and paths only as arguments.
 */
export { createContainer } from './container/create.ts';
export { startContainer } from './container/start.ts';
export { runContainer } from './container/run.ts';
export { execInContainer } from './container/exec.ts';
export { killContainer } from './container/kill.ts';
export { pauseContainer } from './container/pause.ts';
export { resumeContainer } from './container/resume.ts';
export { deleteContainer } from './container/delete.ts';
export { readStatus } from './container/state.ts';
export { listContainers } from './container/list.ts';
export { updateContainer } from './container/update.ts';
export { containerEvents, containerStats } from './container/events.ts';
export { listProcesses, showProcesses } from './container/ps.ts';
export type {
  ContainerEvent,
  ContainerStats,
  ContainerStatus,
  CreateOptions,
  DeleteOptions,
  EventOptions,
  ExecOptions,
  KillOptions,
  ProcessChange,
  RunOptions,
  Runtime,
  ShowProcessesOptions,
  StartOptions,
  Stdio,
  SubCgroup,
  UpdateOptions,
} from './container/store/options.ts';
export { TsrunError, type ErrorCode, type Issue, type FailedStep } from './errors.ts';
export type { Log } from './log.ts';
export { loadConfig, validateConfig } from './spec/validate.ts';
export { specTemplate } from './spec/template.ts';
export type { Config, Process, Resources } from './spec/generated/config.ts';
