import { encode, flag, list, nested, text, uint32, type Fields, type Given } from '../../protobuf/codec.ts';
import { any, MOUNT, timestamp } from './common.ts';

const CONTAINER = { containerId: text(1) } satisfies Fields;

/** Topic -> the kind of message and its fields. Source: containerd, api/events/task.proto. */
export const EVENTS = {
  '/tasks/create': {
    kind: 'TaskCreate',
    fields: {
      containerId: text(1),
      bundle: text(2),
      rootfs: list(nested(3, MOUNT)),
      io: nested(4, { stdin: text(1), stdout: text(2), stderr: text(3), terminal: flag(4) }),
      checkpoint: text(5),
      pid: uint32(6),
    },
  },
  '/tasks/start': { kind: 'TaskStart', fields: { containerId: text(1), pid: uint32(2) } },
  '/tasks/exit': {
    kind: 'TaskExit',
    fields: { containerId: text(1), id: text(2), pid: uint32(3), exitStatus: uint32(4), exitedAt: timestamp(5) },
  },
  '/tasks/delete': {
    kind: 'TaskDelete',
    fields: { containerId: text(1), pid: uint32(2), exitStatus: uint32(3), exitedAt: timestamp(4), id: text(5) },
  },
  '/tasks/oom': { kind: 'TaskOOM', fields: CONTAINER },
  '/tasks/exec-added': { kind: 'TaskExecAdded', fields: { containerId: text(1), execId: text(2) } },
  '/tasks/exec-started': {
    kind: 'TaskExecStarted',
    fields: { containerId: text(1), execId: text(2), pid: uint32(3) },
  },
  '/tasks/paused': { kind: 'TaskPaused', fields: CONTAINER },
  '/tasks/resumed': { kind: 'TaskResumed', fields: CONTAINER },
} satisfies Readonly<Record<string, { readonly kind: string; readonly fields: Fields }>>;

/** What an event is about. */
export type Topic = keyof typeof EVENTS;
/** What it says. */
export type EventOf<Name extends Topic> = Given<(typeof EVENTS)[Name]['fields']>;

/** An event as an Any. */
export function encodeEvent<Name extends Topic>(topic: Name, event: EventOf<Name>): { typeUrl: string; value: Buffer } {
  const { kind, fields } = EVENTS[topic];
  return { typeUrl: `containerd.events.${kind}`, value: encode(fields as Fields, event as Given<Fields>) };
}

/** containerd.services.events.ttrpc.v1.ForwardRequest. */
export const FORWARD_REQUEST = {
  envelope: nested(1, { timestamp: timestamp(1), namespace: text(2), topic: text(3), event: any(4) }),
} satisfies Fields;
