import type { Features } from '../../src/spec/generated/features.ts';
import { put, setNamespace, setUserNamespace, type BaseConfig } from '../harness/bundle.ts';
import type { Case } from '../harness/case.ts';
import { equal, match, ok } from '../harness/check.ts';
import { hasNamespace } from '../harness/probe.ts';
import { Failure, section, Skip, type Requirement } from '../harness/requirement.ts';

/** features.md and features-linux.md: for runtimes that have such a document, it keeps what it promises. */

const base = section('features.md', 'Features Structure');
const version = section('features.md', 'Specification version');
const hooks = section('features.md', 'Hooks');
const mountOptions = section('features.md', 'Mount Options');
const namespaces = section('features-linux.md', 'Namespaces');
const capabilities = section('features-linux.md', 'Capabilities');
const seccomp = section('features-linux.md', 'Seccomp');

const PROPERTIES = [
  'ociVersionMin',
  'ociVersionMax',
  'hooks',
  'mountOptions',
  'linux',
  'annotations',
  'potentiallyUnsafeConfigAnnotations',
];

const BIG_ENDIAN = new Set(
  'MIPS MIPS64 MIPS64N32 PARISC PARISC64 PPC PPC64 S390 S390X M68K SHEB'.split(' ').map((name) => `SCMP_ARCH_${name}`),
);

async function readFeatures(c: Case): Promise<Features> {
  const { code, stdout } = await c.cli(['features']);
  if (code !== 0) throw new Skip('the runtime has no command for its features, which is up to it');
  return JSON.parse(stdout) as Features;
}

async function accepts(c: Case, what: string, change: (config: BaseConfig, rootfs: string) => void): Promise<void> {
  const { container, result } = await c.tryCreate({ change });
  if (result.code !== 0) throw new Failure(`${what} is not accepted`, { wanted: 'exit code 0', found: result.stderr });
  await container.delete('--force');
}

function orEmpty<T>(values: readonly T[] | null | undefined, what: string): readonly T[] {
  if (values === undefined || values === null || values.length === 0) throw new Skip(`the features name no ${what}`);
  return values;
}

function numbersOf(text: string): number[] {
  return text.split(/[.-]/).slice(0, 3).map(Number);
}

const versions: readonly Requirement[] = [
  base.must('features.json', 'the features are a JSON object with only defined properties', async (c) => {
    const found = Object.keys(await readFeatures(c));
    equal(
      found.filter((name) => !PROPERTIES.includes(name)),
      [],
      'undefined properties',
    );
  }),
  version.must('features.version.format', 'both versions are SemVer', async (c) => {
    const { ociVersionMin, ociVersionMax } = await readFeatures(c);
    for (const text of [ociVersionMin, ociVersionMax]) match(text, /^\d+\.\d+\.\d+([-+].*)?$/, 'version');
  }),
  version.must('features.version.order', 'the highest version is no less than the lowest', async (c) => {
    const { ociVersionMin, ociVersionMax } = await readFeatures(c);
    const [min, max] = [numbersOf(ociVersionMin), numbersOf(ociVersionMax)];
    const index = max.findIndex((number, place) => number !== min[place]);
    ok(index < 0 || (max[index] ?? 0) > (min[index] ?? 0), `${ociVersionMax} is no less than ${ociVersionMin}`, index);
  }),
  ...(['ociVersionMin', 'ociVersionMax'] as const).map((name) =>
    version.must(`features.version.${name}`, `a config of ${name} is accepted`, async (c) => {
      const { [name]: value } = await readFeatures(c);
      await accepts(c, value, (config) => (config.ociVersion = value));
    }),
  ),
];

/** Options that mean something only together with others, or a mount that is there. */
const SPECIAL = new Set(['remount', 'idmap', 'ridmap', 'mand', 'nomand']);

const promises: readonly Requirement[] = [
  hooks.must('features.hooks', 'every kind of hook named is accepted', async (c) => {
    const kinds = orEmpty((await readFeatures(c)).hooks, 'hooks');
    await accepts(c, kinds.join(), (config, rootfs) => {
      put(config, {
        hooks: Object.fromEntries(
          kinds.map((kind) => [
            kind,
            [{ path: kind === 'startContainer' ? '/bin/true' : `${rootfs}/bin/true`, args: ['true'] }],
          ]),
        ),
      });
    });
  }),
  mountOptions.must('features.mount-options', 'every mount option named is accepted', async (c) => {
    const options = orEmpty((await readFeatures(c)).mountOptions, 'mount options');
    // Options that would be given to a file system make a bind mount fail, or are seen in the source.
    for (const option of options.filter((name) => !SPECIAL.has(name)))
      await accepts(c, option, (config, rootfs) =>
        config.mounts.push({ destination: '/m', type: 'bind', source: `${rootfs}/etc`, options: ['rbind', option] }),
      );
  }),
  namespaces.must('features.namespaces', 'every type of namespace named is accepted', async (c) => {
    const types = orEmpty((await readFeatures(c)).linux?.namespaces, 'namespaces');
    await accepts(c, types.join(), (config) => {
      for (const type of types) {
        if (!hasNamespace({ network: 'net', mount: 'mnt' }[type as string] ?? type)) continue;
        if (type === 'user') setUserNamespace(config, 100_000);
        else setNamespace(config, type);
      }
    });
  }),
  capabilities.must('features.capabilities', 'every capability named is accepted', async (c) => {
    const names = [...orEmpty((await readFeatures(c)).linux?.capabilities, 'capabilities')];
    await accepts(c, `${names.length} capabilities`, (config) => {
      config.process.capabilities = { bounding: names };
    });
  }),
  ...(['actions', 'operators', 'archs'] as const).map((kind) =>
    seccomp.must(`features.seccomp.${kind}`, `all ${kind} of seccomp named are accepted`, async (c) => {
      const { linux } = await readFeatures(c);
      const named: readonly string[] = orEmpty(linux?.seccomp?.[kind], `${kind} of seccomp`);
      // The kernel has one byte order at a time, so a filter cannot be for another one: those names say nothing here.
      const names = named.filter((word) => word !== 'SCMP_ACT_NOTIFY' && !BIG_ENDIAN.has(word));
      for (const name of names)
        await accepts(c, name, (config) => {
          const rule = { names: ['kexec_load'], action: 'SCMP_ACT_ERRNO' };
          const args = [{ index: 0, value: 1, valueTwo: 1, op: name }];
          put(config.linux, {
            seccomp: {
              defaultAction: 'SCMP_ACT_ALLOW',
              ...(kind === 'archs' ? { architectures: [name] } : {}),
              syscalls: [
                { ...rule, ...(kind === 'actions' ? { action: name } : kind === 'operators' ? { args } : {}) },
              ],
            },
          });
        });
    }),
  ),
];

export const featureRequirements: readonly Requirement[] = [...versions, ...promises];
