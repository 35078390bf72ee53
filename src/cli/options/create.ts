import type { CreateOptions, ExplainOptions, Stdio } from '../../container/store/options.ts';
import { readNetwork } from './network.ts';
import type { OptionTable, OptionValues } from './table.ts';
import { preservedDescriptors, readInherited, readNotifySocket } from '../service-manager.ts';
import { absolutePath, workingDirectory, type Surroundings } from '../surroundings.ts';
import { NETWORK_FORMS } from '../../plan/network/choice.ts';
import { LOWERS_MAX } from '../../spec/overlay.ts';
import { TsrunError } from '../../errors.ts';
import { invalidValue, readPreserveFds } from './values.ts';

/** The options that decide what a container will be. */
export const bundleOptions = {
  bundle: { type: 'string', short: 'b', placeholder: 'DIR', default: '.', description: 'directory of config.json' },
  config: {
    type: 'string',
    short: 'f',
    placeholder: 'FILE',
    default: 'config.json',
    description: 'another name for config.json',
  },
  overlay: {
    type: 'string',
    placeholder: 'DIR',
    isBare: true,
    description: 'put what the container changes into a layer over its rootfs, which goes with it; or is kept in DIR',
  },
  lower: {
    type: 'strings',
    placeholder: 'DIR',
    description: 'lay DIR between layer and rootfs, the uppermost first; a container with one has a layer',
  },
  network: {
    type: 'string',
    placeholder: 'NETWORK',
    default: 'that of the config',
    description: NETWORK_FORMS,
  },
  publish: {
    type: 'strings',
    short: 'p',
    placeholder: '[IP:]PORT:PORT[/udp]',
    description:
      'a port of the host that leads to one of the container (--network bridge, cni:NAME); as often as wanted',
  },
  'no-pivot': { type: 'boolean', description: 'move the root in place of pivot_root' },
  'no-new-keyring': { type: 'boolean', description: 'keep the session keyring of the caller' },
  'preserve-fds': { type: 'string', placeholder: 'N', description: 'pass N more descriptors, from 3 on' },
} as const satisfies OptionTable;

/** The options that `create` and `run` have in common. */
export const createOptions = {
  ...bundleOptions,
  'console-socket': { type: 'string', placeholder: 'PATH', description: 'unix socket to send the terminal to' },
  'pid-file': { type: 'string', placeholder: 'PATH', description: 'file to write the pid to' },
  'pidfd-socket': {
    type: 'string',
    placeholder: 'PATH',
    description: 'unix socket to send a pidfd of init to',
  },
  'no-subreaper': { type: 'boolean', description: 'leave orphans of the container to others (run in the foreground)' },
} as const satisfies OptionTable;

/** The descriptors of tsrun itself. */
export const ownStdio: Stdio = [0, 1, 2];

/** What decides how a container is made. Errors: `usage`. */
export function readBundleOptions(
  values: OptionValues<typeof bundleOptions>,
  { id, surroundings }: { id: string; surroundings: Surroundings },
): ExplainOptions {
  const network = readNetwork(values, surroundings);
  return {
    id,
    bundle: absolutePath(values.bundle, surroundings) ?? workingDirectory(surroundings),
    ...(values.config !== undefined && values.config !== '' && { configFile: values.config }),
    ...readOverlay(values, surroundings),
    ...(network !== undefined && { network }),
    noPivot: values['no-pivot'] === true,
    noNewKeyring: values['no-new-keyring'] === true,
    preserved: preservedDescriptors(readPreserveFds(values['preserve-fds'])),
  };
}

function readOverlay(
  { overlay, lower }: Pick<OptionValues<typeof bundleOptions>, 'overlay' | 'lower'>,
  surroundings: Surroundings,
): Pick<ExplainOptions, 'overlay'> {
  if (overlay === undefined && lower.length === 0) return {};
  if (lower.length > LOWERS_MAX)
    throw new TsrunError('usage', `there are ${lower.length} options "--lower", wanted at most ${LOWERS_MAX}`);
  const directory = absolutePath(overlay, surroundings);
  const lowers = lower.map((text) => {
    const path = absolutePath(text, surroundings);
    if (path === undefined) throw invalidValue(text, 'lower', 'a directory');
    return path;
  });
  return { overlay: { lowers, ...(directory !== undefined && { directory }) } };
}

/** The options of createContainer(). Errors: `usage`. */
export function readCreateOptions(
  values: OptionValues<typeof createOptions>,
  { id, surroundings }: { id: string; surroundings: Surroundings },
): CreateOptions {
  const consoleSocket = absolutePath(values['console-socket'], surroundings);
  const pidFile = absolutePath(values['pid-file'], surroundings);
  const pidfdSocket = absolutePath(values['pidfd-socket'], surroundings);
  const notifySocket = readNotifySocket(surroundings);
  return {
    ...readBundleOptions(values, { id, surroundings }),
    ...(consoleSocket !== undefined && { consoleSocket }),
    ...(pidFile !== undefined && { pidFile }),
    ...(pidfdSocket !== undefined && { pidfdSocket }),
    ...readInherited(values['preserve-fds'], surroundings),
    ...(notifySocket !== undefined && { notifySocket }),
    stdio: ownStdio,
  };
}
