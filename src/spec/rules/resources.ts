/** config-linux.md, "Control groups". */
import type { Issue } from '../../errors.ts';
import { pointerTo } from '../pointer.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, isDamaged, itemsOf, membersOf } from './draft.ts';

const base = '/linux/resources';

/** The path stays below the cgroup it is relative to. */
export function checkCgroupsPath({ linux }: DraftConfig): Issue[] {
  const path = linux?.cgroupsPath;
  if (path === undefined || !path.split('/').includes('..')) return [];
  return [{ pointer: '/linux/cgroupsPath', message: `is ${quote(path)}, wanted a path without ".."` }];
}

/** Memory and swap together are not below memory alone, and are not limited without it. */
export function checkMemory({ linux }: DraftConfig): Issue[] {
  const memory = linux?.resources?.memory ?? {};
  const { limit = 0, swap = 0 } = memory;
  const pointer = `${base}/memory/swap`;
  if (swap <= 0 || limit < 0 || isDamaged(memory, 'limit')) return [];
  if (Number(limit) === 0) {
    return [{ pointer, message: 'unable to set swap limit without memory limit' }];
  }
  if (swap >= limit) return [];
  return [{ pointer, message: `is ${swap}, wanted at least ${limit}: memory+swap limit should be >= memory limit` }];
}

// sched/core.c: shortest quota and period, and longest period.
const shortestUs = 1000;
const longestUs = 1_000_000;

/** CPU times are such that the kernel takes them. */
export function checkCpu({ linux }: DraftConfig): Issue[] {
  const { shares = 0, quota = 0, burst = 0, period = 0, realtimeRuntime, realtimePeriod } = linux?.resources?.cpu ?? {};
  const issues: Issue[] = [];
  const report = (name: string, message: string) => issues.push({ pointer: `${base}/cpu/${name}`, message });
  if (Number(shares) === 1) report('shares', 'is 1, wanted 0 or at least 2');
  if (quota > 0 && quota < shortestUs) report('quota', `is ${quota}, wanted at least ${shortestUs} microseconds`);
  if (period > 0 && (period < shortestUs || period > longestUs)) {
    report('period', `is ${period}, wanted ${shortestUs} to ${longestUs} microseconds`);
  }
  if (quota > 0 && burst > quota) report('burst', `is ${burst}, wanted at most the quota ${quota}`);
  if (realtimeRuntime !== undefined && realtimePeriod !== undefined && Number(realtimePeriod) !== 0) {
    if (realtimeRuntime > realtimePeriod) {
      report('realtimeRuntime', `is ${realtimeRuntime}, wanted at most realtimePeriod ${realtimePeriod}`);
    }
  }
  return issues;
}

/** Block I/O weights are 10 to 1000, and an entry for a device has one. */
export function checkBlockIo({ linux }: DraftConfig): Issue[] {
  const blockIO = linux?.resources?.blockIO ?? {};
  const issues = checkWeights(blockIO, `${base}/blockIO`);
  for (const [device, pointer] of itemsOf(blockIO.weightDevice, `${base}/blockIO/weightDevice`)) {
    issues.push(...checkWeights(device, pointer));
    if ('weight' in device || 'leafWeight' in device) continue;
    issues.push({ pointer, message: 'lacks the properties "weight" and "leafWeight", wanted at least one' });
  }
  return issues;
}

function checkWeights(
  holder: { readonly weight?: number | undefined; readonly leafWeight?: number | undefined },
  at: string,
) {
  const issues: Issue[] = [];
  for (const name of ['weight', 'leafWeight'] as const) {
    const weight = holder[name] ?? 0;
    if (weight !== 0 && weight < 10)
      issues.push({ pointer: `${at}/${name}`, message: `is ${weight}, wanted 10 to 1000` });
  }
  return issues;
}

/** Each size of huge pages is limited once. */
export function checkHugepages({ linux }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const [{ pageSize }, pointer] of itemsOf(linux?.resources?.hugepageLimits, `${base}/hugepageLimits`)) {
    if (pageSize === undefined) continue;
    if (seen.has(pageSize)) issues.push({ pointer, message: `is a second limit for ${quote(pageSize)}, wanted one` });
    seen.add(pageSize);
  }
  return issues;
}

/** An RDMA device has a limit. */
export function checkRdma({ linux }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [device, pointer] of membersOf(linux?.resources?.rdma, `${base}/rdma`)) {
    if ('hcaHandles' in device || 'hcaObjects' in device) continue;
    issues.push({ pointer, message: 'lacks the properties "hcaHandles" and "hcaObjects", wanted at least one' });
  }
  return issues;
}

/** Files that act on processes instead of setting a limit: they would move, stop or kill what is not there yet. */
const notLimits: readonly string[] = ['cgroup.procs', 'cgroup.threads', 'cgroup.kill', 'cgroup.freeze'];

/** Keys of `unified` are names of files in the container's own cgroup, and each of them is a limit. */
export function checkUnified({ linux }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const key of Object.keys(linux?.resources?.unified ?? {})) {
    const report = (message: string) => issues.push({ pointer: pointerTo(`${base}/unified`, key), message });
    if (!/^[a-z_]+\.[A-Za-z0-9_.]+$/.test(key)) {
      report(`is named ${quote(key)}, wanted a file name such as "memory.high", without "/"`);
    } else if (notLimits.includes(key)) report(`is named ${quote(key)}, which acts on processes, wanted a limit`);
  }
  return issues;
}
