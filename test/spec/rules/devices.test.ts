import t from 'tap';
import type { Device } from '../../../src/spec/generated/config.ts';
import { checkDeviceNumbers, checkDevicePaths } from '../../../src/spec/rules/devices.ts';
import { checkRows } from './rows.ts';

const devices = (...list: Device[]) => ({ linux: { devices: list } });
const fuse: Device = { type: 'c', path: '/dev/fuse', major: 10, minor: 229 };

checkRows(t, checkDeviceNumbers, {
  accepted: [{}, devices(fuse, { type: 'p', path: '/fifo' })],
  refused: [
    [devices({ type: 'b', path: '/a', minor: 1 }), '/linux/devices/0', 'lacks the property "major"'],
    [devices(fuse, { type: 'u', path: '/a', major: 1 }), '/linux/devices/1', 'wanted one for the type "u"'],
  ],
});

checkRows(t, checkDevicePaths, {
  accepted: [{}, devices(fuse, { ...fuse, type: 'u', fileMode: 438 }), devices(fuse, { ...fuse, path: '/dev/other' })],
  refused: [
    [devices(fuse, { ...fuse, minor: 1 }), '/linux/devices/1', 'c 10:1, which is listed as c 10:229'],
    [devices(fuse, { ...fuse, path: '/dev//fuse', type: 'b' }), '/linux/devices/1', 'is "/dev/fuse" as b 10:229'],
    [devices({ ...fuse, path: '/..' }), '/linux/devices/0/path', 'wanted a file'],
  ],
});
