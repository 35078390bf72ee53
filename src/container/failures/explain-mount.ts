import { existsSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { parseMountOptions } from '../../plan/rootfs/mount-options.ts';
import { isBindMount } from '../../spec/bind-mount.ts';
import type { Config, Mount } from '../../spec/generated/config.ts';
import { readKernelWords, type FileSystemTrial } from '../../sys/file-system-context.ts';

/** Making one of them reads no device and asks no network. */
const MADE: ReadonlySet<string> = new Set(['tmpfs', 'overlay']);

/**
 * A mount of the configuration that has failed, with what the kernel says of it: mount(2) has nothing but an errno, so it is tried again
 * on a context that is attached to nothing. Any other failure is returned as it is.
 */
export function explainMount(error: unknown, config: Config): unknown {
  if (!(error instanceof TsrunError) || error.step?.call !== 'mount') return error;
  const index = /^\/mounts\/(\d+)$/.exec(error.pointer ?? '')?.[1];
  const mount = config.mounts?.[Number(index)];
  if (mount === undefined || isBindMount(mount)) return error;
  const { code, text, step, pointer } = error;
  return new TsrunError(code, `${text}; ${explain(error.errno, mount, config)}`, { step, pointer, cause: error });
}

function explain(errno: string | undefined, mount: Mount, config: Config): string {
  const { type = '', options = [] } = mount;
  if (errno === 'ENODEV') {
    const remedy = `/proc/filesystems lists those it has, and "modprobe ${type}" may load it`;
    return `this kernel has no file system of type ${JSON.stringify(type)}: ${remedy}`;
  }
  const trial = trialOf(mount, config);
  const missing = type === 'overlay' ? missingLayers(trial) : [];
  if (missing.length > 0) return `there is no ${missing.join(', no ')}`;
  const said = readKernelWords(trial);
  const shown = options.length === 0 ? 'there are no options' : `the options are ${JSON.stringify(options.join(','))}`;
  return said.length === 0 ? shown : `the kernel says: ${said.join('; ')}; ${shown}`;
}

/** What the kernel looks for where the runtime is. */
function missingLayers({ options }: FileSystemTrial): string[] {
  const layers = options.flatMap(({ key, value = '' }) => {
    const places = key === 'lowerdir' ? value.split(':') : key === 'upperdir' || key === 'workdir' ? [value] : [];
    return places.map((place) => ({ key, place }));
  });
  return layers
    .filter(({ place }) => place.startsWith('/') && !existsSync(place))
    .map(({ key, place }) => `${JSON.stringify(place)} (${key})`);
}

function trialOf({ type = '', source = 'none', options = [] }: Mount, { linux }: Config): FileSystemTrial {
  const isForeign = linux?.namespaces?.some((namespace) => namespace.type === 'user') === true;
  return {
    type,
    source,
    options: parseMountOptions(options).data.map(splitOption),
    isMade: MADE.has(type) && !isForeign,
  };
}

function splitOption(option: string): FileSystemTrial['options'][number] {
  const at = option.indexOf('=');
  return at < 0 ? { key: option } : { key: option.slice(0, at), value: option.slice(at + 1) };
}
