import {
  flag,
  int32,
  list,
  nested,
  stated,
  text,
  uint32,
  type Fields,
  type Given,
  type Value,
} from '../protobuf/codec.ts';

/**
 * The messages of CRIU's RPC that are used, in proto2: what may be 0 and counts then is `stated`.
 *
 * Source: CRIU, images/rpc.proto.
 */
const OPTIONS = {
  imagesDirFd: int32(1),
  pid: int32(2),
  leaveRunning: flag(3),
  extUnixSk: flag(4),
  tcpEstablished: flag(5),
  evasiveDevices: flag(6),
  shellJob: flag(7),
  fileLocks: flag(8),
  logLevel: int32(9),
  logFile: text(10),
  ps: nested(11, { address: text(1), port: int32(2) }),
  notifyScripts: flag(12),
  root: text(13),
  parentImg: text(14),
  trackMem: flag(15),
  autoDedup: flag(16),
  workDirFd: int32(17),
  linkRemap: flag(18),
  extMnt: list(nested(23, { key: text(1), val: text(2) })),
  manageCgroups: flag(24),
  cgRoot: list(nested(25, { ctrl: text(1), path: text(2) })),
  rstSibling: flag(26),
  inheritFd: list(nested(27, { key: text(1), fd: stated(int32(2)) })),
  manageCgroupsMode: stated(int32(34)),
  external: list(text(37)),
  emptyNs: uint32(38),
  joinNs: list(nested(39, { ns: text(1), nsFile: text(2) })),
  freezeCgroup: text(44),
  tcpSkipInFlight: flag(46),
  lazyPages: flag(48),
  statusFd: int32(49),
  orphanPtsMaster: flag(50),
  configFile: text(51),
  tcpClose: flag(52),
  lsmProfile: text(53),
  lsmMountContext: text(63),
  networkLock: int32(64),
} satisfies Fields;

const FEATURES = { memTrack: flag(1), lazyPages: flag(2) } satisfies Fields;

/** criu_req. */
export const REQUEST = {
  type: int32(1),
  opts: nested(2, OPTIONS),
  notifySuccess: flag(3),
  keepOpen: flag(4),
  features: nested(5, FEATURES),
} satisfies Fields;

/** criu_resp. */
export const RESPONSE = {
  type: int32(1),
  success: flag(2),
  restore: nested(4, { pid: int32(1) }),
  notify: nested(5, { script: text(1), pid: int32(2) }),
  errno: int32(7),
  features: nested(8, FEATURES),
  message: text(9),
  version: nested(10, { major: int32(1), minor: int32(2), gitId: text(3), patch: int32(4) }),
} satisfies Fields;

/** Enumeration criu_req_type. */
export const KINDS = { dump: 1, restore: 2, 'pre-dump': 4, notify: 6, features: 9, version: 10 } as const;

/** criu_opts. */
export type CriuOpts = Given<typeof OPTIONS>;
/** An answer. */
export type CriuAnswer = Value<typeof RESPONSE>;
