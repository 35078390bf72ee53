import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { BUSYBOX } from '../../live/support/surroundings.ts';
import { writeTar, type TarEntry } from './tar.ts';

/** Name of the image, under which every engine knows it once it is loaded. */
export const IMAGE = 'localhost/tsrun-test:latest';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nworker:x:1000:1000:worker:/home/worker:/bin/sh\n';
const GROUP = 'root:x:0:\nworker:x:1000:\nextra:x:2000:worker\n';

/** What an image is called, and what it runs. */
export interface ImageKind {
  readonly name: string;
  readonly command: readonly string[];
}

/**
 * Writes an image with busybox in it as a docker-archive, which `podman load`, `docker load` and `ctr images import` read. It is
 * made of the host's busybox; no network is used, and equal hosts make equal bytes.
 */
export function writeImage(file: string, { name, command }: ImageKind = { name: IMAGE, command: ['sh'] }): void {
  const layer = writeTar(layerEntries());
  const diffId = sha256(layer);
  const config = JSON.stringify({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    created: '2000-01-01T00:00:00Z',
    config: { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: command, WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
    history: [{ created: '2000-01-01T00:00:00Z', created_by: 'busybox' }],
  });
  const configName = `${sha256(Buffer.from(config))}.json`;
  const layerName = `${diffId}/layer.tar`;
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [name], Layers: [layerName] }]);
  const archive = writeTar([
    { name: configName, content: Buffer.from(config) },
    { name: layerName, content: layer },
    { name: 'manifest.json', content: Buffer.from(manifest) },
  ]);
  writeFileSync(file, archive);
}

function layerEntries(): TarEntry[] {
  const directories = ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'run', 'sys', 'var', 'var/empty'];
  const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  return [
    ...directories.map((name) => ({ name, kind: 'directory' as const })),
    { name: 'tmp', kind: 'directory', mode: 0o1777 },
    { name: 'home/worker', kind: 'directory', uid: 1000, gid: 1000 },
    { name: 'bin/busybox', content: readFileSync(BUSYBOX), mode: 0o755 },
    ...applets
      .filter((applet) => applet !== 'busybox')
      .map((applet) => ({ name: `bin/${applet}`, kind: 'link' as const, target: 'busybox' })),
    { name: 'etc/passwd', content: Buffer.from(PASSWD) },
    { name: 'etc/group', content: Buffer.from(GROUP) },
    { name: 'etc/not-executable', content: Buffer.from('#!/bin/sh\n') },
  ];
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
