import { ACCESS_ALL, matchesEverything, printDevicePattern, type DevicePattern } from './device-rules.ts';

/**
 * The device rules as a BPF_PROG_TYPE_CGROUP_DEVICE program: what cgroup v2 has instead of a devices controller.
 *
 * The kernel calls it with a `struct bpf_cgroup_dev_ctx` { u32 access_type, major, minor } in r1, where access_type is
 * `access << 16 | kind`, and denies with EPERM when it returns 0.
 *
 * Each access bit is decided by the last rule that matches the device and has the bit: going through the rules backwards, r3 holds
 * the bits still undecided. A deny rule that has one of them ends with 0; an allow rule takes its bits away, and when none is
 * left the answer is 1.
 */
export interface DeviceFilter {
  /** eBPF instructions, 8 bytes each, little endian. */
  readonly program: Uint8Array;
  /** The same for people: one line an instruction, with the rule that it belongs to. */
  readonly listing: readonly string[];
}

interface Instruction {
  readonly code: number;
  readonly dst: number;
  readonly src?: number;
  readonly offset?: number;
  readonly imm?: number;
  readonly text: string;
}

// include/uapi/linux/bpf.h and bpf_common.h
const BPF_LDX_MEM_W = 0x61;
const BPF_ALU64_AND_K = 0x57;
const BPF_ALU64_RSH_K = 0x77;
const BPF_ALU64_MOV_K = 0xb7;
const BPF_ALU64_MOV_X = 0xbf;
const BPF_JMP32_JNE_K = 0x56;
const BPF_JMP32_JSET_K = 0x46;
const BPF_JMP_JA = 0x05;
const BPF_EXIT = 0x95;
const BPF_DEVCG_DEV = { b: 1, c: 2 } as const;

const KIND = 2;
const ACCESS = 3;
const MAJOR = 4;
const MINOR = 5;

/** Translates rules, in which the last that matches wins; what none matches is denied. */
export function planDeviceFilter(rules: readonly DevicePattern[]): DeviceFilter {
  const code: Instruction[] = [...prologue()];
  const notes = new Map<number, string>([[0, 'load the request']]);
  let open = true;
  for (const rule of [...rules].reverse()) {
    notes.set(code.length, `${rule.allow ? 'allow' : 'deny'} ${printDevicePattern(rule)}`);
    code.push(...translateRule(rule));
    // The verifier refuses instructions that nothing can reach.
    open = !matchesEverything(rule);
    if (!open) break;
  }
  if (open) {
    notes.set(code.length, 'deny the rest');
    code.push(...answer(0));
  }
  return {
    program: encode(code),
    listing: code.map((instruction, index) => printLine(instruction, index, notes.get(index))),
  };
}

function prologue(): Instruction[] {
  return [
    { code: BPF_LDX_MEM_W, dst: KIND, src: 1, offset: 0, text: 'r2 = *(u32 *)(r1 + 0)' },
    { code: BPF_ALU64_MOV_X, dst: ACCESS, src: KIND, text: 'r3 = r2' },
    { code: BPF_ALU64_AND_K, dst: KIND, imm: 0xffff, text: 'r2 &= 0xffff' },
    { code: BPF_ALU64_RSH_K, dst: ACCESS, imm: 16, text: 'r3 >>= 16' },
    { code: BPF_LDX_MEM_W, dst: MAJOR, src: 1, offset: 4, text: 'r4 = *(u32 *)(r1 + 4)' },
    { code: BPF_LDX_MEM_W, dst: MINOR, src: 1, offset: 8, text: 'r5 = *(u32 *)(r1 + 8)' },
    // Neither to read, nor to write, nor to make: nothing is asked for, as by access(2) with F_OK.
    jumpUnlessEqual(ACCESS, 0, 2),
    ...answer(1),
  ];
}

function translateRule(rule: DevicePattern): Instruction[] {
  const body = rule.allow ? allowBody(rule.access) : denyBody(rule.access);
  const tests: [number, number][] = [];
  if (rule.kind !== undefined) tests.push([KIND, BPF_DEVCG_DEV[rule.kind]]);
  if (rule.major !== undefined) tests.push([MAJOR, rule.major]);
  if (rule.minor !== undefined) tests.push([MINOR, rule.minor]);
  const length = tests.length + body.length;
  return [...tests.map(([register, value], index) => jumpUnlessEqual(register, value, length - index - 1)), ...body];
}

function allowBody(access: number): Instruction[] {
  if (access === ACCESS_ALL) return answer(1);
  const take: Instruction = { code: BPF_ALU64_AND_K, dst: ACCESS, imm: ~access, text: `r3 &= ~${access}` };
  return [take, jumpUnlessEqual(ACCESS, 0, 2), ...answer(1)];
}

function denyBody(access: number): Instruction[] {
  if (access === ACCESS_ALL) return answer(0);
  return [
    { code: BPF_JMP32_JSET_K, dst: ACCESS, imm: access, offset: 1, text: `if w3 & ${access} goto +1` },
    { code: BPF_JMP_JA, dst: 0, offset: 2, text: 'goto +2' },
    ...answer(0),
  ];
}

function answer(value: number): Instruction[] {
  return [
    { code: BPF_ALU64_MOV_K, dst: 0, imm: value, text: `r0 = ${value}` },
    { code: BPF_EXIT, dst: 0, text: 'exit' },
  ];
}

function jumpUnlessEqual(register: number, value: number, offset: number): Instruction {
  return {
    code: BPF_JMP32_JNE_K,
    dst: register,
    imm: value,
    offset,
    text: `if w${register} != ${value} goto +${offset}`,
  };
}

/** struct bpf_insn: u8 code, u8 dst:4 src:4, s16 offset, s32 imm. */
function encode(code: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(code.length * 8);
  const view = new DataView(bytes.buffer);
  code.forEach((instruction, index) => {
    view.setUint8(index * 8, instruction.code);
    view.setUint8(index * 8 + 1, instruction.dst | ((instruction.src ?? 0) << 4));
    view.setInt16(index * 8 + 2, instruction.offset ?? 0, true);
    view.setInt32(index * 8 + 4, instruction.imm ?? 0, true);
  });
  return bytes;
}

function printLine(instruction: Instruction, index: number, note: string | undefined): string {
  const line = `${String(index).padStart(4)}: ${instruction.text}`;
  return note === undefined ? line : `${line.padEnd(36)} ; ${note}`;
}
