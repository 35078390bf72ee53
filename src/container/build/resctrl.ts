import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { findSchemataDifferences, type IntelRdtPlan } from '../../plan/cgroup/intel-rdt.ts';
import { hasErrno, reasonOf } from '../../sys/errno.ts';
import { writeKernelFile } from '../../sys/file.ts';
import type { ResctrlReference } from '../store/record.ts';

/** How directories are made and removed: those of resctrl come with files and go with them, unlike those of a test. */
export interface ResctrlFolders {
  readonly make: (directory: string) => void;
  readonly remove: (directory: string) => void;
}

const KERNEL: ResctrlFolders = {
  make: (directory) => {
    mkdirSync(directory);
  },
  remove: rmdirSync,
};

/** The container's part of the resctrl file system. Errors: `host` with the pointer in the message. */
export class Resctrl {
  readonly #mountPoint: string;
  readonly #plan: IntelRdtPlan;
  readonly #folders: ResctrlFolders;

  constructor(mountPoint: string, plan: IntelRdtPlan, folders = KERNEL) {
    this.#mountPoint = mountPoint;
    this.#plan = plan;
    this.#folders = folders;
  }

  /** The reference that `make` would give now, to be kept before anything is made. Touches nothing. */
  preview(): ResctrlReference {
    const made = this.#directories().filter((directory) => !existsSync(directory));
    return { mountPoint: this.#mountPoint, made: made.reverse() };
  }

  /** Makes or finds the class and the monitoring group. Nothing is left behind by a failure. */
  make(): ResctrlReference {
    const { mayMake, schemata, directory: name } = this.#plan;
    const [directory = '', group] = this.#directories();
    const made: string[] = [];
    try {
      if (!existsSync(directory)) {
        if (!mayMake) throw failure(`use class of service ${JSON.stringify(name)}: it does not exist`, '/closID');
        this.#do(`create class of service ${JSON.stringify(name)}`, '', () => {
          this.#folders.make(directory);
        });
        made.unshift(directory);
        this.#write(directory, schemata);
      } else this.#compare(directory, schemata);
      if (group !== undefined) {
        this.#do('create a monitoring group', '/enableMonitoring', () => {
          this.#folders.make(group);
        });
        made.unshift(group);
      }
      return { mountPoint: this.#mountPoint, made };
    } catch (error) {
      removeResctrl({ mountPoint: this.#mountPoint, made }, this.#folders);
      throw error;
    }
  }

  /** Puts a process into the class and the monitoring group; its children follow it. */
  join(pid: number): void {
    for (const directory of this.#directories()) {
      this.#do(`move process ${pid} into ${JSON.stringify(directory)}`, '', () => {
        writeKernelFile(path.join(directory, 'tasks'), String(pid));
      });
    }
  }

  /** The class first. */
  #directories(): string[] {
    const { directory, monitoring } = this.#plan;
    return [directory, ...(monitoring === undefined ? [] : [monitoring])].map((name) =>
      path.join(this.#mountPoint, name),
    );
  }

  #write(directory: string, schemata: readonly string[]): void {
    if (schemata.length === 0) return;
    const text = `${schemata.join('\n')}\n`;
    this.#do(`write schemata ${JSON.stringify(text)}`, '', () => {
      writeKernelFile(path.join(directory, 'schemata'), text);
    });
  }

  #compare(directory: string, schemata: readonly string[]): void {
    if (schemata.length === 0) return;
    this.#do(`use class of service ${JSON.stringify(this.#plan.directory)}`, '/closID', () => {
      const found = readFileSync(path.join(directory, 'schemata'), 'utf8');
      const differences = findSchemataDifferences(schemata, found);
      if (differences.length === 0) return;
      const shown = `${JSON.stringify(found.trim())} found, ${differences.map((line) => JSON.stringify(line)).join(', ')} wanted`;
      throw new TsrunError('host', `it has other schemata: ${shown}`);
    });
  }

  #do(what: string, pointer: string, action: () => void): void {
    try {
      action();
    } catch (cause) {
      const why = reasonOf(cause);
      // The kernel's reason for EINVAL is here.
      const file = path.join(this.#mountPoint, 'info/last_cmd_status');
      const status = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'ok';
      throw failure(`${what}: ${why}${status === 'ok' ? '' : ` (${status})`}`, pointer, cause);
    }
  }
}

/** Removes what was made; what is gone is fine. Errors: `state` for a path outside of resctrl, `host`. */
export function removeResctrl({ mountPoint, made }: ResctrlReference, folders = KERNEL): void {
  for (const directory of made) {
    if (!directory.startsWith(`${mountPoint}/`) || directory.split('/').includes('..'))
      throw new TsrunError(
        'state',
        `remove ${JSON.stringify(directory)}: wanted a path below ${JSON.stringify(mountPoint)}`,
      );
    try {
      folders.remove(directory);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT'))
        throw failure(`remove ${JSON.stringify(directory)}: ${reasonOf(error)}`, '', error);
    }
  }
}

function failure(message: string, pointer: string, cause?: unknown): TsrunError {
  return new TsrunError('host', message, { pointer: `/linux/intelRdt${pointer}`, cause });
}
