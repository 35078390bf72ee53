import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSuccess, live } from './support/rig.ts';

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
