import type { ValueWrite } from './writes.ts';

/** Control files with a line for each device or interface, key first -> the line that takes the key's setting away. */
const KEYED: readonly (readonly [file: RegExp, none: string])[] = [
  [/^io\.max$/, 'rbps=max wbps=max riops=max wiops=max'],
  [/^io\.(bfq\.)?weight$/, 'default'],
  [/^blkio\.throttle\./, '0'],
  [/^blkio\.(bfq\.|leaf_)?weight_device$/, 'default'],
  [/^rdma\.max$/, 'hca_handle=max hca_object=max'],
  [/^net_prio\.ifpriomap$/, '0'],
];

/**
 * What has to be written to take a write back, from the text of the control file before it.
 *
 * Shape: one write(2) each; a line feed alone empties the file.
 */
export function planUndo({ file, value }: Pick<ValueWrite, 'file' | 'value'>, before: string): string[] {
  if (file === 'memory.oom_control') return [/^oom_kill_disable (\d)/m.exec(before)?.[1] ?? '0'];
  const [key = '', ...rest] = value.split(' ');
  const none = rest.length === 0 ? undefined : KEYED.find(([pattern]) => pattern.test(file))?.[1];
  const lines = before.split('\n');
  if (none !== undefined) return [lines.find((line) => line.startsWith(`${key} `)) ?? `${key} ${none}`];
  // A weight without a device is shown as `default 100`, above those of devices.
  const weight = /weight$/.test(file) ? /^(?:default )?(\d+)$/m.exec(before)?.[1] : undefined;
  if (weight !== undefined) return [weight];
  return before === '' ? ['\n'] : lines;
}
