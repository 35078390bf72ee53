/** config.md, "Mounts". */
import type { Issue } from '../../errors.ts';
import { isBindMount } from '../bind-mount.ts';
import { cleanPath } from '../clean-path.ts';
import { isIdMapOption, isTmpfsOption, mountOptions } from '../mount-options.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, hasNamespace, isAbsent, isForLinux, itemsOf } from './draft.ts';

/** Paths are covered, and the root propagates, only in a mount namespace; mounts go without one. */
export function checkMountNamespace(config: DraftConfig): Issue[] {
  if (!isForLinux(config) || hasNamespace(config, 'mount')) return [];
  const issues: Issue[] = [];
  const wanted = 'without a namespace of type "mount"';
  for (const name of ['maskedPaths', 'readonlyPaths'] as const) {
    if (isAbsent(config.linux?.[name])) continue;
    const message = `has paths ${wanted}: unable to restrict sys entries without a private MNT namespace`;
    issues.push({ pointer: `/linux/${name}`, message });
  }
  if (!isAbsent(config.linux?.rootfsPropagation)) {
    const found = quote(config.linux?.rootfsPropagation);
    issues.push({ pointer: '/linux/rootfsPropagation', message: `is ${found} ${wanted}` });
  }
  return issues;
}

/** No mount covers the rootfs itself: everything set up so far would be out of sight. */
export function checkMountOnRoot({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [{ destination }, pointer] of itemsOf(mounts, '/mounts')) {
    if (destination === undefined || cleanPath(destination) !== '/') continue;
    const message = `is ${quote(destination)}, wanted a path below "/": mountpoint is on the top of rootfs`;
    issues.push({ pointer: `${pointer}/destination`, message });
  }
  return issues;
}

// Files of /proc that lxcfs and others replace by what is true inside the container. runc's checkProcMount has the same.
const replaceableProcFiles: ReadonlySet<string> = new Set([
  '/proc/cpuinfo',
  '/proc/diskstats',
  '/proc/meminfo',
  '/proc/stat',
  '/proc/swaps',
  '/proc/uptime',
  '/proc/loadavg',
  '/proc/slabinfo',
  '/proc/sys/kernel/ns_last_pid',
  '/proc/sys/crypto/fips_enabled',
]);

/** /proc is a procfs, and only harmless files of it are covered: the runtime itself relies on it (CVE-2019-16884). */
export function checkProcMounts({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(mounts, '/mounts')) {
    const path = cleanPath(mount.destination ?? '');
    const found = `is ${quote(mount.destination)}`;
    if (path === '/proc') {
      if (mount.type === 'proc' || isBindMount(mount) || isRemount(mount)) continue;
      const message = `${found} with type ${quote(mount.type ?? '')}, wanted "proc" or a bind mount: ${path} cannot be mounted because it is not of type proc`;
      issues.push({ pointer: `${pointer}/destination`, message });
    } else if (path.startsWith('/proc/') && !replaceableProcFiles.has(path)) {
      const message = `${found}, wanted a path outside /proc: ${path} cannot be mounted because it is inside /proc`;
      issues.push({ pointer: `${pointer}/destination`, message });
    }
  }
  return issues;
}

/** Bind mounts have a source and no data options, since there is no file system to take them; `advice.ts` on those of tmpfs. */
export function checkBindMounts({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(mounts, '/mounts')) {
    if (!isBindMount(mount)) continue;
    if (!('source' in mount) || mount.source === '') {
      if (!isRemount(mount)) issues.push({ pointer, message: 'lacks the property "source", wanted what to bind' });
    }
    issues.push(...checkCopiedSymlink(mount.options ?? [], `${pointer}/options`));
    for (const [option, at] of itemsOf(mount.options, `${pointer}/options`)) {
      if (mountOptions.has(option) || isTmpfsOption(option)) continue;
      const message = `is ${quote(option)}: bind mounts cannot have any filesystem-specific options applied`;
      issues.push({ pointer: at, message });
    }
  }
  return issues;
}

/** A symlink that is copied is not mounted, so that nothing could be left unfollowed. */
function checkCopiedSymlink(options: readonly (string | undefined)[], pointer: string): Issue[] {
  if (!options.includes('copy-symlink')) return [];
  return ['src-nofollow', 'dest-nofollow']
    .filter((other) => options.includes(other))
    .map((other) => ({ pointer, message: `has both "copy-symlink" and ${quote(other)}, wanted one of them` }));
}

/** Every other mount says which file system it is. */
export function checkMountTypes({ mounts }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(mounts, '/mounts')) {
    const isMissing = mount.type === '' || !('type' in mount);
    if (!isMissing || isBindMount(mount) || isRemount(mount)) continue;
    issues.push({ pointer, message: 'lacks the property "type", wanted one, or the option "bind" or "rbind"' });
  }
  return issues;
}

/** Id-mapped mounts are bind mounts, with mappings of their own or those of the container's user namespace. */
export function checkIdMappedMounts(config: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [mount, pointer] of itemsOf(config.mounts, '/mounts')) {
    const hasMappings = !isAbsent(mount.uidMappings) || !isAbsent(mount.gidMappings);
    const hasOption = (mount.options ?? []).some(isIdMapOption);
    if (!hasMappings && !hasOption) continue;
    if (!isBindMount(mount)) {
      issues.push({ pointer, message: 'is id-mapped, wanted a bind mount: the option "bind" or "rbind"' });
    }
    if (!hasMappings && !hasNamespace(config, 'user')) {
      const message = 'is id-mapped without mappings, wanted uidMappings and gidMappings or a namespace of type "user"';
      issues.push({ pointer, message });
    }
  }
  return issues;
}

function isRemount(mount: { readonly options?: readonly (string | undefined)[] | undefined }): boolean {
  return mount.options?.includes('remount') ?? false;
}
