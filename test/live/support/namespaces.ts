import type { NamespaceType } from '../../../src/spec/generated/config.ts';
import type { BaseConfig } from './rig.ts';

/** Adds a namespace, or changes the one that is there. */
export function setNamespace(config: BaseConfig, type: NamespaceType, options: { readonly path?: string } = {}): void {
  removeNamespace(config, type);
  config.linux.namespaces = [...(config.linux.namespaces ?? []), { type, ...options }];
}

export function removeNamespace(config: BaseConfig, type: NamespaceType): void {
  config.linux.namespaces = (config.linux.namespaces ?? []).filter((namespace) => namespace.type !== type);
}

/** A user namespace with ids from `hostId` on. */
export function setUserNamespace(config: BaseConfig, hostId = 100_000, size = 65_536): void {
  setNamespace(config, 'user');
  config.linux.uidMappings = [{ containerID: 0, hostID: hostId, size }];
  config.linux.gidMappings = [{ containerID: 0, hostID: hostId, size }];
}
