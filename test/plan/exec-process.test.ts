import t from 'tap';
import { execProcess, type FoundUser, type ProcessChange } from '../../src/plan/exec-process.ts';
import type { Config, Process } from '../../src/spec/generated/config.ts';

const base: Process = {
  terminal: true,
  consoleSize: { height: 1, width: 2 },
  cwd: '/base',
  args: ['init'],
  env: ['PATH=/bin', 'A=1'],
  user: { uid: 1000, gid: 1000, umask: 0o27, additionalGids: [7] },
  capabilities: { bounding: ['CAP_KILL'], effective: ['CAP_KILL'], permitted: ['CAP_KILL'] },
  noNewPrivileges: true,
  apparmorProfile: 'base',
  selinuxLabel: 'u:r:base:s0',
  rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
  oomScoreAdj: 5,
};
const config: Config = { ociVersion: '1.3.0', process: base };

function change(changes: Partial<ProcessChange<FoundUser> & { kind: 'options' }> = {}): Process {
  return execProcess(config, {
    ...{ kind: 'options', args: ['sh'], env: [], terminal: false, additionalGids: [], capabilities: [] },
    ...changes,
  });
}

t.test('execProcess() keeps what belongs to every process of the container', (t) => {
  t.same(change(), {
    terminal: false,
    cwd: '/base',
    args: ['sh'],
    env: ['PATH=/bin', 'A=1'],
    user: { uid: 1000, gid: 1000, umask: 0o27, additionalGids: [7] },
    capabilities: base.capabilities,
    noNewPrivileges: true,
    apparmorProfile: 'base',
    selinuxLabel: 'u:r:base:s0',
    rlimits: base.rlimits,
    oomScoreAdj: 5,
  });
  t.end();
});

t.test('execProcess() changes what the command line names', (t) => {
  const changed = change({
    ...{ cwd: '/other', env: ['A=2'], terminal: true, noNewPrivileges: false },
    ...{ apparmorProfile: 'other', selinuxLabel: '' },
  });
  t.match(changed, { cwd: '/other', env: ['PATH=/bin', 'A=1', 'A=2'], terminal: true, noNewPrivileges: false });
  t.match(changed, { apparmorProfile: 'other', selinuxLabel: '' });
  t.equal(changed.consoleSize, undefined);
  t.end();
});

t.test('execProcess() keeps the group for a user alone, as runc does', (t) => {
  t.match(change({ user: { uid: 5 } }).user, { uid: 5, gid: 1000 });
  t.match(change({ user: { uid: 5, gid: 6 } }).user, { uid: 5, gid: 6 });
  t.same(change({ additionalGids: [8, 9] }).user?.additionalGids, [7, 8, 9]);
  t.end();
});

t.test('CVE-2022-29162: execProcess() adds capabilities to the sets that are not inherited', (t) => {
  t.same(change({ capabilities: ['CAP_KILL', 'CAP_CHOWN'] }).capabilities, {
    bounding: ['CAP_KILL', 'CAP_CHOWN'],
    effective: ['CAP_KILL', 'CAP_CHOWN'],
    permitted: ['CAP_KILL', 'CAP_CHOWN'],
  });
  const inheriting = { ...config, process: { ...base, capabilities: { inheritable: ['CAP_KILL'] } } } as Config;
  const options = { kind: 'options', args: [], env: [], terminal: false, additionalGids: [] } as const;
  t.same(execProcess(inheriting, { ...options, capabilities: ['CAP_CHOWN'] }).capabilities, {
    ...{ bounding: ['CAP_CHOWN'], effective: ['CAP_CHOWN'], permitted: ['CAP_CHOWN'] },
    ...{ inheritable: ['CAP_KILL', 'CAP_CHOWN'], ambient: ['CAP_CHOWN'] },
  });
  t.end();
});

t.test('execProcess() takes from the container what a document leaves open', (t) => {
  const all: Process = {
    ...base,
    scheduler: { policy: 'SCHED_BATCH' },
    ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 3 },
    execCPUAffinity: { initial: '0' },
  };
  const of = (document: Process): Process =>
    execProcess({ ...config, process: all }, { kind: 'document', text: JSON.stringify(document), path: 'p.json' });
  const { capabilities, apparmorProfile, selinuxLabel, rlimits, oomScoreAdj, scheduler, ioPriority } = all;
  const kept = { capabilities, apparmorProfile, selinuxLabel, rlimits, oomScoreAdj, scheduler, ioPriority };
  const { execCPUAffinity } = all;
  const user = { umask: 0o27 };
  const bare: Process = { cwd: '/', args: ['x'] };
  t.same(of(bare), { ...bare, ...kept, execCPUAffinity, user }, 'not who runs, nor no_new_privs');
  const empty = { ...bare, rlimits: [], apparmorProfile: '', selinuxLabel: '' };
  t.same(of(empty), { ...bare, ...kept, execCPUAffinity, user }, 'what is empty is left open');
  const own: Process = {
    ...bare,
    user: { uid: 1, gid: 2, umask: 0 },
    capabilities: {},
    apparmorProfile: 'own',
    selinuxLabel: 'own:l:own:s0',
    rlimits: [{ type: 'RLIMIT_CORE', soft: 1, hard: 1 }],
    oomScoreAdj: 0,
    scheduler: { policy: 'SCHED_OTHER' },
    ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 0 },
    execCPUAffinity: {},
  };
  t.same(of(own), own, 'what it names is its own');
  t.end();
});

t.test('execProcess() takes a document as a whole', (t) => {
  const text = JSON.stringify({ cwd: '/', args: ['x'] });
  const bare: Config = { ociVersion: '1.3.0' };
  t.same(execProcess(bare, { kind: 'document', text, path: 'p.json' }), { cwd: '/', args: ['x'] });
  t.throws(() => execProcess(config, { kind: 'document', text: '{"cwd":"relative"}', path: 'p.json' }), {
    code: 'config',
  });
  t.throws(() => execProcess(config, { kind: 'document', text: '{', path: 'p.json' }), { code: 'config' });
  t.end();
});

t.test('execProcess() works in a container without a process', (t) => {
  const none: Config = { ociVersion: '1.3.0' };
  const options = {
    kind: 'options',
    args: ['x'],
    env: [],
    terminal: false,
    additionalGids: [],
    capabilities: [],
  } as const;
  t.match(execProcess(none, options), { cwd: '/', args: ['x'], env: [] });
  t.end();
});
