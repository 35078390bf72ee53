import { bytes, flag, int32, int64, list, nested, text, uint64, type Fields } from '../../../src/protobuf/codec.ts';

/**
 * As much as the tests need of the Container Runtime Interface, by which Kubernetes speaks to containerd. Source: the numbers of
 * k8s.io/cri-api, pkg/apis/runtime/v1/api.proto.
 */

const map = (number: number) => list(nested(number, { key: text(1), value: text(2) }));

/** A wrapped integer, which can be absent. */
const signed = (number: number) => nested(number, { value: int64(1) });
const unsigned = (number: number) => nested(number, { value: uint64(1) });

/** Whose namespaces a container has. */
export const NAMESPACE_MODE = { pod: 0, container: 1, node: 2 } as const;
const NAMESPACES = { network: int32(1), pid: int32(2), ipc: int32(3) } satisfies Fields;

/** Kinds of seccomp and AppArmor profiles. */
export const PROFILE = { runtimeDefault: 0, unconfined: 1 } as const;
const profile = (number: number) => nested(number, { kind: int32(1), path: text(2) });

const RESOURCES = {
  cpuPeriod: int64(1),
  cpuQuota: int64(2),
  cpuShares: int64(3),
  memoryLimit: int64(4),
  oomScoreAdj: int64(5),
  cpusetCpus: text(6),
} satisfies Fields;

const POD_CONFIG = {
  metadata: nested(1, { name: text(1), uid: text(2), namespace: text(3) }),
  hostname: text(2),
  logDirectory: text(3),
  labels: map(6),
  linux: nested(8, {
    cgroupParent: text(1),
    securityContext: nested(2, { namespaces: nested(1, NAMESPACES), privileged: flag(6), seccomp: profile(9) }),
  }),
} satisfies Fields;

const CONTAINER_CONFIG = {
  metadata: nested(1, { name: text(1) }),
  image: nested(2, { image: text(1) }),
  command: list(text(3)),
  args: list(text(4)),
  workingDirectory: text(5),
  envs: map(6),
  mounts: list(nested(7, { containerPath: text(1), hostPath: text(2), readonly: flag(3) })),
  labels: map(9),
  logPath: text(11),
  stdin: flag(12),
  tty: flag(14),
  linux: nested(15, {
    resources: nested(1, RESOURCES),
    securityContext: nested(2, {
      capabilities: nested(1, { add: list(text(1)), drop: list(text(2)) }),
      privileged: flag(2),
      namespaces: nested(3, NAMESPACES),
      runAsUser: signed(5),
      readonlyRootfs: flag(7),
      supplementalGroups: list(int64(8)),
      noNewPrivileges: flag(11),
      runAsGroup: signed(12),
      maskedPaths: list(text(13)),
      readonlyPaths: list(text(14)),
      seccomp: profile(15),
    }),
  }),
} satisfies Fields;

/** States of a pod. */
export const POD_STATE = { ready: 0, notReady: 1 } as const;
/** States of a container. */
export const CONTAINER_STATE = { created: 0, running: 1, exited: 2 } as const;

const STATS = {
  attributes: nested(1, { id: text(1) }),
  cpu: nested(2, { used: unsigned(2) }),
  memory: nested(3, { workingSet: unsigned(2) }),
} satisfies Fields;

const POD = { podId: text(1) } satisfies Fields;
const CONTAINER = { containerId: text(1) } satisfies Fields;

/** Methods of runtime.v1.RuntimeService -> what is asked, and what is answered. */
export const METHODS = {
  RunPodSandbox: { request: { config: nested(1, POD_CONFIG), handler: text(2) }, response: POD },
  StopPodSandbox: { request: POD, response: {} },
  RemovePodSandbox: { request: POD, response: {} },
  PodSandboxStatus: {
    request: POD,
    response: { status: nested(1, { id: text(1), state: int32(3), handler: text(9) }) },
  },
  ListPodSandbox: { request: {}, response: { items: list(nested(1, { id: text(1), state: int32(3) })) } },
  CreateContainer: {
    request: { podId: text(1), config: nested(2, CONTAINER_CONFIG), podConfig: nested(3, POD_CONFIG) },
    response: CONTAINER,
  },
  StartContainer: { request: CONTAINER, response: {} },
  StopContainer: { request: { ...CONTAINER, timeoutSeconds: int64(2) }, response: {} },
  RemoveContainer: { request: CONTAINER, response: {} },
  ListContainers: {
    request: { filter: nested(1, { id: text(1), podId: text(3) }) },
    response: {
      containers: list(
        nested(1, { id: text(1), podId: text(2), metadata: nested(3, { name: text(1) }), state: int32(6) }),
      ),
    },
  },
  ContainerStatus: {
    request: { ...CONTAINER, verbose: flag(2) },
    response: {
      status: nested(1, {
        id: text(1),
        state: int32(3),
        createdAt: int64(4),
        startedAt: int64(5),
        finishedAt: int64(6),
        exitCode: int32(7),
        reason: text(10),
        message: text(11),
        logPath: text(15),
      }),
      info: map(2),
    },
  },
  UpdateContainerResources: { request: { ...CONTAINER, linux: nested(2, RESOURCES) }, response: {} },
  ReopenContainerLog: { request: CONTAINER, response: {} },
  ExecSync: {
    request: { ...CONTAINER, command: list(text(2)), timeoutSeconds: int64(3) },
    response: { stdout: bytes(1), stderr: bytes(2), exitCode: int32(3) },
  },
  ContainerStats: { request: CONTAINER, response: { stats: nested(1, STATS) } },
  ListContainerStats: {
    request: { filter: nested(1, { id: text(1), podId: text(2) }) },
    response: { stats: list(nested(1, STATS)) },
  },
  Status: {
    request: {},
    response: { status: nested(1, { conditions: list(nested(1, { type: text(1), status: flag(2) })) }) },
  },
} satisfies Readonly<Record<string, { readonly request: Fields; readonly response: Fields }>>;

/** Of runtime.v1.ImageService. */
export const IMAGE_STATUS = {
  request: { image: nested(1, { image: text(1) }) },
  response: { image: nested(1, { id: text(1) }) },
} satisfies { readonly request: Fields; readonly response: Fields };
