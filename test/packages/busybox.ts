import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { prepareBundle } from '../../bundles/prepare.mjs';

/** A bundle of its own, with busybox, in a directory that is made for it. Returns the directory. */
export function busyboxBundle(directory: string, args: readonly string[]): string {
  const source = prepareBundle('busybox');
  mkdirSync(directory, { recursive: true });
  cpSync(path.join(source, 'rootfs'), path.join(directory, 'rootfs'), { recursive: true, verbatimSymlinks: true });
  const config = JSON.parse(readFileSync(path.join(source, 'config.json'), 'utf8')) as { process: { args: unknown } };
  config.process.args = args;
  writeFileSync(path.join(directory, 'config.json'), JSON.stringify(config));
  return directory;
}
