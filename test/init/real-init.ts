import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { emitInit } from '../../src/init/image.ts';
import type { Arch } from '../../src/program/calls.ts';
import { encode } from '../../src/program/encode.ts';
import { LAYOUT, TAG_MORE } from '../../src/program/layout.ts';
import type { Packet, Program } from '../../src/program/step.ts';
import { bindLibc } from '../../src/sys/library.ts';

const socketpair = bindLibc('int socketpair(int domain, int type, int protocol, _Out_ int *pair)');
const setsockopt = bindLibc('int setsockopt(int fd, int level, int name, const void *value, uint32_t size)');
const AF_UNIX = 1;
const SOCK_SEQPACKET_CLOEXEC = 5 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
/** An init that does not answer fails a test and does not hang it. */
const PATIENCE_S = 10n;

/** The descriptor of the sync pipe in an init started here. */
export const SYNC_FD = 3;

export interface InitOptions {
  readonly arch: Arch;
  /** The program that runs the image, such as an emulator. */
  readonly emulator?: string;
  readonly cwd?: string;
  /** A directory for the image. */
  readonly directory: string;
}

export const NATIVE_ARCH: Arch = process.arch === 'arm64' ? 'arm64' : 'x86-64';
const EMULATORS: Record<Arch, string> = { 'x86-64': 'qemu-x86_64-static', arm64: 'qemu-aarch64-static' };

/** How an image of an architecture runs on this machine, and why it does not. */
export function platformOf(arch: Arch): { skip: string | false; options: Omit<InitOptions, 'directory'> } {
  if (process.arch === 'x64' ? arch === 'x86-64' : process.arch === arch) return { skip: false, options: { arch } };
  const emulator = EMULATORS[arch];
  const isInstalled = spawnSync(emulator, ['-version'], { stdio: 'ignore' }).error === undefined;
  return { skip: isInstalled ? false : `${emulator} is not installed`, options: { arch, emulator } };
}

/** An init process that really runs, and this side of its sync pipe. */
export class RealInit {
  readonly arch: Arch;
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown[]>;
  readonly #fd: number;

  constructor({ arch, emulator, cwd = '/', directory }: InitOptions) {
    this.arch = arch;
    const image = join(directory, `init.${arch}`);
    if (!existsSync(image)) writeFileSync(image, emitInit({ arch, syncFd: SYNC_FD }), { mode: 0o755 });
    const pair = [0, 0];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0, pair) !== 0) throw new Error('socketpair failed');
    const [own = -1, other = -1] = pair;
    const timeout = new BigInt64Array([PATIENCE_S, 0n]);
    setsockopt(own, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.byteLength);
    const [command, args] = emulator === undefined ? [image, []] : [emulator, [image]];
    this.#process = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'ignore', other] });
    this.#exit = once(this.#process, 'exit');
    closeSync(other);
    this.#fd = own;
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** Sends a program and returns what init answers, until `isLast` holds for an answer. */
  run(program: Program, isLast: (reply: Uint8Array) => boolean = () => true): Uint8Array[] {
    return this.runPackets(encode(program, { arch: this.arch, syncFd: SYNC_FD }), isLast);
  }

  runPackets(packets: readonly Packet[], isLast: (reply: Uint8Array) => boolean = () => true): Uint8Array[] {
    const replies: Uint8Array[] = [];
    const waiting = [...packets];
    this.send(waiting.shift()?.bytes ?? new Uint8Array());
    for (;;) {
      const reply = this.receive();
      const next = reply.length === 8 && wordsOf(reply)[0] === TAG_MORE ? waiting.shift() : undefined;
      if (next !== undefined) this.send(next.bytes);
      else replies.push(reply);
      if (next === undefined && (isLast(reply) || reply.length === 0)) return replies;
    }
  }

  send(bytes: Uint8Array): void {
    writeSync(this.#fd, bytes);
  }

  /** The next datagram; empty when init is gone. */
  receive(): Uint8Array {
    const buffer = new Uint8Array(LAYOUT.message.size);
    return buffer.slice(0, readSync(this.#fd, buffer));
  }

  /** Closes the sync pipe and answers with the exit code, or the signal's name. */
  async close(): Promise<unknown> {
    closeSync(this.#fd);
    return await this.exit();
  }

  async exit(): Promise<unknown> {
    const [code, signal] = await this.#exit;
    return code ?? signal;
  }

  /** What the process wrote to its standard output. */
  async output(): Promise<string> {
    let text = '';
    for await (const chunk of this.#process.stdout ?? []) text += String(chunk);
    return text;
  }
}

/** The 8-byte words of a reply, unsigned. */
export function wordsOf(reply: Uint8Array): bigint[] {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.byteLength);
  return Array.from({ length: Math.floor(reply.length / 8) }, (_, index) => view.getBigUint64(index * 8, true));
}
