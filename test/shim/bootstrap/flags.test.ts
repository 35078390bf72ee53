import t from 'tap';
import { groupOf, printAddress, socketPath } from '../../../src/shim/bootstrap/address.ts';
import { readFlags } from '../../../src/shim/bootstrap/flags.ts';

t.test('readFlags() reads what containerd writes, in all styles of Go', (t) => {
  const wanted = {
    action: 'start',
    namespace: 'default',
    address: '/run/containerd/containerd.sock',
    publishBinary: '/usr/bin/containerd',
    id: 'x',
    bundle: '',
    debug: true,
  };
  const texts = ['-namespace', 'default', '-address', wanted.address, '-publish-binary', wanted.publishBinary];
  t.strictSame(readFlags([...texts, '-id', 'x', '-debug', 'start']), wanted);
  t.strictSame(readFlags([...texts, '--id=x', '--debug', 'start', 'more']), wanted);
  t.strictSame(readFlags([...texts, '-id=x', '-debug=true', 'start']), wanted);
  t.equal(readFlags([...texts, '-id', 'start', '-bundle', '/a', 'delete']).action, 'delete', 'an id like an action');
  t.strictSame(readFlags([...texts, '-id=x', '-debug=false', 'start']).debug, false);
  t.equal(readFlags(['-v']).action, 'version');
  t.end();
});

t.test('readFlags() refuses what makes no sense', (t) => {
  const rows: [args: string[], why: RegExp][] = [
    [['-namespace', 'a', '-id', 'x'], /the action is ""/],
    [['-namespace', 'a', '-id', 'x', 'run'], /the action is "run"/],
    [['-namespace', 'a', 'start'], /-id is missing/],
    [['-id', 'a', 'start'], /-namespace is missing/],
    [['-id', '../a', '-namespace', 'a', 'start'], /-id is "..\/a"/],
    [['-id', 'a', '-namespace', '..', 'start'], /-namespace is ".."/],
    [['-id', 'a', '-namespace'], /-namespace needs a value/],
    [['-nothing', 'start'], /unknown flag "-nothing"/],
  ];
  for (const [args, why] of rows) t.throws(() => readFlags(args), why, args.join(' '));
  t.end();
});

t.test('a group has one address, and another one in every other place', (t) => {
  t.equal(groupOf({}, 'x'), 'x');
  t.equal(groupOf(undefined, 'x'), 'x');
  t.equal(groupOf({ annotations: { 'io.kubernetes.cri.sandbox-id': 'pod' } }, 'x'), 'pod');
  const both = { 'io.kubernetes.cri.sandbox-id': 'pod', 'io.containerd.runc.v2.group': 'group' };
  t.equal(groupOf({ annotations: both }, 'x'), 'group');
  t.equal(groupOf({ annotations: { 'io.containerd.runc.v2.group': 7 } }, 'x'), 'x');
  const place = { address: '/run/c.sock', namespace: 'default', group: 'x' };
  t.match(socketPath(place), /^\/run\/containerd\/s\/[0-9a-f]{64}$/);
  const others = [{ address: '/run/d.sock' }, { namespace: 'other' }, { group: 'y' }];
  const paths = [place, ...others.map((other) => ({ ...place, ...other }))].map(socketPath);
  t.equal(new Set(paths).size, paths.length);
  t.end();
});

t.test('printAddress() says what this containerd reads', (t) => {
  t.equal(printAddress('/a', undefined), 'unix:///a');
  t.strictSame(JSON.parse(printAddress('/a', '2')), { version: 2, address: 'unix:///a', protocol: 'ttrpc' });
  t.strictSame(JSON.parse(printAddress('/a', '3')), { version: 3, address: 'unix:///a', protocol: 'ttrpc' });
  t.end();
});
