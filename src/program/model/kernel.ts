import { ERRNO } from '../../util/errno.ts';
import type { CallName } from '../calls.ts';
import { CallArguments, type CallModel } from './call-model.ts';
import { FILE_CALLS } from './file-calls.ts';
import { ModelErrno } from './files.ts';
import type { ModelMemory } from './memory.ts';
import { MOUNT_CALLS } from './mount-calls.ts';
import { PROCESS_CALLS } from './process-calls.ts';
import type { Kernel } from './simulate.ts';
import { ModelState } from './state.ts';

const CALLS: Partial<Record<CallName, CallModel>> = { ...FILE_CALLS, ...MOUNT_CALLS, ...PROCESS_CALLS };

/**
 * A small model of what init's system calls do: descriptors, a tree of files with symlinks and mounts, and a record of the
 * rest. Calls without a model succeed. It knows no permissions.
 */
export class ModelKernel extends ModelState implements Kernel {
  call(name: CallName, args: readonly bigint[], memory: ModelMemory): bigint {
    const model = CALLS[name];
    if (model === undefined) {
      this.attributes.set(name, args);
      return 0n;
    }
    try {
      return BigInt(model(this, new CallArguments(args), memory) ?? 0);
    } catch (error) {
      if (error instanceof ModelErrno) return -BigInt(ERRNO[error.errno]);
      throw error;
    }
  }
}
