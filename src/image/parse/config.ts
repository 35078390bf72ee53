import { configAnnotations, isConfigAnnotation } from '../../spec/annotations.ts';
import { LOWERS_MAX } from '../../spec/overlay.ts';
import { specTemplate } from '../../spec/template.ts';
import type { Config, Mount } from '../../spec/generated/config.ts';
import { refuse } from '../refuse.ts';
import { parseObject } from './manifest.ts';
import { resolveUser, type ImageUser, type UserFiles } from './user.ts';

/** What of an image's configuration counts here. Source: image-spec, config.md. */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  /** One for each layer: the digest of what it is unpacked. */
  readonly diffIds: readonly string[];
  readonly user: string;
  readonly environment: readonly string[];
  readonly args: readonly string[];
  readonly workingDirectory: string;
  readonly volumes: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** An ordinary user, who alone is in the container: as its root. */
export interface Rootless {
  readonly uid: number;
  readonly gid: number;
}

const PREFIX = 'org.opencontainers.image.';
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What images are written for: docker's default, the same as podman's and containerd's but for a few. */
const CAPABILITIES = [
  ...['CAP_AUDIT_WRITE', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_MKNOD'],
  ...[
    'CAP_NET_BIND_SERVICE',
    'CAP_NET_RAW',
    'CAP_SETFCAP',
    'CAP_SETGID',
    'CAP_SETPCAP',
    'CAP_SETUID',
    'CAP_SYS_CHROOT',
  ],
];

/** Reads an image's configuration. Errors: `bundle`. */
export function parseImageConfig(bytes: Buffer): ImageConfig {
  const what = 'the configuration of the image';
  const image = parseObject(bytes, what);
  const config = objectOf(image, 'config');
  const rootfs = objectOf(image, 'rootfs');
  const text = (holder: Record<string, unknown>, name: string): string => {
    const value = holder[name] ?? '';
    if (typeof value !== 'string') throw refuse(`${what} has a ${name} that is no text`);
    return value;
  };
  return {
    architecture: text(image, 'architecture'),
    os: text(image, 'os'),
    diffIds: listOf(rootfs, 'diff_ids'),
    user: text(config, 'User'),
    environment: listOf(config, 'Env'),
    args: [...listOf(config, 'Entrypoint'), ...listOf(config, 'Cmd')],
    workingDirectory: text(config, 'WorkingDir'),
    volumes: Object.keys(objectOf(config, 'Volumes')),
    annotations: readAnnotations(image, config, text),
  };
}

/** Source: image-spec, conversion.md, "Annotation Fields": labels of the image come before what is derived. */
function readAnnotations(
  image: Record<string, unknown>,
  config: Record<string, unknown>,
  text: (holder: Record<string, unknown>, name: string) => string,
): Record<string, string> {
  const features = listOf(image, 'os.features');
  const derived: Readonly<Record<string, string>> = {
    os: text(image, 'os'),
    architecture: text(image, 'architecture'),
    variant: text(image, 'variant'),
    'os.version': text(image, 'os.version'),
    'os.features': features.join(','),
    author: text(image, 'author'),
    created: text(image, 'created'),
    stopSignal: text(config, 'StopSignal'),
    exposedPorts: Object.keys(objectOf(config, 'ExposedPorts')).sort().join(','),
  };
  const labels = Object.entries(objectOf(config, 'Labels'));
  return {
    ...Object.fromEntries(
      Object.entries(derived)
        .filter(([, value]) => value !== '')
        .map(([name, value]) => [PREFIX + name, value]),
    ),
    ...Object.fromEntries(labels.filter(isPlainLabel)),
  };
}

/** The specification of the runtime wants names that are not empty; and an image does not say what tsrun does on the host. */
function isPlainLabel(label: [string, unknown]): label is [string, string] {
  const [name, value] = label;
  return name !== '' && typeof value === 'string' && !isConfigAnnotation(name);
}

/** What a bundle is made of beside the image's own configuration. */
export interface ConversionOptions {
  readonly users: UserFiles;
  readonly rootless?: Rootless | undefined;
  /** Absolute paths of the directories of its layers, the uppermost first; none where they are one. */
  readonly lowers: readonly string[];
}

/** The config.json of an image. Errors: `bundle` for a user that it does not have. Source: image-spec, conversion.md. */
export function convertConfig(image: ImageConfig, { users, rootless, lowers }: ConversionOptions): Config {
  const template = specTemplate({ rootless: rootless !== undefined, ...rootless });
  const user = resolveUser(image.user, users);
  const runsAs = rootless === undefined ? user : { uid: 0, gid: 0, additionalGids: [] };
  const environment = image.environment.filter((setting) => setting.includes('='));
  const hasPath = environment.some((setting) => setting.startsWith('PATH='));
  const { process: base } = template;
  return {
    ...template,
    process: {
      ...base,
      // A bundle runs in a script as well; who wants a terminal says so in config.json.
      terminal: false,
      user: userOf(runsAs),
      args: image.args.length === 0 ? ['sh'] : [...image.args],
      env: [...(hasPath ? [] : [PATH]), ...environment],
      cwd: absolute(image.workingDirectory),
      capabilities: capabilitiesOf(runsAs),
    },
    root: { path: 'rootfs' },
    mounts: [...(template.mounts ?? []), ...image.volumes.map((volume) => volumeMount(volume))],
    annotations: { ...image.annotations, ...layersOf(lowers) },
  };
}

/** More than there may be are left to whoever lays them over one another. */
function layersOf(lowers: readonly string[]): Record<string, string> {
  if (lowers.length === 0 || lowers.length > LOWERS_MAX) return {};
  return { [configAnnotations.overlay]: JSON.stringify({ lower: lowers }) };
}

function userOf({ uid, gid, additionalGids }: ImageUser): { uid: number; gid: number; additionalGids?: number[] } {
  return { uid, gid, ...(additionalGids.length > 0 && { additionalGids: [...additionalGids] }) };
}

/** Who is not root has none, but may get them by what it executes, as far as that is allowed. */
function capabilitiesOf({ uid }: ImageUser): { bounding: string[]; effective?: string[]; permitted?: string[] } {
  const bounding = [...CAPABILITIES];
  return uid === 0 ? { bounding, effective: [...CAPABILITIES], permitted: [...CAPABILITIES] } : { bounding };
}

/** It begins with what the image has there, and ends with the container. */
function volumeMount(destination: string): Mount {
  return {
    destination: absolute(destination),
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'tmpcopyup'],
  };
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function objectOf(holder: Record<string, unknown>, name: string): Record<string, unknown> {
  const value = holder[name] ?? {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw refuse(`the configuration of the image has a ${name} that is no object`);
  return value as Record<string, unknown>;
}

function listOf(holder: Record<string, unknown>, name: string): string[] {
  const value = holder[name] ?? [];
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
    throw refuse(`the configuration of the image has a ${name} that is no list of texts`);
  return value;
}
