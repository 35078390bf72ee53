/** The planner that carries out the commands of the warm runtime, in the bench's own mount namespace. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { command, executable } from '../../bundles/ready.mjs';

const DIRECTORY = '/run/tsrun-planner';
const SOCKET = `${DIRECTORY}/socket`;
const ASIDE = `${DIRECTORY}/aside`;
const PATIENCE_MS = 10_000;
/**
 * Engine -> how it is started. The unit file of the packages starts that of the executable.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const PLANNERS = {
  executable: [executable, 'planner'],
  node: [process.execPath, command, 'planner'],
};
export const ENGINES = Object.keys(PLANNERS);

/**
 * A planner which listens in a file system that nobody else sees. Returns its pid, and what ends it.
 * @param {string} [engine] one of `ENGINES`
 */
export async function startPlanner(engine = 'node') {
  fs.mkdirSync(DIRECTORY, { recursive: true, mode: 0o700 });
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=700', 'tsrun-planner', DIRECTORY], { stdio: 'inherit' });
  if (mount.status !== 0) throw new Error(`mount on ${DIRECTORY}: exit code ${mount.status}`);
  const [file = '', ...args] = PLANNERS[engine] ?? [];
  const child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const deadline = Date.now() + PATIENCE_MS;
  while (!fs.existsSync(SOCKET)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error('the planner does not listen');
    await sleep(20);
  }
  return {
    pid: child.pid ?? 0,
    async stop() {
      const exit = once(child, 'exit');
      child.kill();
      await exit;
      spawnSync('umount', [DIRECTORY]);
    },
  };
}

/**
 * Hides the socket from launchers, or shows it again. Connections stay what they are.
 * @param {boolean} aside
 */
export function socketAside(aside) {
  const [from, to] = aside ? [SOCKET, ASIDE] : [ASIDE, SOCKET];
  if (fs.existsSync(from)) fs.renameSync(from, to);
}

/**
 * How many invocations it has served, and sent away, as it says itself.
 * @param {string} executable
 */
export function plannerStatus(executable) {
  return spawnSync(executable, ['planner', 'status'], { encoding: 'utf8' }).stdout;
}
