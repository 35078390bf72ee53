import type { Config } from '../../spec/generated/config.ts';

/** Where a container's processes go in the resctrl file system, and what its class must allow. Paths are relative to the mount point. */
export interface IntelRdtPlan {
  /** Directory of the class of service; empty for the root class. */
  readonly directory: string;
  /** A directory that is missing is made; otherwise it must be there. */
  readonly mayMake: boolean;
  /** Lines of the schemata file: written to a class that is made, compared with one that is there. */
  readonly schemata: readonly string[];
  /** Directory of the container's monitoring group; undefined without one. */
  readonly monitoring: string | undefined;
}

/**
 * config-linux.md, "IntelRdt"; Documentation/filesystems/resctrl.rst. Undefined when nothing of resctrl may be touched.
 *
 * - Without `closID` the class is one of the container's own, named after its id.
 * - With `closID` and schemata the class is made when it is missing, and must agree when it is there.
 * - With `closID` alone it must be there.
 */
export function planIntelRdt({ linux }: Config, id: string): IntelRdtPlan | undefined {
  const rdt = linux?.intelRdt;
  if (rdt === undefined) return undefined;
  const { closID = '', enableMonitoring = false } = rdt;
  const schemata = planSchemata(rdt);
  const directory = closID === '/' ? '' : closID === '' ? id : closID;
  const groups = directory === '' ? 'mon_groups' : `${directory}/mon_groups`;
  return {
    directory,
    mayMake: directory !== '' && (closID === '' || schemata.length > 0),
    schemata,
    monitoring: enableMonitoring ? `${groups}/${id}` : undefined,
  };
}

/** L3 first, then memory bandwidth, then the free lines: of two lines for one resource the later counts. */
function planSchemata(rdt: NonNullable<NonNullable<Config['linux']>['intelRdt']>): string[] {
  const { l3CacheSchema = '', memBwSchema = '', schemata = [] } = rdt;
  const cache = lines(l3CacheSchema);
  // Bandwidth lines among those of the cache give way to the property that is meant for them.
  const ownBandwidth = lines(memBwSchema).length > 0;
  return [
    ...cache.filter((line) => !(ownBandwidth && line.startsWith('MB:'))),
    ...lines(memBwSchema),
    ...schemata.flatMap(lines),
  ];
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/**
 * The wanted lines that a schemata file does not hold: every value that is named must be the same, what is not named may be
 * anything. Masks are hexadecimal and may have zeros in front.
 */
export function findSchemataDifferences(wanted: readonly string[], found: string): string[] {
  const present = parseSchemata(lines(found));
  const last = new Map(wanted.map((line) => [line.slice(0, line.indexOf(':')), line]));
  return [...last.values()].filter((line) =>
    [...parseSchemata([line])].some(([key, value]) => present.get(key) !== value),
  );
}

/** `L3:0=00ff;1=f` -> `L3:0` -> `ff`, `L3:1` -> `f`. */
function parseSchemata(all: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of all) {
    const split = line.indexOf(':');
    const resource = line.slice(0, split).trim();
    for (const part of line.slice(split + 1).split(';')) {
      const [domain = '', value = ''] = part.split('=').map((side) => side.trim());
      if (domain !== '') values.set(`${resource}:${domain}`, value.toLowerCase().replace(/^0+(?=.)/, ''));
    }
  }
  return values;
}
