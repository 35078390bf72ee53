import { isBindMount } from '../../spec/bind-mount.ts';
import type { Config, IdMapping, Mount } from '../../spec/generated/config.ts';
import { isIdMapOption } from '../../spec/mount-options.ts';
import { findNamespace } from '../base/context.ts';

/** A user namespace that exists only to lend its id maps to mounts: made with these maps, or found at a path. */
export type IdmapNamespace =
  | { readonly kind: 'new'; readonly uid: readonly Readonly<IdMapping>[]; readonly gid: readonly Readonly<IdMapping>[] }
  | { readonly kind: 'path'; readonly path: string };

/** The namespaces that the idmapped mounts of a config need, each once. Their order fixes their descriptor numbers in init. */
export function planIdmapNamespaces(config: Config): IdmapNamespace[] {
  return [...collect(config).values()];
}

/** Index into `planIdmapNamespaces` for one mount; undefined for a mount without an id map. */
export function idmapNamespaceOf(config: Config, mount: Mount): number | undefined {
  const wanted = namespaceFor(config, mount);
  if (wanted === undefined) return undefined;
  const index = [...collect(config).keys()].indexOf(JSON.stringify(wanted));
  return index < 0 ? undefined : index;
}

function collect(config: Config): Map<string, IdmapNamespace> {
  const namespaces = new Map<string, IdmapNamespace>();
  for (const mount of config.mounts ?? []) {
    const namespace = namespaceFor(config, mount);
    if (namespace !== undefined) namespaces.set(JSON.stringify(namespace), namespace);
  }
  return namespaces;
}

/** The mount's own maps where it has some, otherwise those of the container's user namespace. */
function namespaceFor(config: Config, mount: Mount): IdmapNamespace | undefined {
  const asked = mount.options?.some(isIdMapOption) === true;
  const uid = mount.uidMappings ?? [];
  const gid = mount.gidMappings ?? [];
  if (!isBindMount(mount) || (!asked && uid.length === 0)) return undefined;
  if (uid.length > 0) return { kind: 'new', uid, gid };
  const path = findNamespace(config, 'user')?.path;
  if (path !== undefined && path !== '') return { kind: 'path', path };
  return { kind: 'new', uid: config.linux?.uidMappings ?? [], gid: config.linux?.gidMappings ?? [] };
}
