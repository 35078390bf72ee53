/**
 * A faulty tsrun leaves processes, mounts, cgroups and temporary files behind, and may stop processes that are not its own. So all of a
 * run happens in mount and pid namespaces and in cgroups of its own, whose directories pass for the roots of the hierarchies there.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const INSIDE = 'TSRUN_MUTATION_INSIDE';

/** True in surroundings made by runApart(), and for an ordinary user, who can neither make them nor do harm. */
export function isApart() {
  return process.env[INSIDE] !== undefined || process.getuid?.() !== 0;
}

/**
 * Runs this script again with these arguments, apart from the rest of the machine. The exit code is its own.
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
export async function runApart(args) {
  const own = findHierarchies().map(({ mountPoint, directory }) => ({
    mountPoint,
    directory: `${directory}/tsrun-mutation-${process.pid}`,
  }));
  try {
    for (const { directory } of own) makeCgroup(directory);
    const join = own.map(({ directory }) => `echo $$ > '${directory}/cgroup.procs'`);
    const mount = own.map(({ mountPoint, directory }) => `mount --bind '${directory}' '${mountPoint}'`);
    const inside = [...mount, 'mount -t tmpfs tmpfs /tmp', '"$@"'].join(' && ');
    const outside = [
      ...join,
      'exec unshare --mount --pid --fork --kill-child --mount-proc --cgroup -- sh -c "$0" sh "$@"',
    ];
    const child = spawn('sh', ['-c', outside.join(' && '), inside, process.execPath, ...process.execArgv, ...args], {
      stdio: 'inherit',
      env: { ...process.env, [INSIDE]: '1' },
    });
    const stop = () => {
      // A frozen process does not die, and keeps its pid namespace.
      for (const { directory } of own) thawTree(directory);
      child.kill('SIGKILL');
    };
    process.once('SIGTERM', stop).once('SIGINT', stop);
    /** @type {unknown} */
    const ended = await once(child, 'close');
    const [code] = /** @type {[number | null]} */ (ended);
    return code ?? 1;
  } finally {
    for (const { directory } of own) await removeTree(directory);
  }
}

/** Lets go what a faulty tsrun froze, so that these surroundings can end. */
export function thawOwn() {
  if (process.env[INSIDE] === undefined) return;
  for (const { directory } of findHierarchies()) thawTree(directory);
}

/** The mounted hierarchies, and the cgroup of this process in each of them. */
function findHierarchies() {
  const cgroups = fs.readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return mounts.flatMap((line) => {
    const [, mountPoint = '', type = '', options = ''] = line.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const wanted = type === 'cgroup2' ? '' : options.split(',');
    const entry = cgroups
      .map((text) => /^\d+:([^:]*):(.*)$/.exec(text) ?? [])
      .find(([, names = '']) =>
        wanted === '' ? names === '' : names !== '' && names.split(',').every((name) => wanted.includes(name)),
      );
    return entry === undefined ? [] : [{ mountPoint, directory: `${mountPoint}${entry[2] ?? ''}`.replace(/\/$/, '') }];
  });
}

/** @param {string} directory */
function makeCgroup(directory) {
  fs.mkdirSync(directory);
  for (const name of ['cpuset.cpus', 'cpuset.mems'])
    if (fs.existsSync(`${directory}/cgroup.clone_children`) && fs.existsSync(`${directory}/${name}`))
      fs.writeFileSync(`${directory}/${name}`, fs.readFileSync(`${directory}/../${name}`));
}

/** @param {string} directory */
function listTree(directory) {
  if (!fs.existsSync(directory)) return [];
  const names = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  return [directory, ...names.filter((one) => one.isDirectory()).map((one) => `${one.parentPath}/${one.name}`)];
}

/** @param {string} directory */
function thawTree(directory) {
  for (const path of listTree(directory)) {
    if (fs.existsSync(`${path}/freezer.parent_freezing`)) fs.writeFileSync(`${path}/freezer.state`, 'THAWED');
    if (fs.existsSync(`${path}/cgroup.freeze`)) fs.writeFileSync(`${path}/cgroup.freeze`, '0');
  }
}

/**
 * A cgroup whose processes have just died is busy for a moment.
 * @param {string} directory
 */
async function removeTree(directory) {
  const paths = listTree(directory).reverse();
  for (let tries = 100; paths.length > 0; tries--) {
    try {
      fs.rmdirSync(paths[0] ?? '');
      paths.shift();
    } catch (error) {
      if (tries === 0) throw error;
      await setTimeout(50);
    }
  }
}
