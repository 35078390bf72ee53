import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ENGINE_FILE, SHIM_FILE } from '../../src/util/launched.ts';
import { tsrunFile } from '../live/support/surroundings.ts';
import { expectSuccess } from '../live/support/rig.ts';
import { CONTAINERD_TOOLS, withEachRuntime } from './support/containerd.ts';
import type { Runtime } from './support/runtimes.ts';
import { engines, type Surroundings } from './support/surroundings.ts';

/** A launcher whose engine writes down its action before it starts. */
class Counted {
  readonly runtime: Runtime;
  readonly #log: string;

  constructor(inside: Surroundings) {
    const directory = inside.fresh('counted');
    mkdirSync(directory);
    const launcher = path.join(directory, SHIM_FILE);
    this.#log = path.join(directory, 'log');
    this.runtime = { name: 'tsrun-shim', path: launcher, isShim: true };
    const built = path.dirname(tsrunFile);
    copyFileSync(path.join(built, SHIM_FILE), launcher);
    const script = `for last; do :; done; echo "$last" >>'${this.#log}'; exec -a '${launcher}' '${built}/${ENGINE_FILE}' "$@"`;
    writeFileSync(path.join(directory, ENGINE_FILE), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
  }

  /** Actions of the engines that were started since the last call. */
  take(): string[] {
    const text = readFileSync(this.#log, 'utf8');
    writeFileSync(this.#log, '');
    return text.trim().split('\n').filter(Boolean);
  }
}

if (!tsrunFile.endsWith('.js'))
  engines('engines that a shim starts', { tools: [...CONTAINERD_TOOLS, 'bash'] }, async (t, inside) => {
    const counted = new Counted(inside);
    await withEachRuntime(
      t,
      inside,
      async (t, containerd) => {
        expectSuccess(t, await containerd.run(['--rm'], 'usual', ['true']));
        t.strictSame(counted.take(), ['start'], 'none for delete after a usual end');
        for (const id of ['pod', 'second'])
          await containerd.sleeper(t, id, ['--annotation', 'io.kubernetes.cri.sandbox-id=pod']);
        for (const id of ['second', 'pod']) await containerd.remove(t, id);
        t.strictSame(counted.take(), ['start', 'start'], 'nor for those of a pod');
      },
      () => [counted.runtime],
    );
  });
