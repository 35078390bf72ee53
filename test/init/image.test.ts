import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { emitInit } from '../../src/init/image.ts';
import type { Arch } from '../../src/program/calls.ts';

/** Sizes to the byte: a change of the interpreter shows here. */
const SIZES: Record<Arch, number> = { 'x86-64': 760, arm64: 620 };
const LIMIT = 1536;
const HEADERS_SIZE = 232;

const DISASSEMBLERS: Record<Arch, readonly string[]> = {
  'x86-64': ['objdump', '-m', 'i386:x86-64'],
  arm64: ['aarch64-linux-gnu-objdump', '-m', 'aarch64'],
};

/** What the interpreter is made of; a mnemonic that is not here would be a mistake of the assembler. */
const MNEMONICS: Record<Arch, readonly string[]> = {
  'x86-64': [
    'add',
    'and',
    'bt',
    'cmp',
    'jae',
    'jb',
    'je',
    'jmp',
    'mov',
    'movzbl',
    'movzwl',
    'shl',
    'syscall',
    'test',
    'ud2',
  ],
  arm64: [
    ...['add', 'and', 'b', 'b.cc', 'b.eq', 'cbz', 'cmp', 'ldr', 'ldrb', 'ldrh', 'lsl', 'mov', 'movk', 'str', 'svc'],
    ...['tbnz', 'tbz', 'udf'],
  ],
};

for (const arch of ['x86-64', 'arm64'] as const) {
  t.test(`emitInit() for ${arch} has a known size below ${LIMIT} bytes`, (t) => {
    const image = emitInit({ arch, syncFd: 3 });
    t.equal(image.length, SIZES[arch]);
    t.ok(image.length < LIMIT);
    t.same(emitInit({ arch, syncFd: 3 }), image, 'the same options give the same bytes');
    t.equal(emitInit({ arch, syncFd: 65_535 }).length, image.length, 'the descriptor does not change the size');
    t.end();
  });

  const [tool = '', ...options] = DISASSEMBLERS[arch];
  t.test(`emitInit() for ${arch} has only known instructions`, { skip: reasonToSkip(tool) }, (t) => {
    const file = join(t.testdir(), 'code');
    writeFileSync(file, emitInit({ arch, syncFd: 3 }).subarray(HEADERS_SIZE));
    const listing = execFileSync(tool, ['-D', '-b', 'binary', ...options, file], { encoding: 'utf8' });
    const found = new Set([...listing.matchAll(/^ +[0-9a-f]+:\t[0-9a-f ]+\t(\S+)/gm)].map(([, name]) => name));
    t.same([...found].sort(), [...MNEMONICS[arch]].sort());
    t.notMatch(listing, /\(bad\)|undefined|\brex\b/);
    t.end();
  });

  t.test(`emitInit() for ${arch} has the segments that FORMAT.md draws`, { skip: reasonToSkip('readelf') }, (t) => {
    const file = join(t.testdir(), 'image');
    writeFileSync(file, emitInit({ arch, syncFd: 3 }));
    const text = execFileSync('readelf', ['-hlW', file], { encoding: 'utf8' });
    const size = `0x${SIZES[arch].toString(16).padStart(6, '0')}`;
    t.match(text, arch === 'arm64' ? 'AArch64' : 'Advanced Micro Devices X86-64');
    t.match(text, 'Entry point address:               0x4000e8');
    t.same(
      [...text.matchAll(/^ {2}(LOAD|GNU_STACK) .*$/gm)].map(([line]) => line.trim().replace(/ +/g, ' ')),
      [
        `LOAD 0x000000 0x0000000000400000 0x0000000000400000 ${size} ${size} R E 0x10000`,
        'LOAD 0x000000 0x0000000010100000 0x0000000010100000 0x000000 0x410000 RW 0x10000',
        'GNU_STACK 0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW 0x10',
      ],
    );
    t.end();
  });
}

function reasonToSkip(tool: string): string | false {
  return spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined ? false : `${tool} is not installed`;
}
