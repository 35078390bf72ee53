import { status as CODE, type ServiceError } from '@grpc/grpc-js';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { waitFor } from '../../live/support/wait.ts';
import { CONTAINER_STATE } from './cri-messages.ts';
import type { Answer, Asked } from './cri-client.ts';
import type { Cri } from './cri.ts';
import { IMAGE } from './image.ts';

const PATIENCE_MS = 30_000;

/** What a pod is to be. */
export type PodConfig = NonNullable<Asked<'RunPodSandbox'>['config']>;
/** What a container is to be. */
export type ContainerConfig = NonNullable<Asked<'CreateContainer'>['config']>;

/** A pod that runs. */
export interface Pod {
  readonly id: string;
  readonly config: PodConfig;
}

/** Makes pods and containers with one of the handlers. */
export class Pods {
  readonly cri: Cri;
  readonly handler: string;

  constructor(cri: Cri, handler: string) {
    this.cri = cri;
    this.handler = handler;
  }

  async run(name: string, kind: Parameters<Cri['podConfig']>[1] = {}): Promise<Pod> {
    const config = this.cri.podConfig(name, kind);
    mkdirSync(config.logDirectory ?? '');
    const { podId } = await this.cri.call('RunPodSandbox', { config, handler: this.handler });
    return { id: podId, config };
  }

  /** A container that is made and not started; a command that is a string is for `sh -c`. Returns its id. */
  async create(
    { id, config: podConfig }: Pod,
    name: string,
    command: string | readonly string[],
    more: ContainerConfig = {},
  ): Promise<string> {
    const config = {
      metadata: { name },
      image: { image: IMAGE },
      command: typeof command === 'string' ? ['sh', '-c', command] : command,
      logPath: `${name}.log`,
      ...more,
      linux: {
        ...more.linux,
        securityContext: { namespaces: podConfig.linux?.securityContext?.namespaces, ...more.linux?.securityContext },
      },
    } as ContainerConfig;
    return (await this.cri.call('CreateContainer', { podId: id, config, podConfig })).containerId;
  }

  /** The same, started. */
  async start(...args: Parameters<Pods['create']>): Promise<string> {
    const containerId = await this.create(...args);
    await this.cri.call('StartContainer', { containerId });
    return containerId;
  }

  async exec(
    containerId: string,
    command: string | readonly string[],
    timeoutSeconds = 0,
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    const answer = await this.cri.call('ExecSync', { containerId, command: argv, timeoutSeconds });
    const { exitCode, stdout, stderr } = answer;
    return { code: exitCode, stdout: Buffer.from(stdout).toString(), stderr: Buffer.from(stderr).toString() };
  }

  async status(containerId: string): Promise<NonNullable<Answer<'ContainerStatus'>['status']>> {
    const { status } = await this.cri.call('ContainerStatus', { containerId });
    if (status === undefined) throw new Error(`no status of ${containerId}`);
    return status;
  }

  /** Its status when it has ended. */
  async ended(containerId: string): Promise<NonNullable<Answer<'ContainerStatus'>['status']>> {
    let status = await this.status(containerId);
    await waitFor(async () => {
      status = await this.status(containerId);
      return status.state === CONTAINER_STATE.exited;
    }, PATIENCE_MS);
    return status;
  }

  /** Its number inside the surroundings. */
  async pid(containerId: string): Promise<number> {
    const { info } = await this.cri.call('ContainerStatus', { containerId, verbose: true });
    const text = info.find(({ key }) => key === 'info')?.value ?? '{}';
    return (JSON.parse(text) as { readonly pid: number }).pid;
  }

  async remove({ id }: Pod): Promise<void> {
    await this.cri.call('StopPodSandbox', { podId: id });
    await this.cri.call('RemovePodSandbox', { podId: id });
  }

  /** Lines of a container's log: the stream, whether the line is whole, and what is in it. */
  log({ config }: Pod, name: string): (readonly string[])[] {
    const text = readFileSync(path.join(config.logDirectory ?? '', `${name}.log`), 'utf8');
    return text
      .split('\n')
      .slice(0, -1)
      .map(
        (line) =>
          /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\S+ (stdout|stderr) ([FP]) (.*)$/s.exec(line)?.slice(1) ?? [line],
      );
  }

  /** What a shell says inside the surroundings. */
  async said(script: string, ...args: readonly string[]): Promise<string> {
    return (await this.cri.inside.run(['sh', '-c', script, 'sh', ...args])).stdout;
  }
}

/** The code of a call that fails, and what it says. */
export async function failure(call: Promise<unknown>): Promise<{ readonly code: number; readonly details: string }> {
  try {
    await call;
  } catch (error) {
    const { code, details } = error as ServiceError;
    return { code, details };
  }
  return { code: CODE.OK, details: '' };
}
