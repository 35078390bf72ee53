import { ACCESS_ALL, type DevicePattern } from '../../../src/plan/cgroup/device-rules.ts';

/** A request as the kernel puts it to a device program. */
export interface DeviceRequest {
  readonly kind: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly access: number;
}

/** What the rules mean, written down plainly: each access bit is decided by the last rule that matches and has it. */
export function evaluateRules(rules: readonly DevicePattern[], request: DeviceRequest): boolean {
  const bits = [1, 2, 4].filter((bit) => (request.access & bit & ACCESS_ALL) !== 0);
  return bits.every((bit) => {
    const rule = rules.findLast((one) => (one.access & bit) !== 0 && matchesDevice(one, request));
    return rule?.allow ?? false;
  });
}

function matchesDevice(rule: DevicePattern, request: DeviceRequest): boolean {
  const { kind, major, minor } = rule;
  return (
    [kind ?? request.kind, major ?? request.major, minor ?? request.minor].join() ===
    [request.kind, request.major, request.minor].join()
  );
}

/** Runs a device program as the kernel would; any instruction that the generator does not use is an error. */
export function runDeviceProgram(program: Uint8Array, request: DeviceRequest): boolean {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const context = [(request.access << 16) | (request.kind === 'b' ? 1 : 2), request.major, request.minor];
  const registers = Array.from({ length: 11 }, () => 0n);
  const low = (register: number): bigint => BigInt.asUintN(32, registers[register] ?? 0n);
  for (let at = 0; ; at++) {
    if (at < 0 || (at + 1) * 8 > program.length) throw new Error(`runs out of the program at ${at}`);
    const code = view.getUint8(at * 8);
    const dst = view.getUint8(at * 8 + 1) & 15;
    const src = view.getUint8(at * 8 + 1) >> 4;
    const offset = view.getInt16(at * 8 + 2, true);
    const imm = BigInt(view.getInt32(at * 8 + 4, true));
    switch (code) {
      case 0x61: // dst = *(u32 *)(src + offset)
        if (src !== 1) throw new Error(`loads from r${src}`);
        registers[dst] = BigInt(context[offset / 4] ?? Number.NaN);
        break;
      case 0xbf:
        registers[dst] = registers[src] ?? 0n;
        break;
      case 0xb7:
        registers[dst] = BigInt.asUintN(64, imm);
        break;
      case 0x57:
        registers[dst] = (registers[dst] ?? 0n) & BigInt.asUintN(64, imm);
        break;
      case 0x77:
        registers[dst] = (registers[dst] ?? 0n) >> imm;
        break;
      case 0x56:
        if (low(dst) !== BigInt.asUintN(32, imm)) at += offset;
        break;
      case 0x46:
        if ((low(dst) & BigInt.asUintN(32, imm)) !== 0n) at += offset;
        break;
      case 0x05:
        at += offset;
        break;
      case 0x95:
        return registers[0] !== 0n;
      default:
        throw new Error(`unknown instruction 0x${code.toString(16)} at ${at}`);
    }
  }
}

/** Indices of instructions that no path from the first one reaches: the kernel's verifier refuses them. */
export function findUnreachable(program: Uint8Array): number[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const count = program.length / 8;
  const seen = new Set<number>();
  const queue = [0];
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    if (seen.has(at)) continue;
    if (at >= count) throw new Error(`falls out of the program at ${at}`);
    seen.add(at);
    const code = view.getUint8(at * 8);
    const target = at + 1 + view.getInt16(at * 8 + 2, true);
    if (code === 0x95) continue;
    if (code === 0x05 || code === 0x56 || code === 0x46) queue.push(target);
    if (code !== 0x05) queue.push(at + 1);
  }
  return Array.from({ length: count }, (_, index) => index).filter((index) => !seen.has(index));
}
