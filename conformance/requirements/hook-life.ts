import { readFileSync, writeFileSync } from 'node:fs';
import type { Hook, Hooks } from '../../src/spec/generated/config.ts';
import type { Case, Container } from '../harness/case.ts';

/** The six kinds of hooks of config.md, and containers that have them. */

export type Kind = keyof Hooks;

export interface HookKind {
  readonly kind: Kind;
  readonly heading: string;
  /** Operation that calls it. */
  readonly at: 'create' | 'start' | 'delete';
  /** Whose namespaces it runs in. */
  readonly within: 'runtime' | 'container';
  /** Whether its path is one of the container's file system. */
  readonly isInside: boolean;
}

export const KINDS: readonly HookKind[] = [
  { kind: 'prestart', heading: 'Prestart', at: 'create', within: 'runtime', isInside: false },
  { kind: 'createRuntime', heading: 'CreateRuntime Hooks', at: 'create', within: 'runtime', isInside: false },
  { kind: 'createContainer', heading: 'CreateContainer Hooks', at: 'create', within: 'container', isInside: false },
  { kind: 'startContainer', heading: 'StartContainer Hooks', at: 'start', within: 'container', isInside: true },
  { kind: 'poststart', heading: 'Poststart', at: 'start', within: 'runtime', isInside: false },
  { kind: 'poststop', heading: 'Poststop', at: 'delete', within: 'runtime', isInside: false },
];

export function kindOf(wanted: Kind): HookKind {
  const found = KINDS.find(({ kind }) => kind === wanted);
  if (found === undefined) throw new Error(`no kind ${wanted}`);
  return found;
}

/** A file that hooks of any kind and the program append to: beside the bundle, and `/log` in the container. */
export class Log {
  readonly #hostPath: string;

  constructor(c: Case) {
    this.#hostPath = c.fresh('log');
    writeFileSync(this.#hostPath, '');
  }

  get mount(): { destination: string; type: string; source: string; options: string[] } {
    return { destination: '/log', type: 'bind', source: this.#hostPath, options: ['bind', 'rw'] };
  }

  pathFor({ isInside }: { readonly isInside: boolean }): string {
    return isInside ? '/log' : this.#hostPath;
  }

  read(): string {
    return readFileSync(this.#hostPath, 'utf8').trim();
  }
}

/** A hook that runs a script in which `$LOG` is the log. */
export function scriptHook(log: Log, kind: HookKind, script: string): Hook {
  const text = `PATH=$PATH:/bin:/usr/bin; LOG=${log.pathFor(kind)}; ${script}`;
  return { path: '/bin/sh', args: ['sh', '-c', text] };
}

export interface Life {
  readonly container: Container;
  readonly log: Log;
  /** The log after create, after start, and after delete. */
  readonly seen: readonly [create: string, start: string, all: string];
}

const PROGRAM = 'echo program >> /log';

/** The whole life of a container with hooks. */
export async function live(c: Case, hooksOf: (log: Log) => Hooks): Promise<Life> {
  const log = new Log(c);
  const container = await c.create({
    script: PROGRAM,
    change: (config) => {
      config.mounts.push(log.mount);
      config.hooks = hooksOf(log);
    },
  });
  const afterCreate = log.read();
  await container.start();
  const afterStart = log.read();
  await container.waitForEnd();
  await container.waitForStatus('stopped');
  await container.delete();
  return { container, log, seen: [afterCreate, afterStart, log.read()] };
}

export function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
