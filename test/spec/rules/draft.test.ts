import t from 'tap';
import {
  draftWithout,
  hasNamespace,
  isAbsent,
  isDamaged,
  isForLinux,
  itemsOf,
  makesNamespace,
  membersOf,
} from '../../../src/spec/rules/draft.ts';

t.test('draftWithout() leaves holes and damaged members', (t) => {
  const document = { a: [1, { b: 2, c: 3 }, 4], d: { e: 5 }, f: 6, g: undefined };
  const draft = draftWithout(document, ['/a/0', '/a/1/b', '/d', '/x/y', '/f/z']);
  t.strictSame(draft, { a: [undefined, { b: undefined, c: 3 }, 4], d: undefined, f: 6 });
  t.ok(isDamaged(draft as object, 'd'));
  t.notOk(isDamaged(draft as object, 'g'), 'a member that was undefined is absent');
  t.strictSame(document.d, { e: 5 }, 'the document is unchanged');
  t.strictSame(draftWithout(7, ['']), {});
  t.strictSame(draftWithout({ a: null, b: { c: null } }, ['/a/x', '/b/c/y']), { a: null, b: { c: null } });
  t.end();
});

t.test('hasNamespace() and makesNamespace() take a damaged list for any', (t) => {
  const config = { linux: { namespaces: [{ type: 'pid', path: '/a' }, { type: 'uts' }] } } as const;
  t.ok(hasNamespace(config, 'pid'));
  t.notOk(makesNamespace(config, 'pid'));
  t.ok(makesNamespace(config, 'uts'));
  t.notOk(hasNamespace(config, 'user'));
  t.notOk(hasNamespace({}, 'user'));
  for (const pointer of ['/linux', '/linux/namespaces', '/linux/namespaces/0', '/linux/namespaces/0/type']) {
    const damaged = draftWithout(config, [pointer]) as typeof config;
    t.ok(hasNamespace(damaged, 'user'), pointer);
    t.ok(makesNamespace(damaged, 'user'), pointer);
  }
  t.end();
});

t.test('isForLinux() is false for a config that only has another platform', (t) => {
  t.ok(isForLinux({}));
  t.ok(isForLinux({ linux: {}, windows: {} }));
  t.notOk(isForLinux({ windows: {} }));
  t.end();
});

t.test('itemsOf() and membersOf() skip holes and point', (t) => {
  t.strictSame(
    [...itemsOf(['a', undefined, 'b'], '/x')],
    [
      ['a', '/x/0'],
      ['b', '/x/2'],
    ],
  );
  t.strictSame([...itemsOf(undefined, '/x')], []);
  t.strictSame([...membersOf({ 'a/b': 1, c: undefined }, '/x')], [[1, '/x/a~1b', 'a/b']]);
  t.strictSame([...membersOf(undefined, '/x')], []);
  t.end();
});

t.test('isAbsent() holds for what says nothing', (t) => {
  t.ok(isAbsent(undefined) && isAbsent('') && isAbsent([]));
  t.notOk(isAbsent('a') || isAbsent([0]));
  t.end();
});
