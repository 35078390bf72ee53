import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Config } from '../../src/spec/generated/config.ts';
import { stringifyJson } from '../../src/spec/parse.ts';
import { specTemplate } from '../../src/spec/template.ts';
import { loadConfig } from '../../src/spec/validate.ts';

for (const rootless of [false, true]) {
  t.test(`specTemplate() is valid without a warning, rootless: ${rootless}`, (t) => {
    const template = specTemplate({ rootless, uid: 1000, gid: 100, cgroupNamespace: true });
    t.strictSame(loadConfig(stringifyJson(template, 2)), { config: template, warnings: [] });
    t.end();
  });

  t.test(`specTemplate() has a cgroup namespace where it is asked for, rootless: ${rootless}`, (t) => {
    const types = (cgroupNamespace?: boolean) =>
      specTemplate({ rootless, ...(cgroupNamespace !== undefined && { cgroupNamespace }) }).linux?.namespaces?.map(
        ({ type }) => type,
      );
    t.notOk(types()?.includes('cgroup'));
    t.strictSame(
      types(true)?.filter((type) => !types(false)?.includes(type)),
      ['cgroup'],
    );
    t.end();
  });

  t.test(`specTemplate() is what runc spec writes, rootless: ${rootless}`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tsrun-spec-'));
    t.teardown(() => {
      rmSync(folder, { recursive: true });
    });
    const runc = spawnSync('runc', ['spec', ...(rootless ? ['--rootless'] : [])], { cwd: folder });
    if (runc.error !== undefined) {
      t.comment(`skipped: runc does not run: ${runc.error.message}`);
      t.end();
      return;
    }
    const { config, warnings } = loadConfig(readFileSync(join(folder, 'config.json'), 'utf8'));
    t.strictSame(warnings, [], 'the config of runc is accepted');
    t.strictSame(
      comparable(specTemplate({ rootless, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 })),
      comparable(config),
    );
    t.end();
  });
}

// What may differ: the versions, the name, and what other releases of runc added (masked paths, a cgroup namespace) or
// removed (ambient capabilities).
function comparable(config: Config): unknown {
  const { ociVersion: _version, hostname: _hostname, process, linux, ...rest } = config;
  const { ambient: _ambient, ...capabilities } = process?.capabilities ?? {};
  const { maskedPaths, namespaces, ...otherLinux } = linux ?? {};
  return {
    ...rest,
    process: { ...process, capabilities },
    linux: {
      ...otherLinux,
      maskedPaths: maskedPaths?.filter((path) => path !== '/sys/devices/virtual/tpm').sort(),
      namespaces: namespaces?.filter(({ type }) => type !== 'cgroup'),
    },
  };
}
