import t from 'tap';
import { listDevices } from '../../../src/plan/rootfs/device-nodes.ts';
import type { Device } from '../../../src/spec/generated/config.ts';

function list(devices: Device[]) {
  return listDevices({ ociVersion: '1.3.0', linux: { devices } });
}

t.test('listDevices() has the default devices', (t) => {
  t.same(
    listDevices({ ociVersion: '1.3.0' }).map(
      ({ path, major, minor, mode }) => `${path} ${major}:${minor} ${mode.toString(8)}`,
    ),
    [
      '/dev/null 1:3 666',
      '/dev/zero 1:5 666',
      '/dev/full 1:7 666',
      '/dev/random 1:8 666',
      '/dev/urandom 1:9 666',
      '/dev/tty 5:0 666',
    ],
  );
  t.end();
});

t.test('listDevices() takes a default device from the config when it is there', (t) => {
  const devices = list([{ type: 'c', path: '//dev/./null', major: 1, minor: 3, fileMode: 0o20600, uid: 7 }]);
  t.equal(devices.length, 6);
  t.same(devices.at(-1), {
    path: '/dev/null',
    fileType: 0o020000,
    major: 1,
    minor: 3,
    mode: 0o600,
    uid: 7,
    gid: 0,
    pointer: '/linux/devices/0',
  });
  t.end();
});

t.test('listDevices() leaves out what is made by other means', (t) => {
  const devices = list([
    { type: 'c', path: '/dev/ptmx', major: 5, minor: 2 },
    { type: 'c', path: '/dev/console', major: 5, minor: 1 },
    { type: 'b', path: '/dev/sda', major: 8, minor: 0 },
  ]);
  t.same(
    devices.slice(6).map(({ path, pointer }) => `${path} ${pointer}`),
    ['/dev/sda /linux/devices/2'],
  );
  t.end();
});

t.test('listDevices() reads the types; a FIFO has no numbers', (t) => {
  const types = (['c', 'u', 'b', 'p'] as const).map((type) => ({ type, path: `/dev/${type}`, major: 4, minor: 5 }));
  t.same(
    list(types)
      .slice(6)
      .map(({ fileType, major }) => [fileType.toString(8), major]),
    [
      ['20000', 4],
      ['20000', 4],
      ['60000', 4],
      ['10000', 0],
    ],
  );
  t.end();
});
