import t from 'tap';
import { checkIdRanges, checkMountIdRanges, checkUserNamespace } from '../../../src/spec/rules/id-mappings.ts';
import { checkRows } from './rows.ts';

const range = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size });
const one = [range(0, 1000, 1)];
const user = [{ type: 'user' as const }];
const joined = [{ type: 'user' as const, path: '/proc/1/ns/user' }];

checkRows(t, checkUserNamespace, {
  accepted: [
    {},
    { linux: { uidMappings: [], gidMappings: [] } },
    { linux: { uidMappings: one, gidMappings: one, namespaces: user } },
    { linux: { uidMappings: one, gidMappings: one, namespaces: joined } },
    { linux: { namespaces: joined } },
    { linux: { uidMappings: one, gidMappings: undefined, namespaces: user } },
    { linux: { namespaces: [undefined] } },
  ],
  refused: [
    [{ linux: { uidMappings: one, gidMappings: one } }, '/linux', 'user namespace mappings specified'],
    [
      { linux: { uidMappings: one, namespaces: user } },
      '/linux',
      'lacks the property "gidMappings", wanted uidMappings and gidMappings together',
    ],
    [{ linux: { gidMappings: one, namespaces: user } }, '/linux', 'lacks the property "uidMappings"'],
    [{ linux: { namespaces: user } }, '/linux', 'wanted them or a path to join'],
  ],
});

const ranges = (...uidMappings: ReturnType<typeof range>[]) => ({ linux: { uidMappings } });
checkRows(t, checkIdRanges, {
  accepted: [
    {},
    ranges(range(0, 0, 4294967295)),
    ranges(range(10, 100, 5), range(0, 105, 10), range(15, 0, 100)),
    { linux: { gidMappings: [undefined, { size: 5 }] } },
    // Of a range that the schema has refused in part nothing is known.
    { linux: { gidMappings: [range(10, 10, 5), { size: 3 }, range(0, 0, 5), { containerID: 2, hostID: 2 }] } },
    { linux: { gidMappings: Array.from({ length: 340 }, (_, index) => range(index, index, 1)) } },
  ],
  refused: [
    [
      ranges(range(0, 0, 10), range(9, 10, 1)),
      '/linux/uidMappings/1',
      'overlaps /linux/uidMappings/0 in containerID 9',
    ],
    [ranges(range(0, 10, 10), range(10, 5, 6)), '/linux/uidMappings/0', 'overlaps /linux/uidMappings/1 in hostID 10'],
    [ranges(range(0, 0, 100), range(200, 100, 1), range(50, 200, 1)), '/linux/uidMappings/2', 'containerID 50'],
    [ranges(range(1, 0, 4294967295)), '/linux/uidMappings/0', 'containerID up to 4294967295'],
    [
      { linux: { gidMappings: Array.from({ length: 341 }, (_, index) => range(index, index, 1)) } },
      '/linux/gidMappings',
      'wanted at most 340',
    ],
  ],
});

checkRows(t, checkMountIdRanges, {
  accepted: [{}, { mounts: [{ destination: '/a', uidMappings: one, gidMappings: one }, { destination: '/b' }] }],
  refused: [
    [{ mounts: [{ destination: '/a', uidMappings: one }] }, '/mounts/0', 'lacks the property "gidMappings"'],
    [{ mounts: [undefined, { gidMappings: one }] }, '/mounts/1', 'lacks the property "uidMappings"'],
    [
      { mounts: [{ uidMappings: one, gidMappings: [range(0, 0, 2), range(1, 5, 1)] }] },
      '/mounts/0/gidMappings/1',
      'overlaps',
    ],
  ],
});

t.test('checkIdRanges() compares each range with the longest before it', (t) => {
  const issues = checkIdRanges(ranges(range(0, 0, 100), range(50, 100, 10), range(70, 110, 10)));
  t.strictSame(
    issues.map(({ pointer, message }) => `${pointer} ${message}`),
    [
      '/linux/uidMappings/1 overlaps /linux/uidMappings/0 in containerID 50, wanted ranges apart',
      '/linux/uidMappings/2 overlaps /linux/uidMappings/0 in containerID 70, wanted ranges apart',
    ],
  );
  t.end();
});
