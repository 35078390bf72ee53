import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { networkNamespaceOf } from '../../host/network-namespace.ts';
import { isConnected, type NetworkChoice } from '../../plan/network/choice.ts';
import { HOSTS, RESOLV_CONF } from '../../plan/network/name-files.ts';
import type { CniReference } from '../../spec/generated/record.ts';
import { hostFactsOf } from '../caller/host.ts';
import type { Runtime } from '../caller/caller.ts';
import { StateDirectory } from '../store/directory.ts';
import { openProcess } from '../store/process-identity.ts';
import { hasNameFile, nameFile } from './name-files.ts';
import type { PreparedNetwork } from './prepared.ts';

/** Looks at what a choice names. Errors: `not-found`, `status`, `unsupported`, `host`. */
export async function prepareNetwork(
  runtime: Runtime,
  choice: NetworkChoice,
  directory: StateDirectory,
): Promise<PreparedNetwork> {
  if (isConnected(choice)) requireRoot(runtime, choice);
  const own = Object.fromEntries([RESOLV_CONF, HOSTS].map((file) => [file, nameFile(directory, file)]));
  switch (choice.kind) {
    case 'none':
      return { choice, rewriting: { namespace: 'new', files: {} }, files: {} };
    case 'host': {
      const files = { [RESOLV_CONF]: nameFile(directory, RESOLV_CONF) };
      return { choice, rewriting: { namespace: 'none', files }, files };
    }
    case 'namespace':
      return { choice, rewriting: { namespace: { path: choice.path }, files: {} }, files: {} };
    case 'container':
      return { choice, files: {}, ...joinContainer(runtime, choice.id) };
    case 'bridge':
      return { choice, rewriting: { namespace: 'new', files: own }, files: own };
    case 'cni': {
      const cni = await planCni(runtime, choice, directory.id);
      return { choice, rewriting: { namespace: 'new', files: own }, files: own, cni };
    }
  }
}

function requireRoot({ caller }: Runtime, choice: NetworkChoice): void {
  if (hostFactsOf(caller).identity.euid === 0) return;
  const advice = 'as an ordinary user have pasta or slirp4netns serve a namespace, and take "ns:PATH" of it';
  throw new TsrunError('unsupported', `network ${JSON.stringify(choice.kind)} needs root: ${advice}`);
}

/** The network of another container, and its files for names. */
function joinContainer({ root }: Runtime, id: string): Pick<PreparedNetwork, 'rewriting' | 'joins'> {
  using directory = new StateDirectory(root, id);
  const { init } = directory.readRecord();
  using pidfd = init === undefined ? undefined : openProcess(init);
  const stopped = `network "container:${id}": container ${JSON.stringify(id)} is stopped`;
  if (init === undefined || pidfd === undefined) throw new TsrunError('status', stopped);
  const joins = networkNamespaceOf(init.pid);
  const files = [RESOLV_CONF, HOSTS].filter((file) => hasNameFile(directory, file));
  return {
    rewriting: {
      namespace: { path: `/proc/${init.pid}/ns/net` },
      files: Object.fromEntries(files.map((file) => [file, nameFile(directory, file)])),
    },
    joins,
  };
}

async function planCni(
  { caller }: Runtime,
  { name, publish }: Extract<NetworkChoice, { readonly kind: 'cni' }>,
  id: string,
): Promise<CniReference> {
  // The specification's form of a container's id; one of tsrun's may have a plus, and begin otherwise.
  if (!/^[A-Za-z0-9][\w.-]*$/.test(id))
    throw new TsrunError('id', `network "cni:${name}": plugins do not take the id ${JSON.stringify(id)}`);
  const { findCniNetwork, keepCni } = await import('../../network/cni.ts');
  const { list, path: directories } = findCniNetwork(name, caller.environment);
  return { containerId: id, list: keepCni(list), path: directories.map((entry) => path.resolve(entry)), publish };
}

/** A process of the number that was looked at may have ended since. Errors: `status`. */
export function requireJoined(network: PreparedNetwork | undefined, pid: number): void {
  if (network?.joins === undefined || networkNamespaceOf(pid) === network.joins) return;
  throw new TsrunError('status', 'join the network of the other container: it has ended meanwhile');
}
