import t from 'tap';
import { KnownEntries } from '../../../src/container/known/entries.ts';
import { planEntry, type EntryInput } from '../../../src/plan/choose-exec.ts';
import { execDescriptors, type ExecPlan } from '../../../src/plan/exec.ts';
import { encode } from '../../../src/program/encode.ts';
import { printProgram } from '../../../src/program/print.ts';
import type { Packet } from '../../../src/program/step.ts';
import type { Config, Process } from '../../../src/spec/generated/config.ts';
import { minimalConfig } from '../../plan/bundles.ts';
import { makeHost, makeProcess } from '../../plan/fixtures.ts';

function inputFor(process: Process, changes: Partial<EntryInput> = {}): EntryInput {
  const host = makeHost();
  return {
    container: {
      id: 'c1',
      bundle: '/bundle',
      rootfs: '/bundle/rootfs',
      isChrooted: false,
      cgroup: { directories: [] },
    },
    config: { ...minimalConfig, process },
    host,
    inodes: { ...host.namespaces, mnt: '1' },
    handed: undefined,
    initUnified: undefined,
    options: { preserveFds: 0, detach: false },
    seccomp: undefined,
    ...changes,
  };
}

const probe = makeProcess({ args: ['/bin/true'] });

async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** What has met the process twice, in a container with this configuration. */
async function knowing(saved: Config): Promise<KnownEntries> {
  const entries = new KnownEntries();
  for (let i = 0; i < 2; i++) entries.plan(inputFor(probe), saved);
  await turns();
  return entries;
}

function isKept({ phases }: ExecPlan): boolean {
  return phases.every(({ program }) => program.encoded !== undefined);
}

const shown = (all: readonly (readonly Packet[])[]): unknown =>
  all.map((packets) => packets.map(({ bytes, steps }) => [Buffer.from(bytes).toString('latin1'), steps]));

t.test('a known entry is what planning says', async (t) => {
  const saved = { ...minimalConfig };
  const entries = await knowing(saved);
  const found = entries.plan(inputFor(probe), saved);
  const wanted = planEntry(inputFor(probe));
  const receiver = { arch: makeHost().arch, syncFd: execDescriptors(0).sync };
  t.equal(isKept(found), true);
  t.strictSame(
    shown(found.phases.map(({ program }) => program.encoded?.packets ?? [])),
    shown(wanted.phases.map(({ program }) => encode(program, receiver))),
  );
  const steps = ({ phases }: ExecPlan): string =>
    phases.map(({ program: { name, replies, steps } }) => printProgram({ name, replies, steps })).join('');
  t.equal(steps(found), steps(wanted), 'with the same steps');
  t.strictSame({ ...found, phases: [] }, { ...wanted, phases: [] }, 'and the same beside them');
});

t.test('an entry is known by all that it is made from', async (t) => {
  const saved = { ...minimalConfig };
  const entries = await knowing(saved);
  const other = (changes: Partial<EntryInput>, process = probe): boolean =>
    isKept(entries.plan(inputFor(process, changes), saved));
  const { container, options } = inputFor(probe);
  t.equal(other({}), true);
  t.equal(other({}, makeProcess({ args: ['/bin/false'] })), false, 'another process');
  t.equal(other({ container: { ...container, id: 'c2' } }), false, 'another container');
  t.equal(other({ inodes: {} }), false, 'namespaces that differ');
  t.equal(other({ options: { ...options, detach: true } }), false, 'another option');
  t.equal(other({ host: makeHost({ arch: 'arm64' }) }), false, 'another machine');
  t.equal(isKept(entries.plan(inputFor(probe), { ...minimalConfig })), false, 'another configuration');
});
