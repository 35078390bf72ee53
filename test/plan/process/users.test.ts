import t from 'tap';
import { findGroupByName, findUserByName, groupsWithMember } from '../../../src/plan/process/users.ts';

const passwd = ['root:x:0:0::/:/bin/sh', 'half', 'big:x:4294967295:1', 'hex:x:0x1:1', 'web:x:33:34', 'web:x:0:0'].join(
  '\n',
);
const group = ['adm:x:4:web,db', 'none:x:5:', 'hostile:x:-1:web', 'webs:x:34:', 'log:x:6:db,web\r'].join('\n');

t.test('findUserByName() takes the first entry whose numbers are ids', (t) => {
  t.strictSame(findUserByName(passwd, 'web'), { uid: 33, gid: 34 });
  for (const name of ['big', 'hex', 'half', 'nobody', '']) t.equal(findUserByName(passwd, name), undefined, name);
  t.end();
});

t.test('groups are found by name, and by member', (t) => {
  t.equal(findGroupByName(group, 'adm'), 4);
  for (const name of ['hostile', 'nogroup']) t.equal(findGroupByName(group, name), undefined, name);
  t.strictSame(groupsWithMember(group, 'web'), [4, 6]);
  t.strictSame(groupsWithMember(group, 'nobody'), []);
  t.end();
});
