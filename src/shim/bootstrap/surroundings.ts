import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { writeKernelFile } from '../../sys/file.ts';

const SCORE = '/proc/self/oom_score_adj';
const SCORE_MAX = 1000;
const CGROUPS = '/sys/fs/cgroup';

/** The kernel prefers this process to containerd when memory runs out, by one. Errors: `host`. */
export function raiseOomScore(): void {
  const score = Number(readFileSync(SCORE, 'utf8'));
  writeKernelFile(SCORE, String(Math.min(score + 1, SCORE_MAX)));
}

/** Joins a cgroup that exists, in every hierarchy that has it. Errors: `host`. */
export function joinCgroup(cgroup: string): void {
  if (cgroup.split('/').includes('..'))
    throw new TsrunError('host', `join cgroup ${JSON.stringify(cgroup)}: it leads up`);
  const roots = [CGROUPS, ...readdirSync(CGROUPS).map((name) => `${CGROUPS}/${name}`)];
  const files = roots.map((root) => `${root}/${cgroup}/cgroup.procs`).filter((file) => existsSync(file));
  if (files.length === 0) throw new TsrunError('host', `join cgroup ${JSON.stringify(cgroup)}: there is none`);
  for (const file of files) writeKernelFile(file, String(process.pid));
}
