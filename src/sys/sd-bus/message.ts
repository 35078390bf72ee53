import { TsrunError } from '../../errors.ts';
import { loadKoffi } from '../library.ts';
import { bind, check, type Pointer } from './library.ts';

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

/** What a call does, as the beginning of a message. */
export function describeCall({ member, destination }: BusMember): string {
  return `call ${member} of ${destination}`;
}
