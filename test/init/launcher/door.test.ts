import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { emitShimLauncher } from '../../../src/init/launcher/shim.ts';
import type { Arch } from '../../../src/program/calls.ts';
import { doorPath } from '../../../src/shim/bootstrap/address.ts';
import { OwnedFd, descriptorPath } from '../../../src/sys/fd.ts';
import { acceptUnix, listenUnix, receiveMessage, sendMessage } from '../../../src/sys/socket.ts';
import { ENGINE_FILE, SHIM_FILE } from '../../../src/util/launched.ts';
import { readHello } from '../../../src/util/hello.ts';
import { platformOf } from '../real-init.ts';
import { ended } from './fake-planner.ts';
import { BUILD } from './place.ts';

const LIMIT = 1 << 18;
/** No test waits for it; long enough for an emulator on a busy machine. */
const PATIENCE_MS = 999;
const COLD = 'the engine, with ';

/** A launcher and its bundle, beside which this process listens. */
class Bundle {
  readonly bundle: string;
  readonly door: string;
  readonly listener: OwnedFd;
  readonly #command: readonly string[];

  constructor(t: Test, arch: Arch) {
    const { emulator } = platformOf(arch).options;
    // A path of a socket is short.
    const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-'));
    t.teardown(() => {
      this.listener.close();
      rmSync(directory, { recursive: true });
    });
    this.bundle = path.join(directory, 'bundles/x');
    mkdirSync(this.bundle, { recursive: true });
    const launcher = path.join(directory, SHIM_FILE);
    const options = { arch, installed: '/nonexistent/engine', build: BUILD, patienceMs: PATIENCE_MS };
    writeFileSync(launcher, emitShimLauncher({ ...options, door: `${directory}/d-` }), { mode: 0o755 });
    const script = `PATH=/usr/bin:/bin; printf '\\000${COLD}'; cat`;
    writeFileSync(path.join(directory, ENGINE_FILE), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    this.door = doorPath(this.bundle, `${directory}/d-`);
    this.listener = listenUnix(this.door, 'seqpacket', { mode: 0o777 });
    this.#command = [...(emulator === undefined ? [] : [emulator]), launcher];
  }

  start(args: readonly string[], { input }: { readonly input: string }): ChildProcess {
    const file = path.join(path.dirname(this.door), 'input');
    writeFileSync(file, input);
    // This process does not write while it waits for a connection.
    const script = 'cat "$0" | exec "$@"';
    const env = { PATH: '/usr/bin:/bin', OWN_VARIABLE: 'x' };
    return spawn('sh', ['-c', script, file, ...this.#command, ...args], { cwd: this.bundle, env, stdio: 'pipe' });
  }

  accept() {
    const connection = acceptUnix(this.listener.number);
    if (connection === undefined) throw new Error('nobody connected');
    const { bytes, descriptors } = receiveMessage(connection.number, LIMIT);
    const [directory] = descriptors;
    if (directory === undefined) throw new Error('no working directory came');
    return { connection, hello: readHello(bytes), directory };
  }
}

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip } = platformOf(arch);

  t.test(`a shim that is there answers the launcher of a shim on ${arch}`, { skip }, async (t) => {
    const place = new Bundle(t, arch);
    const child = place.start(['-id', 'x', 'start'], { input: 'the options' });
    const { connection, hello, directory } = place.accept();
    t.match(hello, { build: BUILD, args: ['-id', 'x', 'start'], environment: { OWN_VARIABLE: 'x' } });
    t.equal(Buffer.from(hello?.input ?? []).toString(), 'the options');
    t.equal(readlinkSync(descriptorPath(directory.number)), place.bundle);
    sendMessage(connection.number, Buffer.from('\0unix:///a'));
    t.strictSame(await ended(child), { status: 0, stdout: 'unix:///a', stderr: '' });
    const deleting = place.start(['-id', 'x', 'delete'], { input: 'not read' });
    const second = place.accept();
    t.equal(second.hello?.input.length, 0);
    sendMessage(second.connection.number, Buffer.from('\x03'));
    t.strictSame(await ended(deleting), { status: 3, stdout: '', stderr: '' });
  });

  t.test(`the launcher of a shim on ${arch} goes cold with what it has read`, { skip }, async (t) => {
    const place = new Bundle(t, arch);
    for (const input of ['', 'the options', 'x'.repeat(50_000)]) {
      const child = place.start(['start'], { input });
      place.accept().connection.close();
      t.match(await ended(child), { status: 0, stdout: `${COLD}${input}` }, `${input.length} bytes`);
    }
    const deleting = place.start(['delete'], { input: 'not read' });
    place.accept().connection.close();
    t.match(await ended(deleting), { stdout: `${COLD}not read` });
    const started = Date.now();
    const child = place.start(['start'], { input: 'options' });
    const { connection } = place.accept();
    t.match(await ended(child), { stdout: `${COLD}options` }, 'nobody answers');
    t.ok(Date.now() - started < 20 * PATIENCE_MS);
    connection.close();
    place.listener.close();
    t.match(await ended(place.start(['start'], { input: 'options' })), { stdout: `${COLD}options` }, 'nobody listens');
    rmSync(place.door);
    t.match(await ended(place.start(['start'], { input: 'options' })), { stdout: `${COLD}options` }, 'no socket');
  });

  t.test(
    `the launcher of a shim on ${arch} tells another user nothing`,
    { skip: skip || (process.geteuid?.() !== 0 && 'needs root') },
    async (t) => {
      const place = new Bundle(t, arch);
      place.listener.close();
      rmSync(place.door);
      chmodSync(path.dirname(place.door), 0o777);
      // Whoever has called listen(2) is who the kernel shows.
      process.seteuid?.(1);
      let stranger: OwnedFd;
      try {
        stranger = listenUnix(place.door, 'seqpacket');
      } finally {
        process.seteuid?.(0);
      }
      const child = place.start(['start'], { input: 'options' });
      const connection = acceptUnix(stranger.number);
      t.ok(connection);
      t.match(await ended(child), { stdout: `${COLD}options` });
      if (connection !== undefined) t.equal(receiveMessage(connection.number, LIMIT).bytes.length, 0);
      connection?.close();
      stranger.close();
    },
  );
}
