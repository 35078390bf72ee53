/**
 * The library: the operations of the command as functions for any Node process. They print nothing, never exit, and take
 * descriptors and paths only as arguments. The process that calls them is the caller, whose mounts, cgroups and ids they begin with.
 */
import type { Runtime as RuntimeWithCaller } from './container/caller/caller.ts';
import * as create from './container/create.ts';
import * as deletion from './container/delete.ts';
import * as events from './container/events.ts';
import * as exec from './container/exec.ts';
import * as run from './container/run.ts';
import * as start from './container/start.ts';
import type { RuntimeOptions } from './container/store/options.ts';
import * as update from './container/update.ts';
import { ownForegroundRuntime } from './own-process/own-foreground.ts';
import { ownRuntime } from './own-process/own-process.ts';

/** An operation for which this process is the caller. */
function own<Rest extends unknown[], Result>(
  operation: (runtime: RuntimeWithCaller, ...rest: Rest) => Result,
): (runtime: RuntimeOptions, ...rest: Rest) => Result {
  return (runtime, ...rest) => operation(ownRuntime(runtime), ...rest);
}

/** The same for one that may wait in the foreground. */
function ownForeground<Rest extends unknown[], Result>(
  operation: (runtime: RuntimeWithCaller, ...rest: Rest) => Result,
): (runtime: RuntimeOptions, ...rest: Rest) => Result {
  return (runtime, ...rest) => operation(ownForegroundRuntime(runtime), ...rest);
}

export const createContainer = own(create.createContainer);
export const startContainer = own(start.startContainer);
export const runContainer = ownForeground(run.runContainer);
export const execInContainer = ownForeground(exec.execInContainer);
export const deleteContainer = own(deletion.deleteContainer);
export const updateContainer = own(update.updateContainer);
export const containerEvents = own(events.containerEvents);
export const containerStats = own(events.containerStats);
export { killContainer } from './container/kill.ts';
export { pauseContainer } from './container/pause.ts';
export { resumeContainer } from './container/resume.ts';
export { readStatus } from './container/state.ts';
export { listContainers } from './container/list.ts';
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
  RuntimeOptions as Runtime,
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
