import { TsrunError } from '../../errors.ts';
import { parseJson, stringifyJson } from '../../spec/parse.ts';
import type { PublishedPort } from './choice.ts';

/** The network of the Container Network Interface: a configuration names plugins, which are called one after the other. CNI specification 1.1. */

type JsonObject = Readonly<Record<string, unknown>>;

/** A plugin's part of a configuration. */
export type CniPlugin = JsonObject & { readonly type: string };

/** A network configuration list. */
export interface CniList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly CniPlugin[];
}

/** What one call of a plugin is about. */
export interface CniCall {
  readonly command: 'ADD' | 'DEL';
  readonly containerId: string;
  /** Absolute; undefined when the namespace is gone. */
  readonly namespacePath: string | undefined;
  /** Directories of plugins. */
  readonly path: readonly string[];
}

/** Name of the container's device, as every caller of plugins has it. */
const INTERFACE = 'eth0';
/** A version that knows prevResult in ADD, and in DEL (section 5 of the specification, "Changelog"). */
const CHAINED = { ADD: [0, 3], DEL: [0, 4] } as const;

/**
 * A `.conflist`, or a `.conf` as a list of one; undefined when it has another name. Errors: `host` for one of this name that is none.
 */
export function parseCniConfig(text: string, { file, name }: { file: string; name: string }): CniList | undefined {
  let config: unknown;
  try {
    config = parseJson(text);
  } catch (error) {
    if (!text.includes(JSON.stringify(name))) return undefined;
    throw TsrunError.of('host', `read ${JSON.stringify(file)}`, error);
  }
  if (!isObject(config) || config['name'] !== name) return undefined;
  const { cniVersion = '0.1.0', plugins = [config] } = config;
  const isList = Array.isArray(plugins) && plugins.length > 0;
  if (typeof cniVersion !== 'string' || !isList || !plugins.every(isPlugin))
    throw new TsrunError(
      'host',
      `read ${JSON.stringify(file)}: it is no CNI configuration: wanted plugins with a type`,
    );
  return { cniVersion, name, plugins };
}

/** What a plugin reads from standard input. */
export function planCniInput(
  { cniVersion, name }: CniList,
  plugin: CniPlugin,
  { command, previous, publish }: { command: CniCall['command']; previous: unknown; publish: readonly PublishedPort[] },
): string {
  const wantsPorts = isObject(plugin['capabilities']) && plugin['capabilities']['portMappings'] === true;
  const { capabilities: _told, ...rest } = plugin;
  return stringifyJson({
    ...rest,
    name,
    cniVersion,
    ...(wantsPorts && publish.length > 0 && { runtimeConfig: { portMappings: publish.map(portMapping) } }),
    ...(previous !== undefined && isSince(cniVersion, CHAINED[command]) && { prevResult: previous }),
  });
}

/** Its environment, beside PATH. Shape: `NAME=value`. */
export function planCniEnvironment({ command, containerId, namespacePath, path }: CniCall): string[] {
  return [
    `CNI_COMMAND=${command}`,
    `CNI_CONTAINERID=${containerId}`,
    `CNI_NETNS=${namespacePath ?? ''}`,
    `CNI_IFNAME=${INTERFACE}`,
    `CNI_PATH=${path.join(':')}`,
  ];
}

/** What a plugin says on standard output when it fails; the text itself where that is nothing of the kind. */
export function explainCniFailure(stdout: string, stderr: string): string {
  const { msg, details } = read(stdout);
  const said = [msg, details].filter((part) => typeof part === 'string' && part !== '').join('; ');
  const [line = ''] = stderr.trim().split('\n');
  return said === '' ? line : said.replaceAll('\n', ' ');
}

/** The result of a plugin; undefined when it printed none. Errors: `host`. */
export function parseCniResult(text: string, type: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return parseJson(text);
  } catch (error) {
    throw TsrunError.of('host', `read the result of CNI plugin ${JSON.stringify(type)}`, error);
  }
}

/** The first IPv4 address of a result, in dotted decimal. */
export function addressInResult(result: unknown): string | undefined {
  const ips = isObject(result) && Array.isArray(result['ips']) ? (result['ips'] as unknown[]) : [];
  return ips
    .map((ip) => (isObject(ip) && typeof ip['address'] === 'string' ? ip['address'] : ''))
    .map((address) => address.split('/')[0] ?? '')
    .find((address) => /^[\d.]+$/.test(address));
}

/** resolv.conf by a result; undefined where it names no name server. */
export function resolvConfInResult(result: unknown): string | undefined {
  const dns = isObject(result) && isObject(result['dns']) ? result['dns'] : {};
  const servers = words(dns['nameservers']);
  if (servers.length === 0) return undefined;
  const search = words(dns['search']);
  const options = words(dns['options']);
  return [
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n');
}

function portMapping({ hostAddress, hostPort, port, protocol }: PublishedPort): JsonObject {
  return { hostPort, containerPort: port, protocol, ...(hostAddress !== undefined && { hostIP: hostAddress }) };
}

function isSince(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/** The type is the name of a file in a directory of plugins. */
function isPlugin(value: unknown): value is CniPlugin {
  return (
    isObject(value) &&
    typeof value['type'] === 'string' &&
    /^[\w.-]+$/.test(value['type']) &&
    !/^\.+$/.test(value['type'])
  );
}

function words(value: unknown): string[] {
  return Array.isArray(value)
    ? value.filter((word): word is string => typeof word === 'string' && /^\S+$/.test(word))
    : [];
}

function read(text: string): JsonObject {
  try {
    const value = parseJson(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
