import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { acknowledge } from '../../../src/plan/launcher/acknowledge.ts';
import { launcherContext, type LauncherContext } from '../../../src/plan/launcher/context.ts';
import { planLookForEnd } from '../../../src/plan/launcher/foreground.ts';
import type { Arch } from '../../../src/program/calls.ts';
import { encode } from '../../../src/program/encode.ts';
import { TAG_MORE } from '../../../src/program/layout.ts';
import type { Program } from '../../../src/program/step.ts';
import { OwnedFd } from '../../../src/sys/fd.ts';
import { bindLibc } from '../../../src/sys/library.ts';
import { listenUnix, receiveMessage, sendMessage, socketPair } from '../../../src/sys/socket.ts';
import { SOCK_CLOEXEC, SOL_SOCKET, SO_RCVTIMEO } from '../../../src/util/constants.ts';
import type { Will } from '../../../src/util/wills.ts';
import { wordsOf } from '../real-init.ts';
import { Place, told, type RunOptions } from './place.ts';

const accept4 = bindLibc('int accept4(int fd, void *address, void *length, int flags)');
const setsockopt = bindLibc('int setsockopt(int fd, int level, int name, const void *value, uint32_t size)');
/** A launcher that does not answer fails a test and does not hang it. */
const PATIENCE_S = 20n;
const LIMIT = 1 << 18;

function limitReceiving(fd: number): void {
  const timeout = new BigInt64Array([PATIENCE_S, 0n]);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.byteLength);
}

/** What a launcher says first. */
export interface Hello {
  readonly build: bigint;
  readonly args: readonly string[];
  readonly environment: readonly string[];
  readonly socket: number;
  readonly last: bigint;
  readonly cwd: OwnedFd;
  readonly descriptors: number;
}

/** A socket that a launcher connects to, and this side of it. */
export class FakePlanner {
  readonly arch: Arch;
  readonly place: Place;
  readonly path: string;
  readonly listener: OwnedFd;

  constructor(t: Test, arch: Arch) {
    this.arch = arch;
    // A path of a socket is short.
    const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-'));
    this.path = path.join(directory, 'socket');
    this.place = new Place(t, arch, this.path);
    this.listener = listenUnix(this.path, 'seqpacket');
    limitReceiving(this.listener.number);
    t.teardown(() => {
      this.listener.close();
      rmSync(directory, { recursive: true });
    });
    warmUp();
  }

  accept(): Connection {
    const fd = accept4(this.listener.number, null, null, SOCK_CLOEXEC);
    if (fd < 0) throw new Error('nobody connected');
    limitReceiving(fd);
    return new Connection(new OwnedFd(fd), this.arch);
  }

  /** A launcher whose hello is answered, as long as this machine lets us answer in time. */
  drive(
    args: readonly string[],
    options: RunOptions & { readonly stdout?: number; readonly planner?: number } = {},
  ): Driven {
    for (let tries = 0; tries < 10; tries++) {
      const child = this.place.start(args, options);
      const connection = this.accept();
      const hello = connection.hello();
      if (connection.acknowledge(options.planner ?? process.pid) && connection.isAwake())
        return { child, hello, connection };
      child.kill('SIGKILL');
      hello.cwd.close();
      connection.close();
    }
    throw new Error('no launcher heard an answer');
  }
}

/** A launcher that executes what is sent. */
export interface Driven {
  readonly child: ChildProcess;
  readonly hello: Hello;
  readonly connection: Connection;
}

/** The first call of each of these takes longer than a launcher waits. */
function warmUp(): void {
  const [one, other] = socketPair('seqpacket');
  sendMessage(one.number, new Uint8Array(8), [one.number]);
  for (const descriptor of receiveMessage(other.number, LIMIT).descriptors) descriptor.close();
  acknowledge(launcherContext(3), { arch: 'x86-64', planner: 1 });
  one.close();
  other.close();
}

export class Connection {
  readonly fd: OwnedFd;
  readonly arch: Arch;
  context: LauncherContext = launcherContext(-1);

  constructor(fd: OwnedFd, arch: Arch) {
    this.fd = fd;
    this.arch = arch;
  }

  hello(): Hello {
    const { bytes, descriptors } = receiveMessage(this.fd.number, LIMIT);
    const [cwd] = descriptors;
    if (cwd === undefined) throw new Error('no working directory came');
    const count = Number(bytes.readBigUInt64LE(8));
    const socket = Number(bytes.readBigUInt64LE(16));
    const strings = bytes.toString('utf8', 32).split('\0');
    this.context = launcherContext(socket);
    return {
      build: bytes.readBigUInt64LE(0),
      args: strings.slice(0, count),
      environment: strings.slice(count, -1),
      socket,
      last: bytes.readBigUInt64LE(24),
      cwd,
      descriptors: descriptors.length,
    };
  }

  /** Whether the launcher was there to hear it. */
  acknowledge(planner: number): boolean {
    try {
      for (const bytes of acknowledge(this.context, { arch: this.arch, planner })) this.send(bytes);
      return true;
    } catch {
      return false;
    }
  }

  isAwake(): boolean {
    try {
      return this.run(planLookForEnd(this.context, { pid: 'any', reap: [] })).length > 0;
    } catch {
      return false;
    }
  }

  send(bytes: Uint8Array, descriptors: readonly number[] = []): void {
    sendMessage(this.fd.number, bytes, descriptors);
  }

  /** Sends a program, with a message of descriptors behind it, and does not wait. */
  post(program: Program, { will = { stage: 'again' }, descriptors }: PostOptions = {}): void {
    const packets = encode(program, { arch: this.arch, syncFd: this.context.socket, will });
    packets.forEach(({ bytes }, index) => {
      if (index > 0 && this.receive()[0] !== TAG_MORE) throw new Error('it does not ask for more');
      this.send(bytes);
    });
    if (descriptors !== undefined) this.send(new Uint8Array(8), descriptors);
  }

  /** The words of the answer; none at the end of the connection. */
  run(program: Program, options: PostOptions = {}): bigint[] {
    this.post(program, options);
    return this.receive();
  }

  receive(): bigint[] {
    return wordsOf(this.receiveBytes());
  }

  receiveBytes(): Uint8Array {
    try {
      return receiveMessage(this.fd.number, LIMIT).bytes;
    } catch (error) {
      // The other side has ended without reading everything.
      if (String(error).includes('ECONNRESET')) return new Uint8Array();
      throw error;
    }
  }

  close(): void {
    this.fd.close();
  }
}

interface PostOptions {
  readonly will?: Will;
  readonly descriptors?: readonly number[];
}

/** What a process wrote, and how it ended. */
export async function ended(child: ChildProcess): Promise<{ stdout: string; stderr: string; status: unknown }> {
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.on('data', (chunk: Buffer) => {
      texts[name] += chunk.toString();
    });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { ...texts, status: code ?? signal };
}

/** The header that the engine in the launcher's place was given. */
export async function coldHeader(t: Test, child: ChildProcess): Promise<DataView> {
  return told(t, await ended(child)).header;
}

/** Bytes as numbers. */
export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
