/** A static-looking ELF64 program of this machine's architecture that asks the kernel for an interpreter. It has no code of its own. */
export function elfWithInterpreter(interpreter: string): Buffer {
  const EHDR = 64;
  const PHDR = 56;
  const PT_LOAD = 1;
  const PT_INTERP = 3;
  const text = Buffer.from(`${interpreter}\0`, 'latin1');
  const textOffset = EHDR + 2 * PHDR;
  const bytes = Buffer.alloc(textOffset + text.length);
  const base = 0x1000_0000n;
  // e_ident: 64 bits, little endian, version 1.
  bytes.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(process.arch === 'arm64' ? 183 : 62, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(base + BigInt(textOffset), 24);
  bytes.writeBigUInt64LE(BigInt(EHDR), 32);
  bytes.writeUInt16LE(EHDR, 52);
  bytes.writeUInt16LE(PHDR, 54);
  bytes.writeUInt16LE(2, 56);
  const writeHeader = (at: number, header: { type: number; flags: number; offset: number; size: number }): void => {
    const { type, flags, offset, size } = header;
    bytes.writeUInt32LE(type, at);
    bytes.writeUInt32LE(flags, at + 4);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(base + BigInt(offset), at + 16);
    bytes.writeBigUInt64LE(base + BigInt(offset), at + 24);
    bytes.writeBigUInt64LE(BigInt(size), at + 32);
    bytes.writeBigUInt64LE(BigInt(size), at + 40);
    bytes.writeBigUInt64LE(type === PT_LOAD ? 4096n : 1n, at + 48);
  };
  writeHeader(EHDR, { type: PT_INTERP, flags: 4, offset: textOffset, size: text.length });
  writeHeader(EHDR + PHDR, { type: PT_LOAD, flags: 5, offset: 0, size: bytes.length });
  text.copy(bytes, textOffset);
  return bytes;
}
