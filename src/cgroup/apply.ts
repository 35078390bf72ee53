import { TsrunError } from '../errors.ts';
import type { CgroupWrite, ControllerEnable, InheritWrite, UsageCheck, ValueWrite } from '../plan/cgroup/plan.ts';
import { wording } from '../util/wording.ts';
import {
  cgroupError,
  errnoOf,
  openControlFile,
  readControlFile,
  tryReadControlFile,
  writeControlFile,
  type OpenControlFile,
} from './control-file.ts';

/** A place where writes go: the cgroup's own path and the mount point that ancestors are relative to. */
export interface WriteTarget {
  readonly mountPoint: string;
  readonly hostPath: string;
}

/**
 * Carries out planned writes in their order; those that the kernel wants after others are made once more at the end.
 *
 * Errors: `cgroup` with the label, the path, the value and the errno; `issues` has the JSON pointer of the setting.
 */
export function applyWrites(writes: readonly CgroupWrite[], targets: readonly WriteTarget[]): void {
  using files = new LastFile();
  const repeated: ValueWrite[] = [];
  for (const write of writes) {
    const target = targets[write.directory];
    if (target === undefined) throw new Error(`bug: ${JSON.stringify(write.label)} has no directory`);
    const path =
      write.ancestor === undefined
        ? target.hostPath
        : `${target.mountPoint}${write.ancestor === '/' ? '' : write.ancestor}`;
    switch (write.kind) {
      case 'value':
        if (applyValue(write, path, { files, again: write.again ?? [] }) === 'again') repeated.push(write);
        break;
      case 'inherit':
        inherit(write, path);
        break;
      case 'check':
        checkUsage(write, path);
        break;
      case 'enable':
        enable(write, path);
        break;
    }
  }
  for (const write of repeated) applyValue(write, targets[write.directory]?.hostPath ?? '', { files, again: [] });
}

/** The file that was written last stays open for the next value: lists of rules go to one file, a line at a time. */
class LastFile implements Disposable {
  #file: OpenControlFile | undefined;

  write(path: string, value: string): void {
    if (this.#file?.path !== path) {
      this[Symbol.dispose]();
      this.#file = openControlFile(path);
    }
    this.#file.write(value);
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
  }
}

interface ValueOptions {
  readonly files: LastFile;
  /** Errnos after which the write is to be made once more. */
  readonly again: readonly string[];
}

function applyValue(write: ValueWrite, directory: string, options: ValueOptions): 'done' | 'again' {
  const path = `${directory}/${write.file}`;
  for (const line of write.value.split('\n')) {
    // A final line feed in a value of several lines is no line of its own.
    if (line === '' && write.value !== '') continue;
    try {
      options.files.write(path, line);
    } catch (error) {
      const errno = errnoOf(error);
      if (write.orElse !== undefined && errno === 'ENOENT') return applyValue(write.orElse, directory, options);
      if (options.again.includes(errno)) return 'again';
      if (write.accept?.some((accepted) => accepted === errno)) return 'done';
      throw errno === 'EBUSY' && write.usage !== undefined
        ? tooLow(write, write.usage, directory)
        : failure(write, `write ${JSON.stringify(line)} to ${JSON.stringify(path)}`, error);
    }
  }
  return 'done';
}

/** In runc's words. */
function tooLow(write: ValueWrite, usage: { current: string; peak: string }, directory: string): TsrunError {
  const read = (file: string): string => tryReadControlFile(`${directory}/${file}`) ?? 'unknown';
  const message = wording.memoryLimitTooLow(write.value, read(usage.current), read(usage.peak));
  const issues = write.pointer === undefined ? [] : [{ pointer: write.pointer, message }];
  return TsrunError.of('cgroup', `${write.label}: ${message}`, 'EBUSY', { issues });
}

function inherit(write: InheritWrite, directory: string): void {
  const path = `${directory}/${write.file}`;
  const parent = `${directory.slice(0, directory.lastIndexOf('/'))}/${write.file}`;
  try {
    if (readControlFile(path) !== '') return;
    writeControlFile(path, readControlFile(parent));
  } catch (error) {
    throw failure(write, `copy ${JSON.stringify(parent)} to ${JSON.stringify(path)}`, error);
  }
}

function checkUsage(write: UsageCheck, directory: string): void {
  const path = `${directory}/${write.file}`;
  let usage: string;
  try {
    usage = readControlFile(path);
  } catch (error) {
    throw failure(write, `read ${JSON.stringify(path)}`, error);
  }
  if (BigInt(usage) < BigInt(write.limit)) return;
  const message = `the usage is ${usage}, wanted less than ${write.limit}`;
  const issues = write.pointer === undefined ? [] : [{ pointer: write.pointer, message }];
  throw new TsrunError('cgroup', `${write.label}: ${message}`, { issues });
}

/** One controller a write: the kernel takes all of them or none, and one that cannot be had must not cost the others. */
function enable(write: ControllerEnable, directory: string): void {
  const path = `${directory}/cgroup.subtree_control`;
  const available = readWords(write, `${directory}/cgroup.controllers`);
  const enabled = readWords(write, path);
  for (const controller of write.controllers) {
    if (enabled.includes(controller)) continue;
    const pointer = write.required[controller];
    if (!available.includes(controller)) {
      if (pointer === undefined) continue;
      const message = `the cgroup controller ${JSON.stringify(controller)} is not available in ${JSON.stringify(directory)}`;
      throw new TsrunError('cgroup', `${write.label}: ${message}`, { issues: [{ pointer, message }] });
    }
    try {
      writeControlFile(path, `+${controller}`);
    } catch (error) {
      if (pointer === undefined) continue;
      const why = errnoOf(error) === 'EBUSY' ? ' (a cgroup with processes cannot pass controllers on)' : '';
      throw cgroupError(`${write.label}: write "+${controller}" to ${JSON.stringify(path)}${why}`, error, pointer);
    }
  }
}

function readWords(write: ControllerEnable, path: string): string[] {
  try {
    return readControlFile(path).split(' ');
  } catch (error) {
    throw failure(write, `read ${JSON.stringify(path)}`, error);
  }
}

function failure(write: CgroupWrite, what: string, error: unknown): TsrunError {
  return cgroupError(`${write.label}: ${what}`, error, write.pointer);
}
