import { TsrunError } from '../errors.ts';
import { errnoName } from '../util/errno.ts';
import { readAt } from './io.ts';
import { loadKoffi, openLibrary } from './library.ts';
import { createMemfd } from './memfd.ts';

/** The one soname that every version 2 of libseccomp has. */
const LIBRARY = 'libseccomp.so.2';
const SCMP_FLTATR_CTL_OPTIMIZE = 8;
const OPTIMIZE_TREE = 2;
/** Much more than the kernel takes, so that a filter that is too long is told from a broken export. */
const EXPORT_LIMIT_BYTES = 16 * 4096 * 8;

/** One comparison of an argument; both values are unsigned, 64 bits. */
export interface SeccompCondition {
  readonly index: number;
  /** enum scmp_compare. */
  readonly operator: number;
  readonly value: bigint;
  readonly valueTwo: bigint;
}

/** A rule as seccomp_rule_add_array(3) takes it: `action` is SCMP_ACT_*, and all conditions must hold. */
export interface SeccompRule {
  /** Number of the call on the native architecture; negative ones are libseccomp's own for calls that it lacks. */
  readonly number: number;
  readonly action: number;
  readonly conditions: readonly SeccompCondition[];
}

interface Functions {
  init(defaultAction: number): unknown;
  release(filter: unknown): void;
  addArchitecture(filter: unknown, token: number): number;
  setAttribute(filter: unknown, attribute: number, value: number): number;
  addRule(filter: unknown, action: number, number: number, count: number, conditions: Uint8Array): number;
  exportBpf(filter: unknown, fd: number): number;
  architectureToken(name: string): number;
  resolveNative(name: string): number;
  resolve(token: number, name: string): number;
  version(): unknown;
}

let functions: Functions | undefined;

/** Version of the installed libseccomp, such as `2.5.4`. Errors: `host` when it is not installed. */
export function libseccompVersion(): string {
  const [major = 0, minor = 0, micro = 0] = loadKoffi().decode(load().version(), 'uint', 3) as number[];
  return `${major}.${minor}.${micro}`;
}

/** The token of an architecture by libseccomp's name for it, such as `x86_64`; undefined when this libseccomp has none. */
export function architectureToken(name: string): number | undefined {
  const token = load().architectureToken(name);
  return token === 0 ? undefined : token;
}

/** The number of a system call on the native architecture; undefined for a name that libseccomp does not know. */
export function nativeCallNumber(name: string): number | undefined {
  return knownNumber(load().resolveNative(name));
}

/** The number of a system call on an architecture, as the kernel sees it; undefined when it has no such call. */
export function callNumber(token: number, name: string): number | undefined {
  const number = load().resolve(token, name);
  return number < 0 ? undefined : number;
}

function knownNumber(number: number): number | undefined {
  const NR_SCMP_ERROR = -1;
  return number === NR_SCMP_ERROR ? undefined : number;
}

/** A filter of libseccomp that is being put together. Errors of its methods: `host` with `errno`. Source: man 3 seccomp_init. */
export class SeccompFilter implements Disposable {
  #filter: unknown;

  constructor(defaultAction: number) {
    const filter = load().init(defaultAction >>> 0);
    if (filter === null)
      throw TsrunError.of(
        'host',
        `begin a seccomp filter with default action 0x${defaultAction.toString(16)}`,
        'EINVAL',
      );
    this.#filter = filter;
  }

  /** Adds an architecture; the native one is there from the start. */
  addArchitecture(token: number): void {
    const result = load().addArchitecture(this.#filter, token);
    if (errnoName(-result) === 'EEXIST') return;
    check(result, `add architecture 0x${token.toString(16)} to the seccomp filter`);
  }

  /** Has the program look calls up in a tree. */
  buildTree(): void {
    const result = load().setAttribute(this.#filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
    // Before 2.5 there is no such thing, and the chain means the same.
    if (errnoName(-result) !== 'EEXIST' && errnoName(-result) !== 'EINVAL')
      check(result, 'optimise the seccomp filter');
  }

  /** `what` names the call in the message. */
  addRule({ number, action, conditions }: SeccompRule, what: string): void {
    // struct scmp_arg_cmp: unsigned index, enum operator, u64 first, u64 second.
    const array = Buffer.alloc(Math.max(1, conditions.length) * 24);
    conditions.forEach(({ index, operator, value, valueTwo }, position) => {
      array.writeUInt32LE(index, position * 24);
      array.writeInt32LE(operator, position * 24 + 4);
      array.writeBigUInt64LE(BigInt.asUintN(64, value), position * 24 + 8);
      array.writeBigUInt64LE(BigInt.asUintN(64, valueTwo), position * 24 + 16);
    });
    const result = load().addRule(this.#filter, action >>> 0, number, conditions.length, array);
    check(result, `add a rule for ${what} to the seccomp filter`);
  }

  /** The program: struct sock_filter[], 8 bytes each. */
  export(): Buffer {
    // seccomp_export_bpf_mem came with 2.6: the older form writes to a file.
    using file = createMemfd('seccomp');
    check(load().exportBpf(this.#filter, file.number), 'compile the seccomp filter');
    return readAt(file.number, 0, EXPORT_LIMIT_BYTES);
  }

  [Symbol.dispose](): void {
    if (this.#filter === undefined) return;
    load().release(this.#filter);
    this.#filter = undefined;
  }
}

/** libseccomp answers with negative errnos. */
function check(result: number, what: string): void {
  if (result >= 0) return;
  throw TsrunError.of('host', what, errnoName(-result));
}

function load(): Functions {
  if (functions !== undefined) return functions;
  const library = openSeccompLibrary();
  functions = {
    init: library.func('void *seccomp_init(uint32_t action)'),
    release: library.func('void seccomp_release(void *filter)'),
    addArchitecture: library.func('int seccomp_arch_add(void *filter, uint32_t token)'),
    setAttribute: library.func('int seccomp_attr_set(void *filter, int attribute, uint32_t value)'),
    addRule: library.func(
      'int seccomp_rule_add_array(void *filter, uint32_t action, int number, unsigned int count, const void *conditions)',
    ),
    exportBpf: library.func('int seccomp_export_bpf(void *filter, int fd)'),
    architectureToken: library.func('uint32_t seccomp_arch_resolve_name(const char *name)'),
    resolveNative: library.func('int seccomp_syscall_resolve_name(const char *name)'),
    resolve: library.func('int seccomp_syscall_resolve_name_arch(uint32_t token, const char *name)'),
    version: library.func('void *seccomp_version()'),
  };
  return functions;
}

function openSeccompLibrary(): ReturnType<typeof openLibrary> {
  try {
    return openLibrary([LIBRARY]);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TsrunError('host', `linux.seccomp needs libseccomp, which is not installed: ${why}`, { cause });
  }
}
