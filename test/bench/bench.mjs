/**
 * `npm run bench`: tsrun beside the installed runc and crun, the same bundle, in alternation, as medians and ratios.
 *
 * Needs root and busybox-static. It prints a table and writes it to test/bench/RESULTS.md. A number is the wall time of a
 * command as its caller sees it, start of the process included.
 *
 * All of it happens in a mount namespace of its own. There the cgroup2 hierarchy of a hybrid layout is taken away, because crun
 * refuses such a layout; it is the same for all three.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareBundle } from '../../bundles/prepare.mjs';
import { command, ensureBuilt, top } from '../../bundles/ready.mjs';

const ROUNDS = 20;
/** The first rounds fill caches and do not count. */
const WARM_UP_ROUNDS = 2;
/** A slow machine gets fewer rounds. */
const TIME_LIMIT_MS = 45_000;
const UNIFIED = '/sys/fs/cgroup/unified';
const RESULTS = path.join(top, 'test/bench/RESULTS.md');

const RUNTIMES = [
  { name: 'tsrun', argv: [process.execPath, command] },
  { name: 'runc', argv: ['runc'] },
  { name: 'crun', argv: ['crun'] },
];

/** What is measured: name, and what one round of it returns, in milliseconds or bytes. */
const CASES = [
  { name: '`--version`', unit: 'ms', measure: (rig) => timed(rig, ['--version']) },
  {
    name: '`run` of /bin/true',
    unit: 'ms',
    measure: (rig) => timed(rig, ['run', '--bundle', rig.bundle('true'), rig.id]),
  },
  { name: '`create` + `start` + `delete`', unit: 'ms', measure: measureLife },
  { name: '`exec` of /bin/true', unit: 'ms', measure: (rig) => timed(rig, ['exec', rig.runningId, 'true']) },
  { name: 'private memory of a created container', unit: 'KiB', measure: measureMemory },
];

function main() {
  if (process.getuid() !== 0) return fail('bench needs root');
  if (process.env.TSRUN_BENCH_INSIDE === undefined) {
    if (!ensureBuilt()) return 1;
    prepareBundle('busybox');
    const { status } = spawnSync(
      'unshare',
      ['--mount', '--propagation', 'private', process.execPath, process.argv[1]],
      {
        stdio: 'inherit',
        // Node reads the file of NODE_EXTRA_CA_CERTS at every start, which is no business of a runtime.
        env: { ...process.env, TSRUN_BENCH_INSIDE: '1', NODE_EXTRA_CA_CERTS: undefined },
      },
    );
    return status ?? 1;
  }
  const hidesUnified = spawnSync('mountpoint', ['-q', UNIFIED]).status === 0;
  if (hidesUnified) spawnSync('umount', [UNIFIED], { stdio: 'inherit' });
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsrun-bench-'));
  try {
    const rigs = RUNTIMES.filter(isInstalled).map((runtime) => makeRig(runtime, directory));
    const report = describe(rigs, measureAll(rigs), hidesUnified);
    console.log(report);
    fs.writeFileSync(RESULTS, report);
    return 0;
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

function fail(message) {
  console.error(`tsrun: ${message}`);
  return 1;
}

function isInstalled({ argv: [file, ...args] }) {
  return spawnSync(file, [...args, '--version'], { stdio: 'ignore' }).status === 0;
}

function makeRig({ name, argv }, directory) {
  const place = path.join(directory, name);
  const rig = {
    name,
    argv: [...argv, '--root', path.join(place, 'root')],
    id: `tsrun-bench-${name}`,
    runningId: `tsrun-bench-${name}-running`,
    pidFile: path.join(place, 'pid'),
    bundle: (program) => path.join(place, program),
  };
  for (const [program, args] of [
    ['true', ['/bin/true']],
    ['sleep', ['sleep', '1000']],
  ]) {
    fs.mkdirSync(rig.bundle(program), { recursive: true });
    const bundle = path.join(top, 'bundles/busybox');
    const config = JSON.parse(fs.readFileSync(path.join(bundle, 'config.json'), 'utf8'));
    // crun 1.8 takes no later version.
    config.ociVersion = '1.0.2';
    config.process.args = args;
    config.root.path = path.join(bundle, 'rootfs');
    fs.writeFileSync(path.join(rig.bundle(program), 'config.json'), JSON.stringify(config));
  }
  return rig;
}

/** Case name -> runtime name -> values, one for each round. The runtimes take turns, so that the machine's moods hit all alike. */
function measureAll(rigs) {
  const values = CASES.map(() => rigs.map(() => []));
  const deadline = Date.now() + TIME_LIMIT_MS;
  try {
    for (const rig of rigs) call(rig, ['run', '--detach', '--bundle', rig.bundle('sleep'), rig.runningId]);
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS && Date.now() < deadline; round++) {
      CASES.forEach(({ measure }, caseIndex) => {
        rigs.forEach((rig, rigIndex) => {
          const value = measure(rig);
          if (round >= WARM_UP_ROUNDS) values[caseIndex][rigIndex].push(value);
        });
      });
    }
  } finally {
    for (const rig of rigs) {
      for (const id of [rig.id, rig.runningId]) {
        const [file, ...rest] = [...rig.argv, 'delete', '--force', id];
        spawnSync(file, rest, { stdio: 'ignore' });
      }
    }
  }
  return values;
}

/** Runs a command that has to succeed. */
function call(rig, args) {
  const [file, ...rest] = [...rig.argv, ...args];
  const { status } = spawnSync(file, rest, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`${rig.name} ${args.join(' ')}: exit code ${status}`);
}

function timed(rig, args) {
  const start = performance.now();
  call(rig, args);
  return performance.now() - start;
}

function measureLife(rig) {
  const created = timed(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const pid = fs.readFileSync(rig.pidFile, 'utf8');
  const started = timed(rig, ['start', rig.id]);
  // What /bin/true itself takes to end is nobody's merit.
  waitForEnd(pid);
  return created + started + timed(rig, ['delete', rig.id]);
}

function waitForEnd(pid) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const stat = readIfThere(`/proc/${pid}/stat`);
    if (stat === undefined || /\) [ZX] /.test(stat)) return;
    if (Date.now() > deadline) throw new Error(`process ${pid} did not end`);
  }
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** KiB that the init of a created, not started container shares with no other process (man 5 proc, smaps_rollup). */
function measureMemory(rig) {
  call(rig, ['create', '--bundle', rig.bundle('true'), '--pid-file', rig.pidFile, rig.id]);
  const text = fs.readFileSync(`/proc/${fs.readFileSync(rig.pidFile, 'utf8')}/smaps_rollup`, 'utf8');
  call(rig, ['delete', '--force', rig.id]);
  return [...text.matchAll(/^Private_\w+: +(\d+) kB$/gm)].reduce((sum, [, size]) => sum + Number(size), 0);
}

function describe(rigs, values, hidesUnified) {
  const peers = rigs.slice(1);
  const header = ['', ...rigs.map(({ name }) => name), ...peers.map(({ name }) => `tsrun : ${name}`)];
  const rows = CASES.map(({ name, unit }, caseIndex) => {
    const medians = values[caseIndex].map(median);
    const [own, ...others] = medians;
    return [
      name,
      ...medians.map((value) => `${value.toFixed(unit === 'ms' ? 1 : 0)} ${unit}`),
      ...others.map((other) => ratio(own, other)),
    ];
  });
  const table = [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const versions = rigs.map(({ name, argv: [file, ...args] }) => {
    const text = spawnSync(file, [...args, '--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
    return `- ${name}: ${text}`;
  });
  return `# Results of \`npm run bench\`

Written by the command itself. Medians of ${values[0][0].length} rounds, the runtimes taking turns.

${table}

${versions.join('\n')}
- ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, Linux ${os.release()}, ${os.cpus().length} x ${os.cpus()[0].model.trim()}, load average ${os.loadavg()[0].toFixed(1)}
- cgroups: ${hidesUnified ? 'v1 (the cgroup2 part of a hybrid layout was hidden from all of them)' : 'as mounted'}
`;
}

function ratio(own, other) {
  return (own / other).toFixed(2);
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

process.exitCode = main();
