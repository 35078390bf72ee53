import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { emitLauncher } from '../../../src/init/launcher/launcher.ts';
import { ENGINE_FILE, LAUNCHED } from '../../../src/util/launched.ts';
import { platformOf } from '../real-init.ts';
import { BUILD, environmentOf, Place, sorted, told } from './place.ts';

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip } = platformOf(arch);

  t.test(`emitLauncher() on ${arch} is small, and the same every time`, (t) => {
    const options = { arch, installed: '/usr/libexec/tsrun/tsrun-cold', build: BUILD };
    t.ok(emitLauncher(options).length < 4096);
    t.same(emitLauncher(options), emitLauncher(options));
    t.end();
  });

  t.test(`the launcher on ${arch} hands the environment over`, { skip }, (t) => {
    const place = new Place(t, arch);
    const engine = place.putEngine();
    const env = { BUN_OPTIONS: '--x', LD_PRELOAD: '', BUN_JSC_useJIT: '1', NODE_OPTIONS: '--bad', A: 'ä=\n' };
    const result = told(t, place.run(['state', '', '--x=ä'], { env }));
    t.same(result.argv, ['state', '', '--x=ä'], 'the arguments as they are');
    t.equal(result.file, engine);
    t.match(Object.keys(result.env).sort(), ['BUN_JSC_numberOfGCMarkers', 'BUN_JSC_useJIT', LAUNCHED.variable]);
    t.equal(result.env['BUN_JSC_useJIT'], '0', 'nothing of the caller is in the environment of the engine');
    const entries = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    t.equal(environmentOf(result), sorted([...entries, '']));
    t.equal(result.sealed, 'EPERM', 'nobody can change it');
    t.ok(result.fd >= 100, 'it is above what callers preserve');
    t.equal(result.header.getBigInt64(LAUNCHED.workingDirectory, true), 0n, 'there is a working directory');
    t.equal(environmentOf(told(t, place.run([]))), '', 'no environment');
    const large = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`N${index}`, 'x'.repeat(50_000)]));
    const all = Object.entries(large).map(([name, value]) => `${name}=${value}`);
    t.ok(environmentOf(told(t, place.run([], { env: large }))) === sorted([...all, '']), 'a megabyte');
    t.end();
  });

  t.test(`the launcher on ${arch} tells of the limit and the working directory`, { skip }, (t) => {
    const place = new Place(t, arch);
    place.putEngine();
    const limited = told(t, place.run([], { script: 'ulimit -Sn 53; ulimit -Hn 1021; exec "$@"' }));
    t.equal(limited.header.getBigUint64(LAUNCHED.openFilesSoft, true), 53n);
    t.equal(limited.header.getBigUint64(LAUNCHED.openFilesHard, true), 1021n);
    t.ok(limited.fd < 53, 'a limit below the usual number does not matter');
    const gone = path.join(place.directory, 'gone');
    mkdirSync(gone);
    const deleted = told(t, place.run([], { cwd: gone, script: 'rmdir ../gone; exec "$@"' }));
    t.equal(deleted.header.getBigInt64(LAUNCHED.workingDirectory, true), -2n, 'ENOENT');
    t.equal(deleted.cwd, '/');
    t.end();
  });

  t.test(`the launcher on ${arch} finds the engine`, { skip }, (t) => {
    const place = new Place(t, arch);
    const missing = place.run([]);
    t.equal(missing.status, 1);
    const wanted = path.join(place.directory, 'beside', ENGINE_FILE);
    t.equal(missing.stderr, `tsrun: execute "${wanted}", which belongs beside the file "tsrun": ENOENT\n`);
    const installed = place.putEngine('installed');
    t.equal(told(t, place.run([])).file, installed, 'in the place that the build knows');
    const beside = place.putEngine();
    t.equal(told(t, place.run([])).file, beside, 'beside itself');
    const link = path.join(place.directory, 'runc');
    symlinkSync('beside/tsrun', link);
    t.equal(told(t, place.run([], { file: link })).file, beside, 'behind a symlink');
    t.equal(told(t, place.run([], { file: './tsrun', cwd: path.dirname(place.launcher) })).file, beside);
    chmodSync(beside, 0o644);
    t.match(place.run([]), { status: 1, stderr: /^tsrun: execute ".*tsrun-cold".*: EACCES\n$/ });
    t.end();
  });
}
