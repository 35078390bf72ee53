import type { Resources } from '../../../../src/spec/generated/config.ts';
import type { BaseConfig } from '../../support/rig.ts';
import type { BrokenInput, Subject } from '../row.ts';

type Wanted = Pick<BrokenInput, 'cause' | 'place' | 'remedy'>;

function limited(name: string, resources: Resources, wanted: Wanted): BrokenInput {
  return { name, bundle: { change: (config: BaseConfig) => (config.linux.resources = resources) }, ...wanted };
}

export const limits: Subject = {
  subject: 'Cgroups, limits and devices',
  rows: [
    limited(
      'memory for nothing at all',
      { memory: { limit: 4096 } },
      {
        cause: 'unable to set memory limit to 4096',
        place: '/linux/resources/memory/limit',
        remedy: /peak usage: \d+/,
      },
    ),
    limited(
      'a period of the processor that is too short',
      { cpu: { period: 1, quota: 1 } },
      {
        cause: /1000/,
        place: '/linux/resources/cpu/',
      },
    ),
    limited(
      'a processor that this machine does not have',
      { cpu: { cpus: '4000' } },
      {
        cause: 'numerical result out of range',
        place: '/linux/resources/cpu/cpus',
        remedy: /this machine has the processors 0/,
      },
    ),
    limited(
      'a list of processors that is none',
      { cpu: { cpus: 'all' } },
      {
        cause: /"all"/,
        place: '/linux/resources/cpu/cpus',
        remedy: '0-3',
      },
    ),
    limited(
      'huge pages of a size that the processor does not have',
      { hugepageLimits: [{ pageSize: '3MB', limit: 0 }] },
      {
        cause: /3MB/,
        place: '/linux/resources/hugepageLimits/0',
        remedy: '2MB',
      },
    ),
    limited(
      'a speed limit for a device that is not there',
      { blockIO: { throttleReadBpsDevice: [{ major: 250, minor: 250, rate: 1000 }] } },
      { cause: /no such device|block device/, place: '/linux/resources/blockIO/throttleReadBpsDevice/0' },
    ),
    limited(
      'a weight for devices out of its range',
      { blockIO: { weight: 5000 } },
      {
        cause: /1000/,
        place: '/linux/resources/blockIO/weight',
      },
    ),
    limited(
      'a file of cgroup v2 where there is none',
      { unified: { 'memory.high': '1000000' } },
      {
        cause: /cgroup v2|version 2|controller/,
        place: '/linux/resources/unified',
      },
    ),
    limited(
      'a rule for devices with an access that is none',
      { devices: [{ allow: true, access: 'rwq' }] },
      {
        cause: /rwq|q/,
        place: '/linux/resources/devices/0/access',
        remedy: /r.*w.*m/,
      },
    ),
    {
      name: 'the cgroup manager is systemd, which does not run',
      global: ({ root }) => ['--root', root, '--systemd-cgroup'],
      cause: /systemd/,
      place: 'systemd cgroup manager',
      remedy: /cgroupfs/,
    },
    {
      name: 'a place for the cgroup that the manager systemd does not understand',
      global: ({ root }) => ['--root', root, '--systemd-cgroup'],
      bundle: { change: (config) => (config.linux.cgroupsPath = '/a/b/c') },
      cause: /slice/,
      place: '/linux/cgroupsPath',
      remedy: /slice:prefix:name|SLICE/i,
    },
    {
      name: 'a place for the cgroup that leaves where cgroups are',
      bundle: { change: (config) => (config.linux.cgroupsPath = '/../../etc') },
      cause: /\.\./,
      place: '/linux/cgroupsPath',
    },
    {
      name: 'a device of a type that is none',
      bundle: {
        change: (config) => (config.linux.devices = [{ path: '/dev/x', type: 'x' as 'c', major: 1, minor: 3 }]),
      },
      cause: /"x"/,
      place: '/linux/devices/0/type',
    },
    {
      name: 'a device without its numbers',
      bundle: { change: (config) => (config.linux.devices = [{ path: '/dev/x', type: 'c' }]) },
      cause: /major/,
      place: '/linux/devices/0',
    },
    {
      name: 'a device where the root file system has a directory',
      bundle: { change: (config) => (config.linux.devices = [{ path: '/etc', type: 'c', major: 1, minor: 3 }]) },
      cause: /directory|exists/,
      place: '/linux/devices/0',
    },
    {
      name: 'a share of the cache, on a machine that does not divide it',
      bundle: { change: (config) => (config.linux.intelRdt = { l3CacheSchema: 'L3:0=1' }) },
      cause: 'resctrl is not mounted',
      place: '/linux/intelRdt',
    },
  ],
};
