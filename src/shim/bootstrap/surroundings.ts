import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import type { OwnedFd } from '../../sys/fd.ts';
import { openFile, writeKernelFile } from '../../sys/file.ts';
import { setProcessName } from '../../sys/process/name.ts';
import { beginSession, replaceStandard } from '../../sys/process/session.ts';
import { O_RDWR } from '../../util/constants.ts';
import type { ShimOptions } from '../task/options.ts';

/** The kernel keeps 15 letters of it. */
const NAME = 'containerd-shim';

const SCORE = '/proc/self/oom_score_adj';
const SCORE_MAX = 1000;
const CGROUPS = '/sys/fs/cgroup';

/**
 * A process group, and a place among the processes, of its own. One that is expendable goes before containerd when memory runs out. Errors:
 * `host`.
 */
export function enterSurroundings(
  { shimCgroup }: ShimOptions,
  { isExpendable }: { readonly isExpendable: boolean },
): void {
  beginSession();
  setProcessName(NAME);
  if (isExpendable) raiseOomScore();
  if (shimCgroup !== '') joinCgroup(shimCgroup);
}

/** containerd waits until nobody has its pipe any more; and the bundle is not this process's to hold. `output` takes what the engine says. */
export function leaveCaller(output: OwnedFd): void {
  using nothing = openFile('/dev/null', O_RDWR);
  replaceStandard(0, nothing);
  replaceStandard(1, output);
  replaceStandard(2, output);
  process.chdir('/');
}

/** The kernel prefers this process to containerd when memory runs out, by one. Errors: `host`. */
function raiseOomScore(): void {
  const score = Number(readFileSync(SCORE, 'utf8'));
  writeKernelFile(SCORE, String(Math.min(score + 1, SCORE_MAX)));
}

/** Joins a cgroup that exists, in every hierarchy that has it. Errors: `host`. */
function joinCgroup(cgroup: string): void {
  if (cgroup.split('/').includes('..'))
    throw new TsrunError('host', `join cgroup ${JSON.stringify(cgroup)}: it leads up`);
  const roots = [CGROUPS, ...readdirSync(CGROUPS).map((name) => `${CGROUPS}/${name}`)];
  const files = roots.map((root) => `${root}/${cgroup}/cgroup.procs`).filter((file) => existsSync(file));
  if (files.length === 0) throw new TsrunError('host', `join cgroup ${JSON.stringify(cgroup)}: there is none`);
  for (const file of files) writeKernelFile(file, String(process.pid));
}
