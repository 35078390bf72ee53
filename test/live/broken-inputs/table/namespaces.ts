import { setNamespace, setUserNamespace, removeNamespace } from '../../support/namespaces.ts';
import type { BaseConfig } from '../../support/rig.ts';
import type { BrokenInput, Subject } from '../row.ts';

type Wanted = Pick<BrokenInput, 'cause' | 'place' | 'remedy'>;

function changed(name: string, change: (config: BaseConfig) => unknown, wanted: Wanted): BrokenInput {
  return { name, bundle: { change: (config) => void change(config) }, ...wanted };
}

export const namespaces: Subject = {
  subject: 'Namespaces and ids',
  rows: [
    changed('a namespace that is none', (config) => config.linux.namespaces?.push({ type: 'spacetime' as 'pid' }), {
      cause: 'spacetime',
      place: '/linux/namespaces/5/type',
      remedy: 'network',
    }),
    changed('the same namespace twice', (config) => config.linux.namespaces?.push({ type: 'pid' }), {
      cause: 'second namespace of type "pid"',
      place: '/linux/namespaces/5',
    }),
    changed(
      'the namespace to join is not there',
      (config) => {
        setNamespace(config, 'network', { path: '/no/such/namespace' });
      },
      { cause: 'no such file or directory', place: /\/linux\/namespaces\/4\/path.*"\/no\/such\/namespace"/ },
    ),
    changed(
      'the namespace to join is of another type',
      (config) => {
        setNamespace(config, 'network', { path: '/proc/self/ns/uts' });
      },
      { cause: 'it is a namespace of type "uts"', place: /\/proc\/self\/ns\/uts.*\/linux\/namespaces\/4/ },
    ),
    changed(
      'the namespace to join is a file',
      (config) => {
        setNamespace(config, 'network', { path: '/etc/passwd' });
      },
      { cause: 'it is no namespace', place: /\/etc\/passwd.*\/linux\/namespaces\/4/ },
    ),
    changed(
      'a host name without a uts namespace',
      (config) => {
        removeNamespace(config, 'uts');
      },
      { cause: /UTS namespace/, place: '/hostname' },
    ),
    changed(
      'ids are mapped and there is no user namespace',
      (config) => (config.linux.uidMappings = [{ containerID: 0, hostID: 1000, size: 1 }]),
      { cause: "user namespace isn't enabled", place: /\/linux: .*uidMappings/ },
    ),
    changed(
      'a user namespace without mapped ids',
      (config) => {
        setNamespace(config, 'user');
      },
      { cause: 'lacks the properties "uidMappings"', place: '/linux: ' },
    ),
    changed(
      'mapped ids overlap',
      (config) => {
        setUserNamespace(config);
        config.linux.uidMappings?.push({ containerID: 10, hostID: 500_000, size: 10 });
      },
      { cause: /overlap/, place: '/linux/uidMappings/1' },
    ),
    changed(
      'the user of the process has no id in the user namespace',
      (config) => {
        setUserNamespace(config, 100_000, 1000);
        config.process.user = { uid: 70_000, gid: 0 };
      },
      { cause: /70000.*map|map.*70000/, place: '/process/user/uid' },
    ),
    changed(
      'a clock is moved and there is no time namespace',
      (config) => (config.linux.timeOffsets = { boottime: { secs: 1000 } }),
      { cause: 'wanted a namespace of type "time"', place: '/linux/timeOffsets' },
    ),
    changed('a network device that the host does not have', (config) => (config.linux.netDevices = { nosuch0: {} }), {
      cause: /no network device|no such device|not there/,
      place: /nosuch0/,
    }),
    changed(
      'the root spreads mounts in a way that is none',
      (config) => Object.assign(config.linux, { rootfsPropagation: 'sideways' }),
      {
        cause: 'sideways',
        place: '/linux/rootfsPropagation',
        remedy: 'private',
      },
    ),
  ],
};
