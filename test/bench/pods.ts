import { mkdirSync } from 'node:fs';
import { CriClient } from '../engines/support/cri-client.ts';
import { NAMESPACE_MODE } from '../engines/support/cri-messages.ts';
import { IMAGE } from '../engines/support/image.ts';

/** Pods of a containerd, as the kubelet makes them. */
export class Pods {
  readonly #client: CriClient;
  readonly #logDirectory: string;
  #count = 0;

  /** `address`: path of containerd's socket. */
  constructor(address: string) {
    this.#client = new CriClient(address);
    this.#logDirectory = `${address}.logs`;
    mkdirSync(this.#logDirectory, { recursive: true });
  }

  /** A pod with one container that runs. Returns what stops and removes both. */
  async start(handler: string): Promise<() => Promise<void>> {
    const client = this.#client;
    this.#count += 1;
    const name = `bench-${process.pid}-${this.#count}`;
    const namespaces = { network: NAMESPACE_MODE.node, pid: NAMESPACE_MODE.container };
    const podConfig = {
      metadata: { name, uid: name, namespace: 'bench' },
      logDirectory: this.#logDirectory,
      linux: { cgroupParent: '/kubepods', securityContext: { namespaces } },
    };
    const { podId } = await client.call('RunPodSandbox', { config: podConfig, handler });
    const config = {
      metadata: { name: 'only' },
      image: { image: IMAGE },
      command: ['sleep', '1000'],
      logPath: `${name}.log`,
      linux: { securityContext: { namespaces } },
    };
    const { containerId } = await client.call('CreateContainer', { podId, config, podConfig });
    await client.call('StartContainer', { containerId });
    return async () => {
      await client.call('StopContainer', { containerId, timeoutSeconds: 0 });
      await client.call('RemoveContainer', { containerId });
      await client.call('StopPodSandbox', { podId });
      await client.call('RemovePodSandbox', { podId });
    };
  }

  close(): void {
    this.#client.close();
  }
}
