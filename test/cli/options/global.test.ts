import t from 'tap';
import { readCommandLine } from '../../../src/cli/options/global.ts';
import { fakeSurroundings } from '../fixtures.ts';

const defaults = {
  root: '/run/tsrun',
  isRootGiven: false,
  cacheDirectory: '/run/tsrun-cache',
  logFormat: 'text',
  logLevel: 'warning',
  systemdLog: false,
  cgroupManager: 'cgroupfs',
};

function read(line: string): ReturnType<typeof readCommandLine> {
  return readCommandLine(
    line.split(' ').filter((word) => word !== ''),
    fakeSurroundings(),
  );
}

t.test('readCommandLine() reads global options', (t) => {
  const rows = [
    ['list', {}],
    ['--root /run/x list', { root: '/run/x', isRootGiven: true }],
    ['--root=x/../y/ list', { root: '/work/y', isRootGiven: true }],
    ['--root= list', {}],
    ['-root /run/x list', { root: '/run/x', isRootGiven: true }],
    ['--log l.json --log-format json list', { logTarget: { kind: 'file', file: '/work/l.json' }, logFormat: 'json' }],
    ['--log-format=json --log= list', { logFormat: 'json' }],
    ['--debug list', { logLevel: 'debug' }],
    ['--log-level error list', { logLevel: 'error' }],
    ['--log-level=INFO list', {}],
    ['--log-level error --debug list', { logLevel: 'debug' }],
    ['--systemd-cgroup list', { cgroupManager: 'systemd' }],
    ['--systemd-cgroup=false list', {}],
    ['--cgroup-manager=disabled list', { cgroupManager: 'disabled' }],
    ['--rootless=true list', { rootless: true }],
    ['--rootless False list', { rootless: false }],
    ['--rootless auto list', {}],
    ['--rootless= list', {}],
    ['--criu /usr/sbin/criu list', {}],
    [
      '-r /run/x -l f -s list',
      { root: '/run/x', isRootGiven: true, logTarget: { kind: 'file', file: '/work/f' }, cgroupManager: 'systemd' },
    ],
    ['--log file:f list', { logTarget: { kind: 'file', file: '/work/f' } }],
    ['--log file:journald:x list', { logTarget: { kind: 'file', file: '/work/journald:x' } }],
    ['--log ./syslog:x list', { logTarget: { kind: 'file', file: '/work/syslog:x' } }],
    ['--log journald:web.1 list', { logTarget: { kind: 'journald', name: 'web.1' } }],
    ['--log syslog:web list', { logTarget: { kind: 'syslog', name: 'web' } }],
    ['--systemd-log list', { systemdLog: true }],
  ] as const;
  for (const [line, changes] of rows) {
    const { command, global } = read(line);
    t.strictSame({ command, global }, { command: 'list', global: { ...defaults, ...changes } }, line);
  }
  t.end();
});

t.test('readCommandLine() leaves the arguments of the command alone', (t) => {
  t.match(read('--debug kill --root x -- y'), { command: 'kill', commandArguments: ['--root', 'x', '--', 'y'] });
  t.match(read('-v'), { version: true, help: false, command: undefined });
  for (const name of ['-V', '--version']) t.match(read(name), { version: true });
  for (const name of ['-h', '-?', '--usage', '-help', '--help']) {
    t.match(read(`${name} kill`), { help: true, command: 'kill' });
  }
  t.end();
});

t.test('readCommandLine() refuses what makes no sense', (t) => {
  const rows = [
    ['--root / list', 'Option --root argument should not be set to /'],
    ['--root //.. list', 'Option --root argument should not be set to /'],
    ['--root ../.. list', 'Option --root argument should not be set to /'],
    ['--log-format xml list', 'invalid log-format: xml, wanted text or json'],
    ['--log-level loud list', 'invalid log-level: loud'],
    [
      '--cgroup-manager x list',
      'invalid value "x" for option "--cgroup-manager": wanted cgroupfs, systemd or disabled',
    ],
    ['--rootless maybe list', 'invalid value "maybe" for option "--rootless": wanted auto, true or false'],
    ['--rot x list', 'unknown option "--rot"; did you mean "--root"?'],
    ['--log', 'flag needs an argument: option "--log" needs a value'],
  ] as const;
  for (const [line, message] of rows) t.throws(() => read(line), { code: 'usage', message }, line);
  for (const name of ['', 'a b', 'a\nPRIORITY=0', 'ä', 'x'.repeat(65), '<3>']) {
    const args = ['--log', `journald:${name}`, 'list'];
    t.throws(() => readCommandLine(args, fakeSurroundings()), { code: 'usage', message: /wanted journald:NAME/ }, name);
  }
  t.end();
});

t.test("readCommandLine() finds the default root, and a place for what is kept that is nobody else's", (t) => {
  const XDG_RUNTIME_DIR = '/run/user/7';
  const rows = [
    [{ environment: { XDG_RUNTIME_DIR } }, '/run/tsrun', '/run/tsrun-cache'],
    [{ environment: { XDG_RUNTIME_DIR }, uid: 7 }, '/run/user/7/tsrun', '/run/user/7/tsrun-cache'],
    [{ environment: { XDG_RUNTIME_DIR: '' }, uid: 7 }, '/run/tsrun', undefined],
    [{ uid: 7 }, '/run/tsrun', undefined],
    [{ environment: { XDG_RUNTIME_DIR }, inUserNamespace: () => true }, '/run/user/7/tsrun', '/run/user/7/tsrun-cache'],
    [{ environment: { XDG_RUNTIME_DIR, USER: 'root' }, inUserNamespace: () => true }, '/run/tsrun', '/run/tsrun-cache'],
  ] as const;
  for (const [changes, root, cacheDirectory] of rows) {
    const { global } = readCommandLine(['list'], fakeSurroundings(changes));
    t.strictSame([global.root, global.cacheDirectory], [root, cacheDirectory]);
  }
  t.end();
});
