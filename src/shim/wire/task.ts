import { bytes, flag, int32, list, nested, text, uint32, type Fields } from '../../protobuf/codec.ts';
import { any, MOUNT, timestamp } from './common.ts';

/** Names a container, or a process that was added to one. */
const PROCESS = { id: text(1), execId: text(2) } satisfies Fields;

const STDIO = (first: number) => ({
  terminal: flag(first),
  stdin: text(first + 1),
  stdout: text(first + 2),
  stderr: text(first + 3),
});

/** containerd.task.v2 and v3: method -> what is asked, and what is answered. Source: containerd, api/runtime/task/v2/shim.proto. */
export const METHODS = {
  State: {
    request: PROCESS,
    response: {
      id: text(1),
      bundle: text(2),
      pid: uint32(3),
      status: int32(4),
      stdin: text(5),
      stdout: text(6),
      stderr: text(7),
      terminal: flag(8),
      exitStatus: uint32(9),
      exitedAt: timestamp(10),
      execId: text(11),
    },
  },
  Create: {
    request: {
      id: text(1),
      bundle: text(2),
      rootfs: list(nested(3, MOUNT)),
      ...STDIO(4),
      checkpoint: text(8),
      parentCheckpoint: text(9),
      options: any(10),
    },
    response: { pid: uint32(1) },
  },
  Start: { request: PROCESS, response: { pid: uint32(1) } },
  Delete: { request: PROCESS, response: { pid: uint32(1), exitStatus: uint32(2), exitedAt: timestamp(3) } },
  Pids: {
    request: { id: text(1) },
    response: { processes: list(nested(1, { pid: uint32(1), info: any(2) })) },
  },
  Pause: { request: { id: text(1) }, response: {} },
  Resume: { request: { id: text(1) }, response: {} },
  Checkpoint: { request: { id: text(1), path: text(2), options: any(3) }, response: {} },
  Kill: { request: { ...PROCESS, signal: uint32(3), all: flag(4) }, response: {} },
  Exec: { request: { ...PROCESS, ...STDIO(3), spec: any(7) }, response: {} },
  ResizePty: { request: { ...PROCESS, width: uint32(3), height: uint32(4) }, response: {} },
  CloseIO: { request: { ...PROCESS, stdin: flag(3) }, response: {} },
  Update: { request: { id: text(1), resources: any(2) }, response: {} },
  Wait: { request: PROCESS, response: { exitStatus: uint32(1), exitedAt: timestamp(2) } },
  Stats: { request: { id: text(1) }, response: { stats: any(1) } },
  Connect: { request: { id: text(1) }, response: { shimPid: uint32(1), taskPid: uint32(2), version: text(3) } },
  Shutdown: { request: { id: text(1), now: flag(2) }, response: {} },
} satisfies Readonly<Record<string, { readonly request: Fields; readonly response: Fields }>>;

/** The names of the two services that have these methods. */
export const SERVICES = ['containerd.task.v2.Task', 'containerd.task.v3.Task'];

/** containerd.v1.types.Status. */
export const TASK_STATUS = { created: 1, running: 2, stopped: 3, paused: 4, pausing: 5 } as const;

/** containerd.runc.v1.ProcessDetails, in what `Pids` answers of an added process. */
export const PROCESS_DETAILS = { execId: text(1) } satisfies Fields;

/** containerd.runc.v1.Options; the path of CRIU, and of an image, which containerd itself reads, are left out. */
export const RUNC_OPTIONS = {
  noPivotRoot: flag(1),
  noNewKeyring: flag(2),
  shimCgroup: text(3),
  ioUid: uint32(4),
  ioGid: uint32(5),
  binaryName: text(6),
  root: text(7),
  systemdCgroup: flag(9),
  criuWorkPath: text(11),
} satisfies Fields;

/** containerd.runc.v1.CheckpointOptions. */
export const CHECKPOINT_OPTIONS = {
  exit: flag(1),
  openTcp: flag(2),
  externalUnixSockets: flag(3),
  terminal: flag(4),
  fileLocks: flag(5),
  emptyNamespaces: list(text(6)),
  cgroupsMode: text(7),
  imagePath: text(8),
  workPath: text(9),
} satisfies Fields;

/** containerd.linux.runc.CreateOptions, of the first version of runtimes: `ctr` still sends them with user namespaces. */
export const CREATE_OPTIONS = { noPivotRoot: flag(1), noNewKeyring: flag(8), shimCgroup: text(9) } satisfies Fields;

/** containerd.linux.runc.RuncOptions, likewise. */
export const RUNTIME_V1_OPTIONS = { binaryName: text(1), root: text(2), systemdCgroup: flag(4) } satisfies Fields;

/** runtimeoptions.v1.Options: options of a runtime that containerd does not know. */
export const RUNTIME_OPTIONS = { typeUrl: text(1), configPath: text(2), configBody: bytes(3) } satisfies Fields;
