import t from 'tap';
import { planSysctl } from '../../../src/plan/namespaces/sysctl.ts';
import { makeContext, printSteps } from '../fixtures.ts';

function plan(sysctl: Record<string, string>) {
  return planSysctl(makeContext({ config: { linux: { sysctl } } }));
}

t.test('planSysctl() writes below sys/ of the private proc file system', (t) => {
  t.same(planSysctl(makeContext()), []);
  t.equal(
    printSteps(plan({ 'net.ipv4.ip_forward': '1', 'net/ipv4/conf/eno2.100/rp_filter': '2' })),
    `
   0  openat2(proc, "sys/net/ipv4/ip_forward", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_NO_XDEV}, 24) = sysctl  # open sysctl "net.ipv4.ip_forward"  (/linux/sysctl/net.ipv4.ip_forward)
   1  write(sysctl, "1", 1)  # set sysctl "net.ipv4.ip_forward"  (/linux/sysctl/net.ipv4.ip_forward)
   2  close(sysctl), accepts any errno  # close sysctl "net.ipv4.ip_forward"
   3  openat2(proc, "sys/net/ipv4/conf/eno2.100/rp_filter", {flags=O_CLOEXEC|O_WRONLY, resolve=RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_NO_XDEV}, 24) = sysctl  # open sysctl "net/ipv4/conf/eno2.100/rp_filter"  (/linux/sysctl/net~1ipv4~1conf~1eno2.100~1rp_filter)
   4  write(sysctl, "2", 1)  # set sysctl "net/ipv4/conf/eno2.100/rp_filter"  (/linux/sysctl/net~1ipv4~1conf~1eno2.100~1rp_filter)
   5  close(sysctl), accepts any errno  # close sysctl "net/ipv4/conf/eno2.100/rp_filter"
`,
  );
  t.end();
});

t.test('planSysctl() takes a slash in a dotted key as a dot of a name', (t) => {
  t.match(plan({ 'net.ipv4.conf.eno2/100.rp_filter': '2' }), [
    { operands: [{}, 'sys/net/ipv4/conf/eno2.100/rp_filter'] },
  ]);
  t.end();
});

t.test('planSysctl() refuses keys that leave their directory', (t) => {
  for (const key of ['net/../kernel/core_pattern', 'net..x', 'net/./x', 'net.', '', '/kernel']) {
    t.throws(() => plan({ [key]: '1' }), { code: 'config', issues: [{}] }, key);
  }
  t.end();
});
