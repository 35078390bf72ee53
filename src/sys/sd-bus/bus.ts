import { TsrunError } from '../../errors.ts';
import { waitAny } from '../events/poll.ts';
import { bind, check, type Pointer } from './library.ts';
import { BusMessage, describeCall, type BusMember } from './message.ts';
import { append, splitSignature, type BusValue } from './values.ts';

/** What the D-Bus libraries give an answer. */
const CALL_TIMEOUT_MS = 25_000;

/** A connection to a message bus, closed at the end of the `using` scope. Source: man 3 sd-bus. */
export class Bus implements Disposable {
  #bus: Pointer;
  /** What came while an answer was waited for. */
  readonly #kept: BusMessage[] = [];

  private constructor(bus: Pointer) {
    this.#bus = bus;
  }

  /** Connects to the bus at an address, which is undefined where nobody knows it; messages call it `name`. Errors: `host`. */
  static open(name: string, address: string | undefined): Bus {
    const action = `connect to the ${name} message bus`;
    // What libsystemd says where it finds no address.
    if (address === undefined) throw TsrunError.of('host', action, 'ENOMEDIUM');
    const out: [Pointer] = [null];
    check(bind('int sd_bus_new(_Out_ void **bus)')(out), action);
    const bus = new Bus(out[0]);
    try {
      check(bind('int sd_bus_set_address(void *bus, str address)')(out[0], address), action);
      check(bind('int sd_bus_set_bus_client(void *bus, int is_client)')(out[0], 1), action);
      check(bind('int sd_bus_start(void *bus)')(out[0]), action);
      return bus;
    } catch (error) {
      bus[Symbol.dispose]();
      throw error;
    }
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
