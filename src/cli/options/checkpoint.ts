import type {
  CgroupsMode,
  CheckpointOptions,
  ImageOptions,
  NetworkLock,
  RestoreOptions,
} from '../../container/store/options.ts';
import { TsrunError } from '../../errors.ts';
import { absolutePath, workingDirectory, type Surroundings } from '../surroundings.ts';
import { createOptions, ownStdio } from './create.ts';
import type { OptionTable, OptionValues } from './table.ts';
import { invalidValue, readDescriptor } from './values.ts';

const CGROUPS_MODES = ['soft', 'full', 'strict', 'ignore'] as const satisfies readonly CgroupsMode[];
const NETWORK_LOCKS = ['iptables', 'nftables', 'skip'] as const satisfies readonly NetworkLock[];
/** Where the image is unless something else is said, below the working directory. */
const IMAGE_DIRECTORY = 'checkpoint';

/** The options that `checkpoint` and `restore` have in common. */
export const imageOptions = {
  'image-path': {
    type: 'string',
    placeholder: 'DIR',
    default: `./${IMAGE_DIRECTORY}`,
    description: 'where the saved container is',
  },
  'work-path': {
    type: 'string',
    placeholder: 'DIR',
    default: 'that of --image-path',
    description: 'where CRIU has its log',
  },
  'tcp-established': { type: 'boolean', description: 'allow open TCP connections' },
  'ext-unix-sk': { type: 'boolean', description: 'allow unix sockets to the outside' },
  'shell-job': { type: 'boolean', description: 'allow a terminal that is not its own' },
  'file-locks': { type: 'boolean', description: 'save and restore file locks' },
  'manage-cgroups-mode': {
    type: 'string',
    placeholder: 'MODE',
    values: CGROUPS_MODES,
    default: 'soft',
    description: 'what CRIU does about cgroups in the container',
  },
  'lazy-pages': { type: 'boolean', description: 'transfer memory when it is asked for' },
  'auto-dedup': { type: 'boolean', description: 'remove memory that is saved twice' },
  'empty-ns': {
    type: 'strings',
    placeholder: 'NAMESPACE',
    values: ['network'],
    description: 'leave what is in a namespace to others; those of the network always are',
  },
  'network-lock': {
    type: 'string',
    placeholder: 'METHOD',
    values: NETWORK_LOCKS,
    default: 'iptables',
    description: 'how connections are kept still meanwhile',
  },
} as const satisfies OptionTable;

/** The options of `checkpoint`. */
export const checkpointOptions = {
  ...imageOptions,
  'leave-running': { type: 'boolean', description: 'let the container go on' },
  'parent-path': {
    type: 'string',
    placeholder: 'DIR',
    description: 'earlier image, relative to --image-path: only what has changed since is saved',
  },
  'pre-dump': { type: 'boolean', description: 'save only memory, and let the container go on' },
  'tcp-skip-in-flight': { type: 'boolean', description: 'leave out TCP connections that are being made' },
  'link-remap': { type: 'boolean', description: 'allow open files without a name' },
  'status-fd': {
    type: 'string',
    placeholder: 'FD',
    description: 'descriptor that gets a zero byte when memory is to be had (--lazy-pages)',
  },
  'page-server': { type: 'string', placeholder: 'ADDRESS:PORT', description: 'where memory goes, or is to be had' },
} as const satisfies OptionTable;

/** The options of `restore`. */
export const restoreOptions = {
  ...imageOptions,
  bundle: createOptions.bundle,
  config: createOptions.config,
  detach: { type: 'boolean', short: 'd', description: 'do not wait for the program' },
  keep: { type: 'boolean', description: 'do not remove the container when the program has ended' },
  'pid-file': createOptions['pid-file'],
  'console-socket': createOptions['console-socket'],
  'no-subreaper': { type: 'boolean', description: 'leave orphans of the container to others (in the foreground)' },
  'no-pivot': { type: 'boolean', description: 'CRIU enters the root in its own way: it has no effect' },
  'tcp-close': { type: 'boolean', description: 'have TCP connections come back closed' },
  'lsm-profile': { type: 'string', placeholder: 'TYPE:NAME', description: 'another profile of AppArmor or SELinux' },
  'lsm-mount-context': { type: 'string', placeholder: 'CONTEXT', description: 'another SELinux context of mounts' },
} as const satisfies OptionTable;

interface Named {
  readonly id: string;
  readonly surroundings: Surroundings;
}

/** The options of checkpointContainer(). Errors: `usage`. */
export function readCheckpointOptions(values: OptionValues<typeof checkpointOptions>, named: Named): CheckpointOptions {
  const parentPath = values['parent-path'] ?? '';
  if (parentPath.startsWith('/'))
    throw new TsrunError('usage', `--parent-path must be relative to --image-path, is ${JSON.stringify(parentPath)}`);
  const pageServer = readPageServer(values['page-server']);
  const statusFd = readDescriptor(values['status-fd'], 'status-fd');
  return {
    id: named.id,
    ...readImageOptions(values, named),
    ...(parentPath !== '' && { parentPath }),
    leaveRunning: values['leave-running'] === true,
    preDump: values['pre-dump'] === true,
    tcpSkipInFlight: values['tcp-skip-in-flight'] === true,
    linkRemap: values['link-remap'] === true,
    ...(pageServer !== undefined && { pageServer }),
    ...(statusFd !== undefined && { statusFd }),
  };
}

/** The options of restoreContainer(). Errors: `usage`. */
export function readRestoreOptions(values: OptionValues<typeof restoreOptions>, named: Named): RestoreOptions {
  const { id, surroundings } = named;
  const consoleSocket = absolutePath(values['console-socket'], surroundings);
  const pidFile = absolutePath(values['pid-file'], surroundings);
  const { config = '', 'lsm-profile': lsmProfile = '', 'lsm-mount-context': lsmMountContext = '' } = values;
  return {
    id,
    ...readImageOptions(values, named),
    bundle: absolutePath(values.bundle, surroundings) ?? workingDirectory(surroundings),
    ...(config !== '' && { configFile: config }),
    noPivot: values['no-pivot'] === true,
    stdio: ownStdio,
    detach: values.detach === true,
    keep: values.keep === true,
    forwardSignals: true,
    subreaper: values['no-subreaper'] !== true,
    tcpClose: values['tcp-close'] === true,
    ...(consoleSocket !== undefined && { consoleSocket }),
    ...(pidFile !== undefined && { pidFile }),
    ...(lsmProfile !== '' && { lsmProfile }),
    ...(lsmMountContext !== '' && { lsmMountContext }),
  };
}

function readImageOptions(values: OptionValues<typeof imageOptions>, { surroundings }: Named): ImageOptions {
  const namespace = values['empty-ns'].find((name) => name !== 'network');
  if (namespace !== undefined) throw invalidValue(namespace, 'empty-ns', 'network');
  const manageCgroupsMode = readWord(values['manage-cgroups-mode'], 'manage-cgroups-mode', CGROUPS_MODES);
  const networkLock = readWord(values['network-lock'], 'network-lock', NETWORK_LOCKS);
  const workPath = absolutePath(values['work-path'], surroundings);
  return {
    imagePath:
      absolutePath(values['image-path'], surroundings) ?? `${workingDirectory(surroundings)}/${IMAGE_DIRECTORY}`,
    ...(workPath !== undefined && { workPath }),
    tcpEstablished: values['tcp-established'] === true,
    extUnixSk: values['ext-unix-sk'] === true,
    shellJob: values['shell-job'] === true,
    fileLocks: values['file-locks'] === true,
    lazyPages: values['lazy-pages'] === true,
    autoDedup: values['auto-dedup'] === true,
    ...(manageCgroupsMode !== undefined && { manageCgroupsMode }),
    ...(networkLock !== undefined && { networkLock }),
  };
}

function readWord<const Word extends string>(text = '', option: string, words: readonly Word[]): Word | undefined {
  const found = words.find((word) => word === text);
  if (found === undefined && text !== '') throw invalidValue(text, option, words.join(', '));
  return found;
}

/** An IPv6 address is in brackets. */
function readPageServer(text = ''): CheckpointOptions['pageServer'] {
  if (text === '') return undefined;
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  const port = Number(digits);
  if (address !== undefined && port >= 1 && port <= 65_535) return { address, port };
  throw invalidValue(text, 'page-server', 'ADDRESS:PORT');
}
