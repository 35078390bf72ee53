import t from 'tap';
import { sysctlPath } from '../../src/spec/sysctl-path.ts';

t.test('sysctlPath() goes by the first separator', (t) => {
  const rows = [
    ['net.ipv4.ip_forward', 'net/ipv4/ip_forward'],
    ['net/ipv4/conf/eno2.100/rp_filter', 'net/ipv4/conf/eno2.100/rp_filter'],
    ['net.ipv4.conf.eno2/100.rp_filter', 'net/ipv4/conf/eno2.100/rp_filter'],
    ['kernel', 'kernel'],
  ] as const;
  for (const [key, path] of rows) t.equal(sysctlPath(key), path, key);
  t.end();
});
