import t from 'tap';
import { checkAnnotations, checkHostname, checkRoot, checkVersion } from '../../../src/spec/rules/root.ts';
import { checkRows } from './rows.ts';

checkRows(t, checkVersion, {
  accepted: [{}, { ociVersion: '1.99.0' }, { ociVersion: '0.5.0-dev' }],
  refused: [[{ ociVersion: '2.0.0' }, '/ociVersion', 'wanted a version 1.x']],
});

checkRows(t, checkRoot, {
  accepted: [{ root: { path: 'rootfs' } }, { root: undefined }],
  refused: [[{}, '', 'root must be specified']],
});

const uts = { namespaces: [{ type: 'uts' as const }] };
checkRows(t, checkHostname, {
  accepted: [
    {},
    { hostname: '' },
    { hostname: 'a', domainname: 'b', linux: uts },
    { hostname: 'a', freebsd: {} },
    { hostname: 'a', linux: { namespaces: [undefined] } },
  ],
  refused: [
    [{ hostname: 'a' }, '/hostname', 'unable to set hostname without a private UTS namespace'],
    [{ hostname: 'a', linux: {}, zos: {} }, '/hostname', 'UTS'],
    [{ domainname: 'b', linux: { namespaces: [] } }, '/domainname', 'unable to set domainname'],
  ],
});

checkRows(t, checkAnnotations, {
  accepted: [{}, { annotations: { key: '' } }],
  refused: [[{ annotations: { '': 'value' } }, '/annotations/', 'keys that are not empty']],
});
