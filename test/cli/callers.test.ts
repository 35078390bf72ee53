import t from 'tap';
import { runLine } from './fixtures.ts';

const containerd = '--root /run/containerd/runc/default --log /b/log.json --log-format json';
const docker = '--root /var/run/docker/runtime-runc/moby --log /b/log.json --log-format json';
const conmon = '--log-format=json --log /b/oci-log';

const create = { id: 'c1', bundle: '/b', noPivot: false, noNewKeyring: false, preserved: [], stdio: [0, 1, 2] };
const exec = { id: 'c1', detach: true, preserved: [], ignorePaused: false, stdio: [0, 1, 2] };

/** What the standard input of the tests and their resource files say. */
const limits = { kind: 'document', text: '{"pids":{"limit":7}}' };

/** Command lines as callers write them, without the paths of logs, and the operation that they ask for. */
const rows: readonly (readonly [caller: string, line: string, operation: string, options: object | string])[] = [
  ['conmon', 'create --bundle /b --pid-file /b/pid c1', 'createContainer', { ...create, pidFile: '/b/pid' }],
  [
    'conmon',
    'create --bundle /b --pid-file /b/pid --console-socket /tmp/conmon-term.X --preserve-fds 2 c1',
    'createContainer',
    { ...create, pidFile: '/b/pid', consoleSocket: '/tmp/conmon-term.X', preserved: [3, 4] },
  ],
  ['podman', 'start c1', 'startContainer', 'c1'],
  ['podman', 'kill c1 28', 'killContainer', { id: 'c1', signal: 28, all: false }],
  ['podman', 'kill c1 15', 'killContainer', { id: 'c1', signal: 15, all: false }],
  ['podman', 'pause c1', 'pauseContainer', 'c1'],
  ['podman', 'resume c1', 'resumeContainer', 'c1'],
  ['podman', 'delete --force c1', 'deleteContainer', { id: 'c1', force: true }],
  [
    'buildah',
    'create --bundle /b --pid-file /b/pid buildah-buildah1',
    'createContainer',
    { ...create, id: 'buildah-buildah1', pidFile: '/b/pid' },
  ],
  ['podman', 'update --resources=FILE c1', 'updateContainer', { id: 'c1', changes: limits }],
  ['buildah', 'start buildah-buildah1', 'startContainer', 'buildah-buildah1'],
  ['buildah', 'state buildah-buildah1', 'readStatus', 'buildah-buildah1'],
  ['buildah', 'delete buildah-buildah1', 'deleteContainer', { id: 'buildah-buildah1', force: false }],
  [
    'containerd',
    'create --bundle /b --pid-file /b/init.pid c1',
    'createContainer',
    { ...create, pidFile: '/b/init.pid' },
  ],
  [
    'containerd',
    'create --bundle /b --pid-file /b/init.pid --console-socket /tmp/pty1/pty.sock --no-pivot --no-new-keyring c1',
    'createContainer',
    {
      ...create,
      pidFile: '/b/init.pid',
      consoleSocket: '/tmp/pty1/pty.sock',
      noPivot: true,
      noNewKeyring: true,
    },
  ],
  ['containerd', 'kill c1 9', 'killContainer', { id: 'c1', signal: 9, all: false }],
  ['containerd', 'kill --all c1 9', 'killContainer', { id: 'c1', signal: 9, all: true }],
  ['containerd', 'start c1', 'startContainer', 'c1'],
  ['containerd', 'pause c1', 'pauseContainer', 'c1'],
  ['containerd', 'resume c1', 'resumeContainer', 'c1'],
  ['containerd', 'ps --format json c1', 'listProcesses', 'c1'],
  ['containerd', 'update --resources - c1', 'updateContainer', { id: 'c1', changes: limits }],
  ['containerd', 'delete c1', 'deleteContainer', { id: 'c1', force: false }],
  ['containerd', 'delete --force c1', 'deleteContainer', { id: 'c1', force: true }],
  [
    'docker',
    'create --bundle /b --pid-file /b/init.pid -no-subreaper c1',
    'createContainer',
    { ...create, pidFile: '/b/init.pid' },
  ],
  ['docker', 'update --resources - c1', 'updateContainer', { id: 'c1', changes: limits }],
  ['docker', 'update --resources=- c1', 'updateContainer', { id: 'c1', changes: limits }],
  ['docker', 'kill --all c1 9', 'killContainer', { id: 'c1', signal: 9, all: true }],
];

const prefixes: Readonly<Record<string, { text: string; root: string }>> = {
  conmon: { text: conmon, root: '/run/tsrun' },
  podman: { text: '', root: '/run/tsrun' },
  buildah: { text: '', root: '/run/tsrun' },
  containerd: { text: containerd, root: '/run/containerd/runc/default' },
  docker: { text: docker, root: '/var/run/docker/runtime-runc/moby' },
};

t.test('the command lines of callers', async (t) => {
  for (const [caller, line, operation, options] of rows) {
    await t.test(`${caller}: ${line}`, async (t) => {
      const directory = t.testdir({ 'resources.json': '{"pids":{"limit":7}}' });
      const { text = '', root } = prefixes[caller] ?? {};
      const written = `${text} ${line}`
        .replaceAll('/b/log', `${directory}/log`)
        .replace('/b/oci-log', `${directory}/oci-log`);
      const outcome = await runLine(written.replace('=FILE', `=${directory}/resources.json`));
      const called = [[operation, { root, cgroupManager: 'cgroupfs' }, options]];
      if (operation === 'updateContainer') t.match(outcome.calls, called);
      else t.strictSame(outcome.calls, called);
      t.equal(outcome.code, 0);
    });
  }
});

t.test('the processes of exec', async (t) => {
  const lines: [line: string, options: object][] = [
    ['exec --pid-file /e/pid --process FILE --detach c1', { pidFile: '/e/pid' }],
    ['exec --pid-file /e/pid --process FILE --detach --tty c1', { pidFile: '/e/pid' }],
    [
      'exec --pid-file /e/pid --process FILE --detach --tty --console-socket /s c1',
      { pidFile: '/e/pid', consoleSocket: '/s' },
    ],
    [
      'exec --process FILE --console-socket /s --detach --pid-file /b/e.pid c1',
      { pidFile: '/b/e.pid', consoleSocket: '/s' },
    ],
    ['exec --process FILE --detach --pid-file /b/e.pid c1', { pidFile: '/b/e.pid' }],
  ];
  for (const [line, options] of lines) {
    await t.test(line, async (t) => {
      const path = `${t.testdir({ process: '{"args":["sh"]}' })}/process`;
      const change = { kind: 'document', path, text: '{"args":["sh"]}' };
      const { calls } = await runLine(line.replace('FILE', path));
      t.match(calls, [['execInContainer', {}, { ...exec, change, ...options }]]);
    });
  }
});

t.test('what callers ask before they run anything', async (t) => {
  const { stdout } = await runLine('--version');
  const [version, commit, spec] = stdout.split('\n');
  t.match(version, /^tsrun version \S+$/);
  t.match(commit, /^commit: \S+$/);
  t.match(spec, /^spec: 1\.3\.0$/);
  t.equal((await runLine('features')).code, 0);
  // The systemd driver is refused where it would be used, and nowhere else: the same options stand before every command.
  t.match(await runLine('checkpoint --help'), { code: 0, calls: [] });
  const restore =
    '--systemd-cgroup restore --bundle /b --image-path /c --pid-file /b/init.pid --detach -no-subreaper c1';
  t.match(await runLine(restore), { code: 0, calls: [['restoreContainer']] });
  t.match(await runLine('--systemd-cgroup delete --force c1'), { code: 0, calls: [['deleteContainer']] });
  t.equal((await runLine('list --format=json', { results: { listContainers: [] } })).stdout, 'null\n');
});
