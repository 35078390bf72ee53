import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Parser } from 'tap-parser';

/** The conformance suite on runtimes that are broken on purpose: it has to fail, and to say what is wrong. */

const top = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const TSRUN = `'${process.execPath}' '${path.join(top, 'dist/bin/main.js')}'`;

interface Point {
  readonly ok: boolean;
  readonly name: string;
  readonly diag?: Readonly<Record<string, unknown>>;
}

const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-broken-'));
t.teardown(() => {
  rmSync(directory, { recursive: true, force: true });
});
let count = 0;

/** A runtime that is a shell script; in `$*` are the words of the command line. */
function makeRuntime(script: string): string {
  count += 1;
  const file = path.join(directory, `runtime-${count}`);
  writeFileSync(file, `#!/bin/sh\n${script}\nexec ${TSRUN} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

function conform(...args: readonly string[]): { code: number | null; points: Map<string, Point>; stderr: string } {
  const suite = path.join(top, 'conformance/run.mjs');
  const options = { encoding: 'utf8', cwd: directory, maxBuffer: 1 << 26 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [suite, ...args], options);
  const points = new Map<string, Point>();
  for (const [kind, value] of Parser.parse(stdout) as readonly (readonly unknown[])[]) {
    if (kind !== 'child') continue;
    for (const [event, point] of value as readonly (readonly [string, Point])[])
      if (event === 'assert') points.set(point.name.split(':')[0] ?? '', point);
  }
  return { code: status, points, stderr };
}

t.test('a runtime without a fault passes', (t) => {
  const { code, points } = conform('--runtime', makeRuntime(''), '--only', 'kill', '--only', 'state');
  t.equal(code, 0);
  t.ok(points.size > 20);
  for (const [name, { ok }] of points) t.ok(ok, name);
  t.end();
});

t.test('a runtime whose kill does nothing, and says that it did', (t) => {
  const runtime = makeRuntime('case " $* " in *" kill "*) exit 0;; esac');
  const faulty = ['kill.no-id', 'kill.stopped', 'kill.TERM', 'kill.unknown-signal'];
  const { code, points } = conform('--runtime', runtime, ...faulty.flatMap((name) => ['--only', name]));
  t.equal(code, 1);
  for (const name of faulty) t.match(points.get(name), { ok: false, diag: { section: 'runtime.md, Kill' } }, name);
  t.match(points.get('kill.stopped.kept'), { ok: true }, 'what it does not do wrong passes');
  t.end();
});

t.test('a runtime whose states lie', (t) => {
  const lie = `case " $* " in *" state "*) ${TSRUN} "$@" | sed 's/"created"/"ready"/; s/"bundle": "/"bundle": "./'; exit;; esac`;
  const { code, points } = conform('--runtime', makeRuntime(lie), '--only', 'state');
  t.equal(code, 1);
  t.match(points.get('state.status.created'), { ok: false, diag: { wanted: 'created', found: 'ready' } });
  t.match(points.get('state.bundle'), { ok: false });
  t.match(points.get('state.status.running'), { ok: true });
  t.end();
});

t.test('a runtime that leaves parts of the config out', (t) => {
  const script = `case " $* " in *" create "*) sed -i 's/"hostname"/"org.hostname"/; s/"noNewPrivileges"/"org.x"/' config.json;; esac`;
  const { code, points } = conform('--runtime', makeRuntime(script), '--only', 'hostname', '--only', 'process');
  t.equal(code, 1);
  t.ok(
    [...points].some(([name, { ok }]) => name.startsWith('hostname') && !ok),
    'hostname',
  );
  t.ok(
    [...points].some(([name, { ok }]) => name.startsWith('process') && ok),
    'other properties pass',
  );
  t.end();
});

t.test('a runtime that hangs is killed', (t) => {
  const runtime = makeRuntime('case " $* " in *" start "*) exec sleep 1000;; esac');
  const { code, points } = conform('--runtime', runtime, '--only', 'state.status.running', '--timeout', '3');
  t.equal(code, 1);
  t.match(points.get('state.status.running'), { ok: false, diag: { message: /start was killed after 3000 ms/ } });
  t.end();
});

t.test('a runtime that kills its caller fails the requirement, and the others are still looked at', (t) => {
  const runtime = makeRuntime('case " $* " in *" NONSENSE "*) kill -9 $PPID; sleep 5;; esac');
  const { code, points } = conform('--runtime', runtime, '--only', 'kill');
  t.equal(code, 1);
  t.match(points.get('kill.unknown-signal'), { ok: false, diag: { message: 'the runtime kills others' } });
  for (const name of ['kill.no-id', 'kill.KILL', 'kill.TERM']) t.match(points.get(name), { ok: true }, name);
  t.end();
});

t.test('what is no runtime fails everything', (t) => {
  for (const runtime of ['/bin/false', '/no/such/runtime']) {
    const { code, points } = conform('--runtime', runtime, '--only', 'state', '--only', 'start.running');
    t.equal(code, 1, runtime);
    for (const [name, { ok }] of points) t.notOk(ok, `${runtime}: ${name}`);
  }
  t.end();
});

t.test('wrong arguments are told from failures', (t) => {
  t.match(conform('--only', 'nothing.of.this'), { code: 2, stderr: /no requirement/ });
  t.match(conform('--runtime-tools', directory), { code: 2, stderr: /none of those programs/ });
  t.match(conform('--nonsense', 'x'), { code: 2, stderr: /usage/ });
  t.end();
});

t.test('it writes both reports', (t) => {
  const report = path.join(directory, 'report');
  t.equal(conform('--only', 'kill.no-id', '--report', report).code, 0);
  t.same(readdirSync(report), ['RESULTS.html', 'RESULTS.md']);
  t.end();
});
