import { cleanPath } from '../../spec/clean-path.ts';
import type { Config, Device } from '../../spec/generated/config.ts';
import { pointerTo } from '../../spec/pointer.ts';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../../util/constants.ts';

/** A device to make inside the container. */
export interface DeviceNode {
  /** Cleaned; inside the rootfs. */
  readonly path: string;
  /** S_IFCHR, S_IFBLK or S_IFIFO. */
  readonly fileType: number;
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly pointer?: string;
}

/** How a device is named among the facts about the host: `c 10:229`, `b 8:0`. */
export function deviceKey({ fileType, major, minor }: Pick<DeviceNode, 'fileType' | 'major' | 'minor'>): string {
  return `${fileType === S_IFBLK ? 'b' : 'c'} ${major}:${minor}`;
}

const DEFAULT_MODE = 0o666;
const PERMISSIONS = 0o7777;

/** name -> major and minor number of what every container has. Source: Documentation/admin-guide/devices.txt. */
const DEFAULT_DEVICES: readonly (readonly [string, number, number])[] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
];
/** A link into devpts, and the console of a terminal. */
const SPECIAL_PATHS: ReadonlySet<string> = new Set(['/dev/ptmx', '/dev/console']);

/**
 * config-linux.md, "Devices" and "Default Devices": the default devices that the config does not list itself, then those of the config.
 *
 * /dev/ptmx and /dev/console are left out: they are made by other means.
 */
export function listDevices({ linux }: Config): DeviceNode[] {
  const listed = (linux?.devices ?? []).map((device, index) => deviceNode(device, pointerTo('/linux/devices', index)));
  const paths = new Set(listed.map(({ path }) => path));
  const defaults = DEFAULT_DEVICES.map(([name, major, minor]): DeviceNode => ({
    path: `/dev/${name}`,
    fileType: S_IFCHR,
    major,
    minor,
    mode: DEFAULT_MODE,
    uid: 0,
    gid: 0,
  }));
  return [...defaults.filter(({ path }) => !paths.has(path)), ...listed.filter(({ path }) => !SPECIAL_PATHS.has(path))];
}

const FILE_TYPES: Readonly<Record<Device['type'], number>> = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO };

function deviceNode(device: Device, pointer: string): DeviceNode {
  const { type, path, major = 0, minor = 0, fileMode = DEFAULT_MODE, uid = 0, gid = 0 } = device;
  const numbers = type === 'p' ? { major: 0, minor: 0 } : { major, minor };
  // Some callers send the file type along with the mode.
  const mode = fileMode & PERMISSIONS;
  return { path: cleanPath(path), fileType: FILE_TYPES[type], ...numbers, mode, uid, gid, pointer };
}
