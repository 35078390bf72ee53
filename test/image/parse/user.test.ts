import t from 'tap';
import { resolveUser } from '../../../src/image/parse/user.ts';

const files = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\n# old:x:1:1::/:\nweb:x:33:34::/:\n1000:x:5:6::/:\n',
  group: 'root:x:0:\nweb:x:34:\nlogs:x:4:other,web\nstaff:x:50:web\n',
};

t.test('resolveUser() finds names and numbers, and the groups of who is a member', (t) => {
  const rows: [text: string, uid: number, gid: number, additional: number[]][] = [
    ['', 0, 0, []],
    ['root', 0, 0, []],
    ['web', 33, 34, [4, 50]],
    ['33', 33, 34, [4, 50]],
    ['web:logs', 33, 4, []],
    ['web:7', 33, 7, []],
    ['web:', 33, 34, [4, 50]],
    ['77', 77, 0, []],
    ['77:78', 77, 78, []],
    // A name that looks like a number is a name.
    ['1000', 5, 6, []],
  ];
  for (const [text, uid, gid, additionalGids] of rows)
    t.strictSame(resolveUser(text, files), { uid, gid, additionalGids }, text);
  t.strictSame(resolveUser('7', { passwd: undefined, group: undefined }), { uid: 7, gid: 0, additionalGids: [] });
  t.end();
});

t.test('resolveUser() refuses who is not there: nobody becomes root by mistake', (t) => {
  for (const text of ['old', 'stranger', 'web:strangers', '4294967295', '0x0', '-1', 'a:b:c'])
    t.throws(() => resolveUser(text, files), { code: 'bundle' }, text);
  t.end();
});
