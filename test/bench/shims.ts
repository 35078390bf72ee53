/** The part of the bench of engines that is about shims of containerd: ours, and that of runc, which calls a command. */
import { writeFileSync } from 'node:fs';
import { Containerd, CONTAINERD_TOOLS } from '../engines/support/containerd.ts';
import { Cri, makeHandler, type Handler } from '../engines/support/cri.ts';
import { IMAGE, writeImage } from '../engines/support/image.ts';
import { anyRuntime, shimPath } from '../engines/support/runtimes.ts';
import type { Surroundings } from '../engines/support/surroundings.ts';
import { findTool } from '../live/support/surroundings.ts';
import type { Call } from './engine-rounds.mjs';
import { Complaints, type Bench, type Column, type Engine, type Started } from './engines.ts';

/** A shim as containerd is told of it. */
interface Shim extends Column {
  readonly handler: string;
  /** What our shim is configured with; the others are told of a binary. */
  readonly config?: Readonly<Record<string, unknown>>;
}

const OUR_SHIM = findTool('containerd') === undefined ? undefined : 'containerd-shim-tsrun-v2';

const SHIMS: readonly Shim[] = [
  { name: 'tsrun, a shim a pod', handler: 'tsrun', file: OUR_SHIM, warm: false, config: {} },
  { name: 'tsrun, shared', handler: 'tsrun-shared', file: OUR_SHIM, warm: false, config: { Shared: true } },
  { name: "runc's shim, runc", handler: 'runc', file: findTool('runc'), warm: false },
  { name: "runc's shim, crun", handler: 'crun', file: findTool('crun'), warm: false },
];

const VERSION = ['containerd', '--version'];
const RUNNING = 'tsrun-bench-running';

const ENGINES: readonly Engine[] = [
  {
    command: 'ctr run --rm IMAGE id true',
    tools: CONTAINERD_TOOLS,
    version: VERSION,
    start: async (inside) => withContainerd(inside, (flags, name) => ['run', '--rm', ...flags, IMAGE, name, 'true']),
  },
  {
    command: 'ctr task exec --exec-id id CONTAINER true',
    tools: CONTAINERD_TOOLS,
    version: VERSION,
    async start(inside, columns) {
      const started = await withContainerd(inside, (_, name) => ['task', 'exec', '--exec-id', 'bench', name, 'true']);
      for (const { handler } of chosen(columns)) {
        const flags = flagsOf(inside, handler);
        const argv = ['run', '--detach', '--null-io', ...flags, IMAGE, containerOf(handler), 'sleep', '100000'];
        // A shim that cannot has no container then, and the call says so.
        await inside.run(started.containerd.argv(argv));
      }
      return started;
    },
  },
  {
    command: 'a pod with one container, by the CRI: run, create, start, stop, remove, stop, remove',
    tools: CONTAINERD_TOOLS,
    version: VERSION,
    async start(inside, columns) {
      const [first, ...others] = chosen(columns).map((shim) => handlerOf(inside, shim));
      if (first === undefined) throw new Error('no shim');
      const cri = await Cri.start(inside, [first, ...others]);
      return {
        callOf: (column) => ({ pod: { address: cri.containerd.address, handler: shimOf(column).handler } }),
        async stop() {
          cri.close();
          await cri.containerd.daemon.stop(new Complaints());
        },
      };
    },
  },
];

/** Shims, a command and a pod each. */
export const SHIM_BENCH: Bench = { columns: SHIMS, engines: ENGINES };

function shimOf({ name }: Column): Shim {
  const found = SHIMS.find((shim) => shim.name === name);
  if (found === undefined) throw new Error(`there is no shim ${name}`);
  return found;
}

function chosen(columns: readonly Column[]): readonly Shim[] {
  return columns.map(shimOf);
}

function containerOf(handler: string): string {
  return `${RUNNING}-${handler}`;
}

async function withContainerd(
  inside: Surroundings,
  argvOf: (flags: readonly string[], name: string) => readonly string[],
): Promise<Started & { readonly containerd: Containerd }> {
  const containerd = await Containerd.start(inside, anyRuntime(inside));
  const archive = inside.path('image.tar');
  writeImage(archive);
  await inside.output(containerd.argv(['images', 'import', archive]));
  return {
    containerd,
    callOf: (column): Call => {
      const { handler } = shimOf(column);
      return { argv: containerd.argv(argvOf(flagsOf(inside, handler), containerOf(handler))) };
    },
    async stop() {
      await containerd.daemon.stop(new Complaints());
    },
  };
}

/** Flags of `ctr run` for a shim. */
function flagsOf(inside: Surroundings, handler: string): readonly string[] {
  const { config, file = '' } = SHIMS.find((shim) => shim.handler === handler) ?? {};
  if (config === undefined) return ['--runc-binary', file];
  const path = shimPath(inside);
  return Object.keys(config).length === 0
    ? ['--runtime', path]
    : ['--runtime', path, '--runtime-config-path', writeConfig(inside, handler, config)];
}

function handlerOf(inside: Surroundings, { handler, config, file = '' }: Shim): Handler {
  return config === undefined
    ? makeHandler(handler, 'io.containerd.runc.v2', { BinaryName: file })
    : makeHandler(handler, 'io.containerd.tsrun.v2', { ConfigPath: writeConfig(inside, handler, config) });
}

function writeConfig(inside: Surroundings, handler: string, config: Readonly<Record<string, unknown>>): string {
  const file = inside.path(`${handler}.json`);
  writeFileSync(file, JSON.stringify(config));
  return file;
}
