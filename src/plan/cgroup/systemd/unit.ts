import { TsrunError } from '../../../errors.ts';
import type { CgroupLayout } from '../../base/cgroup-layout.ts';

/** Where a container lies among systemd's units. */
export interface UnitPlace {
  /** `tsrun-c1.scope`, or `pods.slice` for a cgroupsPath whose name is a slice. */
  readonly unit: string;
  readonly isSlice: boolean;
  /** `system.slice`; `-.slice` is the root. */
  readonly slice: string;
  /** The cgroup that systemd makes for the unit, relative to the mount point, starting with `/`. */
  readonly path: string;
}

/** Which of its managers systemd is asked through: that of the machine, or that of the user's session. */
export type BusName = 'system' | 'user';

const PREFIX = 'tsrun';
const POINTER = '/linux/cgroupsPath';
/** UNIT_NAME_MAX of systemd, with the NUL. */
const UNIT_NAME_MAX = 255;

/**
 * The unit of a container, from a cgroupsPath of the form `slice:prefix:name` (features that runc and crun share); each part may be
 * empty, and an absent path is `:tsrun:ID`. An empty slice is `system.slice`, or `user.slice` of a user's manager.
 *
 * Errors: `config` for anything else.
 */
export function planUnit(input: {
  readonly cgroupsPath: string | undefined;
  readonly id: string;
  readonly bus: BusName;
  readonly layout: CgroupLayout;
  readonly uid: number;
}): UnitPlace {
  const { cgroupsPath = '', id, bus } = input;
  const parts = cgroupsPath === '' ? ['', PREFIX, id] : cgroupsPath.split(':');
  const [slice = '', prefix = '', name = ''] = parts;
  if (parts.length !== 3 || name === '') throw refuse('"slice:prefix:name" with the systemd manager', cgroupsPath);
  const isSlice = name.endsWith('.slice');
  const unit = isSlice ? name : `${prefix === '' ? '' : `${prefix}-`}${name}.scope`;
  if (!/^[A-Za-z0-9:_.@\\+-]+$/.test(unit)) throw refuse('characters that a unit name may have', cgroupsPath);
  if (unit.length > UNIT_NAME_MAX) throw refuse(`a unit name of at most ${UNIT_NAME_MAX} characters`, cgroupsPath);
  const chosen = slice === '' ? (bus === 'user' ? 'user.slice' : 'system.slice') : slice;
  const base = bus === 'user' ? userManagerPath(input) : '';
  const parent = isSlice ? '' : slicePath(chosen, cgroupsPath);
  return {
    unit,
    isSlice,
    slice: chosen,
    path: `${base}${isSlice ? slicePath(unit, cgroupsPath) : `${parent}/${unit}`}`,
  };
}

/**
 * `a-b.slice` -> `/a.slice/a-b.slice`; `-.slice` -> the empty string. Source: man 5 systemd.slice.
 *
 * Errors: `config` for a name that is no slice.
 */
function slicePath(slice: string, cgroupsPath: string): string {
  if (slice === '-.slice') return '';
  const stem = slice.slice(0, -'.slice'.length);
  const names = stem.split('-');
  if (!slice.endsWith('.slice') || !/^[A-Za-z0-9:_.@\\+-]+$/.test(stem) || names.includes('')) {
    throw refuse(`a slice such as "machine.slice" for ${JSON.stringify(slice)}`, cgroupsPath);
  }
  return names.map((_, index) => `/${names.slice(0, index + 1).join('-')}.slice`).join('');
}

/** The cgroup of a user's manager: the one that tsrun runs in, or where systemd puts it. Source: man 5 user@.service. */
function userManagerPath({ layout, uid }: { readonly layout: CgroupLayout; readonly uid: number }): string {
  const systemd = layout.hierarchies.find(({ controllers }) => controllers.includes('name=systemd'));
  const own = (layout.unified ?? systemd)?.ownPath ?? '/';
  return /^.*?\/user@\d+\.service(?=\/|$)/.exec(own)?.[0] ?? `/user.slice/user-${uid}.slice/user@${uid}.service`;
}

function refuse(wanted: string, found: string): TsrunError {
  const message = `is ${JSON.stringify(found)}, wanted ${wanted}`;
  return new TsrunError('config', `choose a systemd unit: ${POINTER}: ${message}`, {
    issues: [{ pointer: POINTER, message }],
  });
}
