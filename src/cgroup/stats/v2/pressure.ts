import type { Pressure, PressureLine } from '../document.ts';
import { parseInteger, readLines } from '../read.ts';

const NO_PRESSURE: PressureLine = { avg10: 0, avg60: 0, avg300: 0, total: 0 };

/** Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` as `psi`; without it where the kernel does not count (CONFIG_PSI). */
export function readPressure(hostPath: string, file: string): { psi?: Pressure } {
  const lines = readLines(hostPath, file).map((line) => line.split(' '));
  if (lines.length === 0) return {};
  const parse = (kind: string): PressureLine => {
    const [, ...fields] = lines.find(([first]) => first === kind) ?? [];
    const values = Object.fromEntries(fields.map((field) => field.split('='))) as Record<string, string | undefined>;
    const average = (name: string): number => Number(values[name] ?? 0);
    if (fields.length === 0) return NO_PRESSURE;
    return {
      avg10: average('avg10'),
      avg60: average('avg60'),
      avg300: average('avg300'),
      total: parseInteger(values['total'] ?? ''),
    };
  };
  return { psi: { some: parse('some'), full: parse('full') } };
}
