import { TsrunError } from '../../errors.ts';
import type { Config } from '../../spec/generated/config.ts';
import {
  bindsCgroups,
  cgroupDestinations,
  externalNamespaces,
  MASK,
  namespaceKey,
  outsideFiles,
  outsidePlaces,
} from './external.ts';
import type { DumpOptions } from './options.ts';
import { commonOptions, type CriuOptions, type CriuRequest, type ExternalMount } from './request.ts';
import { canDo, requireVersion, type CriuVersion } from './versions.ts';

/** What is known of a container that is to be saved. */
export interface DumpFacts {
  readonly pid: number;
  /** Absolute, on the host. */
  readonly rootfs: string;
  /** Destination of a mount or device -> where it is in the container, and where its path leads in the rootfs without any mounts. */
  readonly places: Readonly<Record<string, { readonly inside: string; readonly inRootfs: string }>>;
  /** Masked paths at which there are files. */
  readonly maskedFiles: readonly string[];
  /** Mount points of cgroup file systems in the container. */
  readonly cgroupMounts: readonly string[];
  /** What stands for its standard descriptors: see `STANDARD_KEY`. */
  readonly descriptors: readonly string[];
  /** Name in /proc/PID/ns -> inode, of the container's first process. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** The cgroup by which CRIU stops the container. */
  readonly freezer?: { readonly hostPath: string; readonly kind: 'v1' | 'v2' };
}

/** What a request to save is made from. */
export interface DumpInput {
  readonly config: Config;
  readonly options: DumpOptions;
  readonly facts: DumpFacts;
  readonly version: CriuVersion;
}

/** CRIU's log of saving. */
export const DUMP_LOG = 'dump.log';

/** Decides what CRIU is asked for when a container is saved. Errors: `unsupported` for a CRIU that is too old. */
export function planDump({ config, options, facts, version }: DumpInput): CriuRequest {
  const external = externalNamespaces(config).map(({ name }) => {
    requireVersion(version, name === 'net' ? 'external-net' : 'external-pid');
    const inode = facts.namespaces[name];
    if (inode === undefined) throw new TsrunError('host', `save a container: its ${name} namespace is not to be seen`);
    return `${name}[${inode}]:${namespaceKey(name)}`;
  });
  if (options.networkLock !== undefined) requireVersion(version, 'network-lock');
  const common = commonOptions(config, options, DUMP_LOG);
  const request: CriuOptions = {
    ...common,
    extMnt: options.preDump === true ? [] : externalMounts(config, facts),
    root: facts.rootfs,
    pid: facts.pid,
    leaveRunning: options.leaveRunning === true,
    tcpSkipInFlight: options.tcpSkipInFlight === true,
    linkRemap: options.linkRemap === true,
    external: [...external, ...outsideFiles(facts.descriptors)],
    ...freezing(facts, version),
    ...(options.pageServer !== undefined && { ps: options.pageServer }),
    ...(options.parentPath !== undefined && { parentImg: options.parentPath, trackMem: true }),
  };
  return {
    kind: options.preDump === true ? 'pre-dump' : 'dump',
    options: request,
    features: { memTrack: options.preDump === true, lazyPages: options.lazyPages === true },
  };
}

/** Where it is mounted -> what it is called in the image: by its path in the rootfs, which is what a restore knows it by. */
function externalMounts(config: Config, { places, maskedFiles, cgroupMounts }: DumpFacts): ExternalMount[] {
  const outside = outsidePlaces(config).flatMap(({ destination }) => {
    const place = places[destination];
    return place === undefined ? [] : [{ key: place.inside, val: place.inRootfs }];
  });
  const destinations = cgroupDestinations(config).map((destination) => places[destination]?.inside ?? destination);
  const isBound = (mountPoint: string): boolean =>
    bindsCgroups(config) && destinations.some((one) => mountPoint === one || mountPoint.startsWith(`${one}/`));
  const cgroups = cgroupMounts.filter(isBound).map((mountPoint) => ({ key: mountPoint, val: mountPoint }));
  const masks = maskedFiles.map((key) => ({ key, val: MASK }));
  // Of two that are mounted on each other CRIU sees the upper one.
  return [...new Map([...outside, ...cgroups, ...masks].map((mount) => [mount.key, mount])).values()];
}

function freezing({ freezer }: DumpFacts, version: CriuVersion): Pick<CriuOptions, 'freezeCgroup'> {
  if (freezer === undefined || (freezer.kind === 'v2' && !canDo(version, 'freeze-v2'))) return {};
  return { freezeCgroup: freezer.hostPath };
}
