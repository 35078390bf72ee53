import { COMMAND_BENCH, measureEngines, type Column, type Row, type Settings } from './engines.ts';
import { SHIM_BENCH } from './shims.ts';

/** What was measured of what is compared. */
export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** Engines that call a command, and then shims of containerd. */
export async function measureTables(settings: Settings): Promise<{ readonly commands: Table; readonly shims: Table }> {
  const commands = { columns: COMMAND_BENCH.columns, rows: await measureEngines(COMMAND_BENCH, settings) };
  const shims = { columns: SHIM_BENCH.columns, rows: await measureEngines(SHIM_BENCH, settings) };
  return { commands, shims };
}
