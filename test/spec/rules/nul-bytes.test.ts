import t from 'tap';
import { checkNulBytes } from '../../../src/spec/rules/nul-bytes.ts';
import { checkRows } from './rows.ts';

checkRows(t, checkNulBytes, {
  accepted: [{ process: { args: ['a', '\\0'] } }, { annotations: { key: 'a\0b' } }, { vm: { kernel: 'a\0b' } }],
  refused: [
    [{ root: { path: 'a\0' } }, '/root/path', 'without NUL bytes'],
    [{ process: { args: ['sh', 'a\0b'] } }, '/process/args/1', '"a\\u0000b"'],
    [{ mounts: [{ destination: '/a', source: '/b\0/../c' }] }, '/mounts/0/source', 'without NUL bytes'],
    [{ linux: { sysctl: { 'net.a\0': '1' } } }, '/linux/sysctl', 'has the key'],
  ],
});
