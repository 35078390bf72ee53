import { CONTROLLERS } from './controllers/table.ts';
import type { ValueWrite } from './writes.ts';

/**
 * What has to be written to take a write back, from the text of the control file before it.
 *
 * Shape: one write(2) each; a line feed alone empties the file.
 */
export function planUndo(write: Pick<ValueWrite, 'file' | 'value'>, before: string): string[] {
  for (const { undo } of CONTROLLERS) {
    const own = undo?.(write, before);
    if (own !== undefined) return own;
  }
  return before === '' ? ['\n'] : before.split('\n');
}
