/** What a filter is asked about: struct seccomp_data. */
export interface SeccompCall {
  readonly number: number;
  /** AUDIT_ARCH_*. */
  readonly arch: number;
  readonly args?: readonly bigint[];
}

/** Action of a classic BPF program for a system call, as the kernel would compute it. Source: net/core/filter.c, kernel/seccomp.c. */
export function runBpf(program: Uint8Array, { number, arch, args = [] }: SeccompCall): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  args.forEach((value, index) => {
    data.setBigUint64(16 + index * 8, value, true);
  });
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const operation = code.getUint16(at * 8, true);
    const operand = code.getUint32(at * 8 + 4, true);
    const jump = (holds: boolean): number => code.getUint8(at * 8 + (holds ? 2 : 3));
    switch (operation) {
      case 0x20:
        accumulator = data.getUint32(operand, true);
        break;
      case 0x54:
        accumulator = (accumulator & operand) >>> 0;
        break;
      case 0x05:
        at += operand;
        break;
      case 0x15:
        at += jump(accumulator === operand);
        break;
      case 0x25:
        at += jump(accumulator > operand);
        break;
      case 0x35:
        at += jump(accumulator >= operand);
        break;
      case 0x45:
        at += jump((accumulator & operand) !== 0);
        break;
      case 0x06:
        return operand;
      default:
        throw new Error(`instruction ${at}: unknown operation 0x${operation.toString(16)}`);
    }
  }
  throw new Error('the program ends without an answer');
}
