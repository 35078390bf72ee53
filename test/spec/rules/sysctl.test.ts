import t from 'tap';
import type { NamespaceType } from '../../../src/spec/generated/config.ts';
import { checkSysctl } from '../../../src/spec/rules/sysctl.ts';
import { checkRows } from './rows.ts';

const sysctl = (key: string, ...types: NamespaceType[]) => ({
  linux: { sysctl: { [key]: '1' }, namespaces: types.map((type) => ({ type })) },
});
const at = (key: string) => `/linux/sysctl/${key.replaceAll('/', '~1')}`;
/** The domain name set in both ways. */
const named = (domainname: string) => ({ ...sysctl('kernel.domainname', 'uts'), domainname });
const refused = (key: string, words: string, ...types: NamespaceType[]) =>
  [sysctl(key, ...types), at(key), words] as const;

checkRows(t, checkSysctl, {
  accepted: [
    {},
    sysctl('kernel.shmmax', 'ipc'),
    sysctl('kernel/shmmax', 'ipc'),
    sysctl('fs.mqueue.msg_max', 'ipc'),
    sysctl('net.ipv4.ip_forward', 'network'),
    sysctl('net/ipv4/conf/eno2.100/rp_filter', 'network'),
    sysctl('net.ipv4.conf.eno2/100.rp_filter', 'network'),
    sysctl('kernel.domainname', 'uts'),
    sysctl('user.max_user_namespaces', 'user'),
    named('1'),
    named(''),
  ],
  refused: [
    refused('kernel.shmmax', 'is not allowed in the hosts ipc namespace'),
    refused('fs/mqueue/msg_max', 'hosts ipc namespace', 'network'),
    refused('net.ipv4.ip_forward', 'not allowed in host network namespace', 'ipc'),
    refused('kernel.domainname', 'is not in a separate kernel namespace'),
    refused('user.max_user_namespaces', 'wanted a namespace of type "user"'),
    refused('kernel.hostname', 'conflicts with the OCI "hostname" field', 'uts'),
    [named('2'), at('kernel.domainname'), 'conflicts with the OCI "domainname" field'],
    refused('vm.swappiness', 'is not in a separate kernel namespace', 'ipc', 'network', 'uts', 'user'),
    refused('net/../kernel/core_pattern', 'wanted a kernel parameter', 'network'),
    refused('net.//.kernel.core_pattern', 'wanted a kernel parameter', 'network'),
    refused('net..ipv4', 'wanted a kernel parameter', 'network'),
    refused('', 'wanted a kernel parameter'),
    refused('/net/ipv4', 'wanted a kernel parameter', 'network'),
  ],
});
