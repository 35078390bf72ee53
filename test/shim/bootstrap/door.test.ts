import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { DELETE_STATUS } from '../../../src/shim/bootstrap/delete.ts';
import { Door, type DoorOptions } from '../../../src/shim/bootstrap/door.ts';
import { readFlags } from '../../../src/shim/bootstrap/flags.ts';
import { writeBundleRecord } from '../../../src/shim/task/bundle-record.ts';
import { decode, encode } from '../../../src/protobuf/codec.ts';
import { ANY } from '../../../src/shim/wire/common.ts';
import { METHODS, RUNTIME_OPTIONS } from '../../../src/shim/wire/task.ts';
import { waitReadable } from '../../../src/sys/events/poll.ts';
import { OwnedFd, setNonBlocking } from '../../../src/sys/fd.ts';
import { connectUnix, listenUnix, receiveMessage, sendMessage } from '../../../src/sys/socket.ts';

const BUILD = 0x1234n;
const LIMIT = 1 << 16;
const GIVEN = ['-namespace', 'ns', '-address', '/c.sock', '-id', 'x'];
const SHARED = 'TSRUN_SHIM_SHARED=1';

/** A door of which somebody else looks after the containers. */
class Rig {
  readonly bundle: string;
  readonly asked: string[] = [];
  readonly held = new Set<string>();
  isOver = false;
  readonly #socket: string;

  constructor(t: Test, options: Partial<DoorOptions> = {}) {
    // A path of a socket is short.
    const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-'));
    this.bundle = path.join(directory, 'bundle');
    mkdirSync(this.bundle);
    this.#socket = path.join(directory, 'door');
    const listener = listenUnix(this.#socket, 'seqpacket', { backlog: 64 });
    setNonBlocking(listener.number);
    const stopping = new AbortController();
    const ask = (what: string) => (id: string) => {
      this.asked.push(`${what} ${id}`);
      return Promise.resolve();
    };
    const door = new Door({
      flags: readFlags([...GIVEN, 'start']),
      build: BUILD,
      socket: '/run/s/socket',
      containers: { has: (id) => this.held.has(id), expect: ask('expect'), forget: ask('forget') },
      log: { debug: () => undefined, warning: () => undefined, error: () => undefined },
      isOver: () => this.isOver,
      ...options,
    });
    const serving = door.serve(listener, stopping.signal);
    t.teardown(async () => {
      stopping.abort();
      await serving;
      listener.close();
      rmSync(directory, { recursive: true });
    });
  }

  /** What is answered to some bytes; undefined at the end of the connection. */
  async send(bytes: Uint8Array, descriptors: readonly number[] = []): Promise<Buffer | undefined> {
    using connection = connectUnix(this.#socket, 'seqpacket');
    if (bytes.length > 0) sendMessage(connection.number, bytes, descriptors);
    await waitReadable(connection.number);
    const answer = receiveMessage(connection.number, LIMIT).bytes;
    return answer.length === 0 ? undefined : answer;
  }

  async hello(
    args: readonly string[],
    { environment = [SHARED], input = new Uint8Array(), build = BUILD }: HelloOptions = {},
  ): Promise<Buffer | undefined> {
    using directory = new OwnedFd(openSync(this.bundle, 'r'));
    return await this.send(helloOf(args, { environment, input, build }), [directory.number]);
  }
}

interface HelloOptions {
  readonly environment?: readonly string[];
  readonly input?: Uint8Array;
  readonly build?: bigint;
}

function helloOf(args: readonly string[], { environment = [], input = new Uint8Array(), build = BUILD }: HelloOptions) {
  const header = Buffer.from(BigUint64Array.of(build, BigInt(args.length + 1), 3n, BigInt(input.length)).buffer);
  const strings = ['shim', ...args, ...environment].map((text) => `${text}\0`).join('');
  return Buffer.concat([header, Buffer.from(strings), input]);
}

function optionsOf(config: object): Uint8Array {
  const value = encode(RUNTIME_OPTIONS, { configBody: Buffer.from(JSON.stringify(config)) });
  return encode(ANY, { typeUrl: 'runtimeoptions.v1.Options', value });
}

t.test('Door answers start with its address, which it leaves in the bundle', async (t) => {
  const rig = new Rig(t);
  t.equal(String(await rig.hello([...GIVEN, 'start'])), '\0unix:///run/s/socket');
  t.equal(readFileSync(path.join(rig.bundle, 'address'), 'utf8'), 'unix:///run/s/socket');
  t.strictSame(rig.asked, ['expect x']);
  const environment = [SHARED, 'MAX_SHIM_VERSION=3'];
  const answer = { version: 3, address: 'unix:///run/s/socket', protocol: 'ttrpc' };
  t.equal(String(await rig.hello([...GIVEN, 'start'], { environment })), `\0${JSON.stringify(answer)}`);
  const input = optionsOf({ Shared: true });
  t.equal(String(await rig.hello([...GIVEN, 'start'], { environment: [], input })), '\0unix:///run/s/socket');
});

t.test('Door leaves to an engine what it is not there for', async (t) => {
  const rig = new Rig(t);
  const start = [...GIVEN, 'start'];
  t.equal(await rig.hello(start, { environment: [] }), undefined, 'not shared');
  t.equal(await rig.hello(start, { input: optionsOf({ Shared: false }) }), undefined, 'not shared by its options');
  t.equal(await rig.hello(start, { input: optionsOf({ Unknown: 1 }) }), undefined, 'wrong options');
  t.equal(await rig.hello(start, { input: Buffer.from('garbage') }), undefined, 'no options');
  t.equal(await rig.hello(start, { build: 1n }), undefined, 'another build');
  t.equal(await rig.hello(['-namespace', 'other', ...GIVEN.slice(2), 'start']), undefined, 'another namespace');
  t.equal(await rig.hello(['-address', '/d.sock', '-namespace', 'ns', '-id', 'x', 'start']), undefined);
  t.equal(await rig.hello(['-v']), undefined, 'its version');
  t.equal(await rig.hello([...GIVEN, 'remove']), undefined, 'no action');
  rig.isOver = true;
  t.equal(await rig.hello(start), undefined, 'it has come to its end');
  t.strictSame(rig.asked, []);
});

t.test('Door answers delete of what it holds, and of what nothing is left of', async (t) => {
  const rig = new Rig(t);
  const answer = await rig.hello([...GIVEN, 'delete']);
  t.equal(answer?.[0], 0);
  const { pid, exitStatus } = decode(METHODS.Delete.response, answer?.subarray(1) ?? Buffer.alloc(0));
  t.strictSame([pid, exitStatus], [0, DELETE_STATUS]);
  writeBundleRecord(rig.bundle, { root: '/nonexistent', cgroupManager: 'cgroupfs' });
  t.equal(await rig.hello([...GIVEN, 'delete']), undefined, 'that of a shim that has died');
  rig.held.add('x');
  t.ok(await rig.hello([...GIVEN, 'delete']));
  t.ok(await rig.hello([...GIVEN, '-bundle', rig.bundle, 'delete']));
  t.strictSame(rig.asked, ['forget x', 'forget x', 'forget x']);
});

t.test('Door serves on, whatever comes', async (t) => {
  const rig = new Rig(t);
  using directory = new OwnedFd(openSync(rig.bundle, 'r'));
  const whole = helloOf([...GIVEN, 'start'], { environment: [SHARED] });
  t.equal(await rig.send(whole), undefined, 'no directory');
  for (let length = 1; length < whole.length; length += 1)
    t.equal(await rig.send(whole.subarray(0, length), [directory.number]), undefined, `the first ${length} bytes`);
  for (const [offset, value] of [
    [8, 0n],
    [8, 2n ** 63n],
    [16, 0n],
    [24, 2n ** 64n - 1n],
    [24, BigInt(whole.length)],
  ] as const) {
    const bytes = Buffer.from(whole);
    bytes.writeBigUInt64LE(value, offset);
    t.equal(await rig.send(bytes, [directory.number]), undefined, `${value} at ${offset}`);
  }
  using file = new OwnedFd(openSync('/dev/null', 'r'));
  t.equal(await rig.send(whole, [file.number]), undefined, 'a file for a directory');
  writeFileSync(path.join(rig.bundle, 'address'), '');
  t.equal(await rig.send(new Uint8Array()), undefined, 'nothing within its patience');
  t.ok(await rig.send(whole, [directory.number, file.number]), 'it is there still');
});
