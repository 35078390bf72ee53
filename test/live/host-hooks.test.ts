import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSuccess, live, type BaseConfig } from './support/rig.ts';

live('hooks in the namespaces of the host', async (t, rig) => {
  await t.test('start in the bundle, and the shell runs a script without "#!"', async (t) => {
    const place = rig.fresh('place');
    mkdirSync(place, { mode: 0o777 });
    const file = path.join(place, 'script');
    writeFileSync(file, 'pwd >> "$(dirname "$0")/directories"\n', { mode: 0o755 });
    const hook = { path: file, env: ['PATH=/bin:/usr/bin'] };
    const hooks = { prestart: [hook], createRuntime: [hook], poststart: [hook], poststop: [hook] };
    expectSuccess(t, await rig.run({ change: (config) => (config.hooks = hooks) }));
    t.strictSame(
      readFileSync(path.join(place, 'directories'), 'utf8').trimEnd().split('\n'),
      Object.keys(hooks).fill(rig.latestBundle()),
    );
  });

  await t.test('a hook of the host that is missing is named once', async (t) => {
    const change = (config: BaseConfig) => (config.hooks = { createRuntime: [{ path: '/nowhere/hook' }] });
    const { code, stderr } = await rig.run({ change });
    const wanted = 'error running createRuntime hook #0: "/nowhere/hook": no such file or directory: ENOENT';
    t.strictSame({ code, errors: stderr.match(/level=error/g)?.length }, { code: 1, errors: 1 });
    t.ok(stderr.replaceAll('\\"', '"').trimEnd().endsWith(`: ${wanted}"`), stderr);
  });
});
