import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { readBundleFacts, resolveRootfs } from '../../host/bundle-facts.ts';
import { realPath } from '../../host/real-path.ts';
import type { BundleFacts } from '../../plan/base/facts.ts';
import { LAYER_NAMES } from '../../plan/base/layers.ts';
import { planLookups } from '../../plan/lookups.ts';
import { stripRootfsPrefix } from '../../plan/rootfs/rootfs-prefix.ts';
import type { Config } from '../../spec/generated/config.ts';
import { readOverlay, type OverlaySettings } from '../../spec/overlay.ts';
import { loadConfig } from '../../spec/validate.ts';
import type { Runtime } from '../caller/caller.ts';
import { mountsOf } from '../caller/host.ts';
import type { CreateOptions } from '../store/options.ts';
import { readBounded } from '../store/read-bounded.ts';
import { wording } from '../../util/wording.ts';
import { remedies } from '../../util/remedies.ts';

/** A bundle that has been read and validated. `config` may differ from `text`: see `BundleChanges`. */
export interface Bundle {
  readonly config: Config;
  /** config.json as it was read, or rewritten. */
  readonly text: string;
  readonly facts: BundleFacts;
  /** What the container has over its rootfs; paths are absolute, symlinks resolved. */
  readonly overlay?: OverlaySettings;
}

/** What is done with a configuration before the container is made from it. */
export interface BundleChanges {
  /** Makes the text that is read, checked and kept. */
  readonly rewrite?: (text: string) => string;
  /** Makes the config that the container is made from, of the one that was read. */
  readonly change?: (config: Config) => Config;
}

/** The bundle, and where its configuration is. */
export type BundleSource = Pick<CreateOptions, 'bundle' | 'configFile' | 'configText' | 'overlay'>;

const CONFIG_FILE = 'config.json';
/** A configuration has some ten kilobytes; what is much larger is a mistake or an attack. */
const CONFIG_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Reads and validates a bundle, and looks at the places it names.
 *
 * Errors: `bundle` when it or its rootfs cannot be read, `config` with every problem of config.json.
 */
export function readBundle(
  source: BundleSource,
  { log, caller }: Pick<Runtime, 'log' | 'caller'>,
  { rewrite = (text) => text, change = (config) => config }: BundleChanges = {},
): Bundle {
  const { configFile: name = CONFIG_FILE } = source;
  const directory = resolveDirectory(source.bundle);
  const text = rewrite(source.configText ?? readConfigText({ bundle: directory, configFile: name }));
  const { config: read, warnings } = (caller.loadConfig ?? loadConfig)(text);
  for (const { pointer, message } of warnings) log.warning(`${name}: ${pointer === '' ? '/' : pointer}: ${message}`);
  const wanted = path.resolve(directory, read.root?.path ?? '');
  caller.review?.(read, 'create', wanted);
  const rootfs = resolveRootfs(wanted);
  const config = stripRootfsPrefix(change(read), [rootfs, wanted]);
  const overlay = resolveOverlay(source.overlay ?? overlayOf(read));
  const lowers = overlay === undefined ? [] : layersOf(overlay);
  const places = { bundle: directory, rootfs, lowers, mounts: mountsOf(caller) };
  const facts = readBundleFacts(places, planLookups(config, directory));
  return { config, text, facts, ...(overlay !== undefined && { overlay }) };
}

/** A validated config has nothing wrong in it. */
function overlayOf({ annotations }: Config): OverlaySettings | undefined {
  const settings = readOverlay(annotations);
  return typeof settings === 'string' ? undefined : settings;
}

/** What lies over the rootfs before the container has changed anything. */
function layersOf({ directory, lowers }: OverlaySettings): readonly string[] {
  return directory === undefined ? lowers : [path.join(directory, LAYER_NAMES.upper), ...lowers];
}

function resolveOverlay(settings: OverlaySettings | undefined): OverlaySettings | undefined {
  if (settings === undefined) return undefined;
  const { directory } = settings;
  return {
    lowers: settings.lowers.map(resolveLower),
    // What is not there yet is made, below a directory that is.
    ...(directory !== undefined && {
      directory: existsSync(directory)
        ? resolveLayer(directory)
        : path.join(resolveLayer(path.dirname(directory)), path.basename(directory)),
    }),
  };
}

function resolveLayer(hostPath: string): string {
  try {
    return realPath(hostPath);
  } catch (error) {
    throw TsrunError.of('bundle', `open directory ${JSON.stringify(hostPath)} for the layer`, error);
  }
}

function resolveLower(hostPath: string): string {
  const what = `open lower directory ${JSON.stringify(hostPath)}`;
  try {
    const resolved = realPath(hostPath);
    if (statSync(resolved).isDirectory()) return resolved;
  } catch (error) {
    throw TsrunError.of('bundle', what, error);
  }
  throw new TsrunError('bundle', `${what}: it is ${wording.ENOTDIR}`);
}

function resolveDirectory(hostPath: string): string {
  try {
    return realPath(hostPath);
  } catch (error) {
    throw TsrunError.of('bundle', `open bundle ${JSON.stringify(hostPath)}`, error, { hint: remedies.bundle });
  }
}

/** The text of a bundle's configuration. Errors: `bundle`. */
export function readConfigText({ bundle, configFile: name = CONFIG_FILE }: Omit<BundleSource, 'configText'>): string {
  const file = path.resolve(bundle, name);
  try {
    return readBounded(file, { limitBytes: CONFIG_LIMIT_BYTES, plain: false, code: 'bundle' }).toString('utf8');
  } catch (error) {
    if (error instanceof TsrunError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new TsrunError('bundle', `${wording.configMissing(name)}: ${JSON.stringify(file)}`, {
        errno: 'ENOENT',
        cause: error,
        hint: remedies.config,
      });
    }
    throw TsrunError.of('bundle', `read ${JSON.stringify(file)}`, error);
  }
}
