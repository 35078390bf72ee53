import { configAnnotations } from '../../spec/annotations.ts';
import { CLONE_NEWNET } from '../../util/constants.ts';
import type { Config } from '../../spec/generated/config.ts';
import type { CgroupsMode, ImageOptions, NetworkLock } from './options.ts';

/** A mount that is not CRIU's to make: its key at the one side, and what it stands for at the other. */
export interface ExternalMount {
  readonly key: string;
  readonly val: string;
}

/** Options of a request to CRIU, as `criu_opts` of its rpc.proto has them; those that name descriptors are added by who opens them. */
export interface CriuOptions {
  readonly logLevel: number;
  readonly logFile: string;
  readonly notifyScripts: boolean;
  readonly orphanPtsMaster: boolean;
  readonly manageCgroups: boolean;
  readonly manageCgroupsMode: number;
  readonly emptyNs: number;
  readonly extMnt: readonly ExternalMount[];
  readonly root?: string;
  readonly pid?: number;
  readonly shellJob?: boolean;
  readonly leaveRunning?: boolean;
  readonly tcpEstablished?: boolean;
  readonly tcpSkipInFlight?: boolean;
  readonly tcpClose?: boolean;
  readonly linkRemap?: boolean;
  readonly extUnixSk?: boolean;
  readonly fileLocks?: boolean;
  readonly autoDedup?: boolean;
  readonly lazyPages?: boolean;
  readonly trackMem?: boolean;
  readonly parentImg?: string;
  readonly ps?: { readonly address: string; readonly port: number };
  readonly freezeCgroup?: string;
  readonly configFile?: string;
  readonly networkLock?: number;
  readonly rstSibling?: boolean;
  readonly evasiveDevices?: boolean;
  readonly lsmProfile?: string;
  readonly lsmMountContext?: string;
  readonly external?: readonly string[];
  readonly inheritFd?: readonly { readonly key: string; readonly fd: number }[];
  readonly joinNs?: readonly { readonly ns: string; readonly nsFile: string }[];
}

/** A request: what is asked for, and what CRIU has to be able to do for it. */
export interface CriuRequest {
  readonly kind: 'dump' | 'pre-dump' | 'restore';
  readonly options: CriuOptions;
  readonly features: { readonly memTrack: boolean; readonly lazyPages: boolean };
}

/** Enumeration criu_cg_mode. */
const CGROUPS_MODES: Readonly<Record<CgroupsMode | 'default', number>> = {
  ignore: 0,
  soft: 3,
  full: 4,
  strict: 5,
  default: 6,
};

/** Enumeration criu_network_lock_method. */
const NETWORK_LOCKS: Readonly<Record<NetworkLock, number>> = { iptables: 1, nftables: 2, skip: 3 };

/** All that CRIU can say: the lines that matter are chosen afterwards. */
const LOG_LEVEL = 4;
/** As runc has it: settings of the machine's administrator, which go before those of a request. */
const CONFIG_FILE = '/etc/criu/runc.conf';

/** What requests to save and to restore have in common. A network belongs to whoever made it: CRIU leaves what is in it alone. */
export function commonOptions(config: Config, options: ImageOptions, logFile: string): Omit<CriuOptions, 'extMnt'> {
  const { manageCgroupsMode = 'default', networkLock } = options;
  const configFile = config.annotations?.[configAnnotations.criuConfig] ?? CONFIG_FILE;
  return {
    logLevel: LOG_LEVEL,
    logFile,
    notifyScripts: true,
    orphanPtsMaster: true,
    manageCgroups: true,
    manageCgroupsMode: CGROUPS_MODES[manageCgroupsMode],
    emptyNs: CLONE_NEWNET,
    shellJob: options.shellJob === true,
    tcpEstablished: options.tcpEstablished === true,
    extUnixSk: options.extUnixSk === true,
    fileLocks: options.fileLocks === true,
    autoDedup: options.autoDedup === true,
    lazyPages: options.lazyPages === true,
    ...(networkLock !== undefined && { networkLock: NETWORK_LOCKS[networkLock] }),
    ...(configFile !== '' && { configFile }),
  };
}
