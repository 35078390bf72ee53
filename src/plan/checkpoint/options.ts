/** What CRIU does about cgroups beside the container's own: man 8 criu, `--manage-cgroups`. */
export type CgroupsMode = 'soft' | 'full' | 'strict' | 'ignore';

/** How CRIU keeps the network still while it works on connections. */
export type NetworkLock = 'iptables' | 'nftables' | 'skip';

/** What saving and restoring have in common. */
export interface ImageOptions {
  /** Directory of the images, absolute. */
  readonly imagePath: string;
  /** Directory of CRIU's log and of its statistics, absolute. Default: that of the images. */
  readonly workPath?: string;
  /** Open TCP connections. */
  readonly tcpEstablished?: boolean;
  /** Unix sockets whose other end is outside of the container. */
  readonly extUnixSk?: boolean;
  /** A terminal that is not the container's own. */
  readonly shellJob?: boolean;
  readonly fileLocks?: boolean;
  /** Memory is transferred when it is asked for. */
  readonly lazyPages?: boolean;
  /** What was saved twice is removed. */
  readonly autoDedup?: boolean;
  /** Default: what CRIU has by default. */
  readonly manageCgroupsMode?: CgroupsMode;
  /** Default: what CRIU has by default. */
  readonly networkLock?: NetworkLock;
}

/** How a container is saved. */
export interface DumpOptions extends ImageOptions {
  /** Directory of an earlier image, relative to that of this one: only what has changed since is saved. */
  readonly parentPath?: string;
  /** The container goes on. */
  readonly leaveRunning?: boolean;
  /** Only memory is saved, and the container goes on. */
  readonly preDump?: boolean;
  /** TCP connections that are being made are left out. */
  readonly tcpSkipInFlight?: boolean;
  /** Files without a name get one. */
  readonly linkRemap?: boolean;
  /** Where memory goes in place of the image; with `lazyPages` where it is to be had. */
  readonly pageServer?: { readonly address: string; readonly port: number };
}

/** How a container is restored. */
export interface RestoreSettings extends ImageOptions {
  /** TCP connections come back closed. */
  readonly tcpClose?: boolean;
  /** Another profile of a security module, as `apparmor:NAME` or `selinux:LABEL`. */
  readonly lsmProfile?: string;
  /** Another SELinux context of the mounts. */
  readonly lsmMountContext?: string;
}
