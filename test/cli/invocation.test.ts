import t from 'tap';
import { TsrunError } from '../../src/errors.ts';
import { messageOf, runLine, status } from './fixtures.ts';

const runtime = { root: '/run/tsrun', cgroupManager: 'cgroupfs' };
const create = { id: 'web', bundle: '/work', noPivot: false, noNewKeyring: false, preserved: [], stdio: [0, 1, 2] };
const exec = {
  id: 'web',
  detach: false,
  preserved: [],
  ignorePaused: false,
  stdio: [0, 1, 2],
  forwardSignals: true,
};
const change = { kind: 'options', env: [], terminal: false, additionalGids: [], capabilities: [] };
const run = { ...create, detach: false, keep: false, forwardSignals: true, subreaper: true };

type Row = readonly [line: string, name: string, options: unknown];

const accepted: Row[] = [
  ['create web', 'createContainer', create],
  ['create -b b web', 'createContainer', { ...create, bundle: '/work/b' }],
  ['create --bundle /b/ --pid-file p web', 'createContainer', { ...create, bundle: '/b/', pidFile: '/work/p' }],
  ['create --console-socket ../s web', 'createContainer', { ...create, consoleSocket: '/s' }],
  ['create --no-pivot --no-new-keyring web', 'createContainer', { ...create, noPivot: true, noNewKeyring: true }],
  [
    'create --preserve-fds 3 -f c.json web',
    'createContainer',
    { ...create, preserved: [3, 4, 5], configFile: 'c.json' },
  ],
  ['create --no-subreaper --pid-file= web', 'createContainer', create],
  ['create web --no-pivot', 'createContainer', { ...create, noPivot: true }],
  ['start web', 'startContainer', 'web'],
  ['pause web', 'pauseContainer', 'web'],
  ['resume web', 'resumeContainer', 'web'],
  ['events web', 'containerEvents', { id: 'web', intervalMs: 5000 }],
  ['events --interval 1m30s web', 'containerEvents', { id: 'web', intervalMs: 90_000 }],
  ['events --interval=1.5h web', 'containerEvents', { id: 'web', intervalMs: 5_400_000 }],
  ['events --interval 100ms web', 'containerEvents', { id: 'web', intervalMs: 100 }],
  ['events --interval 2000us web', 'containerEvents', { id: 'web', intervalMs: 2 }],
  ['events --stats web', 'containerStats', 'web'],
  ['update web', 'updateContainer', { id: 'web', changes: { kind: 'resources', resources: {} } }],
  [
    'update --memory 1.5g --memory-swap -1 --memory-reservation= --kernel-memory 7 --kernel-memory-tcp 8B web',
    'updateContainer',
    {
      id: 'web',
      changes: {
        kind: 'resources',
        resources: { memory: { limit: 1_610_612_736, swap: -1, kernel: 7, kernelTCP: 8 } },
      },
    },
  ],
  [
    'update --cpu-share 2 --cpu-quota -1 --cpu-period 3 --cpu-burst 4 --cpu-rt-period 5 --cpu-rt-runtime 6 --cpu-idle 1 web',
    'updateContainer',
    {
      id: 'web',
      changes: {
        kind: 'resources',
        resources: {
          cpu: { shares: 2, quota: -1, period: 3, burst: 4, realtimePeriod: 5, realtimeRuntime: 6, idle: 1 },
        },
      },
    },
  ],
  [
    'update --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 9223372036854775807 --blkio-weight 10 --l3-cache-schema a --mem-bw-schema b web',
    'updateContainer',
    {
      id: 'web',
      changes: {
        kind: 'resources',
        resources: {
          cpu: { cpus: '0-1', mems: '0' },
          pids: { limit: 9_223_372_036_854_775_807n },
          blockIO: { weight: 10 },
        },
      },
      l3CacheSchema: 'a',
      memBwSchema: 'b',
    },
  ],
  ...['--resources - web', '--resources=- web', '-r - --memory 5 web'].map((line): Row => {
    const changes = { kind: 'document', name: 'standard input', text: '{"pids":{"limit":7}}' };
    return [`update ${line}`, 'updateContainer', { id: 'web', changes }];
  }),
  ['ps web', 'showProcesses', { id: 'web', psArguments: [] }],
  ['ps web -f json -- -h', 'showProcesses', { id: 'web', psArguments: ['-f', 'json', '--', '-h'] }],
  ['ps --format json web', 'listProcesses', 'web'],
  ['run web', 'runContainer', run],
  ['run -d --keep -no-subreaper web', 'runContainer', { ...run, detach: true, keep: true, subreaper: false }],
  ['create --pidfd-socket s web', 'createContainer', { ...create, pidfdSocket: '/work/s' }],
  ['run --pidfd-socket=/s web', 'runContainer', { ...run, pidfdSocket: '/s' }],
  [
    'exec --pidfd-socket s --cgroup /sub web ls',
    'execInContainer',
    { ...exec, change: { ...change, args: ['ls'] }, pidfdSocket: '/work/s', subCgroups: [{ path: '/sub' }] },
  ],
  [
    'exec --cgroup cpu,cpuacct:a --cgroup pids:b/c web ls',
    'execInContainer',
    {
      ...exec,
      change: { ...change, args: ['ls'] },
      subCgroups: [
        { controllers: ['cpu', 'cpuacct'], path: 'a' },
        { controllers: ['pids'], path: 'b/c' },
      ],
    },
  ],
  ['exec web ls', 'execInContainer', { ...exec, change: { ...change, args: ['ls'] } }],
  ['exec web ls --tty -- -d', 'execInContainer', { ...exec, change: { ...change, args: ['ls', '--tty', '--', '-d'] } }],
  ['exec -t web sh', 'execInContainer', { ...exec, change: { ...change, args: ['sh'], terminal: true } }],
  ['exec web -- -x', 'execInContainer', { ...exec, change: { ...change, args: ['-x'] } }],
  [
    'exec -u 7:8 -g 9 -g 10 -e A=1 -e B= --cwd / -c CAP_KILL --no-new-privs=false web id',
    'execInContainer',
    {
      ...exec,
      change: {
        ...change,
        args: ['id'],
        user: { uid: 7, gid: 8 },
        additionalGids: [9, 10],
        env: ['A=1', 'B='],
        cwd: '/',
        capabilities: ['CAP_KILL'],
        noNewPrivileges: false,
      },
    },
  ],
  [
    'exec --apparmor p --process-label l --user 0 web id',
    'execInContainer',
    { ...exec, change: { ...change, args: ['id'], user: { uid: 0 }, apparmorProfile: 'p', selinuxLabel: 'l' } },
  ],
  [
    'exec -d --pid-file p --console-socket s --preserve-fds=1 --ignore-paused web ls',
    'execInContainer',
    {
      ...exec,
      change: { ...change, args: ['ls'] },
      detach: true,
      pidFile: '/work/p',
      consoleSocket: '/work/s',
      preserved: [3],
      ignorePaused: true,
    },
  ],
  ['kill web', 'killContainer', { id: 'web', signal: 15, all: false }],
  ['kill web KILL', 'killContainer', { id: 'web', signal: 9, all: false }],
  ['kill --all web 28', 'killContainer', { id: 'web', signal: 28, all: true }],
  ['kill -a web 0', 'killContainer', { id: 'web', signal: 0, all: true }],
  ['kill -r ^w USR1', 'killContainer', { id: '^w', signal: 10, all: false, isPattern: true }],
  ['delete --regex -f w.b', 'deleteContainer', { id: 'w.b', force: true, isPattern: true }],
  ['delete web', 'deleteContainer', { id: 'web', force: false }],
  ['delete --force web', 'deleteContainer', { id: 'web', force: true }],
  ['delete --strict web', 'deleteContainer', { id: 'web', force: false, strict: true }],
  ['list', 'listContainers', { requireRoot: false }],
  ['--root /run/tsrun list -q', 'listContainers', { requireRoot: true }],
  ['delete -f true', 'deleteContainer', { id: 'true', force: true }],
  ['state web', 'readStatus', 'web'],
];

t.test('command lines become calls of operations', async (t) => {
  for (const [line, name, options] of accepted) {
    const outcome = await runLine(line);
    t.strictSame(outcome.calls, [[name, runtime, options]], line);
    t.equal(outcome.code, 0);
  }
});

const idRequired = ['create', 'start', 'run', 'state'];

t.test("positionals are counted in runc's words", async (t) => {
  const rows = [
    ...idRequired.map((name) => [name, `"${name}" requires exactly 1 argument(s)`]),
    ...idRequired.map((name) => [`${name} a b`, `"${name}" requires exactly 1 argument(s)`]),
    ['delete a b', '"delete" requires a maximum of 1 argument(s)'],
    ['kill', '"kill" requires a minimum of 1 argument(s)'],
    ['kill a b c', '"kill" requires a maximum of 2 argument(s)'],
    ['exec', '"exec" requires a minimum of 1 argument(s)'],
    ['list a', '"list" requires exactly 0 argument(s)'],
    ['spec a', '"spec" requires exactly 0 argument(s)'],
    ['features a', '"features" requires exactly 0 argument(s)'],
    ['explain a b', '"explain" requires a maximum of 1 argument(s)'],
  ] as const;
  for (const [line = '', message] of rows) {
    const outcome = await runLine(line);
    t.ok(messageOf(outcome).startsWith(`${message}: tsrun ${line.split(' ')[0] ?? ''}`), line);
    t.equal(outcome.code, 1);
    t.strictSame(outcome.calls, []);
  }
  const nothing = await runLine('delete');
  t.equal(messageOf(nothing), '"delete" requires exactly 1 argument(s), or "--all"');
  t.match(nothing, { code: 1, calls: [] });
});

const user = 'for option "--user"';

const refused = [
  ['frobnicate', 'unknown command "frobnicate"; "tsrun --help" lists them'],
  ['creat web', 'unknown command "creat"; did you mean "create"?'],
  ['__proto__', 'unknown command "__proto__"; "tsrun --help" lists them'],
  ['create --root /x web', 'unknown option "--root" of "create"; "--root" stands before the command'],
  ['create --bundel x web', 'unknown option "--bundel" of "create"; did you mean "--bundle"?'],
  ['create --preserve-fds x web', 'invalid value "x" for option "--preserve-fds": wanted a number of descriptors'],
  ['create --preserve-fds -1 web', 'invalid value "-1" for option "--preserve-fds": wanted a number of descriptors'],
  ['kill web FOO', 'unknown signal "FOO"; wanted a name such as TERM, or a number'],
  ['kill web TREM', 'unknown signal "TREM"; did you mean "TERM"?'],
  ['kill web -9', 'unknown option "-9" of "kill"'],
  ['delete --regx web', 'unknown option "--regx" of "delete"; did you mean "--regex"?'],
  ['init', 'the command "init" is kept for the runtime itself'],
  ['list --format xml', 'invalid format option: "xml", wanted table or json'],
  ['exec web', 'process args cannot be empty'],
  ['exec --user 1000x web ls', `invalid value "1000x" ${user}: wanted a numeric id`],
  ['exec --user 1: web ls', `invalid value "" ${user}: wanted a numeric id`],
  ['exec --user :1 web ls', `invalid value "" ${user}: wanted a numeric id`],
  ['exec --user 1:2:3 web ls', `invalid value "1:2:3" ${user}: wanted USER or USER:GROUP`],
  ['exec --user=-1 web ls', `invalid value "-1" ${user}: wanted a numeric id`],
  ['exec --user +1 web ls', `invalid value "+1" ${user}: wanted a numeric id`],
  ['exec --user 0x0 web ls', `invalid value "0x0" ${user}: wanted a numeric id`],
  ['exec --user 4294967295 web ls', `invalid value "4294967295" ${user}: wanted a numeric id`],
  ['exec --cgroup a --cgroup b web ls', 'invalid --cgroup argument: a (missing <controller>: prefix)'],
  ['exec --cgroup a:b:c web ls', 'invalid --cgroup argument: a:b:c'],
  [
    'exec --cgroup cpu:a --cgroup pids,cpu:b web ls',
    'invalid --cgroup argument(s): controller cpu specified multiple times',
  ],
  ['exec --cgroup :a web ls', 'invalid --cgroup argument: :a: a controller has no name'],
  ['exec -g users web ls', 'invalid value "users" for option "--additional-gids": wanted a numeric id'],
] as const;

// As runc: 3 for what is no command, 1 for what cannot be read, and from there on what the command's failures have.
function exitCodeOf(line: string): number {
  if (/^(frobnicate|creat |__proto__|init)/.test(line)) return 3;
  return line.startsWith('exec ') ? 255 : 1;
}

t.test('command lines that make no sense are refused in one line', async (t) => {
  for (const [line, message] of refused) {
    const outcome = await runLine(line);
    t.ok(messageOf(outcome).endsWith(message), line);
    t.match(outcome, { code: exitCodeOf(line), failure: { code: 'usage' }, calls: [] });
  }
});

t.test('the environment of a service manager becomes options', async (t) => {
  const optionsOf = async (line: string, environment: Record<string, string>): Promise<unknown> =>
    (await runLine(line, { surroundings: { environment } })).calls[0]?.slice(2);
  const sockets = { LISTEN_FDS: '2', LISTEN_PID: '4242' };
  t.strictSame(await optionsOf('create web', sockets), [{ ...create, preserved: [3, 4], listenFds: 2 }]);
  t.strictSame(await optionsOf('run web', sockets), [{ ...run, preserved: [3, 4], listenFds: 2 }]);
  const inside = { ...exec, change: { ...change, args: ['ls'] } };
  t.strictSame(await optionsOf('exec web ls', sockets), [{ ...inside, preserved: [3, 4], listenFds: 2 }]);
  for (const odd of [
    { LISTEN_FDS: '2' },
    { LISTEN_FDS: '2', LISTEN_PID: '1' },
    { LISTEN_FDS: '-1', LISTEN_PID: '4242' },
    { LISTEN_FDS: '0', LISTEN_PID: '4242' },
    { LISTEN_FDS: '9999999', LISTEN_PID: '4242' },
    { LISTEN_FDS: '2x', LISTEN_PID: '4242' },
  ])
    t.strictSame(await optionsOf('create web', odd), [create], JSON.stringify(odd));
  for (const socket of ['/run/notify', '@abstract']) {
    const notify = { NOTIFY_SOCKET: socket };
    t.strictSame(await optionsOf('create web', notify), [{ ...create, notifySocket: socket }]);
    t.strictSame(await optionsOf('start web', notify), ['web', { notifySocket: socket }]);
    t.strictSame(await optionsOf('exec web ls', notify), [inside], 'not for exec');
  }
  for (const socket of ['', '/', 'relative', 'vsock:2:1'])
    t.strictSame(await optionsOf('create web', { NOTIFY_SOCKET: socket }), [create], socket);
});

t.test('global options reach the operations', async (t) => {
  const { calls } = await runLine('--root /r --cgroup-manager disabled start web');
  t.strictSame(calls, [['startContainer', { root: '/r', cgroupManager: 'disabled' }, 'web']]);
  const systemd = await runLine('--systemd-cgroup create web');
  t.match(systemd.calls, [['createContainer', { cgroupManager: 'systemd' }]]);
});

t.test('a path needs no working directory when it is absolute', async (t) => {
  const currentDirectory = (): string => {
    throw Object.assign(new Error('gone'), { code: 'ENOENT' });
  };
  const surroundings = { currentDirectory };
  t.match(await runLine('create --bundle /b web', { surroundings }), { code: 0 });
  const outcome = await runLine('create web', { surroundings });
  t.equal(messageOf(outcome), 'tsrun create failed: find the working directory: no such file or directory: ENOENT');
});

t.test('exec takes a process document', async (t) => {
  const directory = t.testdir({ 'process.json': '{"args":["ls"]}' });
  const path = `${directory}/process.json`;
  const { calls } = await runLine(`exec --process ${path} --tty --detach web`);
  const expected = { ...exec, detach: true, change: { kind: 'document', path, text: '{"args":["ls"]}' } };
  t.strictSame(calls, [['execInContainer', runtime, expected]]);
  const missing = await runLine('exec --process none web');
  t.match(missing, { code: 255, failure: { code: 'config' } });
  t.equal(messageOf(missing), 'exec failed: read process document "/work/none": no such file or directory: ENOENT');
});

t.test('exit codes are those of the program', async (t) => {
  t.equal((await runLine('run web', { results: { runContainer: 137 } })).code, 137);
  t.equal((await runLine('exec web ls', { results: { execInContainer: 3 } })).code, 3);
});

t.test("failures have runc's prefixes and exit codes", async (t) => {
  const failed = new TsrunError('status', 'it failed', { errno: 'EPERM' });
  const rows = [
    ['create web', { createContainer: failed }, 'tsrun create failed: it failed', 1],
    ['run web', { runContainer: failed }, 'tsrun run failed: it failed', 1],
    ['exec web ls', { execInContainer: failed }, 'exec failed: it failed', 255],
    ['start web', { startContainer: failed }, 'it failed', 1],
    ['kill web', { killContainer: failed }, 'it failed', 1],
    ['delete web', { deleteContainer: failed }, 'it failed', 1],
    ['state web', { readStatus: failed }, 'it failed', 1],
    ['list', { listContainers: failed }, 'it failed', 1],
  ] as const;
  for (const [line, results, message, code] of rows) {
    const outcome = await runLine(line, { results });
    t.equal(messageOf(outcome), message, line);
    t.match(outcome, { code, failure: { code: 'status', errno: 'EPERM' } });
  }
  const bug = await runLine('exec web ls', { results: { execInContainer: new TypeError('x is undefined') } });
  t.match(bug, { code: 255, failure: TypeError });
  t.equal(messageOf(bug), 'x is undefined');
});

t.test('results are printed', async (t) => {
  const list = { results: { listContainers: [] } };
  t.strictSame(JSON.parse((await runLine('state web')).stdout), { ...status, owner: '' });
  t.match((await runLine('list')).stdout, /^ID .*\nweb .*\n$/);
  t.strictSame(JSON.parse((await runLine('list --format=json')).stdout), [status]);
  t.equal((await runLine('list -q -f json')).stdout, 'web\n');
  t.equal((await runLine('list -f json', list)).stdout, 'null\n');
  t.equal((await runLine('ps --format json web')).stdout, '[42,43]\n');
  t.equal((await runLine('ps -f json web', { results: { listProcesses: [] } })).stdout, 'null\n');
  t.equal((await runLine('ps web')).stdout, 'PID CMD\n 42 sh\n');
  t.match((await runLine('events --stats web')).stdout, /^\{"type":"stats","id":"web","data":\{.*\}\}\n$/);
  const [oom, more] = (await runLine('events web')).stdout.split('\n');
  t.equal(oom, '{"type":"oom","id":"web"}');
  t.match(more, /^\{"type":"stats",/);
  t.equal((await runLine('explain')).stdout, 'container ...\n');
  t.equal((await runLine('explain --steps')).stdout, 'mount ...\n');
  t.equal((await runLine('explain --json web')).stdout, '{\n  "phases": []\n}\n');
});

t.test('explain plans the bundle that create would', async (t) => {
  const { calls } = await runLine('explain --bundle b --no-pivot -f c.json');
  const { stdio: _, ...plain } = create;
  const expected = { ...plain, id: 'example', bundle: '/work/b', configFile: 'c.json', noPivot: true };
  t.strictSame(calls, [['explainContainer', runtime, expected]]);
});

t.test('explain gives one answer, with what belongs to it', async (t) => {
  const two = await runLine('explain --steps --diff b');
  t.match(two, { code: 1, calls: [] });
  t.match(messageOf(two), '--steps and --diff are different answers');
  const alone = await runLine('explain --trace t.json');
  t.match(alone, { code: 1, calls: [] });
  t.match(messageOf(alone), 'wanted --html FILE as well');
  t.match(messageOf(await runLine('explain --diff absent')), 'open "/work/absent"');
});

t.test('help and version go before everything else', async (t) => {
  for (const line of ['', '--help', '-h', 'help', '--help kill']) {
    t.match(await runLine(line), { code: 0, stdout: /^tsrun \[global options\] COMMAND/, calls: [] }, line);
  }
  for (const line of ['kill --help', 'kill -h a b c', 'help kill']) {
    t.match(await runLine(line), { code: 0, stdout: /^tsrun kill \[options\] ID \[SIGNAL\]\n/, calls: [] }, line);
  }
  t.match(await runLine('exec web ls --help'), { calls: [['execInContainer']] });
  const { stdout } = await runLine('--version');
  t.match(stdout, /^tsrun version \d+\.\d+\.\d+\ncommit: \S+\nspec: 1\.3\.0\nnode: [\d.]+\nkoffi: [\d.]+\n$/);
});

t.test('durations are those of Go', async (t) => {
  for (const text of ['5', 's', '1x', '1d', '5 s', '', '1.2.3s', '--']) {
    t.match(messageOf(await runLine(['events', `--interval=${text}`, 'web'])), /wanted a duration such as 5s/, text);
  }
  for (const text of ['0', '0s', '-1s', '0h0m0s']) {
    const message = 'duration interval must be greater than 0';
    t.equal(messageOf(await runLine(['events', `--interval=${text}`, 'web'])), message, text);
  }
});
