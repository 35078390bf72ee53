import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../../../', import.meta.url));

/** The command on Node. */
export const nodeScript = path.join(project, 'dist/bin/main.js');

/** The command that is tested: the executable, or what `TSRUN` in the environment names, a script for Node or another executable. */
export const tsrunFile = process.env.TSRUN ?? path.join(project, 'dist/tsrun');

/** How the built command is called. */
export const tsrunCommand: readonly string[] = tsrunFile.endsWith('.js') ? [process.execPath, tsrunFile] : [tsrunFile];

/** Global options that every tsrun of the tests is given: words of `TSRUN_TEST_GLOBAL`, such as `--systemd-cgroup`. */
export const globalOptions = (process.env.TSRUN_TEST_GLOBAL ?? '').split(' ').filter((word) => word !== '');

/** Id of the ordinary user, with a session, that every tsrun of the tests runs as: `TSRUN_TEST_USER`. Default: root, as the tests. */
export const testUser = process.env.TSRUN_TEST_USER === undefined ? undefined : Number(process.env.TSRUN_TEST_USER);

/** Reason to skip what an ordinary user cannot do, where every tsrun of the tests runs as one. */
export function needsRoot(reason: string): string | false {
  return testUser === undefined ? false : reason;
}

/** Runs a command as a user with a session. */
export function inSession(uid: number): string[] {
  const runtime = `/run/user/${uid}`;
  const environment = [`XDG_RUNTIME_DIR=${runtime}`, `DBUS_SESSION_BUS_ADDRESS=unix:path=${runtime}/bus`];
  const shell = ['sh', '-c', 'umask 022; exec "$@"', 'sh'];
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'env', 'HOME=/', ...environment, ...shell];
}

/** How many times longer everything may take than on a real machine: `TSRUN_TEST_SLOWNESS`, for an emulated processor. */
export const slowness = Number(process.env.TSRUN_TEST_SLOWNESS ?? 1);

/** How many rounds a race runs: `TSRUN_TEST_ROUNDS`, for a long run. */
export function raceRounds(usual: number): number {
  return Number(process.env.TSRUN_TEST_ROUNDS ?? usual);
}

/** Statically linked, so that it runs in an otherwise empty rootfs. */
export const BUSYBOX = '/bin/busybox';

/** Why live tests cannot run here; false when they can. */
export function reasonToSkip(): string | false {
  if (process.geteuid?.() !== 0) return 'live tests need root';
  if (!existsSync(BUSYBOX)) return `live tests need a static ${BUSYBOX} (Debian: busybox-static)`;
  if (!existsSync(tsrunFile)) throw new Error(`${tsrunFile} is missing: run npm run build:exe first`);
  return false;
}

/** A program of the host by name, where it is installed; its absence is a reason to skip. */
export function findTool(name: string): string | undefined {
  return (process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin')
    .split(':')
    .map((directory) => `${directory}/${name}`)
    .find((file) => existsSync(file));
}

/** For the `skip` of a test that needs programs of the host. */
export function missingTools(...names: readonly string[]): string | false {
  const missing = names.filter((name) => findTool(name) === undefined);
  return missing.length === 0 ? false : `needs ${missing.join(', ')} on the host`;
}
