import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const CACHE = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 'tsrun-debian');

/** A tree that is older is fetched anew, where that is possible. */
const FRESH_MS = 30 * 24 * 60 * 60 * 1000;

/** This machine's mirror, which may be a snapshot or behind a proxy. */
function mirror(): string {
  const sources = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].filter((file) =>
    existsSync(file),
  );
  const text = sources.map((file) => readFileSync(file, 'utf8')).join('\n');
  return /^(?:URIs:|deb(?: \[.*\])?) (\S+\/debian\/?)(?:\s|$)/m.exec(text)?.[1] ?? 'http://deb.debian.org/debian';
}

/** A minimal Debian as a tar archive, fetched once and kept; where it cannot be had, the reason. */
export function debianTree(suite: string): { readonly archive: string } | { readonly reason: string } {
  const archive = path.join(CACHE, `${suite}.tar`);
  const age = existsSync(archive) ? Date.now() - statSync(archive).mtimeMs : Number.POSITIVE_INFINITY;
  if (age < FRESH_MS) return { archive };
  mkdirSync(CACHE, { recursive: true });
  const fresh = `${archive}.${process.pid}`;
  const args = [
    '--quiet',
    '--mode=root',
    '--variant=minbase',
    '--aptopt=Acquire::Languages "none"',
    suite,
    fresh,
    mirror(),
  ];
  const { status, stderr, error } = spawnSync('mmdebstrap', args, { encoding: 'utf8', timeout: 600_000 });
  if (status === 0) {
    renameSync(fresh, archive);
    return { archive };
  }
  rmSync(fresh, { force: true });
  if (existsSync(archive)) {
    const now = new Date();
    utimesSync(archive, now, now);
    return { archive };
  }
  return { reason: error?.message ?? `Debian ${suite} cannot be fetched: ${stderr.trim().split('\n').at(-1) ?? ''}` };
}

/** Lines of a shell as root of a tree: in namespaces of its own, with the devices and cgroups of this machine and an empty /run. */
export function inTree(
  tree: string,
  script: string,
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const around = `
    set -e
    mount --bind "$0" "$0"
    mount -t proc proc "$0/proc"
    mount --rbind /sys "$0/sys"
    mount --rbind /dev "$0/dev"
    mount -t tmpfs -o mode=755 tmpfs "$0/run"
    exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive sh -ec "$1"`;
  const args = [
    '--kill-after=5',
    '300',
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--net',
    '--ipc',
    'sh',
    '-c',
    around,
    tree,
    script,
  ];
  const { status, stdout, stderr } = spawnSync('timeout', args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  return { code: status, stdout, stderr };
}
