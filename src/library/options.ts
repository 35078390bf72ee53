import type {
  DumpOptions,
  ImageOptions,
  ProcessChange,
  RestoreSettings,
  SubCgroup,
} from '../container/store/options.ts';
import { stringifyJson } from '../spec/parse.ts';
import type { Config, Process as ProcessSection } from '../spec/generated/config.ts';
import { type Checks, CHECKS, oneOf } from './check.ts';
import type { Patience } from './interruption.ts';
import {
  checkNetwork,
  checkOverlay,
  checkPublish,
  toNetwork,
  toOverlay,
  type NetworkOption,
  type OverlayOption,
  type PublishOption,
} from './surroundings.ts';
import { checkStdio, type StdioOptions } from './stdio.ts';
import { checkConsole, type ConsoleOption } from './terminal.ts';

/** What a program is connected to. */
export interface ProgramOptions extends Patience {
  /** Default: `ignore`. Without effect for a program with a terminal. */
  readonly stdio?: StdioOptions;
  /** Of a program with a terminal. */
  readonly console?: ConsoleOption;
  /** Descriptors that become 3 and up of the program, in this order. Default: none. */
  readonly descriptors?: readonly number[];
  /** How many of them, the first ones, are sockets that are handed over by the protocol of sd_listen_fds(3). Default: 0. */
  readonly listenFds?: number;
  /** Absolute path of a file that receives the pid, in decimal. */
  readonly pidFile?: string;
  /** Absolute path of a unix socket that is sent a pidfd. */
  readonly pidfdSocket?: string;
}

/** What a container is made from. */
export interface ConfigOptions {
  /** Names the container; letters, digits and `_+.-`. */
  readonly id: string;
  /** Absolute path of the directory with config.json. With `config` only what is relative there, and hooks, refer to it. */
  readonly bundle?: string;
  /** Name of the configuration in the bundle. Default: config.json. */
  readonly configFile?: string;
  /** The configuration, in place of a file. */
  readonly config?: Config;
  /** Absolute path of the root file system, in place of that of `config`; the bundle is then its parent directory unless given. */
  readonly rootfs?: string;
  /** What the container changes goes to a layer over the root file system. Default: what the annotation of the config says. */
  readonly overlay?: OverlayOption;
  /** In place of the network of the config. Default: that. */
  readonly network?: NetworkOption;
  /** Ports of the host that lead to the container, with `bridge` or `cni:NAME`. Default: none. */
  readonly publish?: readonly PublishOption[];
  /** MS_MOVE and chroot in place of pivot_root. Default: false. */
  readonly noPivot?: boolean;
  /** Keep the session keyring of this process. Default: false. */
  readonly noNewKeyring?: boolean;
}

/** A container to create: what it is made from, and what its program, started later, is connected to. */
export interface CreateContainerOptions extends ConfigOptions, ProgramOptions {
  /** Socket of a service manager that is told when the program is ready: a path, or an abstract name behind `@`. */
  readonly notifySocket?: string;
}

/** A container to create and start in one operation, and what becomes of it at its end. */
export interface RunContainerOptions extends CreateContainerOptions {
  /** Keep the container when the program has ended. Default: false. */
  readonly keep?: boolean;
  /** Signals that this process gets go to the program while it runs. No handler of this process is touched otherwise. Default: false. */
  readonly forwardSignals?: boolean;
}

/** What a container that is created is started with; its program's connections are those given at its creation. */
export interface StartContainerOptions extends Patience {
  /** As when it was created, which has to have been given one too. */
  readonly notifySocket?: string;
}

/** A further program in a container that runs: what differs from the container's own process. */
export interface ExecOptions extends ProgramOptions {
  /** The program and its arguments; what is not said besides is as it is for the container's own process. */
  readonly args?: readonly string[];
  /** The whole process, in place of `args` and what else changes it. */
  readonly process?: ProcessSection;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly terminal?: boolean;
  readonly uid?: number;
  readonly gid?: number;
  readonly additionalGids?: readonly number[];
  /** Added, such as `CAP_NET_ADMIN`. */
  readonly capabilities?: readonly string[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  /** Also in a container that is paused. Default: false. */
  readonly ignorePaused?: boolean;
  /** Cgroups below the container's for the process. Default: the container's own. */
  readonly subCgroups?: readonly SubCgroup[];
  /** As for `runContainer`. */
  readonly forwardSignals?: boolean;
}

/** How much the state of a container to delete matters: unless forced it has to have stopped, or never been started. */
export interface DeleteContainerOptions extends Patience {
  /** Kill what still runs; a container that does not exist is no error. Default: false. */
  readonly force?: boolean;
}

/** How a container is saved; paths are absolute but for `parentPath`. What CRIU has begun is not interrupted. */
export interface CheckpointContainerOptions extends DumpOptions, Patience {
  /** A descriptor of this process that gets a zero byte when memory is to be had, with `lazyPages`. */
  readonly statusFd?: number;
}

/** A container that was saved, and what its program is connected to from now on. */
export interface RestoreContainerOptions
  extends
    RestoreSettings,
    Omit<ConfigOptions, 'overlay' | 'network' | 'publish' | 'noPivot' | 'noNewKeyring'>,
    Omit<ProgramOptions, 'descriptors' | 'listenFds'> {
  /** Keep the container when the program has ended. Default: false. */
  readonly keep?: boolean;
  /** As for `runContainer`. */
  readonly forwardSignals?: boolean;
}

const PATIENCE = { signal: CHECKS.signal, timeoutMs: CHECKS.timeoutMs };

const PROGRAM = {
  ...PATIENCE,
  stdio: checkStdio,
  console: checkConsole,
  descriptors: CHECKS.descriptors,
  listenFds: CHECKS.count,
  pidFile: CHECKS.path,
  pidfdSocket: CHECKS.path,
};

const CONFIG: Checks<ConfigOptions> = {
  id: CHECKS.text,
  bundle: CHECKS.path,
  configFile: CHECKS.text,
  config: CHECKS.object,
  rootfs: CHECKS.path,
  overlay: checkOverlay,
  network: checkNetwork,
  publish: checkPublish,
  noPivot: CHECKS.flag,
  noNewKeyring: CHECKS.flag,
};

const IMAGE = {
  imagePath: CHECKS.path,
  workPath: CHECKS.path,
  tcpEstablished: CHECKS.flag,
  extUnixSk: CHECKS.flag,
  shellJob: CHECKS.flag,
  fileLocks: CHECKS.flag,
  lazyPages: CHECKS.flag,
  autoDedup: CHECKS.flag,
  manageCgroupsMode: oneOf('soft', 'full', 'strict', 'ignore'),
  networkLock: oneOf('iptables', 'nftables', 'skip'),
};

/** What the options of each call may be. */
export const OPTION_CHECKS = {
  patience: PATIENCE satisfies Checks<Patience>,
  explain: CONFIG,
  create: { ...CONFIG, ...PROGRAM, notifySocket: CHECKS.text } satisfies Checks<CreateContainerOptions>,
  run: {
    ...CONFIG,
    ...PROGRAM,
    notifySocket: CHECKS.text,
    keep: CHECKS.flag,
    forwardSignals: CHECKS.flag,
  } satisfies Checks<RunContainerOptions>,
  checkpoint: {
    ...PATIENCE,
    ...IMAGE,
    parentPath: CHECKS.text,
    leaveRunning: CHECKS.flag,
    preDump: CHECKS.flag,
    tcpSkipInFlight: CHECKS.flag,
    linkRemap: CHECKS.flag,
    pageServer: CHECKS.object,
    statusFd: CHECKS.count,
  } satisfies Checks<CheckpointContainerOptions>,
  restore: {
    ...PATIENCE,
    ...IMAGE,
    id: CHECKS.text,
    bundle: CHECKS.path,
    configFile: CHECKS.text,
    config: CHECKS.object,
    rootfs: CHECKS.path,
    stdio: checkStdio,
    console: checkConsole,
    pidFile: CHECKS.path,
    pidfdSocket: CHECKS.path,
    tcpClose: CHECKS.flag,
    lsmProfile: CHECKS.text,
    lsmMountContext: CHECKS.text,
    keep: CHECKS.flag,
    forwardSignals: CHECKS.flag,
  } satisfies Checks<RestoreContainerOptions>,
  start: { ...PATIENCE, notifySocket: CHECKS.text } satisfies Checks<StartContainerOptions>,
  exec: {
    ...PROGRAM,
    args: CHECKS.texts,
    process: CHECKS.object,
    env: CHECKS.object,
    cwd: CHECKS.path,
    terminal: CHECKS.flag,
    uid: CHECKS.count,
    gid: CHECKS.count,
    additionalGids: CHECKS.numbers,
    capabilities: CHECKS.texts,
    noNewPrivileges: CHECKS.flag,
    apparmorProfile: CHECKS.text,
    selinuxLabel: CHECKS.text,
    ignorePaused: CHECKS.flag,
    subCgroups: CHECKS.object,
    forwardSignals: CHECKS.flag,
  } satisfies Checks<ExecOptions>,
  delete: { ...PATIENCE, force: CHECKS.flag } satisfies Checks<DeleteContainerOptions>,
};

/** What a container is made from, as the operations take it. Errors: TypeError without a bundle and a root file system. */
export function configSource(
  call: string,
  {
    id,
    bundle,
    configFile,
    config,
    rootfs,
    overlay,
    network,
    publish,
    noPivot = false,
    noNewKeyring = false,
  }: ConfigOptions,
) {
  const common = {
    id,
    noPivot,
    noNewKeyring,
    ...(overlay !== undefined && { overlay: toOverlay(overlay) }),
    ...toNetwork(call, { network, publish }),
  };
  if (config === undefined) {
    if (bundle === undefined) throw new TypeError(`${call}: neither "bundle" nor "config" is given`);
    if (rootfs !== undefined) throw new TypeError(`${call}: "rootfs" is given without "config"`);
    return { ...common, bundle, ...(configFile !== undefined && { configFile }) };
  }
  const directory = bundle ?? rootfs?.replace(/\/[^/]+\/*$/, '');
  if (directory === undefined) throw new TypeError(`${call}: "config" is given without "bundle" and "rootfs"`);
  const whole = rootfs === undefined ? config : { ...config, root: { ...config.root, path: rootfs } };
  return { ...common, bundle: directory === '' ? '/' : directory, configText: stringifyJson(whole) };
}

/** The process of an exec, as the operation takes it. Errors: TypeError without one. */
export function processChange(call: string, options: ExecOptions): ProcessChange {
  const { args, process, uid, gid, cwd, noNewPrivileges, apparmorProfile, selinuxLabel } = options;
  if (process !== undefined) {
    if (args !== undefined) throw new TypeError(`${call}: "args" and "process" are given, wanted one of them`);
    return { kind: 'document', text: stringifyJson(process), path: 'process' };
  }
  if (args === undefined || args.length === 0) throw new TypeError(`${call}: "args" is empty, wanted a program`);
  if (gid !== undefined && uid === undefined) throw new TypeError(`${call}: "gid" is given without "uid"`);
  return {
    kind: 'options',
    args,
    env: Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`),
    terminal: options.terminal === true,
    additionalGids: options.additionalGids ?? [],
    capabilities: options.capabilities ?? [],
    ...(cwd !== undefined && { cwd }),
    ...(uid !== undefined && { user: { uid, ...(gid !== undefined && { gid }) } }),
    ...(noNewPrivileges !== undefined && { noNewPrivileges }),
    ...(apparmorProfile !== undefined && { apparmorProfile }),
    ...(selinuxLabel !== undefined && { selinuxLabel }),
  };
}

/** How a container is restored, as the operation takes it. */
export function imageOptions(options: RestoreContainerOptions): RestoreSettings {
  const { tcpClose, lsmProfile, lsmMountContext, imagePath } = options;
  const common = Object.keys(IMAGE).map((name) => [name, options[name as keyof ImageOptions]] as const);
  return {
    ...(Object.fromEntries(common.filter(([, value]) => value !== undefined)) as Omit<ImageOptions, 'imagePath'>),
    imagePath,
    ...(tcpClose !== undefined && { tcpClose }),
    ...(lsmProfile !== undefined && { lsmProfile }),
    ...(lsmMountContext !== undefined && { lsmMountContext }),
  };
}
