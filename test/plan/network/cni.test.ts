import t from 'tap';
import {
  addressInResult,
  explainCniFailure,
  parseCniConfig,
  planCniInput,
  resolvConfInResult,
} from '../../../src/plan/network/cni.ts';

const where = { file: '/f', name: 'n' };

t.test('parseCniConfig() reads a list, and a single plugin as a list of one', (t) => {
  t.match(parseCniConfig('{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"a"},{"type":"b"}]}', where), {
    plugins: [{ type: 'a' }, { type: 'b' }],
  });
  t.match(parseCniConfig('{"name":"n","type":"a"}', where), {
    cniVersion: '0.1.0',
    plugins: [{ type: 'a', name: 'n' }],
  });
  t.equal(parseCniConfig('{"name":"other","type":"a"}', where), undefined);
  t.equal(parseCniConfig('{', where), undefined, "a broken one of another name is in nobody's way");
  t.throws(() => parseCniConfig('{"name":"n",', where), { code: 'host' });
  for (const type of ['../x', '..', '', 'a/b'])
    t.throws(() => parseCniConfig(JSON.stringify({ name: 'n', plugins: [{ type }] }), where), /no CNI configuration/);
  t.end();
});

t.test('planCniInput() tells the previous result to versions that know of it', (t) => {
  const input = (cniVersion: string, command: 'ADD' | 'DEL'): unknown =>
    JSON.parse(
      planCniInput(
        { cniVersion, name: 'n', plugins: [] },
        { type: 'a' },
        { command, previous: { ips: [] }, publish: [] },
      ),
    );
  t.match(input('0.3.1', 'ADD'), { type: 'a', name: 'n', cniVersion: '0.3.1', prevResult: { ips: [] } });
  t.notOk((input('0.2.0', 'ADD') as { prevResult?: unknown }).prevResult);
  t.notOk((input('0.3.1', 'DEL') as { prevResult?: unknown }).prevResult);
  t.ok((input('1.0.0', 'DEL') as { prevResult?: unknown }).prevResult);
  t.end();
});

t.test('what plugins answer is read, whatever it is', (t) => {
  t.equal(addressInResult({ ips: [{ address: 'fd00::1/64' }, { address: '10.0.0.2/24' }] }), '10.0.0.2');
  t.equal(addressInResult(undefined), undefined);
  t.equal(
    resolvConfInResult({ dns: { nameservers: ['1.1.1.1'], search: ['x', 'y'] } }),
    'nameserver 1.1.1.1\nsearch x y\n',
  );
  t.equal(resolvConfInResult({ dns: { nameservers: ['1.1.1.1\nx'] } }), undefined);
  t.equal(explainCniFailure('{"code":7,"msg":"a\\nb"}', 'c'), 'a b');
  t.equal(explainCniFailure('no JSON', 'c\nd'), 'c');
  t.end();
});
