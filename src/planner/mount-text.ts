import { readFileSync } from 'node:fs';
import { pollException } from '../sys/events/poll.ts';
import { openFile } from '../sys/file.ts';
import { O_RDONLY } from '../util/constants.ts';

const FILE = '/proc/self/mountinfo';

/** The mounts of this process's namespace, read again when the kernel says that they have changed (man 5 proc_pid_mountinfo). */
export class MountText {
  readonly #file = openFile(FILE, O_RDONLY);
  #text: string | undefined;

  read(): string {
    if (pollException(this.#file.number)) this.#text = undefined;
    this.#text ??= readFileSync(FILE, 'utf8');
    return this.#text;
  }
}
