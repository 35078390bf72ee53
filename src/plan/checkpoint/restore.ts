import type { Config } from '../../spec/generated/config.ts';
import {
  bindsCgroups,
  cgroupDestinations,
  externalNamespaces,
  joinedNamespaces,
  MASK,
  maskedPaths,
  namespaceKey,
  outsidePlaces,
  STANDARD_KEY,
} from './external.ts';
import type { RestoreSettings } from './options.ts';
import { commonOptions, type CriuOptions, type CriuRequest, type ExternalMount } from './request.ts';
import { requireVersion, type CriuVersion } from './versions.ts';

/** What is known where a container is to be restored. */
export interface RestoreFacts {
  /** A mount of the rootfs, absolute. */
  readonly root: string;
  /** Destination of a mount or device -> where its path leads in the rootfs without any mounts. */
  readonly places: Readonly<Record<string, string>>;
  /** Source of a bind mount as the config has it -> absolute path on the host. */
  readonly sources: Readonly<Record<string, string>>;
  /** The container's new cgroups. */
  readonly cgroups: readonly { readonly kind: 'v1' | 'v2'; readonly mountPoint: string; readonly hostPath: string }[];
  readonly cgroupMode: 'v1' | 'v2' | 'hybrid' | 'none';
  /** What stands for descriptors 0, 1 and 2 of the program as they were when it was saved: see `STANDARD_KEY`. */
  readonly descriptors: readonly string[];
}

/** What a request to restore is made from. */
export interface RestoreInput {
  readonly config: Config;
  readonly settings: RestoreSettings;
  readonly facts: RestoreFacts;
  readonly version: CriuVersion;
}

/** CRIU's log of restoring. */
export const RESTORE_LOG = 'restore.log';
/** In CRIU 0, 1 and 2 are the program's, and 3 is the connection. */
const FIRST_FREE = 4;

/** Files that CRIU is to have open before it is asked for anything: its number there -> path. */
export function namespaceFiles(config: Config): ReadonlyMap<number, string> {
  return new Map(externalNamespaces(config).map(({ path }, index) => [FIRST_FREE + index, path]));
}

/** Decides what CRIU is asked for when a container is restored. Errors: `unsupported` for a CRIU that is too old. */
export function planRestore({ config, settings, facts, version }: RestoreInput): CriuRequest {
  const namespaces = externalNamespaces(config).map(({ name }, index) => {
    requireVersion(version, name === 'net' ? 'external-net' : 'external-pid');
    return { key: namespaceKey(name), fd: FIRST_FREE + index };
  });
  const { lsmProfile, lsmMountContext, networkLock } = settings;
  if (lsmProfile !== undefined) requireVersion(version, 'lsm-profile');
  if (lsmMountContext !== undefined) requireVersion(version, 'lsm-mount-context');
  if (networkLock !== undefined) requireVersion(version, 'network-lock');
  const options: CriuOptions = {
    ...commonOptions(config, settings, RESTORE_LOG),
    extMnt: externalMounts(config, facts),
    root: facts.root,
    rstSibling: true,
    evasiveDevices: true,
    tcpClose: settings.tcpClose === true,
    inheritFd: [...namespaces, ...inherited(facts.descriptors)],
    joinNs: joinedNamespaces(config),
    ...(lsmProfile !== undefined && { lsmProfile }),
    ...(lsmMountContext !== undefined && { lsmMountContext }),
  };
  return {
    kind: 'restore',
    options,
    features: { memTrack: false, lazyPages: settings.lazyPages === true },
  };
}

/** What it is called in the image -> what is mounted there now. */
function externalMounts(config: Config, facts: RestoreFacts): ExternalMount[] {
  const outside = outsidePlaces(config).map(({ destination, source }) => ({
    key: facts.places[destination] ?? destination,
    val: facts.sources[source] ?? source,
  }));
  const masks = maskedPaths(config).length > 0 ? [{ key: MASK, val: MASK }] : [];
  return [
    ...new Map([...outside, ...boundCgroups(config, facts), ...masks].map((mount) => [mount.key, mount])).values(),
  ];
}

/** The container's own cgroups; of cgroup2 the host's whole mount, as it was when the container was made. */
function boundCgroups(config: Config, { places, cgroups, cgroupMode }: RestoreFacts): ExternalMount[] {
  if (!bindsCgroups(config)) return [];
  return cgroupDestinations(config).flatMap((destination) => {
    const place = places[destination] ?? destination;
    return cgroups.map(({ kind, mountPoint, hostPath }) => {
      const name = mountPoint.slice(mountPoint.lastIndexOf('/') + 1);
      return { key: cgroupMode === 'v2' ? place : `${place}/${name}`, val: kind === 'v2' ? mountPoint : hostPath };
    });
  });
}

/** A pipe at the program's standard descriptors is CRIU's own at the same number; of one that is there twice CRIU takes the first. */
function inherited(descriptors: readonly string[]): { readonly key: string; readonly fd: number }[] {
  return descriptors.flatMap((key, fd) => (fd <= 2 && STANDARD_KEY.test(key) ? [{ key, fd }] : []));
}
