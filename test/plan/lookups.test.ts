import t from 'tap';
import { planLookups } from '../../src/plan/lookups.ts';
import type { Config } from '../../src/spec/generated/config.ts';
import { makeProcess } from './fixtures.ts';

const look = (config: Partial<Config>) => planLookups({ ociVersion: '1.3.0', ...config }, '/bundle');

t.test('planLookups() finds nothing to look at in an empty config', (t) => {
  t.same(look({}), { sources: [], links: [], destinations: [], devices: [], namespaces: [] });
  t.end();
});

t.test('planLookups() names the sources of bind mounts once each, absolute', (t) => {
  const mounts = [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/a', source: 'data', options: ['rbind'] },
    { destination: '/b', source: '/srv/own', type: 'bind' },
    { destination: '/c', source: '/bundle/data', options: ['ro', 'bind'] },
  ];
  t.same(look({ mounts }).sources, ['/bundle/data', '/srv/own']);
  t.end();
});

t.test('planLookups() names the sources that are not followed, and none of a remount', (t) => {
  const mounts = [
    { destination: '/a', source: 'data', options: ['rbind'] },
    { destination: '/b', source: '/srv/link', options: ['bind', 'src-nofollow'] },
    { destination: '/c', source: 'link', options: ['bind', 'copy-symlink'] },
    { destination: '/d', options: ['bind', 'remount', 'ro'] },
  ];
  t.match(look({ mounts }), {
    sources: ['/bundle/data', '/srv/link', '/bundle/link'],
    links: ['/srv/link', '/bundle/link'],
  });
  t.end();
});

t.test('planLookups() names every place that is made when it is missing', (t) => {
  const mounts = [
    { destination: '/proc', type: 'proc' },
    { destination: '/a', source: '/srv', options: ['bind'] },
  ];
  t.same(look({ mounts }).destinations, ['/proc', '/a']);
  t.same(look({ mounts, process: makeProcess({ cwd: '/work' }) }).destinations, ['/proc', '/a', '/work']);
  t.end();
});

t.test('planLookups() names the namespaces to join', (t) => {
  const namespaces: NonNullable<Config['linux']>['namespaces'] = [
    { type: 'mount' },
    { type: 'ipc', path: '' },
    { type: 'network', path: '/run/netns/pod' },
    { type: 'pid', path: '/proc/7/ns/pid' },
  ];
  t.same(look({ linux: { namespaces } }).namespaces, ['/run/netns/pod', '/proc/7/ns/pid']);
  t.end();
});
