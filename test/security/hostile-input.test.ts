import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import t, { type Test } from 'tap';
import { planFor } from '../../src/container/build/prepare-container.ts';
import { readBundle } from '../../src/container/build/bundle.ts';
import { compileSeccomp } from '../../src/container/build/become-program.ts';
import { readHostFacts } from '../../src/host/facts.ts';
import {
  deleteContainer,
  killContainer,
  listContainers,
  readStatus,
  startContainer,
  TsrunError,
} from './own-caller.ts';
import { ownRuntime } from '../../src/own-process/own-process.ts';
import { encode } from '../../src/program/encode.ts';
import { verify } from '../../src/program/model/verify.ts';
import { stringifyJson } from '../../src/spec/parse.ts';
import { specTemplate } from '../../src/spec/template.ts';
import { makeDirectory, makeRecord } from '../container/rig.ts';
import { fullConfig } from '../fixtures/spec/full-config.ts';
import { baseConfig, live } from '../live/support/rig.ts';
import { fullConfig as plannedConfig } from '../plan/bundles.ts';
import { count } from './count.mjs';
import { damage, mutate, randomFrom } from './mutate.ts';

/** `TSRUN_FUZZ_SEED` starts elsewhere; the seed of a mutant is in its failure. */
const SEED = Number(process.env.TSRUN_FUZZ_SEED ?? 1);
/** Multiplies the mutants: 1 takes half a minute. */
const FACTOR = Number(process.env.TSRUN_FUZZ_FACTOR ?? 1);
const CORPUS = new URL('./corpus/', import.meta.url);
const host = readHostFacts('/proc/self');
const log = { debug: () => undefined, warning: () => undefined, error: () => undefined };
const runtime = ownRuntime({ root: '/nonexistent', cgroupManager: 'cgroupfs', log });

/** What planning a text came to: `planned`, the code of a refusal, or the bug that it has shown. */
async function tryConfig(directory: string, text: string): Promise<string> {
  writeFileSync(path.join(directory, 'config.json'), text);
  try {
    const bundle = readBundle({ bundle: directory }, runtime);
    const seccomp = await compileSeccomp(bundle.config, bundle.config.process, host, { runtime, isCached: false });
    const options = { id: 'c1', noPivot: false, noNewKeyring: false, preserved: [] };
    const plan = planFor(runtime, options, { bundle, host, seccomp });
    for (const { program } of plan.phases) {
      const flaws = verify(program);
      if (flaws.length > 0) return `bug: ${flaws.join('; ')}`;
      encode(program, { arch: host.arch, syncFd: 9 });
    }
    return 'planned';
  } catch (error) {
    if (!(error instanceof TsrunError)) return `bug: ${error instanceof Error ? error.stack : String(error)}`;
    return error.message === '' ? 'bug: no message' : error.code;
  }
}

function makeBundle(t: Test): string {
  const directory = makeDirectory(t);
  mkdirSync(path.join(directory, 'rootfs'));
  return directory;
}

/** Adds up outcomes and keeps the bugs among them. */
class Tally {
  readonly bugs: string[] = [];
  readonly #counts: Record<string, number> = {};

  note(outcome: string, input: string): void {
    count('mutants run');
    if (outcome.startsWith('bug')) this.bugs.push(`${input}: ${outcome}`);
    else this.#counts[outcome] = (this.#counts[outcome] ?? 0) + 1;
  }

  report(t: Test): void {
    t.comment(JSON.stringify(this.#counts));
    t.strictSame(this.bugs.slice(0, 5), []);
    t.ok(Object.keys(this.#counts).length > 1, 'some mutants are taken and some refused');
  }
}

t.test('planContainer() plans or refuses every mutant of a config', async (t) => {
  const directory = makeBundle(t);
  const bases: readonly unknown[] = [
    specTemplate({ rootless: false }),
    specTemplate({ rootless: true, uid: 1000, gid: 1000 }),
    { ...plannedConfig(host), hooks: {} },
    fullConfig,
  ];
  const tally = new Tally();
  for (let seed = SEED; seed < SEED + 3000 * FACTOR; seed++) {
    const random = randomFrom(seed);
    const base = bases[seed % bases.length];
    const text = stringifyJson(mutate(base, random, () => false));
    tally.note(await tryConfig(directory, seed % 5 === 0 ? damage(text, random) : text), `seed ${seed}`);
  }
  tally.report(t);
});

t.test('planContainer() plans or refuses what was found before', async (t) => {
  const directory = makeBundle(t);
  for (const name of readdirSync(CORPUS).filter((file) => file.endsWith('.json'))) {
    const outcome = await tryConfig(directory, readFileSync(new URL(name, CORPUS), 'utf8'));
    count('mutants run');
    t.notMatch(outcome, /^bug/, name);
  }
});

t.test('documents that are deep, long or odd as text', async (t) => {
  const directory = makeBundle(t);
  const template = JSON.stringify(specTemplate({ rootless: false }));
  const texts = {
    deep: `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
    deepInside: template.replace('{', `{"annotations":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)},`),
    prototype: template.replace('{', '{"__proto__":{"process":{}},"constructor":{"prototype":{}},'),
    twice: template.replace('{', '{"process":1,"process":2,'),
    manyMounts: JSON.stringify({
      ...specTemplate({ rootless: false }),
      mounts: Array.from({ length: 5000 }, (_, number) => ({ destination: `/m${number}`, type: 'tmpfs' })),
    }),
    longArguments: JSON.stringify({
      ...specTemplate({ rootless: false }),
      process: { cwd: '/', args: Array.from({ length: 100_000 }, () => 'argument') },
    }),
    hugeNumber: template.replace('{', `{"annotations":{"a":${'9'.repeat(100_000)}},`),
    mark: `\ufeff${template}`,
  };
  for (const [name, text] of Object.entries(texts)) {
    const outcome = await tryConfig(directory, text);
    count('mutants run');
    t.notMatch(outcome, /^bug/, `${name}: ${outcome.slice(0, 300)}`);
    t.comment(`${name}: ${outcome.slice(0, 100)}`);
  }
});

t.test('every operation takes or refuses every mutant of a state file', async (t) => {
  const root = makeDirectory(t);
  const own = { ...runtime, root };
  const record = makeRecord({
    annotations: { key: 'value' },
    init: { pid: process.pid, startTime: '1' },
    executable: '/bin/true',
    home: '/',
    environment: ['A=b'],
    // Nothing in it exists: whatever becomes of it, no process is ever found below it.
    cgroup: {
      manager: 'cgroupfs',
      version: 'v1',
      directories: [
        {
          kind: 'v1',
          mountPoint: '/nonexistent/tsrun-test',
          hostPath: '/nonexistent/tsrun-test/none',
          controllers: ['pids'],
          made: ['/nonexistent/tsrun-test/none'],
        },
      ],
    },
  });
  const config = JSON.stringify(specTemplate({ rootless: false }));
  const operations = {
    state: () => readStatus(own, 'c1'),
    list: () => listContainers(own),
    start: () => startContainer(own, 'c1'),
    kill: () => killContainer(own, { id: 'c1', signal: 15, all: false }),
    delete: () => deleteContainer(own, { id: 'c1', force: true }),
  };
  const tally = new Tally();
  for (let seed = SEED; seed < SEED + 400 * FACTOR; seed++) {
    const random = randomFrom(seed);
    const directory = path.join(root, 'c1');
    mkdirSync(directory, { recursive: true });
    const text = JSON.stringify(mutate(record, random, () => false));
    writeFileSync(path.join(directory, 'state.json'), seed % 7 === 0 ? text.slice(0, random() % text.length) : text);
    writeFileSync(path.join(directory, 'config.json'), seed % 3 === 0 ? damage(config, random) : config);
    for (const [name, operation] of Object.entries(operations)) {
      let outcome = `${name} ok`;
      try {
        await operation();
      } catch (error) {
        outcome = error instanceof TsrunError ? `${name} ${error.code}` : `bug: ${String((error as Error).stack)}`;
      }
      tally.note(outcome, `seed ${seed}: ${name}: ${text}`);
    }
    rmSync(directory, { recursive: true, force: true });
  }
  tally.report(t);
});

t.test('files of a state directory that are no files neither hang nor mislead', (t) => {
  const root = makeDirectory(t);
  const own = { ...runtime, root };
  const directory = path.join(root, 'c1');
  const file = path.join(directory, 'state.json');
  const secret = path.join(root, 'secret');
  writeFileSync(secret, JSON.stringify(makeRecord()));
  const kinds = {
    pipe: () => execFileSync('mkfifo', [file]),
    link: () => {
      symlinkSync(secret, file);
    },
    device: () => {
      symlinkSync('/dev/zero', file);
    },
    directory: () => {
      mkdirSync(file);
    },
  };
  for (const [name, make] of Object.entries(kinds)) {
    mkdirSync(directory);
    make();
    count('attacks tried');
    t.throws(() => readStatus(own, 'c1'), { code: 'state' }, name);
    t.strictSame(listContainers(own), [], name);
    rmSync(directory, { recursive: true });
  }
  t.end();
});

live('mutants through the command', async (t, rig) => {
  // Nothing of the host's may be reached by what is left of a config.
  const under = ['unshare', '--mount', '--uts', '--ipc', '--net', '--propagation', 'private'];
  const isExempt = (pointer: string): boolean => /^\/(linux(\/(namespaces|cgroupsPath).*)?|root.*)$/.test(pointer);
  const flaws: string[] = [];
  for (let seed = SEED; seed < SEED + 24 * FACTOR; seed++) {
    const text = JSON.stringify(mutate(baseConfig(), randomFrom(seed), isExempt));
    const config = JSON.parse(text) as Record<string, unknown>;
    const bundle = rig.bundle({ text: () => JSON.stringify({ ...config, root: { path: rig.rootfs } }) });
    const result = await rig.tsrun(['run', '--bundle', bundle, rig.id('mutant')], { under, timeoutMs: 60_000 });
    count('mutants run');
    if (result.timedOut || result.code === null || /\n\s+at |bug:|bug in/.test(result.stderr)) {
      flaws.push(`seed ${seed}: ${result.stderr}`);
    }
  }
  t.strictSame(flaws, []);
  t.strictSame(rig.leftovers(), []);
});
