/** config-linux.md, "Sysctl": only what belongs to a namespace of the container may be set. */
import type { Issue } from '../../errors.ts';
import { quote } from '../quote.ts';
import { sysctlPath } from '../sysctl-path.ts';
import { type DraftConfig, hasNamespace, isAbsent, membersOf } from './draft.ts';

const ipcParameters: ReadonlySet<string> = new Set([
  'kernel/msgmax',
  'kernel/msgmnb',
  'kernel/msgmni',
  'kernel/sem',
  'kernel/shmall',
  'kernel/shmmax',
  'kernel/shmmni',
  'kernel/shm_rmid_forced',
]);

/** Every kernel parameter belongs to a namespace that the container does not share with the host. */
export function checkSysctl(config: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [, pointer, key] of membersOf(config.linux?.sysctl, '/linux/sysctl')) {
    const problem = problemOf(config, key);
    if (problem !== undefined) issues.push({ pointer, message: problem });
  }
  return issues;
}

function problemOf(config: DraftConfig, key: string): string | undefined {
  const path = sysctlPath(key);
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    return `is ${quote(key)}, wanted a kernel parameter such as "net.ipv4.ip_forward"`;
  }
  if (path === 'kernel/hostname') {
    return `sysctl ${quote(key)} is not allowed as it conflicts with the OCI "hostname" field`;
  }
  if (ipcParameters.has(path) || path.startsWith('fs/mqueue/')) {
    return need(config, 'ipc', `sysctl ${quote(key)} is not allowed in the hosts ipc namespace`);
  }
  if (path.startsWith('net/'))
    return need(config, 'network', `sysctl ${quote(key)} not allowed in host network namespace`);
  const separate = `sysctl ${quote(key)} is not in a separate kernel namespace`;
  if (path === 'kernel/domainname') {
    if (isOther(config, key))
      return `sysctl ${quote(key)} is not allowed as it conflicts with the OCI "domainname" field`;
    return need(config, 'uts', separate);
  }
  if (path.startsWith('user/')) return need(config, 'user', separate);
  return `${separate}, wanted one of the ipc, network, uts or user namespace`;
}

/** Two names for one value: as crun, only the same twice is accepted. */
function isOther({ domainname, linux }: DraftConfig, key: string): boolean {
  return !isAbsent(domainname) && domainname !== '' && domainname !== linux?.sysctl?.[key];
}

function need(config: DraftConfig, type: 'ipc' | 'network' | 'uts' | 'user', problem: string): string | undefined {
  return hasNamespace(config, type) ? undefined : `${problem}, wanted a namespace of type "${type}"`;
}
