import { spawnSync } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { pollReadable } from '../../../src/sys/events/poll.ts';
import { connectUnix } from '../../../src/sys/socket.ts';
import { LAUNCHED } from '../../../src/util/launched.ts';
import { platformOf } from '../real-init.ts';
import { coldHeader, FakePlanner } from './fake-planner.ts';
import { Place, told } from './place.ts';

/** What a launcher hands over that has no will. */
function noWill(t: Test, header: DataView): void {
  t.same([header.getBigUint64(LAUNCHED.will, true), header.getBigUint64(LAUNCHED.planner, true)], [0n, 0n], 'no will');
}

function notRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'another user can be had by root alone';
}

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip } = platformOf(arch);

  t.test(`a launcher on ${arch} goes cold when the planner is not right`, { skip }, async (t) => {
    const planner = new FakePlanner(t, arch);
    planner.place.putEngine();

    await t.test('when it is silent, after 50 ms', async (t) => {
      const start = performance.now();
      const child = planner.place.start(['state']);
      const connection = planner.accept();
      connection.hello().cwd.close();
      const accepted = performance.now();
      t.equal(connection.receiveBytes().length, 0, 'it closes');
      const now = performance.now();
      t.ok(now - start >= 50 && now - accepted < 500, `after ${now - start} ms`);
      noWill(t, await coldHeader(t, child));
      connection.close();
    });

    await t.test('when it closes at once, or sends what is no packet', async (t) => {
      for (const bytes of [[], [1], Array.from({ length: 5000 }, (_, index) => (index * 31 + 7) & 0xff)]) {
        const child = planner.place.start(['state', 'x']);
        const connection = planner.accept();
        connection.hello().cwd.close();
        if (bytes.length > 0) {
          try {
            connection.send(Uint8Array.from(bytes));
          } catch {
            // It has not waited, on a busy machine.
          }
        } else connection.close();
        noWill(t, await coldHeader(t, child));
        if (bytes.length > 0) connection.close();
      }
    });

    await t.test('when nobody takes the connection', async (t) => {
      // A backlog of one takes two.
      const others = [1, 2].map(() => connectUnix(planner.path, 'seqpacket', { nonBlocking: true }));
      const start = performance.now();
      noWill(t, await coldHeader(t, planner.place.start(['state'])));
      t.ok(performance.now() - start >= 50, 'it has waited');
      for (const other of others) other.close();
      for (const _ of others) planner.accept().close();
    });

    await t.test('when the environment is too large to send', async (t) => {
      const env = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`N${index}`, 'x'.repeat(30_000)]));
      const child = planner.place.start(['state'], { env });
      const connection = planner.accept();
      t.equal(connection.receiveBytes().length, 0, 'nothing comes');
      noWill(t, await coldHeader(t, child));
      connection.close();
    });

    await t.test('without being asked, for the version', async (t) => {
      noWill(t, await coldHeader(t, planner.place.start(['--version'])));
      t.notOk(pollReadable(planner.listener.number, 0), 'nobody has come');
    });

    await t.test('when its descriptor would be one of the standard ones', (t) => {
      noWill(t, told(t, planner.place.run(['state'], { script: '"$@" <&-' })).header);
      t.end();
    });
  });

  t.test(`a launcher on ${arch} listens to its own user alone`, { skip: skip || notRoot() }, (t) => {
    const planner = new FakePlanner(t, arch);
    planner.place.putEngine();
    const directory = path.dirname(planner.path);
    const file = path.join(directory, 'listen.py');
    // Whoever listens says so by a line on its standard output; what it is sent is counted.
    writeFileSync(
      file,
      `import os, socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.seteuid(65534)
listener.bind(sys.argv[1])
listener.listen(5)
os.seteuid(0)
process = subprocess.Popen(sys.argv[2:], env={})
connection, _ = listener.accept()
count = len(connection.recv(65536))
if process.wait() == 0: print(count)
`,
    );
    chownSync(directory, 65534, 65534);
    const other = path.join(directory, 'other');
    const place = new Place(t, arch, other);
    place.putEngine();
    const { stdout, stderr } = spawnSync('python3', [file, other, ...place.command(['state'])], { encoding: 'utf8' });
    const lines = stdout.trim().split('\n');
    t.equal(lines.at(-1), '0', `it is sent nothing: ${stderr}`);
    noWill(t, told(t, { status: 0, stdout: lines[0] ?? '', stderr }).header);
    t.end();
  });
}
