import type { Arch } from '../program/calls.ts';
import { LAYOUT } from '../program/layout.ts';

/** Where the image itself is mapped. */
export const IMAGE_ADDRESS = 0x40_0000;

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const PROGRAM_HEADERS = 3;
const ENTRY_OFFSET = HEADER_SIZE + PROGRAM_HEADERS * PROGRAM_HEADER_SIZE;
/** 64 KiB, the largest page that an arm64 kernel is built with. */
const ALIGNMENT = 0x1_0000;

const ET_EXEC = 2;
const EM: Record<Arch, number> = { 'x86-64': 62, arm64: 183 };
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474_e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;

/**
 * Wraps machine code into a static ELF64 executable without sections. The code follows the headers and is entered at its
 * first byte; init's memory is a segment of which nothing lies in the file.
 * Source: man 5 elf; fs/binfmt_elf.c.
 */
export function writeElf(code: Uint8Array, arch: Arch): Uint8Array {
  const image = new Uint8Array(ENTRY_OFFSET + code.length);
  const view = new DataView(image.buffer);
  writeHeader(view, arch);
  const memorySize = LAYOUT.bulk.address + LAYOUT.bulk.size - LAYOUT.memory.address;
  writeProgramHeaders(view, [
    { type: PT_LOAD, flags: PF_R | PF_X, address: IMAGE_ADDRESS, fileSize: image.length, memorySize: image.length },
    { type: PT_LOAD, flags: PF_R | PF_W, address: LAYOUT.memory.address, fileSize: 0, memorySize },
    { type: PT_GNU_STACK, flags: PF_R | PF_W, address: 0, fileSize: 0, memorySize: 0 },
  ]);
  image.set(code, ENTRY_OFFSET);
  return image;
}

function writeHeader(view: DataView, arch: Arch): void {
  // 0x7f "ELF", then: 64 bits, little endian, version 1, System V.
  view.setUint32(0, 0x7f45_4c46);
  view.setUint32(4, 0x0201_0100);
  view.setUint16(16, ET_EXEC, true);
  view.setUint16(18, EM[arch], true);
  view.setUint32(20, 1, true);
  setAddress(view, 24, IMAGE_ADDRESS + ENTRY_OFFSET);
  setAddress(view, 32, HEADER_SIZE);
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, PROGRAM_HEADERS, true);
}

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
}

function writeProgramHeaders(view: DataView, segments: readonly Segment[]): void {
  segments.forEach((segment, index) => {
    const at = HEADER_SIZE + index * PROGRAM_HEADER_SIZE;
    view.setUint32(at, segment.type, true);
    view.setUint32(at + 4, segment.flags, true);
    // The file offset, at + 8, is 0 for all: the code segment starts with the headers, the others have no bytes.
    setAddress(view, at + 16, segment.address);
    setAddress(view, at + 24, segment.address);
    setAddress(view, at + 32, segment.fileSize);
    setAddress(view, at + 40, segment.memorySize);
    setAddress(view, at + 48, segment.type === PT_LOAD ? ALIGNMENT : 16);
  });
}

/** An ELF64 address, offset or size; all of ours are below 4 GiB. */
function setAddress(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true);
}
