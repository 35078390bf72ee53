import type { NetworkChoice, OverlaySettings, PublishedPort } from '../container/store/options.ts';
import { isConnected, isIpv4, isPort, NETWORK_FORMS, parseNetwork } from '../plan/network/choice.ts';
import { LOWERS_MAX } from '../spec/overlay.ts';
import type { Check } from './check.ts';

/** A layer over the root file system: one that goes with the container (`true`), or what is said of it. */
export type OverlayOption =
  | true
  | {
      /** Absolute path of a directory where the layer is kept beyond the container. Default: it goes with the container. */
      readonly directory?: string;
      /** Absolute paths of directories between the layer and the root file system, the uppermost first. Default: none. */
      readonly lower?: readonly string[];
    };

/** The name of a network, as `--network` of the command has it; a path is absolute. */
export type NetworkOption = 'none' | 'host' | 'bridge' | `container:${string}` | `ns:/${string}` | `cni:${string}`;

/** A port of the host that leads to one of the container. */
export interface PublishOption {
  /** IPv4 address of the host. Default: all that it has. */
  readonly hostAddress?: string;
  readonly hostPort: number;
  readonly port: number;
  /** Default: `tcp`. */
  readonly protocol?: 'tcp' | 'udp';
}

const isPath = (value: unknown): boolean => typeof value === 'string' && value.startsWith('/') && !value.includes('\0');

/** An object without members of other names. */
function hasOnly(value: unknown, names: readonly string[]): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.keys(value).every((name) => names.includes(name));
}

/** What an `OverlayOption` has to be. */
export const checkOverlay: Check = (value) => {
  const wanted = 'true, or an object of "directory", an absolute path, and "lower", a list of absolute paths';
  if (value === true) return undefined;
  if (!hasOnly(value, ['directory', 'lower'])) return wanted;
  const { directory, lower = [] } = value;
  if (directory !== undefined && !isPath(directory)) return wanted;
  if (!Array.isArray(lower) || !lower.every(isPath)) return wanted;
  return lower.length <= LOWERS_MAX ? undefined : `at most ${LOWERS_MAX} directories in "lower"`;
};

/** What a `NetworkOption` has to be. */
export const checkNetwork: Check = (value) => {
  const choice = typeof value === 'string' ? parseNetwork(value, []) : undefined;
  if (choice === undefined) return NETWORK_FORMS;
  return choice.kind === 'namespace' && !isPath(choice.path) ? 'an absolute path behind "ns:"' : undefined;
};

/** What a list of `PublishOption` has to be. */
export const checkPublish: Check = (value) =>
  Array.isArray(value) && value.every(isPublished)
    ? undefined
    : 'a list of objects of "hostPort" and "port", 1 to 65535, "hostAddress", an IPv4 address, and "protocol", tcp or udp';

function isPublished(value: unknown): boolean {
  if (!hasOnly(value, ['hostAddress', 'hostPort', 'port', 'protocol'])) return false;
  const { hostAddress, hostPort, port, protocol = 'tcp' } = value;
  if (hostAddress !== undefined && !(typeof hostAddress === 'string' && isIpv4(hostAddress))) return false;
  return isPort(hostPort as number) && isPort(port as number) && ['tcp', 'udp'].includes(protocol as string);
}

/** The layer, as the operations take it. */
export function toOverlay(overlay: OverlayOption): OverlaySettings {
  if (overlay === true) return { lowers: [] };
  const { directory, lower = [] } = overlay;
  return { lowers: lower, ...(directory !== undefined && { directory }) };
}

/** The network, as the operations take it. Errors: TypeError for ports that lead nowhere. */
export function toNetwork(
  call: string,
  {
    network,
    publish = [],
  }: { readonly network: NetworkOption | undefined; readonly publish: readonly PublishOption[] | undefined },
): { readonly network?: NetworkChoice } {
  const choice = network === undefined ? undefined : parseNetwork(network, publish.map(toPort));
  if (publish.length > 0 && !isConnected(choice))
    throw new TypeError(`${call}: "publish" is given without "network" of "bridge" or "cni:NAME"`);
  return choice === undefined ? {} : { network: choice };
}

function toPort({ hostAddress, hostPort, port, protocol = 'tcp' }: PublishOption): PublishedPort {
  const isOne = hostAddress !== undefined && hostAddress !== '0.0.0.0';
  return { ...(isOne && { hostAddress }), hostPort, port, protocol };
}
