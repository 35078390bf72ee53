import type { BaseConfig } from '../../support/rig.ts';
import { removeNamespace } from '../../support/namespaces.ts';
import type { BrokenInput, Subject } from '../row.ts';

type Wanted = Pick<BrokenInput, 'cause' | 'place' | 'remedy'>;

function changed(name: string, change: (config: BaseConfig) => unknown, wanted: Wanted): BrokenInput {
  return { name, bundle: { change: (config) => void change(config) }, ...wanted };
}

export const security: Subject = {
  subject: 'Security',
  rows: [
    changed(
      'a profile of AppArmor, where there is no AppArmor',
      (config) => (config.process.apparmorProfile = 'docker-default'),
      {
        cause: 'AppArmor',
        place: '/process/apparmorProfile',
      },
    ),
    changed(
      'a label of SELinux, where there is no SELinux',
      (config) => (config.process.selinuxLabel = 'system_u:system_r:container_t:s0'),
      {
        cause: 'SELinux',
        place: '/process/selinuxLabel',
      },
    ),
    changed(
      'an action of seccomp that is none',
      (config) => Object.assign(config.linux, { seccomp: { defaultAction: 'SCMP_ACT_ALOW' } }),
      { cause: 'SCMP_ACT_ALOW', place: '/linux/seccomp/defaultAction', remedy: 'SCMP_ACT_ALLOW' },
    ),
    changed(
      'an architecture of seccomp that is none',
      (config) =>
        Object.assign(config.linux, { seccomp: { defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_Z80'] } }),
      { cause: 'SCMP_ARCH_Z80', place: '/linux/seccomp/architectures/0' },
    ),
    changed(
      'a filter that lets nothing through',
      (config) => (config.linux.seccomp = { defaultAction: 'SCMP_ACT_KILL_PROCESS' }),
      { cause: /the seccomp profile .* refuses execve/, place: /seccomp/ },
    ),
    changed(
      'nobody listens for the calls that seccomp asks about',
      (config) =>
        (config.linux.seccomp = {
          defaultAction: 'SCMP_ACT_ALLOW',
          listenerPath: '/no/such/agent.sock',
          syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' }],
        }),
      { cause: 'no such file or directory', place: /"\/no\/such\/agent\.sock".*\/linux\/seccomp\/listenerPath/ },
    ),
    changed(
      'calls are to be asked about, and nobody is named whom to ask',
      (config) =>
        (config.linux.seccomp = {
          defaultAction: 'SCMP_ACT_ALLOW',
          syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' }],
        }),
      { cause: /SCMP_ACT_NOTIFY/, place: '/linux/seccomp', remedy: 'listenerPath' },
    ),
    changed('a setting of the kernel that is none', (config) => (config.linux.sysctl = { 'net.no.such': '1' }), {
      cause: 'no such file or directory',
      place: /net\.no\.such/,
    }),
    changed('a setting of the whole host', (config) => (config.linux.sysctl = { 'kernel.panic': '1' }), {
      cause: /namespace/,
      place: /\/linux\/sysctl\/kernel\.panic/,
    }),
    changed(
      'a setting of the network, with the network of the host',
      (config) => {
        removeNamespace(config, 'network');
        config.linux.sysctl = { 'net.ipv4.ip_forward': '1' };
      },
      { cause: 'network namespace', place: '/linux/sysctl/net.ipv4.ip_forward' },
    ),
    changed(
      'a value that the setting does not take',
      (config) => (config.linux.sysctl = { 'net.ipv4.ip_forward': 'maybe' }),
      {
        cause: /invalid argument.*the value is "maybe"/,
        place: /net\.ipv4\.ip_forward/,
      },
    ),
    changed('a path to be hidden that is not absolute', (config) => (config.linux.maskedPaths = ['proc/kcore']), {
      cause: /absolute/,
      place: '/linux/maskedPaths/0',
    }),
    changed(
      'a personality that is none',
      (config) => Object.assign(config.linux, { personality: { domain: 'WINDOWS' } }),
      {
        cause: 'WINDOWS',
        place: '/linux/personality/domain',
        remedy: 'LINUX32',
      },
    ),
  ],
};
