/** A port of the host that leads to one of the container. */
export interface PublishedPort {
  /** IPv4 address of the host. Default: all that it has. */
  readonly hostAddress?: string;
  readonly hostPort: number;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

/** The network that a container is given in place of the one of its config. */
export type NetworkChoice =
  /** A namespace of its own, with nothing but a loopback interface. */
  | { readonly kind: 'none' }
  /** That of whoever runs tsrun. */
  | { readonly kind: 'host' }
  /** That of another container below the same root. */
  | { readonly kind: 'container'; readonly id: string }
  /** A namespace that has an absolute path. */
  | { readonly kind: 'namespace'; readonly path: string }
  /** A namespace of its own, with an address on tsrun's bridge. */
  | { readonly kind: 'bridge'; readonly publish: readonly PublishedPort[] }
  /** A namespace of its own, which the plugins of a CNI configuration set up. */
  | { readonly kind: 'cni'; readonly name: string; readonly publish: readonly PublishedPort[] };

/** The forms of a network's name. */
export const NETWORK_FORMS = 'none, host, bridge, container:ID, ns:PATH or cni:NAME';

/** The network of a name such as `bridge` or `container:ID`; a path may be relative. undefined: it is the name of none. */
export function parseNetwork(text: string, publish: readonly PublishedPort[]): NetworkChoice | undefined {
  const colon = text.indexOf(':');
  const [kind, value] = colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  if (value === undefined) {
    if (kind === 'none' || kind === 'host') return { kind };
    if (kind === 'bridge') return { kind, publish };
  } else if (value !== '' && !value.includes('\0')) {
    if (kind === 'container') return { kind, id: value };
    if (kind === 'ns') return { kind: 'namespace', path: value };
    // The form of a name in the CNI specification.
    if (kind === 'cni' && /^[A-Za-z0-9][\w.-]*$/.test(value)) return { kind, name: value, publish };
  }
  return undefined;
}

/** Whether it is a port, and not 0. */
export function isPort(number: number): boolean {
  return Number.isInteger(number) && number >= 1 && number <= 65_535;
}

/** Whether it is an IPv4 address. A leading zero means octal to some and decimal to others. */
export function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** A network that somebody outside of the container makes. */
export type ConnectedChoice = Extract<NetworkChoice, { readonly kind: 'bridge' | 'cni' }>;

/** Whether the container is connected by whoever makes it, from outside. */
export function isConnected(choice: NetworkChoice | undefined): choice is ConnectedChoice {
  return choice?.kind === 'bridge' || choice?.kind === 'cni';
}

/** `[IP:]PORT:PORT/PROTOCOL`, as it is given. */
export function printPort({ hostAddress, hostPort, port, protocol }: PublishedPort): string {
  return `${hostAddress === undefined ? '' : `${hostAddress}:`}${hostPort}:${port}/${protocol}`;
}
