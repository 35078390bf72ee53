import t from 'tap';
import { findObstacle, type Obstacle, type ReviewedOperation } from '../../src/plan/obstacles.ts';
import type { Config } from '../../src/spec/generated/config.ts';

const ROOT = { euid: 0, egid: 0 };
const USER = { euid: 1000, egid: 1000 };
const HOOK = [{ path: '/bin/true' }];
const OWN = [{ containerID: 0, hostID: 1000, size: 1 }];
const MANY = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
const withMaps = (maps: typeof OWN): Partial<Config> => ({
  linux: { namespaces: [{ type: 'user' }, { type: 'mount' }], uidMappings: maps, gidMappings: maps },
});
const bind = { destination: '/x', source: '/y', type: 'bind' };

t.test('what keeps others from working for a caller', (t) => {
  type Row = [Partial<Config>, ReviewedOperation, typeof ROOT, Obstacle | undefined];
  const rows: readonly Row[] = [
    [{}, 'create', ROOT, undefined],
    [{ hooks: {} }, 'create', ROOT, undefined],
    [{ hooks: { prestart: HOOK } }, 'create', ROOT, 'hooks'],
    [{ hooks: { createRuntime: HOOK } }, 'create', ROOT, 'hooks'],
    [{ hooks: { createRuntime: HOOK } }, 'start', ROOT, undefined],
    [{ hooks: { createRuntime: HOOK } }, 'delete', ROOT, undefined],
    [{ hooks: { createContainer: HOOK, startContainer: HOOK } }, 'create', ROOT, undefined],
    [{ hooks: { poststart: HOOK } }, 'start', ROOT, 'hooks'],
    [{ hooks: { poststart: HOOK } }, 'delete', ROOT, undefined],
    [{ hooks: { poststop: HOOK } }, 'delete', ROOT, 'hooks'],
    [withMaps(OWN), 'create', USER, undefined],
    [withMaps(MANY), 'create', USER, 'helper-process'],
    [withMaps(MANY), 'start', USER, undefined],
    [withMaps(MANY), 'create', ROOT, undefined],
    [{ mounts: [{ ...bind, options: ['bind'] }] }, 'create', ROOT, undefined],
    [
      { mounts: [{ ...bind, options: ['bind'], uidMappings: MANY, gidMappings: MANY }] },
      'create',
      ROOT,
      'helper-process',
    ],
    [{ mounts: [{ destination: '/x', type: 'tmpfs', options: ['tmpcopyup'] }] }, 'create', ROOT, 'copy-up'],
    [{ mounts: [{ destination: '/x', type: 'tmpfs', options: ['tmpcopyup'] }] }, 'delete', ROOT, undefined],
  ];
  for (const [part, operation, identity, wanted] of rows) {
    const config = { ociVersion: '1.0.0', ...part };
    t.equal(findObstacle(config, operation, identity), wanted, `${operation}: ${JSON.stringify(part)}`);
  }
  t.end();
});
