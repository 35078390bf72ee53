import type { Log } from '../log.ts';

type Write = (message: string) => void;

/** Where messages go; `console` is one. What it has no method for is left out. */
export interface LogOption {
  readonly debug?: Write;
  readonly warn?: Write;
  readonly error?: Write;
}

/** The log that operations write to. */
export function toLog(option: LogOption = {}): Log {
  return {
    debug: (message) => option.debug?.(message),
    warning: (message) => option.warn?.(message),
    error: (message) => option.error?.(message),
  };
}
