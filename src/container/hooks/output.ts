import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { configAnnotations } from '../../spec/annotations.ts';
import { reasonOf } from '../../sys/errno.ts';

/** The outputs of a hook that are kept; each has an annotation that names a file for it. */
export type OutputName = 'stdout' | 'stderr';

/** What a hook printed is for the failure message: more of it than this helps nobody. */
const LIMIT_BYTES = 16 * 1024;

const ANNOTATIONS: Readonly<Record<OutputName, string>> = {
  stdout: configAnnotations.hookStdout,
  stderr: configAnnotations.hookStderr,
};

/** What one hook prints: the beginning of it is kept, and all of it goes to the files that the annotations name. */
export class HookOutput implements Disposable {
  readonly #parts: Record<OutputName, Buffer[]> = { stdout: [], stderr: [] };
  readonly #sizes: Record<OutputName, number> = { stdout: 0, stderr: 0 };
  readonly #files: Record<OutputName, number | undefined> = { stdout: undefined, stderr: undefined };

  readonly #log: Log;

  /** Errors: `hook` when a file cannot be opened. */
  constructor(annotations: Readonly<Record<string, string>> | undefined, log: Log) {
    this.#log = log;
    try {
      for (const name of ['stdout', 'stderr'] as const) {
        const file = annotations?.[ANNOTATIONS[name]] ?? '';
        if (file !== '') this.#files[name] = openOutput(file, ANNOTATIONS[name]);
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  take(name: OutputName, bytes: Buffer): void {
    this.#append(name, bytes);
    const part = bytes.subarray(0, LIMIT_BYTES - this.#sizes[name]);
    if (part.length === 0) return;
    this.#parts[name].push(Buffer.from(part));
    this.#sizes[name] += part.length;
  }

  /** A file that takes no more does not decide about the container. */
  #append(name: OutputName, bytes: Buffer): void {
    const file = this.#files[name];
    if (file === undefined) return;
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    } catch (error) {
      this.#log.warning(`write the ${name} of a hook: ${reasonOf(error)}`);
      this.#close(name);
    }
  }

  /** For the failure message, in the words of runc. */
  describe(): string {
    return `stdout: ${this.#text('stdout')}, stderr: ${this.#text('stderr')}`;
  }

  #text(name: OutputName): string {
    return Buffer.concat(this.#parts[name]).toString('utf8').trimEnd();
  }

  [Symbol.dispose](): void {
    this.#close('stdout');
    this.#close('stderr');
  }

  #close(name: OutputName): void {
    const file = this.#files[name];
    if (file !== undefined) closeSync(file);
    this.#files[name] = undefined;
  }
}

function openOutput(file: string, annotation: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK } = constants;
  try {
    // Opened without waiting: a named pipe that nobody reads is refused.
    return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0o600);
  } catch (cause) {
    const where = `/annotations/${annotation} of config.json`;
    throw TsrunError.of('hook', `open ${JSON.stringify(file)} for the output of hooks (${where})`, cause);
  }
}
