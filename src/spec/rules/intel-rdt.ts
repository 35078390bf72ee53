/** config-linux.md, "IntelRdt". */
import type { Issue } from '../../errors.ts';
import { quote } from '../quote.ts';
import type { DraftConfig } from './draft.ts';

/** The class of service is one directory of resctrl, or `/` for the root class. */
export function checkIntelRdt({ linux }: DraftConfig): Issue[] {
  const closID = linux?.intelRdt?.closID;
  if (closID === undefined || closID === '/' || (/^[^/\n]*$/.test(closID) && !/^\.\.?$/.test(closID))) return [];
  const message = `is ${quote(closID)}, wanted "/" or the name of one directory: invalid intelRdt.ClosID`;
  return [{ pointer: '/linux/intelRdt/closID', message }];
}
