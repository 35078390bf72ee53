import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSuccess, live, type BaseConfig } from './support/rig.ts';

type Change = (config: BaseConfig) => unknown;

function mkfifo(file: string): void {
  execFileSync('mkfifo', [file]);
}

interface Finding {
  readonly severity: string;
  readonly pointer: string;
  readonly message: string;
}

live('check', async (t, rig) => {
  const check = async (bundle: string) => {
    const { stdout, stderr, code } = await rig.tsrun(['check', '--format', 'json', '--bundle', bundle]);
    return { code, stderr, findings: JSON.parse(stdout) as Finding[] };
  };

  await t.test('a bundle that is right has no errors', async (t) => {
    const bundle = rig.bundle();
    const { code, stderr, findings } = await check(bundle);
    t.same([code, stderr], [0, '']);
    t.ok(
      findings.every(({ severity }) => severity === 'weak'),
      'weak spots alone',
    );
    t.match(findings, [{ pointer: '/process/user/uid' }, { pointer: '/linux/seccomp' }]);
    const { stdout } = await rig.tsrun(['check', '--bundle', bundle]);
    t.match(stdout, /^weak spot: \/linux\/seccomp: is absent/m);
  });

  await t.test('everything that is wrong with a configuration is said at once', async (t) => {
    const bundle = rig.bundle({
      text: (config) =>
        JSON.stringify({ ...config, hostnam: 'x', process: { ...config.process, cwd: 'relative' }, root: { path: 3 } }),
    });
    const { code, findings } = await check(bundle);
    t.equal(code, 2);
    t.match(findings, [
      { severity: 'error', pointer: '/root/path', message: 'is 3, wanted a string' },
      { severity: 'error', pointer: '/process/cwd' },
    ]);
  });

  await t.test('what is no error is a warning, beside what this host lacks', async (t) => {
    const bundle = rig.bundle({
      change: (config) => {
        Object.assign(config, { hostnam: 'x' });
        config.mounts.push({ destination: '/data', type: 'bind', source: '/nonexistent/a', options: ['bind'] });
        config.mounts.push({ destination: '/more', type: 'bind', source: '/nonexistent/b', options: ['bind'] });
      },
    });
    const { code, findings } = await check(bundle);
    t.equal(code, 2);
    t.match(
      findings.filter(({ severity }) => severity !== 'weak'),
      [
        { severity: 'error', message: '"/nonexistent/a" does not exist' },
        { severity: 'error', message: '"/nonexistent/b" does not exist' },
        { severity: 'warning', pointer: '/hostnam', message: 'did you mean "hostname"?' },
      ],
    );
  });

  await t.test('a system call that nobody knows is a warning', async (t) => {
    const bundle = rig.bundle({
      change: (config) => {
        Object.assign(config.linux, {
          seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['opne'], action: 'SCMP_ACT_ERRNO' }] },
        });
      },
    });
    const { code, findings } = await check(bundle);
    t.equal(code, 0);
    t.match(findings, [{ severity: 'warning', message: 'unknown system call "opne"' }, { severity: 'weak' }]);
  });

  await t.test('the program is looked for in the rootfs, with what it needs to be executed', async (t) => {
    const fill = (rootfs: string): void => {
      const write = (file: string, text: string | Uint8Array, mode = 0o755): void => {
        mkdirSync(path.dirname(path.join(rootfs, file)), { recursive: true });
        writeFileSync(path.join(rootfs, file), text, { mode });
      };
      const foreign = readFileSync('/bin/busybox').subarray(0, 4096);
      foreign.writeUInt16LE(243, 18);
      write('/bin/text', 'echo');
      write('/bin/closed', '#!/bin/sh\n', 0o644);
      write('/bin/script', '#!/no/such\n');
      write('/bin/below', '#!/opt/tools/run\n');
      write('/bin/foreign', foreign);
      write('/bin/dynamic', readFileSync('/bin/true'));
      write('/work/here', '#!/bin/sh\n');
      // For the host they lead elsewhere, and out of the rootfs.
      symlinkSync('/bin/busybox', path.join(rootfs, 'bin/absolute'));
      symlinkSync('../../../../bin/busybox', path.join(rootfs, 'bin/climbing'));
      symlinkSync('/etc/hostname', path.join(rootfs, 'bin/of-the-host'));
      symlinkSync('loop', path.join(rootfs, 'bin/loop'));
      mkfifo(path.join(rootfs, 'bin/fifo'));
    };
    const opt = { destination: '/opt', type: 'tmpfs', source: 'tmpfs' };
    const rows: readonly (readonly [args: readonly string[], wanted: RegExp | undefined, change?: Change])[] = [
      [['/bin/busybox'], undefined],
      [['busybox'], undefined],
      [['sh'], undefined],
      [['/bin/absolute'], undefined],
      [['/bin/climbing'], undefined],
      [['./here'], undefined, (config) => (config.process.cwd = '/work')],
      [['/bin/of-the-host'], /^error is "\/bin\/of-the-host": it is not in the rootfs$/],
      [['/none'], /^error is "\/none": it is not in the rootfs$/],
      [['/etc/passwd/x'], /^error .*: it is not in the rootfs$/],
      [['none'], /^error is "none": it is in no directory of the PATH of process.env, "[^"]+", in the rootfs$/],
      [['none'], /^warning .*unless the mount on "\/opt" brings it$/, inPath],
      [
        ['/opt/run'],
        /^warning is "\/opt\/run": it is not in the rootfs, unless the mount on "\/opt" brings it$/,
        mountOpt,
      ],
      [['/bin'], /^error .*: it is a directory$/],
      [['/bin/fifo'], /^error .*: it is no regular file$/],
      [['/bin/loop'], /^error .*: it is a symlink to itself/],
      [['/bin/closed'], /^error .*: it has no permission to execute it: chmod \+x$/],
      [['closed'], /^error .*: "\/bin\/closed" has no permission to execute it: chmod \+x$/],
      [['/bin/text'], /^error .*: it is no program of Linux, and has no "#!" line$/],
      [['/bin/script'], /^error .*: the interpreter of its "#!" line, "\/no\/such", is not in the rootfs$/],
      [
        ['/bin/below'],
        /^warning .*"\/opt\/tools\/run", is not in the rootfs, unless the mount on "\/opt" brings it$/,
        mountOpt,
      ],
      [['/bin/dynamic'], /^error .*: its dynamic loader, "\/lib.*", is not in the rootfs$/],
      [['/bin/foreign'], /^(?:error|warning) .*: it is a program for riscv, and this machine is /],
    ];
    function mountOpt(config: BaseConfig): void {
      config.mounts.push(opt);
    }
    function inPath(config: BaseConfig): void {
      mountOpt(config);
      config.process.env = ['PATH=/bin:/opt/bin'];
    }
    for (const [args, wanted, change] of rows) {
      const bundle = rig.bundle({ args, fill, ...(change && { change: (config) => void change(config) }) });
      const { code, findings } = await check(bundle);
      const found = findings.filter(({ severity }) => severity !== 'weak');
      const said = found.map(({ severity, message }) => `${severity} ${message}`).join('\n');
      if (wanted === undefined) t.equal(said, '', args.join(' '));
      else t.match(said, wanted, args.join(' '));
      t.ok(found.every(({ pointer }) => pointer === '/process/args/0'));
      t.equal(code, found.some(({ severity }) => severity === 'error') ? 2 : 0);
    }
  });

  await t.test('a bundle that is not there, and one without a rootfs', async (t) => {
    const none = await check(path.join(rig.directory, 'nowhere'));
    t.equal(none.code, 2);
    t.match(none.findings, [{ severity: 'error', message: 'nowhere' }]);
    const bundle = rig.bundle({ fill: () => undefined });
    rmSync(path.join(bundle, 'rootfs'), { recursive: true });
    const bare = await check(bundle);
    t.equal(bare.code, 2);
    t.match(
      bare.findings.filter(({ severity }) => severity === 'error'),
      [{ message: 'rootfs' }],
    );
    writeFileSync(path.join(bundle, 'config.json'), '{');
    t.match((await check(bundle)).findings, [{ severity: 'error', message: 'config.json' }]);
  });

  await t.test('create warns of what the specification does not name, too', async (t) => {
    const result = await rig.run({
      change: (config) => {
        Object.assign(config.linux, { memroy: 1 });
      },
    });
    t.equal(result.code, 0);
    t.match(result.stderr, /level=warning msg="config\.json: \/linux\/memroy: is no property of the specification/);
  });
});

live('doctor', async (t, rig) => {
  await t.test('says what this host can do, and needs no root for it', async (t) => {
    const { stdout, ...result } = await rig.tsrun(['doctor']);
    expectSuccess(t, { ...result, stdout }, 'doctor');
    for (const area of ['kernel', 'user', 'cgroups', 'security', 'storage'])
      t.match(stdout, new RegExp(`^${area}$`, 'm'));
    t.match(stdout, /^ {2}ok {7}namespaces: .*pid/m);
    const asNobody = await rig.tsrun(['doctor', '--format', 'json'], { uid: 65534 });
    const found = JSON.parse(asNobody.stdout) as { area: string; state: string; message: string; remedy?: string }[];
    t.match(
      found.find(({ area }) => area === 'user'),
      { state: 'ok', message: 'user 65534' },
    );
    t.ok(
      found.every(({ state, remedy = '' }) => state === 'ok' || remedy !== ''),
      'what is amiss has a remedy',
    );
  });
});
