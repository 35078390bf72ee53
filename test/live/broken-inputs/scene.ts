import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import type { CommandResult } from '../support/command.ts';
import type { BundleOptions, Rig } from '../support/rig.ts';
import { tsrunCommand } from '../support/surroundings.ts';
import type { BrokenInput, RuntimeName, Scene } from './row.ts';

const NOBODY = 65534;
const AS_NOBODY = [
  ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
  // tap has every Node process write its coverage, which this user may not.
  ...['env', '-u', 'NODE_OPTIONS'],
];

/** crun refuses a hybrid layout of cgroups: it gets one without the part of version 2. */
const WITHOUT_UNIFIED = 'umount /sys/fs/cgroup/unified 2>/dev/null || true; exec "$@"';
const COMMANDS: Readonly<Record<RuntimeName, readonly string[]>> = {
  tsrun: tsrunCommand,
  runc: ['runc'],
  crun: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', WITHOUT_UNIFIED, 'sh', 'crun'],
};

/** What became of a row. */
export interface Outcome {
  readonly result: CommandResult;
  /** What was said on standard error, with the names of the row in the place of paths, ids and times. */
  readonly message: string;
  /** What differs from run to run -> its name. */
  readonly rename: (text: string) => string;
}

/** Tries a row with a runtime, and takes away what it needed. */
export async function tryRow(
  rig: Rig,
  row: BrokenInput,
  { runtime, options = [] }: { readonly runtime: RuntimeName; readonly options?: readonly string[] },
): Promise<Outcome> {
  const scene = makeScene(rig, row, runtime);
  const user = row.ordinaryUser === true ? AS_NOBODY : [];
  const call = (args: readonly string[], under: readonly string[] = [], global = ['--root', scene.root]) =>
    rig.start([...under, ...user, ...COMMANDS[runtime], ...global, ...args]).done;
  try {
    if (row.container !== undefined) await makeContainer(scene, row.container, call);
    row.prepare?.(scene);
    const line = row.line?.(scene) ?? ['run', '--bundle', scene.bundle, scene.id];
    const global = [...options, ...(row.global?.(scene) ?? ['--root', scene.root])];
    const result = await call(line, row.under?.(scene), global);
    const rename = renamer(scene);
    return { result, message: readMessage(rename(result.stderr)), rename };
  } finally {
    row.restore?.(scene);
    if (row.container !== undefined) await call(['delete', '--force', scene.id]);
    rmSync(scene.root, { recursive: true, force: true });
  }
}

function makeScene(rig: Rig, row: BrokenInput, runtime: RuntimeName): Scene {
  const place = rig.fresh('place');
  mkdirSync(place);
  const root = rig.fresh('state');
  mkdirSync(root, { mode: 0o700 });
  chownSync(root, row.ordinaryUser === true ? NOBODY : 0, 0);
  chmodSync(place, 0o755);
  const args = row.container === undefined ? {} : { args: ['sleep', '1000'] };
  const bundle = rig.bundle(commonConfig({ ...args, ...row.bundle }));
  return { rig, runtime, id: rig.id('broken'), bundle, root, place };
}

/** What every runtime takes: crun 1.8 knows no later version. */
function commonConfig(options: BundleOptions): BundleOptions {
  return {
    ...options,
    change: (config) => {
      config.ociVersion = '1.0.2';
      options.change?.(config);
    },
  };
}

type Call = (args: readonly string[]) => Promise<CommandResult>;

async function makeContainer({ bundle, id }: Scene, status: BrokenInput['container'], call: Call): Promise<void> {
  await must(call, ['create', '--bundle', bundle, id]);
  if (status === 'created') return;
  await must(call, ['start', id]);
  if (status === 'running') return;
  await must(call, ['kill', id, 'KILL']);
  for (let tries = 0; tries < 500; tries += 1) {
    const { stdout } = await call(['state', id]);
    if (/"status": ?"stopped"/.test(stdout)) return;
  }
  throw new Error(`${id} does not stop`);
}

async function must(call: Call, args: readonly string[]): Promise<void> {
  const { code, stderr } = await call(args);
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
}

function renamer({ bundle, id, root, place, rig }: Scene): (text: string) => string {
  const names: readonly (readonly [string, string])[] = [
    [`${bundle}/rootfs`, 'ROOTFS'],
    ...([
      [bundle, 'BUNDLE'],
      [root, 'ROOT'],
      [place, 'PLACE'],
      [rig.rootfs, 'ROOTFS'],
      [id, 'ID'],
    ] as const),
    [rig.directory, '/tmp/DIRECTORY'],
  ];
  return (text) => names.reduce((renamed, [value, name]) => renamed.replaceAll(value, name), text);
}

/** The message in the log lines of the three runtimes. */
function readMessage(stderr: string): string {
  return stderr
    .split('\n')
    .map((line) => {
      return readLine(line)
        .replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z: /, '')
        .replace(/(\/proc\/(?:self|thread-self|\d+)\/fd\/)\d+/g, '$1N');
    })
    .filter((line) => line.trim() !== '')
    .join('\n');
}

/** The message of a line as logrus writes it, in text or in JSON; any other line is one. */
function readLine(line: string): string {
  if (line.startsWith('{"level":')) return (JSON.parse(line) as { readonly msg: string }).msg;
  const quoted = /^time="[^"]*" level=\w+ msg=("(?:[^"\\]|\\.)*")/.exec(line)?.[1];
  // Go writes control characters as \\x00.
  return quoted === undefined ? line : (JSON.parse(quoted.replace(/\\x(?=[0-9a-f]{2})/g, '\\u00')) as string);
}
