import t from 'tap';
import { checkGiven, checkOptions, CHECKS, either, oneOf, signalNumber } from '../../src/library/check.ts';
import { describeEnd } from '../../src/library/process-end.ts';
import { plain } from '../../src/library/plain.ts';
import { configSource, processChange } from '../../src/library/options.ts';
import { checkStdio } from '../../src/library/stdio.ts';
import { checkSize } from '../../src/library/terminal.ts';

t.test('checkOptions() names the call, the option, and what was wanted and found', (t) => {
  const check = (options: object) => {
    checkOptions('call', options as { path?: string }, { path: CHECKS.path });
  };
  t.doesNotThrow(() => {
    check({ path: '/a' });
  });
  t.doesNotThrow(() => {
    check({ path: undefined });
  });
  const rows: [object, string][] = [
    [{ path: 'a' }, 'call: option "path" is "a", wanted an absolute path'],
    [{ path: ['/a'] }, 'call: option "path" is a list, wanted an absolute path'],
    [{ path: {} }, 'call: option "path" is an object, wanted an absolute path'],
    [{ toString: 1 }, 'call: unknown option "toString"'],
  ];
  for (const [options, message] of rows)
    t.throws(() => {
      check(options);
    }, new TypeError(message));
  t.throws(() => {
    checkGiven('call', 'id', undefined, CHECKS.text);
  }, new TypeError('call: "id" is undefined, wanted a text that is not empty'));
  t.end();
});

t.test('checks take what they should, and nothing else', (t) => {
  const rows: [(value: unknown) => string | undefined, good: unknown[], bad: unknown[]][] = [
    [CHECKS.count, [0, 7], [-1, 1.5, '1', NaN]],
    [CHECKS.texts, [[], ['a']], ['a', [1]]],
    [CHECKS.timeoutMs, [0, 1.5], [-1, NaN, '1']],
    [CHECKS.signal, [new AbortController().signal], [{}, 9]],
    [oneOf('a', 'b'), ['a'], ['c', 1]],
    [either(CHECKS.path, CHECKS.function), ['/a', () => 1], ['a', 1]],
    [checkStdio, ['pipe', 3, ['ignore', undefined, 1]], ['tube', -1, [1, 2, 3, 4], {}]],
    [checkSize, [{ columns: 80, rows: 24 }], [{ columns: 80 }, { columns: 70_000, rows: 1 }, null]],
  ];
  for (const [check, good, bad] of rows) {
    for (const value of good) t.equal(check(value), undefined);
    for (const value of bad) t.type(check(value), 'string');
  }
  t.end();
});

t.test('signalNumber() takes names and numbers', (t) => {
  t.equal(signalNumber('kill', 'SIGTERM'), 15);
  t.equal(signalNumber('kill', 'term'), 15);
  t.equal(signalNumber('kill', 9), 9);
  t.throws(
    () => signalNumber('kill', 65),
    new TypeError('kill: "signal" is 65, wanted the name or number of a signal'),
  );
  t.end();
});

t.test('plain() leaves nothing that JSON cannot say', (t) => {
  const value = { limit: 2n ** 63n, list: [1n, { text: 'a' }], none: undefined };
  t.strictSame(plain(value), { limit: 2 ** 63, list: [1, { text: 'a' }], none: undefined });
  t.equal(JSON.stringify(plain({ count: 5n })), '{"count":5}');
  t.end();
});

t.test('describeEnd() tells a code from a signal, and neither from both', (t) => {
  t.strictSame(describeEnd({ kind: 'exited', code: 3 }, false), { code: 3, signal: undefined, oomKilled: false });
  t.strictSame(describeEnd({ kind: 'killed', signal: 37 }, true), {
    code: undefined,
    signal: 'SIGRTMIN+3',
    oomKilled: true,
  });
  t.strictSame(describeEnd(undefined, false), { code: undefined, signal: undefined, oomKilled: false });
  t.end();
});

t.test('configSource() makes a text of a configuration, with the rootfs in it', (t) => {
  const config = { ociVersion: '1.2.0', linux: { resources: { memory: { limit: 2n ** 60n } } } } as never;
  const source = configSource('call', { id: 'a', config, rootfs: '/images/a/' });
  t.match(source, { id: 'a', bundle: '/images', noPivot: false });
  t.match((source as { configText: string }).configText, /"limit":1152921504606846976.*"path":"\/images\/a\/"/);
  t.throws(() => configSource('call', { id: 'a', rootfs: '/r', bundle: '/b' }), TypeError);
  t.end();
});

t.test('processChange() wants one program', (t) => {
  t.match(processChange('exec', { args: ['a'], env: { A: 'b=c' }, uid: 1, gid: 2 }), {
    kind: 'options',
    env: ['A=b=c'],
    user: { uid: 1, gid: 2 },
  });
  t.match(processChange('exec', { process: { cwd: '/', args: ['a'] } }), { kind: 'document', path: 'process' });
  for (const options of [{}, { args: [] }, { args: ['a'], process: { cwd: '/' } }, { args: ['a'], gid: 1 }])
    t.throws(() => processChange('exec', options), TypeError);
  t.end();
});
