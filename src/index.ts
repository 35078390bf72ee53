/**
 * The library: the operations of the command for any Node program. They print nothing, never exit, touch no signal handler unless asked,
 * and leave the event loop its turns. docs/library.md shows how they are used.
 */
export { Runtime, type Explanation, type RuntimeOptions } from './library/runtime.ts';
export type { Container, ContainerEvent } from './library/container.ts';
export type { Process } from './library/process.ts';
export type { ProcessEnd } from './library/process-end.ts';
export { features } from './library/features.ts';
export type {
  CheckpointContainerOptions,
  ConfigOptions,
  CreateContainerOptions,
  DeleteContainerOptions,
  ExecOptions,
  ProgramOptions,
  RestoreContainerOptions,
  RunContainerOptions,
  StartContainerOptions,
} from './library/options.ts';
export type { NetworkOption, OverlayOption, PublishOption } from './library/surroundings.ts';
export type { Patience } from './library/interruption.ts';
export type { LogOption } from './library/log.ts';
export type { Plain } from './library/plain.ts';
export type { ProcessStreams, StdioOption, StdioOptions } from './library/stdio.ts';
export type { ConsoleOption, TerminalSize } from './library/terminal.ts';
export type { ContainerStats, ContainerStatus, SubCgroup } from './container/store/options.ts';
export { TsrunError, type ErrorCode, type FailedStep, type Issue } from './errors.ts';
export { loadConfig, validateConfig } from './spec/validate.ts';
export { specTemplate } from './spec/template.ts';
export type { Config, Process as ProcessSection, Resources } from './spec/generated/config.ts';
export type { Features } from './spec/generated/features.ts';
