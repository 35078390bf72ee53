/** config-linux.md, "Devices". */
import type { Issue } from '../../errors.ts';
import { cleanPath } from '../clean-path.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, itemsOf } from './draft.ts';

/** Character and block devices have numbers. */
export function checkDeviceNumbers({ linux }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  for (const [device, pointer] of itemsOf(linux?.devices, '/linux/devices')) {
    if (device.type === undefined || device.type === 'p') continue;
    for (const name of ['major', 'minor'] as const) {
      if (name in device) continue;
      issues.push({ pointer, message: `lacks the property "${name}", wanted one for the type ${quote(device.type)}` });
    }
  }
  return issues;
}

/** No path is listed for two different devices. The same device twice is harmless, and some callers do that. */
export function checkDevicePaths({ linux }: DraftConfig): Issue[] {
  const issues: Issue[] = [];
  const seen = new Map<string, string>();
  for (const [device, pointer] of itemsOf(linux?.devices, '/linux/devices')) {
    if (device.path === undefined) continue;
    const path = cleanPath(device.path);
    const identity = device.type === 'p' ? 'p' : `${device.type} ${device.major}:${device.minor}`.replace(/^u/, 'c');
    const other = seen.get(path);
    if (other !== undefined && other !== identity) {
      issues.push({
        pointer,
        message: `is ${quote(path)} as ${identity}, which is listed as ${other}, wanted one device`,
      });
    }
    seen.set(path, other ?? identity);
    if (path === '/') issues.push({ pointer: `${pointer}/path`, message: `is ${quote(device.path)}, wanted a file` });
  }
  return issues;
}
