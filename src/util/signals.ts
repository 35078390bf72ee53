import { nearestName } from './nearest-name.ts';

/** Signal name without `SIG` -> number, on every architecture but MIPS, SPARC, Alpha and PA-RISC (man 7 signal). */
export const SIGNALS = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  IOT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  POLL: 29,
  PWR: 30,
  SYS: 31,
} as const;

// The C libraries keep 32 and 33 for themselves, and so the first signal that a program may use is 34.
const SIGRTMIN = 34;
const SIGRTMAX = 64;

const numbers: ReadonlyMap<string, number> = new Map(Object.entries(SIGNALS));

/**
 * The number of a signal that a person or a caller has written: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`.
 *
 * 0 is allowed and only looks whether there is a process. Undefined for everything else.
 */
export function parseSignal(text: string): number | undefined {
  const number = /^\d{1,2}$/.test(text) ? Number(text) : signalOfName(text.toUpperCase());
  return number === undefined || number > SIGRTMAX ? undefined : number;
}

/** The name that is most like a mistyped one. */
export function nearestSignal(text: string): string | undefined {
  return nearestName(text.toUpperCase().replace(/^SIG/, ''), Object.keys(SIGNALS));
}

function signalOfName(upperCase: string): number | undefined {
  const name = upperCase.startsWith('SIG') ? upperCase.slice(3) : upperCase;
  return numbers.get(name) ?? realTimeSignal(name);
}

function realTimeSignal(name: string): number | undefined {
  const [, base, distance] = /^(RTMIN(?=$|\+)|RTMAX(?=$|-))(?:[+-](\d{1,2}))?$/.exec(name) ?? [];
  if (base === undefined) return undefined;
  const number = base === 'RTMIN' ? SIGRTMIN + Number(distance ?? 0) : SIGRTMAX - Number(distance ?? 0);
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}

/** The name of a signal with `SIG`, such as `SIGTERM`; those for realtime as `SIGRTMIN+3`. */
export function signalName(number: number): string {
  const name = Object.entries(SIGNALS).find(([, value]) => value === number)?.[0];
  if (name !== undefined) return `SIG${name}`;
  return number < SIGRTMIN ? `SIG${number}` : `SIGRTMIN${number === SIGRTMIN ? '' : `+${number - SIGRTMIN}`}`;
}
