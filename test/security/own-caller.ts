/** The operations as the command line calls them, with the process of the test as the caller. */
import type { Runtime } from '../../src/container/caller/caller.ts';
import * as create from '../../src/container/create.ts';
import * as deletion from '../../src/container/delete.ts';
import * as exec from '../../src/container/exec.ts';
import * as start from '../../src/container/start.ts';
import type { RuntimeOptions } from '../../src/container/store/options.ts';
import { ownForegroundRuntime } from '../../src/own-process/own-foreground.ts';
import { ownRuntime } from '../../src/own-process/own-process.ts';

function own<Rest extends unknown[], Result>(
  operation: (runtime: Runtime, ...rest: Rest) => Result,
): (runtime: RuntimeOptions, ...rest: Rest) => Result {
  return (runtime, ...rest) => operation(ownRuntime(runtime), ...rest);
}

export const createContainer = own(create.createContainer);
export const startContainer = own(start.startContainer);
export const deleteContainer = own(deletion.deleteContainer);
export const execInContainer = (runtime: RuntimeOptions, options: Parameters<typeof exec.execInContainer>[1]) =>
  exec.execInContainer(ownForegroundRuntime(runtime), options);
export { killContainer } from '../../src/container/kill.ts';
export { listContainers } from '../../src/container/list.ts';
export { readStatus } from '../../src/container/state.ts';
export { TsrunError } from '../../src/errors.ts';
