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

/** Whether the container is connected by whoever makes it, from outside. */
export function isConnected(
  choice: NetworkChoice | undefined,
): choice is Extract<NetworkChoice, { readonly kind: 'bridge' | 'cni' }> {
  return choice?.kind === 'bridge' || choice?.kind === 'cni';
}

/** `[IP:]PORT:PORT/PROTOCOL`, as it is given. */
export function printPort({ hostAddress, hostPort, port, protocol }: PublishedPort): string {
  return `${hostAddress === undefined ? '' : `${hostAddress}:`}${hostPort}:${port}/${protocol}`;
}
