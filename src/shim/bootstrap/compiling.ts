import { descriptorPath, setCloseOnExec } from '../../sys/fd.ts';
import { openFile } from '../../sys/file.ts';
import { writeFully } from '../../sys/io.ts';
import { createMemfd } from '../../sys/memfd.ts';
import { becomeExecutable } from '../../sys/process/exec.ts';
import { replaceStandard } from '../../sys/process/session.ts';
import { O_CLOEXEC, O_RDONLY } from '../../util/constants.ts';
import type { ShimProcess } from './shim-process.ts';

/** What the launcher tells an engine whose program is over before machine code pays. */
const INTERPRETING = 'BUN_JSC_useJIT=0';

/**
 * This process becomes the same program on an engine that compiles, unless it is on one: who serves many containers takes a fifth of the
 * time less for each. `input` is what was read from standard input. Where that cannot be it stays as it is.
 */
export function ensureCompiling({ again }: Pick<ShimProcess, 'again'>, input: Uint8Array): void {
  if (again === undefined) return;
  using environment = createMemfd('tsrun-environment');
  const all = again.environment(environment.number);
  const compiling = all.filter((entry) => entry !== INTERPRETING);
  if (compiling.length === all.length) return;
  writeFully(environment.number, again.handOver(0));
  setCloseOnExec(environment.number, { closes: false });
  using given = createMemfd('tsrun-options');
  writeFully(given.number, input);
  // Another opening, which is at the beginning.
  using options = openFile(descriptorPath(given.number), O_RDONLY);
  replaceStandard(0, options);
  using engine = openFile('/proc/self/exe', O_RDONLY | O_CLOEXEC);
  becomeExecutable(engine.number, process.argv0, { args: again.args, environment: compiling });
}
