import { mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import {
  bundle,
  compare,
  done,
  outcome,
  start,
  useRig,
  withSleeper,
  type Call,
  type Scene,
} from './support/planner-scenes.ts';
import { TestPlanner } from './support/planner.ts';
import { setNamespace } from './support/namespaces.ts';
import { livePlanners, type BaseConfig, type Rig } from './support/rig.ts';
import { slowness } from './support/surroundings.ts';
import { waitFor } from './support/wait.ts';

let rig: Rig;

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  TERM: 15,
  INT: 2,
  HUP: 1,
  USR1: 10,
  QUIT: 3,
  ALRM: 14,
  RTMIN: 34,
  'RTMIN+3': 37,
};

/** `warm`: how many of its commands a planner carries out at least; `lost`: how many callers end before. */
const SCENES: Readonly<Record<string, { readonly warm: number; readonly lost?: number; readonly scene: Scene }>> = {
  'output and exit code of run': {
    warm: 1,
    scene: (call, id) => done(call(['run', '--bundle', bundle('echo out; echo err >&2; exit 7'), id])),
  },
  'standard input of run': {
    warm: 1,
    scene: (call, id) => done(call(['run', '--bundle', bundle('cat; exit 2'), id], { stdin: 'typed\n' })),
  },
  'a program that is missing': {
    warm: 1,
    scene: (call, id) => done(call(['run', '--bundle', bundle(['/no/such']), id])),
  },
  'a program that is killed for want of memory': {
    warm: 1,
    scene: (call, id) =>
      done(
        call([
          'run',
          '--bundle',
          bundle('exec tail -c 500000000 /dev/zero', (config) => {
            const limit = 24 * 1024 * 1024;
            config.linux.resources = { memory: { limit, swap: limit } };
          }),
          id,
        ]),
      ),
  },
  'a config that is wrong': {
    warm: 1,
    scene: (call, id) =>
      done(call(['run', '--bundle', bundle('true', (config) => (config.process.cwd = 'relative')), id])),
  },
  'a bundle that is missing': {
    warm: 1,
    scene: (call, id, directory) => done(call(['create', '--bundle', `${directory}/none`, id])),
  },
  'an id that is wrong': { warm: 1, scene: (call) => done(call(['create', '--bundle', bundle('true'), '../x'])) },
  'an option that is unknown': { warm: 0, scene: (call, id) => done(call(['state', '--nonsense', id])) },
  'too few arguments': { warm: 0, scene: (call) => done(call(['kill'])) },
  'a container that is missing': {
    warm: 4,
    scene: async (call, id) => [
      await done(call(['state', id])),
      await done(call(['start', id])),
      await done(call(['delete', id])),
      await done(call(['kill', id])),
      await done(call(['delete', '--force', id])),
    ],
  },
  'exec: output, exit codes, signals of programs': {
    warm: 5,
    scene: withSleeper(async (call, id) => [
      await done(call(['exec', id, 'sh', '-c', 'echo out; echo err >&2; exit 9'])),
      await done(call(['exec', id, 'sh', '-c', 'kill -TERM $$'])),
      await done(call(['exec', id, 'cat'], { stdin: 'typed\n' })),
      await done(call(['exec', id, '/no/such'])),
      await done(call(['exec', '--cwd', '/tmp', '--env', 'A=b', id, 'sh', '-c', 'pwd; echo $A'])),
    ]),
  },
  'start, pause, resume and delete of what is not so': {
    warm: 6,
    scene: withSleeper(async (call, id) => [
      await done(call(['start', id])),
      await done(call(['delete', id])),
      await done(call(['resume', id])),
      await done(call(['pause', id])),
      await done(call(['pause', id])),
      await done(call(['resume', id])),
    ]),
  },
  'umask of pid file and log': {
    warm: 1,
    async scene(call, id, directory) {
      const files = ['pid', 'log'].map((name) => path.join(directory, name));
      const args = ['--log', files[1] ?? '', 'create', '--pid-file', files[0] ?? '', '--bundle', bundle('true'), id];
      const results = [];
      for (const mask of ['077', '000']) {
        results.push(await done(call(args, { shell: `umask ${mask}; exec "$@"` })));
        results.push(files.map((file) => modeOf(file)));
        results.push(await done(call(['delete', '--force', id])));
        for (const file of files) rmSync(file, { force: true });
      }
      return results;
    },
  },
  'umask of programs': {
    warm: 1,
    scene: (call, id) =>
      done(
        call(['run', '--bundle', bundle('umask; touch /tmp/x; stat -c %a /tmp/x', tmpfs), id], {
          shell: 'umask 027; exec "$@"',
        }),
      ),
  },
  'a log in a file, as text and as JSON': {
    warm: 2,
    async scene(call, id, directory) {
      const file = path.join(directory, 'log');
      await call(['--log', file, '--log-format', 'json', 'state', id]).done;
      const json = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
      rmSync(file);
      const last = await done(call(['--log', file, 'start', id]));
      return [
        Object.keys(json).sort(),
        json['level'],
        json['msg'],
        readFileSync(file, 'utf8').replace(/time="[^"]*"/g, ''),
        last,
      ];
    },
  },
  'a log in a file that cannot be made': {
    warm: 1,
    scene: (call, id) => done(call(['--log', '/no/such/file', 'state', id])),
  },
  'paths that are relative': {
    warm: 2,
    async scene(call, id) {
      const place = bundle('true');
      const cwd = path.dirname(place);
      const seen = await done(
        call(['--log', 'log-here', 'create', '--pid-file', 'pid-here', '--bundle', path.basename(place), id], { cwd }),
      );
      const log = readFileSync(path.join(cwd, 'log-here'), 'utf8');
      const pid = Number(readFileSync(path.join(cwd, 'pid-here'), 'utf8'));
      for (const name of ['log-here', 'pid-here']) rmSync(path.join(cwd, name));
      return [seen, log, pid > 1, await done(call(['delete', '--force', id]))];
    },
  },
  'no bundle named': { warm: 1, scene: (call, id) => done(call(['run', id], { cwd: bundle('pwd') })) },
  'a directory that was deleted': {
    warm: 1,
    async scene(call, id, directory) {
      const gone = path.join(directory, 'gone');
      mkdirSync(gone);
      const shell = `cd ${gone}; rmdir ${gone}; exec "$@"`;
      return [
        await done(call(['run', '--bundle', bundle('echo hi'), id], { shell })),
        await done(call(['run', id], { shell: `mkdir -p ${gone}; ${shell}` })),
      ];
    },
  },
  'a standard input that is closed': {
    warm: 0,
    scene: (call, id) => done(call(['run', '--bundle', bundle('echo hi'), id], { shell: 'exec "$@" <&-' })),
  },
  'state with nobody who reads it': {
    warm: 1,
    scene: withSleeper(async (call, id) => [
      await done(call(['state', id], { shell: '("$@"; echo $? >&2) | true' })),
      await done(call(['state', id], { shell: 'exec "$@" >/dev/full' })),
      await done(call(['state', id], { shell: 'exec "$@" >&-' })),
    ]),
  },
  'a list with nobody who reads it': {
    warm: 1,
    scene: async (call) => [
      await done(call(['list'], { shell: 'exec "$@" >/dev/full' })),
      await done(call(['list'], { shell: '("$@"; echo $? >&2) | sleep 0.2' })),
    ],
  },
  'descriptors that are preserved': {
    warm: 2,
    async scene(call, id, directory) {
      const file = path.join(directory, 'preserved');
      writeFileSync(file, 'content\n');
      const args = ['run', '--preserve-fds', '2', '--bundle', bundle('cat <&3; cat <&4; ls /proc/self/fd'), id];
      const both = await done(call(args, { shell: `exec "$@" 3<${file} 4<${file} 5<${file}` }));
      return [both, await done(call(args, { shell: `exec "$@" 3<${file} 4<&-` }))];
    },
  },
  'sockets of a service manager': {
    warm: 1,
    scene: (call, id, directory) => {
      writeFileSync(path.join(directory, 'listen'), 'listens\n');
      const shell = `export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<${directory}/listen 4</dev/null`;
      const args = ['run', '--bundle', bundle('echo $LISTEN_FDS $LISTEN_PID; cat <&3; ls /proc/self/fd'), id];
      return done(call(args, { shell }));
    },
  },
  'descriptors, session and cgroup of the program': {
    warm: 1,
    scene: (call, id) =>
      done(
        call(
          [
            'run',
            '--bundle',
            bundle(
              'ls /proc/self/fd; cut -d" " -f1-7 /proc/self/stat | cut -d")" -f2; cat /proc/self/cgroup | wc -l; ulimit -n; grep Sig[BI] /proc/self/status',
            ),
            id,
          ],
          { shell: 'ulimit -n 777; exec "$@"' },
        ),
      ),
  },
  'a cgroup below that of the caller': {
    warm: 1,
    scene: async (call, id) => {
      const place = `/sys/fs/cgroup/pids/${rig.prefix}-caller`;
      mkdirSync(place);
      const asked = bundle('grep pids /proc/self/cgroup', (config) => {
        delete config.linux.cgroupsPath;
        config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'cgroup');
      });
      const seen = await done(
        call(['run', '--bundle', asked, id], { shell: `echo $$ > ${place}/cgroup.procs; exec "$@"` }),
      );
      rmdirSync(place);
      return [seen, JSON.stringify(seen).includes(`${rig.prefix}-caller/`)];
    },
  },
  'a limit of processes that leaves no room for another': {
    warm: 2,
    scene: async (call, id) => {
      const place = `/sys/fs/cgroup/pids/${rig.prefix}-full`;
      mkdirSync(place);
      const shell = `echo 1 > ${place}/pids.max; echo $$ > ${place}/cgroup.procs; exec "$@"`;
      const seen = [
        await done(call(['create', '--bundle', bundle('true'), id], { shell })),
        await done(call(['run', '--bundle', bundle('true'), id], { shell })),
      ];
      rmdirSync(place);
      return seen;
    },
  },
  'a program in the pid namespace of the caller': {
    warm: 1,
    scene: async (call, id) => {
      const place = bundle('kill -9 $$; sleep 9', (config) => {
        config.linux.namespaces = (config.linux.namespaces ?? []).filter(({ type }) => type !== 'pid');
        config.mounts = config.mounts.filter(({ destination }) => destination !== '/proc');
      });
      return await done(call(['run', '--bundle', place, id]));
    },
  },
  ...Object.fromEntries(
    Object.keys(SIGNAL_NUMBERS).map((name) => [
      `the signal ${name} while it waits`,
      {
        warm: 1,
        async scene(call: Call, id: string) {
          const number = SIGNAL_NUMBERS[name] ?? 0;
          const running = call([
            'run',
            '--bundle',
            bundle(`trap 'echo got; exit 40' ${number}; echo ready; while :; do sleep 0.05; done`),
            id,
          ]);
          await waitFor(() => running.output().includes('ready'));
          process.kill(running.pid, number);
          return await done(running);
        },
      },
    ]),
  ),
  'a signal that the caller has blocked': {
    warm: 1,
    async scene(call, id) {
      // The program has it blocked as well, and shows that it is there.
      const script =
        'grep SigBlk /proc/self/status; until grep "ShdPnd.*800$" /proc/$$/status; do sleep 0.05; done; exit 40';
      const shell = 'exec env --block-signal=USR2 "$@"';
      const running = call(['run', '--bundle', bundle(script), id], { shell });
      await waitFor(() => running.output().includes('SigBlk'));
      process.kill(running.pid, 'SIGUSR2');
      return await done(running);
    },
  },
  'a caller that is killed': {
    warm: 2,
    lost: 1,
    async scene(call, id, directory) {
      const mark = path.join(directory, 'goes-on');
      writeFileSync(mark, '');
      const place = bundle('echo ready; sleep 0.5; echo on >> /mark; sleep 1000', (config) => {
        config.mounts.push({ destination: '/mark', type: 'bind', source: mark, options: ['bind'] });
      });
      const running = call(['run', '--bundle', place, id]);
      await waitFor(() => running.output().includes('ready'));
      process.kill(running.pid, 'SIGKILL');
      const end = await done(running);
      await waitFor(() => readFileSync(mark, 'utf8') === 'on\n');
      const { code, stdout } = await call(['state', id]).done;
      return [
        end,
        code,
        (JSON.parse(stdout) as { status: string }).status,
        await done(call(['delete', '--force', id])),
      ];
    },
  },
};

function modeOf(file: string): string {
  try {
    return (statSync(file).mode & 0o7777).toString(8);
  } catch {
    return 'none';
  }
}

function tmpfs(config: BaseConfig): void {
  setNamespace(config, 'mount');
  config.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' });
}

livePlanners('commands with a planner and without', async (t, own) => {
  rig = own;
  useRig(rig);
  const planner = await TestPlanner.start(rig.path('planner.err'));
  for (const [name, { warm, lost = 0, scene }] of Object.entries(SCENES)) {
    await t.test(name, async (t) => {
      const served = await compare(t, planner, scene);
      t.ok(served.warm >= warm, `${served.warm} of them by the planner, wanted ${warm}`);
      t.equal(served.lost, lost, 'and so many were lost');
    });
  }
  await t.test('50 containers at the same time', (t) => parallel(t, planner));
  await t.test('state and kill with 8 MB and two processes', (t) => small(t, planner));
  await planner.finish(t);
});

async function parallel(t: Test, planner: TestPlanner): Promise<void> {
  const count = 50;
  const before = planner.report();
  const place = bundle('echo "$0"; exit 7');
  const results = await Promise.all(
    Array.from(
      { length: count },
      () => start(['run', '--bundle', place, rig.id('parallel')], { timeoutMs: 120_000 * slowness }).done,
    ),
  );
  const seen = new Set(results.map((result) => JSON.stringify(outcome(result))));
  t.strictSame([...seen], [JSON.stringify({ code: 7, signal: null, stdout: '/bin/sh\n', stderr: '' })]);
  t.strictSame(rig.leftovers(), [], 'nothing is left');
  await planner.expectIdle(t);
  const { warm, lost, cold } = planner.report();
  t.strictSame(cold, before.cold, 'none was left to the engine');
  // A launcher that has had no word for 50 ms is on its own: on a busy machine some of 50 are.
  t.ok(warm - before.warm >= count / 2, `${warm - before.warm} by the planner, ${lost - before.lost} lost`);
}

async function small(t: Test, planner: TestPlanner): Promise<void> {
  const limits = { memory: { 'memory.limit_in_bytes': `${8 * 1024 * 1024}` }, pids: { 'pids.max': '2' } };
  const { id } = await rig.sleeper(t);
  const places = Object.entries(limits).map(([controller, files]) => {
    const place = `/sys/fs/cgroup/${controller}/${rig.prefix}-small`;
    mkdirSync(place);
    for (const [file, value] of Object.entries(files)) writeFileSync(`${place}/${file}`, value);
    return place;
  });
  const shell = `${places.map((place) => `echo $$ > ${place}/cgroup.procs`).join('; ')}; exec "$@"`;
  const before = planner.report().warm;
  const state = await start(['state', id], { shell }).done;
  t.equal(state.code, 0, state.stderr);
  t.match(state.stdout, /"running"/);
  const kill = await start(['kill', id, 'KILL'], { shell }).done;
  t.equal(kill.code, 0, kill.stderr);
  t.equal(planner.report().warm, before + 2);
  await rig.waitForStatus(id, 'stopped');
  for (const place of places) rmdirSync(place);
}
