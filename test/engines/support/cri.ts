import { readFileSync } from 'node:fs';
import { waitFor } from '../../live/support/wait.ts';
import { Containerd } from './containerd.ts';
import { CriClient, type Answer, type Asked } from './cri-client.ts';
import { NAMESPACE_MODE } from './cri-messages.ts';
import { IMAGE, writeImage } from './image.ts';
import { newerPrograms } from './newer-programs.ts';
import { anyRuntime, shimPath } from './runtimes.ts';
import type { Surroundings } from './surroundings.ts';

/** A runtime as Kubernetes names it, in a RuntimeClass. */
export interface Handler {
  readonly name: string;
  /** Its lines in the configuration of containerd. */
  readonly config: readonly string[];
}

const PAUSE_IMAGE = 'localhost/tsrun-pause:latest';
const PATIENCE_MS = 30_000;
/** What containerd 2 has made three of: the interface, its images, and what runs containers. */
const PLUGINS = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime'] as const;
const [GRPC, IMAGES, RUNTIME] = PLUGINS.map((name) => `plugins.${JSON.stringify(name)}`) as [string, string, string];
const TABLE = newerPrograms === undefined ? GRPC : RUNTIME;
/** Of containerd, in which Kubernetes keeps what it has. */
export const CRI_NAMESPACE = 'k8s.io';

/** containerd as Kubernetes uses it, with our shim in its PATH. Pods have the network of the surroundings: there is no plug-in for another. */
export class Cri {
  readonly containerd: Containerd;
  readonly inside: Surroundings;
  client: CriClient;
  #count = 0;

  private constructor(containerd: Containerd) {
    this.containerd = containerd;
    this.inside = containerd.inside;
    this.client = new CriClient(containerd.address);
  }

  static async start(inside: Surroundings, handlers: readonly [Handler, ...Handler[]]): Promise<Cri> {
    const first = anyRuntime(inside);
    const cri = new Cri(
      await Containerd.start(
        inside,
        { ...first, name: 'cri' },
        {
          address: inside.path('cri.sock'),
          plugins: PLUGINS,
          config: configLines(handlers),
          programs: { 'containerd-shim-tsrun-v2': shimPath(inside) },
        },
      ),
    );
    await cri.#load(IMAGE, ['sh']);
    await cri.#load(PAUSE_IMAGE, ['sleep', '100000']);
    return cri;
  }

  /** Errors: `ServiceError`. */
  async call<Method extends Parameters<CriClient['call']>[0]>(
    method: Method,
    asked: Asked<Method>,
  ): Promise<Answer<Method>> {
    return this.client.call(method, asked);
  }

  /** Ends containerd and starts it again, with `between` in between. */
  async restart(...args: Parameters<Containerd['restart']>): Promise<void> {
    this.client.close();
    await this.containerd.restart(...args);
    this.client = new CriClient(this.containerd.address);
    await waitFor(async () => (await this.call('Status', {}).catch(() => undefined)) !== undefined, PATIENCE_MS);
  }

  close(): void {
    this.client.close();
  }

  /** A pod, with what every one of them has; its logs go to a directory of its own. */
  podConfig(
    name: string,
    { privileged = false, ...namespaces }: { readonly pid?: number; readonly privileged?: boolean } = {},
  ): NonNullable<Asked<'RunPodSandbox'>['config']> {
    this.#count += 1;
    return {
      metadata: { name, uid: `${name}-${this.#count}`, namespace: 'tests' },
      logDirectory: this.inside.fresh(`logs-${name}`),
      linux: {
        cgroupParent: '/kubepods',
        securityContext: {
          privileged,
          namespaces: {
            network: NAMESPACE_MODE.node,
            pid: NAMESPACE_MODE.container,
            ipc: NAMESPACE_MODE.pod,
            ...namespaces,
          },
        },
      },
    };
  }

  async #load(name: string, command: readonly string[]): Promise<void> {
    const { containerd, inside } = this;
    const archive = inside.fresh('image.tar');
    writeImage(archive, { name, command });
    await inside.output(containerd.argv(['--namespace', CRI_NAMESPACE, 'images', 'import', archive]));
    // The plug-in hears of it a moment later.
    await waitFor(() => this.client.hasImage(name), PATIENCE_MS);
  }
}

function configLines(handlers: readonly [Handler, ...Handler[]]): string[] {
  const pause = JSON.stringify(PAUSE_IMAGE);
  return [
    ...(newerPrograms === undefined ? [] : [`[${IMAGES}.pinned_images]`, `sandbox = ${pause}`]),
    `[${TABLE}]`,
    ...(newerPrograms === undefined ? [`sandbox_image = ${pause}`] : []),
    // Root may not be allowed to go below its own score, as the containers of a node do.
    'restrict_oom_score_adj = true',
    'disable_apparmor = true',
    `[${TABLE}.containerd]`,
    `default_runtime_name = ${JSON.stringify(handlers[0].name)}`,
    ...handlers.flatMap(({ config }) => config),
  ];
}

/** A handler with a shim that containerd finds by a name, and with options of it. */
export function makeHandler(name: string, type: string, options: Readonly<Record<string, string>> = {}): Handler {
  const config = [
    `[${TABLE}.containerd.runtimes.${name}]`,
    `runtime_type = ${JSON.stringify(type)}`,
    `[${TABLE}.containerd.runtimes.${name}.options]`,
    ...Object.entries(options).map(([option, value]) => `${option} = ${JSON.stringify(value)}`),
  ];
  return { name, config };
}

/** Our handler as docs/engines.md has it. */
export function documentedHandler(): Handler {
  const page = readFileSync(new URL('../../../docs/engines.md', import.meta.url), 'utf8');
  const config = page
    .split('\n\n')
    .find((block) => block.trimStart().startsWith(`[${TABLE}.containerd.runtimes.tsrun]`));
  if (config === undefined) throw new Error('docs/engines.md has no block for Kubernetes');
  return { name: 'tsrun', config: config.split('\n') };
}
