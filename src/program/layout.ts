/**
 * Where things lie in the memory of the init process; FORMAT.md draws it. Addresses and sizes in bytes.
 *
 * The first two share a stretch of 2 MiB with what is not mapped. In a stretch that is mapped as a whole the kernel may answer the
 * first access with a huge page (transparent_hugepage=always), and each created container would hold 2 MiB.
 */
export const LAYOUT = {
  /** Words and buffers that live as long as the process. */
  memory: { address: 0x1010_0000, size: 0x1000 },
  /** The packet being executed. */
  message: { address: 0x1010_1000, size: 0xf000 },
  /** Data that does not fit into a packet. 4 MiB: twice the kernel's usual limit for arguments and environment. */
  bulk: { address: 0x1011_0000, size: 0x40_0000 },
} as const;

/** What the launcher keeps for itself in the same memory: programs for it have the rest. */
export const LAUNCHER_LAYOUT = {
  /** The upper part of *memory*: words and what it hands over. */
  own: { address: 0x1010_0c00, size: 0x400 },
  /** In there: what it hands over (util/launched.ts), of which programs write the signals that they block. */
  header: { address: 0x1010_0c80, size: 0x40 },
  /** The last part of *bulk*: the program that looks for a planner that is silent. */
  look: { address: 0x1050_0000, size: 0x1_0000 },
} as const;

/**
 * A file that init maps when somebody wants to know how long its steps take, far behind everything else: a record for each of them.
 * 16 MiB are a million of records, and cost nothing until they are written.
 */
export const RECORDS_LAYOUT = { address: 0x2000_0000, size: 0x100_0000 } as const;
/** Bytes of a record: struct timespec. */
export const RECORD_SIZE = 16;

/** Bytes of *memory* that belong to the failure report; the planner allocates behind them. */
export const REPORT_SIZE = 32;
/** Bytes in front of the first operation of a packet. */
export const PACKET_HEADER_SIZE = 16;
/** Bytes of one operation, a system call or a check; all are of the same size. */
export const OPERATION_SIZE = 64;
/** Says which FORMAT.md a dump follows. Init does not read it: its image is made by the runtime that talks to it. */
export const FORMAT_VERSION = 1;

/** The number that marks a check instead of a system call. */
export const CHECK_NUMBER = 0xffff;
/** Arguments of an operation. */
export const ARGUMENT_COUNT = 6;
/** Bit of an operation's flags: the check holds when the values differ. */
export const FLAG_INVERT = 1;
/** Bit of an operation's flags: the program goes on after every errno. */
export const FLAG_ACCEPT_ANY = 2;
/** The argument of a check that counts its tries. */
export const TRIES_ARGUMENT = 4;
/** More tries than this are no wait for a race to end. */
export const TRIES_MAX = 1000;
/** Accepted errnos that fit into an operation. */
export const ACCEPT_SLOTS = 4;

/** Where the fields of FORMAT.md lie: in the packet's header, in an operation, and in the failure report. */
export const OFFSETS = {
  end: 0,
  version: 8,
  sequence: 12,
  will: 12,
  number: 0,
  indirect: 2,
  flags: 3,
  result: 4,
  arguments: 8,
  accept: 56,
  reportAddress: 8,
  reportResult: 16,
} as const;
/** Bytes of the failure report that are sent: tag, address and result. */
export const REPLY_SIZE = 24;

/** Tags of replies that the format itself gives a meaning; planners choose theirs from 16 upwards. */
export const TAG_FAILURE = 0n;
/** Init has executed a packet that is not the program's last, and reads the next. */
export const TAG_MORE = 1n;
