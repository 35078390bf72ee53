import type { CheckpointContainerOptions } from '../../library/options.ts';
import { decode } from '../../protobuf/codec.ts';
import { kindOf, type Any } from '../wire/common.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { CHECKPOINT_OPTIONS } from '../wire/task.ts';

const CGROUPS_MODES = ['soft', 'full', 'strict', 'ignore'] as const;

/**
 * How containerd wants a container to be saved to a directory: by the options of runc's shim.
 *
 * Errors: `RpcError` INVALID_ARGUMENT; `WireError`.
 */
export function readCheckpointOptions(path: string, sent: Any | undefined): CheckpointContainerOptions {
  const kind = sent === undefined ? '' : kindOf(sent);
  if (kind !== '' && kind !== 'containerd.runc.v1.CheckpointOptions')
    throw wrong(`they are of the unknown kind ${JSON.stringify(kind)}`);
  const options = decode(CHECKPOINT_OPTIONS, Buffer.from(sent?.value ?? []));
  const imagePath = path === '' ? options.imagePath : path;
  if (!imagePath.startsWith('/')) throw wrong(`the image is at ${JSON.stringify(imagePath)}, wanted an absolute path`);
  // A network has nothing of its own saved in any case.
  const other = options.emptyNamespaces.find((name) => name !== 'network');
  if (other !== undefined) throw wrong(`the namespace ${JSON.stringify(other)} is to be empty, wanted "network"`);
  const mode = CGROUPS_MODES.find((name) => name === options.cgroupsMode);
  if (options.cgroupsMode !== '' && mode === undefined)
    throw wrong(`the mode of cgroups is ${JSON.stringify(options.cgroupsMode)}, wanted ${CGROUPS_MODES.join(', ')}`);
  return {
    imagePath,
    leaveRunning: !options.exit,
    tcpEstablished: options.openTcp,
    extUnixSk: options.externalUnixSockets,
    shellJob: options.terminal,
    fileLocks: options.fileLocks,
    ...(mode !== undefined && { manageCgroupsMode: mode }),
    ...(options.workPath !== '' && { workPath: options.workPath }),
  };
}

function wrong(what: string): RpcError {
  return new RpcError(CODE.invalidArgument, `read the options of a checkpoint: ${what}`);
}
