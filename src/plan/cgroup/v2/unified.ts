import type { Resources } from '../../../spec/generated/config.ts';
import type { Problems } from '../problems.ts';
import type { CgroupWrite, ControllerPlace } from '../writes.ts';

/** Files that act on processes instead of setting a limit: they would move, stop or kill what is not there yet. */
const NOT_LIMITS = new Set(['cgroup.procs', 'cgroup.threads', 'cgroup.kill', 'cgroup.freeze']);

/** config-linux.md, "Unified": file name -> value, written after everything else, unknown files included. */
export function planUnified(
  resources: Resources,
  place: ControllerPlace,
  options: { available: readonly string[]; problems: Problems },
): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  for (const [file, value] of Object.entries(resources.unified ?? {})) {
    const pointer = `/linux/resources/unified/${file.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const problem = describeProblem(file, options.available);
    if (problem === undefined) {
      writes.push({ kind: 'value', ...place, file, value, label: `set unified ${JSON.stringify(file)}`, pointer });
    } else if (problem.wrong) options.problems.wrong(pointer, problem.message);
    else options.problems.unsupported(pointer, problem.message);
  }
  return writes;
}

function describeProblem(file: string, available: readonly string[]): { wrong: boolean; message: string } | undefined {
  if (!/^[a-z_]+\.[A-Za-z0-9_.]+$/.test(file)) {
    return { wrong: true, message: `expected "CONTROLLER.PARAMETER", found ${JSON.stringify(file)}` };
  }
  if (NOT_LIMITS.has(file))
    return { wrong: true, message: `expected a limit, found ${JSON.stringify(file)}, which acts on processes` };
  const controller = controllerOf(file);
  if (controller === 'cgroup' || available.includes(controller)) return undefined;
  return {
    wrong: false,
    message: `the cgroup controller ${JSON.stringify(controller)} is not available on this machine`,
  };
}

/** `memory` of `memory.high`. */
export function controllerOf(file: string): string {
  return file.slice(0, file.indexOf('.'));
}
