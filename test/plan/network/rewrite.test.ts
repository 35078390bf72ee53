import t from 'tap';
import { planHosts, planResolvConf } from '../../../src/plan/network/name-files.ts';
import { rewriteNetwork } from '../../../src/plan/network/rewrite.ts';

const text =
  '{"linux":{"namespaces":[{"type":"network","path":"/x"},{"type":"pid"}]},"mounts":[{"destination":"/etc/hosts"}],"big":18446744073709551615}';

t.test('rewriteNetwork() puts one network in the place of another and keeps the rest to the digit', (t) => {
  const files = { '/etc/hosts': '/s/hosts', '/etc/resolv.conf': '/s/resolv.conf' };
  const rewritten = rewriteNetwork(text, { namespace: 'new', files });
  t.match(rewritten, '"namespaces":[{"type":"pid"},{"type":"network"}]');
  t.match(rewritten, '18446744073709551615');
  t.notMatch(rewritten, '/s/hosts', 'a mount of the config comes first');
  t.match(rewritten, '"source":"/s/resolv.conf"');
  t.match(rewriteNetwork(text, { namespace: 'none', files: {} }), '"namespaces":[{"type":"pid"}]');
  t.match(rewriteNetwork('{}', { namespace: { path: '/n' }, files: {} }), '[{"type":"network","path":"/n"}]');
  t.end();
});

t.test('rewriteNetwork() leaves what is no config to whoever checks it', (t) => {
  for (const wrong of ['{', '[]', '{"linux":3}', '{"linux":{"namespaces":{}}}', '{"mounts":1}'])
    t.equal(rewriteNetwork(wrong, { namespace: 'new', files: {} }), wrong);
  t.end();
});

t.test('planResolvConf() leaves out name servers of the host itself', (t) => {
  t.strictSame(planResolvConf('nameserver 127.0.0.53\nsearch x\n'), { text: 'search x\n', hasServers: false });
  t.strictSame(planResolvConf('nameserver 192.0.2.1\nnameserver ::1\n'), {
    text: 'nameserver 192.0.2.1\n',
    hasServers: true,
  });
  t.end();
});

t.test('planHosts() names the container once its address is known', (t) => {
  t.notMatch(planHosts('web', undefined), 'web');
  t.match(planHosts('web', '10.87.0.2'), /^10\.87\.0\.2 web$/m);
  t.end();
});
