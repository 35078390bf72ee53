import t from 'tap';
import { saysReady, serviceEnvironment, withNotifyMount } from '../../src/plan/service-manager.ts';

t.test('serviceEnvironment() names the sockets, whom they are meant for, and where to say that it is ready', (t) => {
  t.same(serviceEnvironment({ listenFds: 0, pid: 1, notifies: false }), []);
  t.same(serviceEnvironment({ listenFds: 2, pid: 7, notifies: true }), [
    'LISTEN_FDS=2',
    'LISTEN_PID=7',
    'NOTIFY_SOCKET=/run/notify/notify.sock',
  ]);
  t.end();
});

t.test('withNotifyMount() adds a mount behind the others, and changes nothing else', (t) => {
  const config = { ociVersion: '1.3.0', mounts: [{ destination: '/run' }], hostname: 'h' };
  const { mounts, ...rest } = withNotifyMount(config, '/state/notify');
  t.same(rest, { ociVersion: '1.3.0', hostname: 'h' });
  t.match(mounts, [
    { destination: '/run' },
    { destination: '/run/notify', source: '/state/notify', options: ['bind', 'nosuid', 'noexec', 'nodev', 'ro'] },
  ]);
  t.equal(withNotifyMount({ ociVersion: '1.3.0' }, '/n').mounts?.length, 1);
  t.equal(config.mounts.length, 1);
  t.end();
});

t.test('saysReady() wants the whole line', (t) => {
  for (const text of ['READY=1', 'READY=1\n', 'STATUS=up\nREADY=1\nMAINPID=2']) t.ok(saysReady(text), text);
  for (const text of ['', 'READY=0', 'READY=10', ' READY=1', 'XREADY=1', 'READY=1\0', 'STATUS=READY=1'])
    t.notOk(saysReady(text), text);
  t.end();
});
