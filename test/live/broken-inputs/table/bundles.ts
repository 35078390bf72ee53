import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Subject } from '../row.ts';

export const bundles: Subject = {
  subject: 'The bundle and config.json',
  rows: [
    {
      name: 'config.json is cut off',
      bundle: { text: (config) => JSON.stringify(config, undefined, 2).slice(0, -40) },
      cause: /JSON/,
      place: /config\.json.*line \d+/,
    },
    {
      name: 'config.json has a comma too many',
      bundle: { text: () => '{\n  "ociVersion": "1.0.2",\n  "hostname": "a",\n}\n' },
      cause: /JSON/,
      place: /config\.json.*line 4/,
    },
    { name: 'config.json is empty', bundle: { text: () => '' }, cause: 'it is empty', place: 'config.json' },
    {
      name: 'config.json is null',
      bundle: { text: () => 'null' },
      cause: 'config cannot be null',
      place: 'config.json',
    },
    {
      name: 'there is no config.json',
      prepare: ({ bundle }) => {
        rmSync(path.join(bundle, 'config.json'));
      },
      cause: 'JSON specification file config.json not found',
      place: 'BUNDLE',
      remedy: 'tsrun spec',
    },
    {
      name: 'config.json is a directory',
      prepare: ({ bundle }) => {
        rmSync(path.join(bundle, 'config.json'));
        mkdirSync(path.join(bundle, 'config.json'));
      },
      cause: 'is a directory',
      place: 'BUNDLE/config.json',
    },
    {
      name: 'there is no bundle',
      line: ({ id }) => ['run', '--bundle', '/no/such/bundle', id],
      cause: /no such file or directory|not found/,
      place: '/no/such/bundle',
      remedy: '--bundle',
    },
    {
      name: 'a value of another type',
      bundle: { change: (config) => Object.assign(config.process, { cwd: 7 }) },
      cause: /string/,
      place: '/process/cwd',
    },
    {
      name: 'a version of the specification that is not there yet',
      bundle: { change: (config) => Object.assign(config, { ociVersion: '2.0.0' }) },
      cause: /2\.0\.0/,
      place: '/ociVersion',
      remedy: /1\./,
    },
    {
      name: 'no version of the specification',
      bundle: { change: (config) => Object.assign(config, { ociVersion: undefined }) },
      cause: /lacks the property/,
      place: 'ociVersion',
    },
    {
      name: 'there is no root file system',
      bundle: { change: (config) => (config.root = { path: '/no/such/rootfs' }) },
      cause: 'no such file or directory',
      place: '/no/such/rootfs',
      remedy: '/root/path',
    },
    {
      name: 'the root file system is a file',
      bundle: { change: (config) => (config.root = { path: '/etc/passwd' }) },
      cause: 'not a directory',
      place: '/etc/passwd',
      remedy: '/root/path',
    },
    {
      name: 'config.json names no root',
      bundle: { change: (config) => delete config.root },
      cause: 'root must be specified',
      place: 'config.json: /: lacks the property "root"',
    },
    {
      name: 'a NUL byte in a path',
      bundle: { change: (config) => config.mounts.push({ destination: '/d\0/etc', type: 'tmpfs', source: 'x' }) },
      cause: /NUL|null byte|zero byte/i,
      place: '/mounts/7/destination',
    },
    {
      name: 'three things at once',
      bundle: {
        change: (config) => {
          config.process.cwd = 'relative';
          config.process.env.push('=VALUE');
          config.linux.namespaces?.push({ type: 'pid' });
        },
      },
      cause: '3 problems',
      place: /\/process\/cwd[^]*\/process\/env\/2[^]*\/linux\/namespaces\/5/,
    },
    {
      name: 'an annotation that is no text',
      bundle: { change: (config) => Object.assign(config, { annotations: { 'org.example': 5 } }) },
      cause: 'string',
      place: '/annotations/org.example',
    },
  ],
};
