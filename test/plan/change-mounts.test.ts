import t from 'tap';
import { planMountChange, type MountChange } from '../../src/plan/change-mounts.ts';
import { encode } from '../../src/program/encode.ts';
import type { HostFacts } from '../../src/plan/base/facts.ts';
import { minimalConfig } from './bundles.ts';
import { makeHost } from './fixtures.ts';

const own = { user: '1', mnt: '2', pid: '3' };
const bind: MountChange = {
  kind: 'add',
  source: 'directory',
  mount: { type: 'bind', source: '/data', destination: '/in/data', options: ['rbind', 'ro'] },
};

function plan(
  change: MountChange,
  { host = {}, inodes = {} }: { host?: Parameters<typeof makeHost>[0]; inodes?: object } = {},
) {
  const facts: HostFacts = makeHost({ namespaces: own, ...host });
  const known = { id: 'c1', config: minimalConfig, rootfs: '/rootfs', isChrooted: false, handed: undefined };
  return planMountChange({ ...known, host: facts, inodes: { ...own, mnt: '20', pid: '30', ...inodes }, change });
}

function callsOf(change: MountChange, changes: Parameters<typeof plan>[1] = {}): string[] {
  const { program } = plan(change, changes).phase;
  t.ok(encode(program, { arch: 'x86-64', syncFd: 3 }).length > 0);
  return program.steps.flatMap((step) => (step.kind === 'call' ? [step.call] : []));
}

function optionsOf(options: readonly string[], source = '/data'): MountChange {
  return {
    kind: 'add',
    source: 'directory',
    mount: { type: 'bind', source, destination: '/x', options: [...options] },
  };
}

t.test('planMountChange() opens the source before it enters, and resolves the target behind that', (t) => {
  const calls = callsOf(bind);
  const order = ['open_tree', 'setns', 'openat2', 'move_mount'].map((name) => calls.indexOf(name));
  t.ok(order.every((at) => at >= 0));
  t.strictSame(
    order,
    [...order].sort((a, b) => a - b),
  );
  t.equal(calls.filter((name) => name === 'setns').length, 1);
  t.notOk(calls.includes('setresuid'), 'without a user namespace it stays who it is');
  t.ok(callsOf(bind, { inodes: { user: '10' } }).includes('setresuid'), 'else it becomes its root');
  t.end();
});

t.test('planMountChange() takes a mount away by a name in a directory that a handle is of', (t) => {
  const calls = callsOf({ kind: 'remove', target: '/in/data' });
  const order = ['setns', 'openat2', 'fstatfs', 'fchdir', 'umount2'].map((name) => calls.indexOf(name));
  t.ok(order.every((at) => at >= 0));
  t.strictSame(
    order,
    [...order].sort((a, b) => a - b),
  );
  t.end();
});

t.test('planMountChange() refuses what it cannot do', (t) => {
  const rows: [change: MountChange, changes: Parameters<typeof plan>[1], message: string][] = [
    [bind, { inodes: { mnt: '2' } }, 'it shares those of the host'],
    [bind, { inodes: { mnt: undefined } }, 'stopped'],
    [bind, { host: { kernel: { mountSetattr: false, version: [5, 10] } } }, 'wanted Linux 5.12, found 5.10'],
    [bind, { host: { identity: { effectiveCapabilities: '0' } } }, 'nobody but root of this host'],
    [optionsOf(['bind', 'remount', 'ro']), {}, 'adds none'],
    [optionsOf(['bind', 'idmap']), {}, 'for mounts of config.json'],
    [optionsOf(['bind', 'copy-symlink']), {}, 'for mounts of config.json'],
    [optionsOf(['bind', 'rwx']), {}, 'unknown option "rwx"'],
    [optionsOf(['bind'], 'data'), {}, 'wanted an absolute path'],
    [{ kind: 'remove', target: '/a/..' }, {}, 'below the root of the container'],
    [
      { kind: 'add', source: 'missing', mount: { type: 'proc', destination: '/x' } },
      {},
      'wanted the type bind or tmpfs',
    ],
    [
      { kind: 'add', source: 'missing', mount: { type: 'tmpfs', destination: '/x', options: ['tmpcopyup'] } },
      {},
      'for mounts of config.json',
    ],
  ];
  for (const [change, changes, message] of rows)
    t.throws(() => plan(change, changes), { message: new RegExp(message) });
  t.end();
});
