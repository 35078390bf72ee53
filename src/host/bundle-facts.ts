import { realpathSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../errors.ts';
import { bindSource } from '../plan/bind-mounts.ts';
import type { BundleFacts, SourceKind } from '../plan/facts.ts';
import { isBindMount } from '../spec/bind-mount.ts';
import type { Config } from '../spec/generated/config.ts';
import { mountPointOf, parseMountinfo } from './mountinfo.ts';

/**
 * Looks at the places of the host that a config names: the rootfs, the sources of bind mounts, the namespaces to join.
 *
 * `bundle` is absolute, symlinks resolved. Errors: `bundle` when the rootfs is missing, no directory, or reached by a symlink.
 */
export function readBundleFacts(config: Config, bundle: string): BundleFacts {
  const rootfs = readRootfs(config, bundle);
  return {
    bundle,
    rootfs,
    rootfsMountPoint: mountPointOf(parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')), rootfs),
    sources: readSources(config, bundle),
    namespaces: readNamespaceFiles(config),
  };
}

function readRootfs(config: Config, bundle: string): string {
  const wanted = path.resolve(bundle, config.root?.path ?? '');
  const shown = JSON.stringify(wanted);
  try {
    const resolved = realpathSync(wanted);
    if (!statSync(resolved).isDirectory()) {
      throw new TsrunError('bundle', `invalid rootfs: ${shown} is not a directory (/root/path of config.json)`);
    }
    return resolved;
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
    const what = errno === 'ENOENT' ? 'no such file or directory' : errno;
    throw new TsrunError('bundle', `invalid rootfs: ${shown}: ${what} (/root/path of config.json)`, {
      errno,
      cause: error,
    });
  }
}

function readSources(config: Config, bundle: string): Record<string, SourceKind> {
  const sources: Record<string, SourceKind> = {};
  for (const mount of config.mounts ?? []) {
    if (!isBindMount(mount)) continue;
    const source = bindSource(mount, bundle);
    sources[source] ??= kindOf(source);
  }
  return sources;
}

function kindOf(source: string): SourceKind {
  try {
    return statSync(source).isDirectory() ? 'directory' : 'file';
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    // Magic links of /proc (a namespace, a descriptor) are found although they resolve to no path; so only these count as missing.
    return errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ENXIO' ? 'missing' : 'file';
  }
}

function readNamespaceFiles(config: Config): Record<string, string> {
  const inodes: Record<string, string> = {};
  for (const { path: file = '' } of config.linux?.namespaces ?? []) {
    if (file !== '') inodes[file] = inodeOf(file);
  }
  return inodes;
}

function inodeOf(file: string): string {
  try {
    return String(statSync(file, { bigint: true }).ino);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ESRCH') return 'missing';
    throw new TsrunError('bundle', `look at namespace ${JSON.stringify(file)}: ${errno}`, { errno, cause: error });
  }
}
