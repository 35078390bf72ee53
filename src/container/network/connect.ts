import path from 'node:path';
import type { OwnedFd } from '../../sys/fd.ts';
import { addToCniNetwork, deleteFromCniNetwork, keepCni } from '../../network/cni.ts';
import { connectToBridge, disconnectFromBridge } from '../../network/bridge.ts';
import type { Lease } from '../../network/leases.ts';
import { TsrunError } from '../../errors.ts';
import { addressInResult, resolvConfInResult } from '../../plan/network/cni.ts';
import { HOSTS, planHosts, RESOLV_CONF } from '../../plan/network/name-files.ts';
import { StateDirectory } from '../store/directory.ts';
import { isAlive, type ProcessIdentity } from '../store/process-identity.ts';
import type { ContainerRecord } from '../store/record.ts';
import { writeNameFile } from './name-files.ts';
import type { PreparedNetwork } from './prepared.ts';

/** A container whose init waits in its new network namespace. */
export interface Connecting {
  readonly directory: StateDirectory;
  readonly hostname: string | undefined;
  readonly init: ProcessIdentity;
  /** A netlink socket of that namespace, which stays the caller's. */
  readonly socket: OwnedFd;
  /** Keeps what finds it again; called before anything is made. */
  readonly remember: (changes: Pick<ContainerRecord, 'bridge' | 'cni'>) => void;
}

/** Connects a container as it was chosen. What is made is in its record; who cannot finish it calls `disconnect`. Errors: `host`. */
export async function connect({ choice, cni }: PreparedNetwork, connecting: Connecting): Promise<void> {
  const { directory, hostname, init, socket, remember } = connecting;
  if (choice.kind === 'bridge') {
    const { address } = await connectToBridge({
      id: directory.id,
      directory: directory.path,
      init,
      socket,
      publish: choice.publish,
      remember: (bridge) => {
        remember({ bridge });
      },
      holds,
    });
    writeNameFile(directory, HOSTS, planHosts(hostname, address));
  } else if (cni !== undefined) {
    remember({ cni });
    const result = await addToCniNetwork(cni, `/proc/${init.pid}/ns/net`);
    remember({ cni: { ...cni, ...(result !== undefined && { result: keepCni(result) }) } });
    writeNameFile(directory, HOSTS, planHosts(hostname, addressInResult(result)));
    const resolvConf = resolvConfInResult(result);
    if (resolvConf !== undefined) writeNameFile(directory, RESOLV_CONF, resolvConf);
  }
}

/** Takes a container out of its network. `pid`: of its init, while that lives. Errors: `host`. */
export async function disconnect(
  { bridge, cni }: Pick<ContainerRecord, 'bridge' | 'cni'>,
  pid?: number,
): Promise<void> {
  if (bridge !== undefined) await disconnectFromBridge(bridge, holds);
  if (cni !== undefined) await deleteFromCniNetwork(cni, pid === undefined ? undefined : `/proc/${pid}/ns/net`);
}

/** Whether the container of a lease is there: its process, or its record. One that cannot be read is left alone. */
function holds({ directory, link, init }: Lease): boolean {
  if (isAlive(init)) return true;
  try {
    using there = new StateDirectory(path.dirname(directory), path.basename(directory));
    return there.readRecord().bridge?.link === link;
  } catch (error) {
    return !(error instanceof TsrunError && error.code === 'not-found');
  }
}
