import type { ContainerUsage } from '../container/stats.ts';
import { formatTable } from './output.ts';

/** What `stats` prints: a table with a line for each container. */
export function formatUsageTable(all: readonly ContainerUsage[]): string {
  const header = ['ID', 'CPU %', 'MEMORY / LIMIT', 'MEM %', 'PIDS', 'NET IN / OUT', 'BLOCK READ / WRITTEN'];
  const rows = all.map((one) => [
    one.id,
    one.cpuPercent === undefined ? '-' : percent(one.cpuPercent),
    `${size(one.memory)} / ${size(one.memoryLimit)}`,
    percent(memoryPercent(one)),
    one.pidsLimit > 0 ? `${one.pids} / ${one.pidsLimit}` : String(one.pids),
    `${size(one.networkReceived)} / ${size(one.networkSent)}`,
    `${size(one.blockRead)} / ${size(one.blockWritten)}`,
  ]);
  return formatTable([header, ...rows]);
}

/** What `stats --format json` prints: a document a line, one for each container. Bytes and percent are numbers. */
export function formatUsageJson(all: readonly ContainerUsage[]): string {
  return all
    .map(({ id, cpuPercent = null, memory, memoryLimit, ...rest }) => {
      const percentages = { cpuPercent: cpuPercent && rounded(cpuPercent), memory, memoryLimit };
      const memoryShare = rounded(memoryPercent({ memory, memoryLimit }));
      return `${JSON.stringify({ id, ...percentages, memoryPercent: memoryShare, ...rest })}\n`;
    })
    .join('');
}

function memoryPercent({ memory, memoryLimit }: Pick<ContainerUsage, 'memory' | 'memoryLimit'>): number {
  return memoryLimit > 0 ? (memory / memoryLimit) * 100 : 0;
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Four figures at the most: `512B`, `1.5MiB`, `100MiB`. */
function size(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  const digits = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))}${UNITS[power] ?? ''}`;
}
