import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BUSYBOX } from './surroundings.ts';

let applets: readonly string[] | undefined;

/** Makes a root file system with nothing but busybox, its links, and two files below /etc. */
export function makeRootfs(directory: string): void {
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root'])
    mkdirSync(path.join(directory, name), { recursive: true });
  copyFileSync(BUSYBOX, path.join(directory, 'bin/busybox'));
  applets ??= execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') symlinkSync('busybox', path.join(directory, 'bin', applet));
  const passwd = ['root:x:0:0:root:/root:/bin/sh', 'worker:x:1000:1000:worker:/home/worker:/bin/sh', ''];
  writeFileSync(path.join(directory, 'etc/passwd'), passwd.join('\n'));
  writeFileSync(path.join(directory, 'etc/group'), 'root:x:0:\nworker:x:1000:\n');
}
