import { LAUNCHER_LAYOUT, LAYOUT } from '../../program/layout.ts';
import { LAUNCHED } from '../../util/launched.ts';

/** Where the launcher's own things lie. Programs of the planner leave this part of the memory alone. */
export const OWN = LAUNCHER_LAYOUT.own.address;

/** Words, by their offset from OWN. */
export const WORDS = {
  /** Addresses: of the pointers to the environment, of the auxiliary vector, and of the end of arguments and environment. */
  environment: 0,
  auxiliary: 8,
  stringsEnd: 16,
  /** The descriptor of the connection; 0 while there is none. */
  socket: 24,
  /** What the last packet has as its will, and where the program being executed ends. */
  will: 32,
  end: 40,
  /** This process, and not one that a program has cloned. */
  pid: 48,
  /** Bytes of standard input that were read, at INPUT. */
  input: 56,
} as const;

/** What the engine reads before the environment: zeros at first, as all that follows. */
export const HEADER = LAUNCHER_LAYOUT.header.address;
/** The one variable of the engine's environment that names it. */
export const VARIABLE = HEADER + LAUNCHED.environment;
/** argv of the engine, where there is not even a name. */
export const ARGUMENTS = VARIABLE + 0x40;
/** envp of the engine. */
export const ENVIRONMENT = ARGUMENTS + 0x10;

/** Path of the engine. */
export const PATH = LAYOUT.message.address;
/** Of a path of the kernel, in bytes. */
export const PATH_MAX = 4096;
/** Path of the working directory. */
export const DIRECTORY = LAYOUT.bulk.address;

/** What the shim's launcher looks at before that, and then what it has read from standard input. */
export const INPUT = LAYOUT.bulk.address;
/** Options that are longer are longer than whoever reads them takes them. */
export const INPUT_MAX = 0x1_8000;

/** Above what callers preserve for a container. Where the limit forbids it a lower one does: nobody looks before it is closed. */
export const HIGH_DESCRIPTOR = 100;
