import { readFileSync } from 'node:fs';
import t from 'tap';
import { features } from '../../src/spec/features.ts';
import { validateFeatures } from '../../src/spec/validate.ts';

const build = { version: '0.1.0', commit: 'abc' };
const seccomp = { libraryVersion: '2.5.4', supportedFlags: ['SECCOMP_FILTER_FLAG_LOG' as const] };

t.test('features() is a valid document', (t) => {
  t.strictSame(validateFeatures(features(build)), []);
  t.strictSame(validateFeatures(features({ ...build, seccomp })), []);
  t.strictSame(JSON.parse(JSON.stringify(features({ ...build, seccomp }))), features({ ...build, seccomp }));
  t.end();
});

t.test('features() claims what it is told', (t) => {
  const plain = features(build);
  t.match(plain, { ociVersionMin: '1.0.0', ociVersionMax: '1.3.0', annotations: { 'org.tsrun.version': '0.1.0' } });
  t.equal(plain.annotations?.['org.tsrun.checkpoint.enabled'], 'true');
  t.equal(plain.hooks?.length, 6);
  t.equal(plain.linux?.namespaces?.length, 8);
  t.equal(plain.linux?.capabilities?.length, 41);
  t.strictSame(plain.linux?.seccomp, { enabled: false });
  t.ok(plain.mountOptions?.includes('rro') && plain.mountOptions.includes('idmap'));
  t.strictSame(plain.linux?.mountExtensions, { idmap: { enabled: true } });

  const other = features({
    ...build,
    seccomp,
    claims: { systemd: true, idmap: false, memoryPolicy: false },
  });
  t.match(other.linux, { cgroup: { systemd: true }, memoryPolicy: { modes: [], flags: [] } });
  t.notOk(other.mountOptions?.includes('idmap'));
  t.match(other.linux?.seccomp, { enabled: true, supportedFlags: ['SECCOMP_FILTER_FLAG_LOG'] });
  t.equal(other.annotations?.['io.github.seccomp.libseccomp.version'], '2.5.4');
  t.end();
});

t.test('features() lists every name that a config may use', (t) => {
  const enumOf = (file: string, name: string) => {
    const text = readFileSync(new URL(`../../schemas/${file}.schema.json`, import.meta.url), 'utf8');
    const { $defs } = JSON.parse(text) as { $defs: Record<string, { enum: string[] }> };
    return [...($defs[name]?.enum ?? [])].sort();
  };
  const linux = features({ ...build, seccomp }).linux;
  t.strictSame([...(linux?.namespaces ?? [])].sort(), enumOf('config-linux', 'NamespaceType'));
  t.strictSame([...(linux?.memoryPolicy?.modes ?? [])].sort(), enumOf('config-linux', 'MemoryPolicyMode'));
  t.strictSame([...(linux?.memoryPolicy?.flags ?? [])].sort(), enumOf('config-linux', 'MemoryPolicyFlag'));
  t.strictSame(linux?.seccomp?.actions, enumOf('config-seccomp', 'SeccompAction'));
  t.strictSame(linux?.seccomp?.operators, enumOf('config-seccomp', 'SeccompOperator'));
  t.strictSame([...(linux?.seccomp?.knownFlags ?? [])].sort(), enumOf('config-seccomp', 'SeccompFlag'));
  const archs = enumOf('config-seccomp', 'SeccompArchitecture');
  t.ok(linux?.seccomp?.archs?.every((arch) => archs.includes(arch)));
  t.end();
});
