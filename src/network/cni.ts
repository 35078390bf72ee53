import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../errors.ts';
import type { PublishedPort } from '../plan/network/choice.ts';
import {
  explainCniFailure,
  parseCniConfig,
  parseCniResult,
  planCniEnvironment,
  planCniInput,
  type CniCall,
  type CniList,
  type CniPlugin,
} from '../plan/network/cni.ts';
import { readTool } from '../process/run-tool.ts';
import type { CniReference } from '../spec/generated/record.ts';
import { parseJson, stringifyJson } from '../spec/parse.ts';
import { hasErrno } from '../sys/errno.ts';
import { isExecutableFile } from '../sys/file.ts';

const CONFIGS = '/etc/cni/net.d';
const PLUGINS = ['/opt/cni/bin', '/usr/lib/cni'];

/**
 * The configuration of this name and where its plugins are, by NETCONFPATH and CNI_PATH of the environment, as cnitool has them. All of the
 * plugins are there. Errors: `host`.
 */
export function findCniNetwork(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly list: CniList; readonly path: readonly string[] } {
  const { NETCONFPATH: directory = CONFIGS, CNI_PATH: given = '' } = environment;
  const list = findList(name, directory);
  const chosen = given === '' ? PLUGINS : given.split(':').filter((entry) => entry !== '');
  for (const plugin of list.plugins) requirePlugin(plugin, chosen);
  return { list, path: chosen };
}

/** Has the plugins connect a container, each with what the one before has answered. The answer is that of the last. Errors: `host`. */
export async function addToCniNetwork(reference: CniReference, namespacePath: string): Promise<unknown> {
  const { containerId, path: directories, publish } = reference;
  const list = parseJson(reference.list) as CniList;
  const call = { command: 'ADD', containerId, namespacePath, path: directories } as const;
  let previous: unknown;
  for (const plugin of list.plugins)
    previous = (await callPlugin(call, { list, plugin, previous, publish })) ?? previous;
  return previous;
}

/** Has them take it out again, the last first. The namespace may be gone. Errors: `host` for the first that fails. */
export async function deleteFromCniNetwork(
  { containerId, list: text, path: directories, result, publish }: CniReference,
  namespacePath: string | undefined,
): Promise<void> {
  const list = parseJson(text) as CniList;
  const call = { command: 'DEL', containerId, namespacePath, path: directories } as const;
  const previous = result === undefined ? undefined : parseJson(result);
  for (const plugin of [...list.plugins].reverse()) await callPlugin(call, { list, plugin, previous, publish });
}

/** JSON of what is kept between ADD and DEL. */
export function keepCni(value: unknown): string {
  return stringifyJson(value);
}

interface Material {
  readonly list: CniList;
  readonly plugin: CniPlugin;
  readonly previous: unknown;
  readonly publish: readonly PublishedPort[];
}

async function callPlugin(call: CniCall, { list, plugin, previous, publish }: Material): Promise<unknown> {
  const { code, stdout, stderr } = await readTool(requirePlugin(plugin, call.path), [], {
    input: planCniInput(list, plugin, { command: call.command, previous, publish }),
    environment: planCniEnvironment(call),
  });
  if (code === 0) return call.command === 'ADD' ? parseCniResult(stdout, plugin.type) : undefined;
  const why = explainCniFailure(stdout, stderr);
  const title = `network "cni:${list.name}": plugin ${JSON.stringify(plugin.type)} failed at ${call.command}`;
  throw new TsrunError('host', `${title}: ${why === '' ? `exit status ${code}` : why}`);
}

/** Lists come before single plugins, and all in the order of their names. */
function findList(name: string, directory: string): CniList {
  const names = readNames(directory);
  const files = [/\.conflist$/, /\.(conf|json)$/].flatMap((ending) => names.filter((file) => ending.test(file)));
  for (const file of files.map((entry) => path.join(directory, entry))) {
    const list = parseCniConfig(readFileSync(file, 'utf8'), { file, name });
    if (list !== undefined) return list;
  }
  throw new TsrunError('host', `network "cni:${name}": no configuration in ${JSON.stringify(directory)} has this name`);
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw TsrunError.of('host', `list ${JSON.stringify(directory)}`, error);
  }
}

function requirePlugin({ type }: CniPlugin, directories: readonly string[]): string {
  const file = directories.map((directory) => path.join(directory, type)).find(isExecutableFile);
  if (file !== undefined) return file;
  const advice = 'Debian: apt-get install containernetworking-plugins';
  throw new TsrunError('host', `CNI plugin ${JSON.stringify(type)} is not in ${directories.join(' or ')} (${advice})`);
}
