import t from 'tap';
import { convertConfig, parseImageConfig } from '../../../src/image/parse/config.ts';
import { configAnnotations } from '../../../src/spec/annotations.ts';
import { LOWERS_MAX } from '../../../src/spec/overlay.ts';

const NO_USERS = { passwd: undefined, group: undefined };

function convert(
  config: Record<string, unknown>,
  { lowers = [], rootless }: { lowers?: string[]; rootless?: { uid: number; gid: number } } = {},
) {
  const bytes = Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', config, rootfs: {} }));
  return convertConfig(parseImageConfig(bytes), { users: NO_USERS, rootless, lowers });
}

t.test('convertConfig() makes of an image what the specification says', (t) => {
  const { process, root, mounts, annotations } = convert({
    User: '5:6',
    Env: ['A=b', 'none'],
    Entrypoint: ['/run'],
    Cmd: ['one'],
    WorkingDir: 'srv',
    Volumes: { '/v': {} },
    ExposedPorts: { '80/tcp': {}, '53/udp': {} },
    StopSignal: 'SIGQUIT',
    Labels: { 'org.opencontainers.image.os': 'mine', '': 'x' },
  });
  t.match(process, { args: ['/run', 'one'], cwd: '/srv', user: { uid: 5, gid: 6 }, terminal: false });
  t.strictSame(process?.env, ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=b']);
  t.equal(process?.capabilities?.effective, undefined, 'who is not root has no capabilities');
  t.strictSame(root, { path: 'rootfs' });
  t.match(mounts?.at(-1), { destination: '/v', type: 'tmpfs' });
  t.strictSame(annotations, {
    'org.opencontainers.image.os': 'mine',
    'org.opencontainers.image.architecture': 'amd64',
    'org.opencontainers.image.stopSignal': 'SIGQUIT',
    'org.opencontainers.image.exposedPorts': '53/udp,80/tcp',
  });
  t.end();
});

t.test('convertConfig() of an image that says nothing is a shell of root', (t) => {
  const { process } = convert({});
  t.match(process, { args: ['sh'], cwd: '/', user: { uid: 0, gid: 0 } });
  t.ok(process?.capabilities?.effective?.includes('CAP_CHOWN'));
  t.end();
});

t.test('convertConfig() for an ordinary user runs as root of a user namespace', (t) => {
  const { process, linux } = convert({ User: '5' }, { rootless: { uid: 1000, gid: 1001 } });
  t.match(process?.user, { uid: 0, gid: 0 });
  t.match(linux?.uidMappings, [{ containerID: 0, hostID: 1000, size: 1 }]);
  t.match(linux?.gidMappings, [{ containerID: 0, hostID: 1001, size: 1 }]);
  t.end();
});

t.test('an image does not say what tsrun does on the host', (t) => {
  const Labels = Object.fromEntries(
    Object.values(configAnnotations).map((name) => [name.endsWith('.') ? `${name}ExecStop` : name, 'true']),
  );
  const { annotations } = convert({ Labels: { ...Labels, maker: 'x' } });
  t.strictSame(annotations, { ...convert({}).annotations, maker: 'x' });
  t.end();
});

t.test('layers of their own are what the container is laid over', (t) => {
  const overlay = (lowers: string[]) =>
    convert({ Labels: { 'run.tsrun.overlay': '{"lower": ["/etc"]}' } }, { lowers }).annotations?.['run.tsrun.overlay'];
  t.equal(overlay(['/web/layers/1', '/web/layers/0']), '{"lower":["/web/layers/1","/web/layers/0"]}');
  t.equal(overlay(Array.from({ length: LOWERS_MAX + 1 }, (_, index) => `/${index}`)), undefined);
  t.end();
});
