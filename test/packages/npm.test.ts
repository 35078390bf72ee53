import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { prepareBundle } from '../../bundles/prepare.mjs';
import { top } from '../../bundles/ready.mjs';
import { busyboxBundle } from './busybox.ts';

// Away from the project, whose packages Node and the compiler would find from any folder below it.
const work = mkdtempSync(path.join(os.tmpdir(), 'tsrun-npm-'));
t.teardown(() => {
  rmSync(work, { recursive: true });
});

const reason = process.getuid?.() === 0 ? false : 'containers need root';
const root = path.join(work, 'state');
const home = path.join(work, 'home');
mkdirSync(home);

function npm(folder: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: exit code ${status}\n${stderr}`);
  return stdout;
}

/** The files that a clone has, with the packages of this folder and nothing built. */
function freshCopy(): string {
  const copy = path.join(work, 'clone');
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: top });
  for (const file of listed.toString().split('\0').filter(Boolean))
    if (existsSync(path.join(top, file))) cpSync(path.join(top, file), path.join(copy, file));
  symlinkSync(path.join(top, 'node_modules'), path.join(copy, 'node_modules'));
  // Older than the packages, so that nobody installs them anew.
  utimesSync(path.join(copy, 'package-lock.json'), 0, 0);
  return copy;
}

const clone = freshCopy();
const tarball = path.join(work, npm(clone, ['pack', '--pack-destination', work]).trim().split('\n').at(-1) ?? '');
npm(home, ['init', '--yes']);
npm(home, ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball]);
const installed = path.join(home, 'node_modules/tsrun');
const tsrun = path.join(home, 'node_modules/.bin/tsrun');

t.test('the tarball of a fresh clone has what is used, and nothing else', (t) => {
  const files = readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(installed, path.join(entry.parentPath, entry.name)));
  const wanted =
    /^(README\.md|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md|package\.json|docs\/\w+\.md|bundles\/README\.md|test\/bench\/chart\.svg|dist\/types\/.*\.d\.ts|dist\/man\/.*\.1|dist\/bin\/.*)$/;
  t.strictSame(
    files.filter((file) => !wanted.test(file)),
    [],
  );
  for (const file of [
    'dist/bin/index.mjs',
    'dist/bin/command.js',
    'dist/bin/shim.js',
    'dist/types/index.d.ts',
    'dist/man/tsrun.1',
  ])
    t.ok(files.includes(file), file);
  t.end();
});

t.test('what is in its scripts is no dependency, and the licences of that go with it', (t) => {
  const names = readdirSync(path.join(home, 'node_modules')).filter((name) => !name.startsWith('.'));
  t.strictSame(names.sort(), ['@koromix', 'koffi', 'tsrun']);
  t.match(readFileSync(path.join(installed, 'dist/bin/NOTICES'), 'utf8'), /^yargs [\d.]+: MIT\n\nMIT License/m);
  t.end();
});

t.test('the links of its README lead somewhere', (t) => {
  const text = readFileSync(path.join(installed, 'README.md'), 'utf8');
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = '']) => link);
  t.ok(links.length > 0);
  t.strictSame(
    links.filter((link) => !existsSync(path.join(installed, link))),
    [],
  );
  t.end();
});

t.test('the installed command runs a container', { skip: reason }, (t) => {
  const version = spawnSync(tsrun, ['--version'], { encoding: 'utf8' });
  t.match(version, { status: 0, stdout: /^tsrun version \d/, stderr: '' });
  const bundle = busyboxBundle(path.join(work, 'bundle'), ['/bin/echo', 'inside']);
  const run = spawnSync(tsrun, ['--root', root, 'run', '--bundle', bundle, `tsrun-test-npm-${process.pid}`], {
    encoding: 'utf8',
  });
  t.match(run, { status: 0, stdout: 'inside\n', stderr: '' });
  t.end();
});

t.test('a Node program imports the installed library and runs a container', { skip: reason }, (t) => {
  const rootfs = path.join(prepareBundle('busybox'), 'rootfs');
  writeFileSync(
    path.join(home, 'program.mjs'),
    `import { Runtime, specTemplate, features } from 'tsrun';
     const config = specTemplate({ rootless: false });
     config.process.terminal = false;
     config.process.args = ['/bin/sh', '-c', 'exit 3'];
     const runtime = new Runtime({ root: ${JSON.stringify(root)} });
     const process = await runtime.runContainer({ id: 'tsrun-test-npm-library-${process.pid}', config, rootfs: ${JSON.stringify(rootfs)} });
     console.log((await process.wait()).code, (await features()).ociVersionMax);`,
  );
  const { stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], { cwd: home, encoding: 'utf8' });
  t.match({ stdout, stderr }, { stdout: /^3 1\.\d+\.\d+\n$/, stderr: '' });
  t.end();
});

t.test('a TypeScript program compiles against the installed types', (t) => {
  for (const name of ['@types/node', 'undici-types'])
    cpSync(path.join(top, 'node_modules', name), path.join(home, 'node_modules', name), { recursive: true });
  const program = (wrong: string): string => `
    import { Runtime, TsrunError, specTemplate, type ContainerStatus, type Config } from 'tsrun';
    const config: Config = specTemplate({ rootless: false });
    const runtime: Runtime = new Runtime({ root: '/run/x' });
    export const statuses: readonly ContainerStatus[] = runtime.listContainers();
    export async function run(): Promise<number | undefined> {
      const process = await runtime.runContainer({ id: 'x', config, rootfs: '/', stdio: 'pipe'${wrong} });
      process.stdin?.end("text");
      return (await process.wait()).code;
    }
    export const isUsage = (error: unknown): boolean => error instanceof TsrunError && error.code === 'usage';`;
  const compile = (text: string, resolution: readonly string[]): string => {
    writeFileSync(path.join(home, 'program.mts'), text);
    const args = ['--noEmit', '--strict', '--target', 'es2023', '--types', 'node', ...resolution, 'program.mts'];
    return spawnSync(process.execPath, [path.join(top, 'node_modules/typescript/bin/tsc'), ...args], {
      cwd: home,
      encoding: 'utf8',
    }).stdout;
  };
  for (const resolution of [
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ]) {
    t.equal(compile(program(''), resolution), '', resolution.join(' '));
    t.match(compile(program(', stdioo: 1'), resolution), /^program\.mts\(7,\d+\): error TS2/, 'types are known');
  }
  t.end();
});
