import { checked } from '../errno.ts';
import { bindLibc } from '../library.ts';

/**
 * A signal handler in machine code. The kernel runs it in whichever thread it likes, in the middle of anything, where no JavaScript may
 * run: it writes the siginfo_t to a pipe and returns.
 *
 *     si_code is SI_TKILL, and there was another handler  ->  jump to that one
 *     otherwise                                           ->  write(pipe, siginfo, 128)
 *
 * The first line is for the engine, whose threads stop each other by tgkill(2) (SIGPWR).
 */
export interface SignalHandler {
  /** Address for sigaction(2), with SA_SIGINFO. */
  readonly address: bigint;
  /** The handler that was there for a signal before. */
  setPrevious(signal: number, handler: bigint): void;
}

const mmap = bindLibc('int64_t mmap(void *address, size_t length, int protection, int flags, int fd, long offset)');
const mprotect = bindLibc('int mprotect(void *address, size_t length, int protection)');
const memcpy = bindLibc('void *memcpy(void *to, const void *from, size_t length)');

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
/** The largest page of the architectures that we know. */
const PAGE_BYTES = 65_536;
const SIGINFO_BYTES = 128;

/** Makes one for the descriptor of a pipe, below 65536. It stays for as long as the process: a signal may be on its way at any time. */
export function makeSignalHandler(pipe: number): SignalHandler {
  const protection = PROT_READ | PROT_WRITE;
  const address = mmap(null, 2 * PAGE_BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  checked(address, 'make a signal handler');
  const code = BigInt(address);
  const table = code + BigInt(PAGE_BYTES);
  const bytes = emitSignalHandler(process.arch === 'arm64' ? 'arm64' : 'x86-64', { pipe, table });
  memcpy(code, bytes, bytes.length);
  checked(mprotect(code, PAGE_BYTES, PROT_READ | PROT_EXEC), 'make a signal handler');
  return {
    address: code,
    setPrevious(signal, handler) {
      memcpy(table + BigInt(signal * 8), Buffer.from(BigUint64Array.of(handler).buffer), 8);
    },
  };
}

interface Operands {
  readonly pipe: number;
  /** Address of the handlers that were there before, 8 bytes for each signal. */
  readonly table: bigint;
}

/** The instructions: the arguments are the signal's number and the address of its siginfo_t. */
export function emitSignalHandler(arch: 'x86-64' | 'arm64', operands: Operands): Uint8Array {
  return arch === 'arm64' ? emitArm64(operands) : emitX86(operands);
}

function emitX86({ pipe, table }: Operands): Uint8Array {
  const bytes = Buffer.from(
    [
      '83 7e 08 fa', //                    cmp  dword [rsi + 8], -6    SI_TKILL
      '75 16', //                          jne  write
      '48 b8 00 00 00 00 00 00 00 00', //  mov  rax, table
      '89 f9', //                          mov  ecx, edi
      '48 8b 04 c8', //                    mov  rax, [rax + rcx * 8]
      '48 83 f8 01', //                    cmp  rax, 1                 SIG_DFL, SIG_IGN
      '77 12', //                          ja   previous
      'bf 00 00 00 00', //          write: mov  edi, pipe
      `ba ${SIGINFO_BYTES.toString(16)} 00 00 00`, //  mov  edx, 128
      'b8 01 00 00 00', //                 mov  eax, 1                 write
      '0f 05', //                          syscall
      'c3', //                             ret
      'ff e0', //                previous: jmp  rax
    ]
      .join(' ')
      .replaceAll(' ', ''),
    'hex',
  );
  bytes.writeBigUInt64LE(table, 8);
  bytes.writeUInt32LE(pipe, 29);
  return bytes;
}

function emitArm64({ pipe, table }: Operands): Uint8Array {
  const MOVZ_W0 = 0x5280_0000;
  const words = [
    0xb940_0829, //        ldr  w9, [x1, #8]
    0x3100_193f, //        cmn  w9, #6             SI_TKILL
    0x5400_00a1, //        b.ne write
    0x5800_0169, //        ldr  x9, table
    0xf860_5929, //        ldr  x9, [x9, w0, uxtw #3]
    0xf100_053f, //        cmp  x9, #1             SIG_DFL, SIG_IGN
    0x5400_00c8, //        b.hi previous
    MOVZ_W0 | (pipe << 5), // write: mov w0, #pipe
    0xd280_0002 | (SIGINFO_BYTES << 5), // mov x2, #128
    0xd280_0808, //        mov  x8, #64            write
    0xd400_0001, //        svc  #0
    0xd65f_03c0, //        ret
    0xd61f_0120, //   previous: br x9
  ];
  const bytes = Buffer.alloc(words.length * 4 + 4 + 8);
  words.forEach((word, index) => bytes.writeUInt32LE(word >>> 0, index * 4));
  bytes.writeBigUInt64LE(table, bytes.length - 8);
  return bytes;
}
