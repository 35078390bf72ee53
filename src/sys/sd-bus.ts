import { TsrunError } from '../errors.ts';
import { errnoName } from '../util/errno.ts';
import { bindLibc, loadKoffi, openLibrary, type CFunction } from './library.ts';
import { waitAny } from './events/poll.ts';

/** A value of a message: numbers of 64 bits as bigint, arrays and structures as lists. */
export type BusValue = string | boolean | number | bigint | readonly BusValue[];

/** A method or property of an object on the bus. */
export interface BusMember {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
}

/** What was answered in the place of a reply; `busError` is the D-Bus name of it, such as `org.freedesktop.systemd1.NoSuchUnit`. */
export class BusError extends TsrunError {
  readonly busError: string;

  constructor(message: string, busError: string) {
    super('host', message);
    this.busError = busError;
  }
}

/** What the D-Bus libraries give an answer. */
const CALL_TIMEOUT_MS = 25_000;
/** Numbers of a message: signature -> size in bytes. */
const NUMBER_SIZES: Readonly<Record<string, number>> = { y: 1, b: 4, n: 2, q: 2, i: 4, u: 4, x: 8, t: 8, d: 8 };

type Pointer = bigint | null;
let library: ((prototype: string) => CFunction) | undefined;
const bound = new Map<string, CFunction>();

/** libsystemd is loaded by the first who needs it: no other command pays for it. Errors: `host` when it is not installed. */
function bind(prototype: string): CFunction {
  library ??= loadLibrary();
  const known = bound.get(prototype) ?? library(prototype);
  bound.set(prototype, known);
  return known;
}

function loadLibrary(): (prototype: string) => CFunction {
  const opened = openLibrary(['libsystemd.so.0']);
  return (prototype) => opened.func(prototype);
}

/** Where libsystemd looks for its buses. Source: man 3 sd_bus_default. */
const ADDRESSES = ['DBUS_SYSTEM_BUS_ADDRESS', 'DBUS_SESSION_BUS_ADDRESS', 'XDG_RUNTIME_DIR'];
const setenv = bindLibc('int setenv(const char *name, const char *value, int overwrite)');

/** The C library of the executable still has the environment that the launcher made, without these. */
function tellAddresses(): void {
  for (const name of ADDRESSES) {
    const value = process.env[name];
    if (value !== undefined) setenv(name, value, 1);
  }
}

/** A connection to a message bus, closed at the end of the `using` scope. Source: man 3 sd-bus. */
export class Bus implements Disposable {
  #bus: Pointer;
  /** What came while an answer was waited for. */
  readonly #kept: BusMessage[] = [];

  private constructor(bus: Pointer) {
    this.#bus = bus;
  }

  /** Connects to the machine's bus, or to that of the user's session. Errors: `host`. */
  static open(name: 'system' | 'user'): Bus {
    tellAddresses();
    const out: [Pointer] = [null];
    const result = bind(`int sd_bus_open_${name}(_Out_ void **bus)`)(out);
    check(result, `connect to the ${name} message bus`);
    return new Bus(out[0]);
  }

  /**
   * Calls a method. No thread waits meanwhile; one call at a time.
   *
   * `signature` and `values` are its arguments. Errors: `BusError` for an answer that is one, `host` for no answer.
   */
  async call(target: BusMember, signature: string, values: readonly BusValue[]): Promise<BusMessage> {
    using message = this.#newCall(target);
    splitSignature(signature).forEach((type, index) => {
      append(message.pointer, type, values[index] ?? '');
    });
    const cookie = Buffer.alloc(8);
    const send = bind('int sd_bus_send(void *bus, void *m, void *cookie)');
    check(send(this.#bus, message.pointer, cookie), describeCall(target));
    const deadline = Date.now() + CALL_TIMEOUT_MS;
    for (;;) {
      const answer = await this.#receive(deadline);
      if (answer === undefined) {
        throw new TsrunError('host', `${describeCall(target)}: ETIMEDOUT`, { errno: 'ETIMEDOUT' });
      }
      if (answer.replyCookie() !== cookie.readBigUInt64LE(0)) {
        this.#kept.push(answer);
        continue;
      }
      const failure = answer.failure(target);
      if (failure === undefined) return answer;
      answer[Symbol.dispose]();
      throw failure;
    }
  }

  /** Reads a property whose value is a string. Errors as `call`. */
  async readString(target: BusMember): Promise<string> {
    const { destination, path } = target;
    const get = { destination, path, interface: 'org.freedesktop.DBus.Properties', member: 'Get' };
    using reply = await this.call(get, 'ss', [target.interface, target.member]);
    return reply.readVariantString();
  }

  /** Asks for the signals that match a rule; `nextSignal` gives them. Errors as `call`. */
  async watch(rule: string): Promise<void> {
    const destination = 'org.freedesktop.DBus';
    const target = { destination, path: '/org/freedesktop/DBus', interface: destination, member: 'AddMatch' };
    (await this.call(target, 's', [rule]))[Symbol.dispose]();
  }

  /** The next message that came without being asked for; undefined when there was none for `timeoutMs`. Errors: `host`. */
  async nextMessage(timeoutMs: number): Promise<BusMessage | undefined> {
    return this.#kept.shift() ?? (await this.#receive(Date.now() + timeoutMs));
  }

  async #receive(deadline: number): Promise<BusMessage | undefined> {
    const process = bind('int sd_bus_process(void *bus, _Out_ void **m)');
    for (;;) {
      const out: [Pointer] = [null];
      const done = check(process(this.#bus, out), 'read from the message bus');
      if (out[0] !== null) return new BusMessage(out[0]);
      if (done > 0) continue;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) return undefined;
      const fd = check(bind('int sd_bus_get_fd(void *bus)')(this.#bus), 'wait for the message bus');
      const events = check(bind('int sd_bus_get_events(void *bus)')(this.#bus), 'wait for the message bus');
      await waitAny([{ fd, events }], leftMs);
    }
  }

  #newCall({ destination, path, interface: interfaceName, member }: BusMember): BusMessage {
    const create = bind(
      'int sd_bus_message_new_method_call(void *bus, _Out_ void **m, str destination, str path, str interface, str member)',
    );
    const out: [Pointer] = [null];
    check(create(this.#bus, out, destination, path, interfaceName, member), `make a message for ${member}`);
    return new BusMessage(out[0]);
  }

  [Symbol.dispose](): void {
    for (const message of this.#kept.splice(0)) message[Symbol.dispose]();
    if (this.#bus !== null) bind('void *sd_bus_flush_close_unref(void *bus)')(this.#bus);
    this.#bus = null;
  }
}

/** A message, read from its start on. */
export class BusMessage implements Disposable {
  readonly pointer: Pointer;

  constructor(pointer: Pointer) {
    this.pointer = pointer;
  }

  /** Which call this answers; undefined when it answers none. */
  replyCookie(): bigint | undefined {
    const cookie = Buffer.alloc(8);
    const read = bind('int sd_bus_message_get_reply_cookie(void *m, void *cookie)');
    return read(this.pointer, cookie) < 0 ? undefined : cookie.readBigUInt64LE(0);
  }

  /** The error that a call was answered with. */
  failure(target: BusMember): BusError | undefined {
    if (bind('int sd_bus_message_is_method_error(void *m, str name)')(this.pointer, null) <= 0) return undefined;
    // sd_bus_error: name, message, and whether they are to be freed.
    const error = bind('void *sd_bus_message_get_error(void *m)')(this.pointer);
    const text = (offset: number): string => (loadKoffi().decode(error, offset, 'str') as string | null) ?? '';
    const [name, message] = [text(0), text(8)];
    return new BusError(`${describeCall(target)}: ${message === '' ? name : message}`, name);
  }

  isSignal(interfaceName: string, member: string): boolean {
    const is = bind('int sd_bus_message_is_signal(void *m, str interface, str member)');
    return is(this.pointer, interfaceName, member) > 0;
  }

  /** The next value, a string (`s`) or the path of an object (`o`). Errors: `host` when it is something else. */
  readString(type: 's' | 'o' = 's'): string {
    const out = Buffer.alloc(8);
    const read = bind('int sd_bus_message_read_basic(void *m, char type, void *p)');
    const found = check(read(this.pointer, type.charCodeAt(0), out), `read a value of type "${type}" from a message`);
    return found === 0 ? '' : (loadKoffi().decode(out, 0, 'str') as string);
  }

  /** The next value, a 32-bit number. */
  readNumber(): number {
    const out = Buffer.alloc(4);
    const read = bind('int sd_bus_message_read_basic(void *m, char type, void *p)');
    check(read(this.pointer, 'u'.charCodeAt(0), out), 'read a number from a message');
    return out.readUInt32LE(0);
  }

  readVariantString(): string {
    const enter = bind('int sd_bus_message_enter_container(void *m, char type, str contents)');
    check(enter(this.pointer, 'v'.charCodeAt(0), 's'), 'read a property that is a string');
    return this.readString();
  }

  [Symbol.dispose](): void {
    bind('void *sd_bus_message_unref(void *m)')(this.pointer);
  }
}

/** `ssa(sv)` -> `['s', 's', 'a(sv)']`: the complete types of a signature. */
export function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let start = 0; start < signature.length;) {
    let end = start;
    while (signature[end] === 'a') end++;
    for (let depth = 0; ; end++) {
      if (signature[end] === '(') depth++;
      else if (signature[end] === ')') depth--;
      if (depth === 0 || end >= signature.length) break;
    }
    types.push(signature.slice(start, end + 1));
    start = end + 1;
  }
  return types;
}

function append(message: Pointer, type: string, value: BusValue): void {
  const first = type[0] ?? '';
  if (first === 'a' || first === '(') appendList(message, type, value);
  else if (first === 'v') appendVariant(message, value);
  else if (first === 's' || first === 'o') {
    const add = bind('int sd_bus_message_append_basic(void *m, char type, str p)');
    check(add(message, first.charCodeAt(0), String(value)), 'add a string to a message');
  } else {
    const add = bind('int sd_bus_message_append_basic(void *m, char type, void *p)');
    check(add(message, first.charCodeAt(0), numberBytes(first, value)), `add a value of type "${first}" to a message`);
  }
}

function appendList(message: Pointer, type: string, value: BusValue): void {
  const list = value as readonly BusValue[];
  const isArray = type.startsWith('a');
  const contents = isArray ? type.slice(1) : type.slice(1, -1);
  inContainer(message, isArray ? 'a' : 'r', contents, () => {
    const types = isArray ? [] : splitSignature(contents);
    list.forEach((element, index) => {
      append(message, isArray ? contents : (types[index] ?? ''), element);
    });
  });
}

/** A variant is given as the pair of its signature and its value. */
function appendVariant(message: Pointer, value: BusValue): void {
  const [signature, content] = value as readonly [string, BusValue];
  inContainer(message, 'v', signature, () => {
    append(message, signature, content);
  });
}

function inContainer(message: Pointer, type: string, contents: string, fill: () => void): void {
  const open = bind('int sd_bus_message_open_container(void *m, char type, str contents)');
  check(open(message, type.charCodeAt(0), contents), `add a container of "${contents}" to a message`);
  fill();
  check(bind('int sd_bus_message_close_container(void *m)')(message), 'end a container of a message');
}

function numberBytes(type: string, value: BusValue): Buffer {
  const size = NUMBER_SIZES[type];
  if (size === undefined) throw new Error(`bug: a message with a value of type ${JSON.stringify(type)}`);
  const bytes = Buffer.alloc(8);
  if (type === 'd') bytes.writeDoubleLE(Number(value));
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as number)));
  return bytes;
}

function describeCall({ member, destination }: BusMember): string {
  return `call ${member} of ${destination}`;
}

/** sd-bus gives an errno as a negative result. */
function check(result: number, action: string): number {
  if (result >= 0) return result;
  throw TsrunError.of('host', action, errnoName(-result));
}
