import t from 'tap';
import { explainUnfit, type Look } from '../../../src/plan/process/explain-unfit.ts';
import { findLoader, machineName, readFormat } from '../../../src/plan/process/executable-format.ts';
import { planLook, planSayUnfit } from '../../../src/plan/process/unfit.ts';
import { mayLook } from '../../../src/plan/seccomp/refusals.ts';
import { LOOK_BYTES } from '../../../src/plan/base/exchanges.ts';
import { printProgram } from '../../../src/program/print.ts';
import { verify } from '../../../src/program/model/verify.ts';
import { utf8 } from '../../../src/util/utf8.ts';

interface ElfOptions {
  readonly machine: number;
  readonly loader?: string;
  readonly bits?: 32 | 64;
  readonly isBig?: boolean;
  /** Where the headers lie, and where the loader is named. */
  readonly at?: number;
}

function elf({ machine, loader, bits = 64, isBig = false, at = 64 }: ElfOptions): Uint8Array {
  const bytes = new Uint8Array(at + 400);
  const view = new DataView(bytes.buffer);
  const isLittle = !isBig;
  bytes.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, isBig ? 2 : 1, 1]);
  view.setUint16(18, machine, isLittle);
  const [size, count] = [bits === 64 ? 56 : 32, 2];
  if (bits === 64) view.setBigUint64(32, BigInt(at), isLittle);
  else view.setUint32(28, at, isLittle);
  view.setUint16(bits === 64 ? 54 : 42, size, isLittle);
  view.setUint16(bits === 64 ? 56 : 44, count, isLittle);
  if (loader === undefined) return bytes;
  const header = at + size;
  view.setUint32(header, 3, isLittle);
  const place = at + 200;
  if (bits === 64) {
    view.setBigUint64(header + 8, BigInt(place), isLittle);
    view.setBigUint64(header + 32, BigInt(loader.length + 1), isLittle);
  } else {
    view.setUint32(header + 4, place, isLittle);
    view.setUint32(header + 16, loader.length + 1, isLittle);
  }
  bytes.set(utf8(`${loader}\0more`), place);
  return bytes;
}

/** Path -> what is there; what is missing is ENOENT. */
function lookAt(files: Readonly<Record<string, string | Uint8Array>>): Look {
  return ({ path, offset }) => {
    const file = files[path];
    if (file === undefined) return Promise.resolve(path.startsWith('/file/') ? 'ENOTDIR' : 'ENOENT');
    if (file === 'closed') return Promise.resolve('EACCES');
    const bytes = typeof file === 'string' ? utf8(file) : file;
    return Promise.resolve(bytes.subarray(offset, offset + LOOK_BYTES));
  };
}

const X86 = 62;

t.test('explainUnfit() says what a file lacks', async (t) => {
  const rows: readonly (readonly [files: Record<string, string | Uint8Array>, wanted: string | undefined])[] = [
    [{ '/p': '' }, 'ENOEXEC it is empty'],
    [{ '/p': 'text' }, 'ENOEXEC it is no program of Linux, and has no "#!" line'],
    [{ '/p': '\x7fELF' }, 'ENOEXEC it is no program of Linux, and has no "#!" line'],
    [{ '/p': '#!' }, 'ENOEXEC its "#!" line names no interpreter'],
    [{ '/p': '#! \t \n' }, 'ENOEXEC its "#!" line names no interpreter'],
    [{ '/p': '#!/none' }, 'ENOENT the interpreter of its "#!" line, "/none", is not in the rootfs'],
    [{ '/p': '#! \t/none\t-x y\nz' }, 'ENOENT the interpreter of its "#!" line, "/none", is not in the rootfs'],
    [{ '/p': '#!/file/x\n' }, 'ENOTDIR the interpreter of its "#!" line, "/file/x", leads through a file'],
    [{ '/p': '#!/sh\n', '/sh': elf({ machine: X86 }) }, undefined],
    [
      { '/p': '#!/sh\n', '/sh': elf({ machine: X86, loader: '/ld' }) },
      'ENOENT its interpreter "/sh": its dynamic loader, "/ld", is not in the rootfs',
    ],
    [{ '/p': '#!/p\n' }, undefined],
    [{ '/p': 'closed' }, undefined],
    [{}, undefined],
    [{ '/p': elf({ machine: X86, loader: '/ld' }) }, 'ENOENT its dynamic loader, "/ld", is not in the rootfs'],
    [
      { '/p': elf({ machine: X86, loader: '/file/ld' }) },
      'ENOTDIR its dynamic loader, "/file/ld", leads through a file',
    ],
    [{ '/p': elf({ machine: X86, loader: '/ld' }), '/ld': '' }, undefined],
    [
      { '/p': elf({ machine: X86, loader: '/ld', at: 5000 }) },
      'ENOENT its dynamic loader, "/ld", is not in the rootfs',
    ],
    [
      { '/p': elf({ machine: 3, bits: 32, loader: '/l32' }) },
      'ENOENT its dynamic loader, "/l32", is not in the rootfs',
    ],
    [{ '/p': elf({ machine: 183 }) }, 'ENOEXEC it is a program for arm64 (aarch64), and this machine is x86-64'],
    [{ '/p': elf({ machine: 22, isBig: true }) }, 'ENOEXEC it is a program for s390x, and this machine is x86-64'],
  ];
  for (const [files, wanted] of rows) {
    const found = await explainUnfit('/p', { look: lookAt(files), arch: 'x86-64' });
    t.equal(found && `${found.errno} ${found.why}`, wanted);
  }
});

t.test('explainUnfit() does not look for a name that is no UTF-8 by another', async (t) => {
  const look: Look = ({ path }) =>
    Promise.resolve(path === '/p' ? Uint8Array.of(0x23, 0x21, 0x2f, 0xff, 0x0a) : 'ENOENT');
  t.equal(await explainUnfit('/p', { look, arch: 'arm64' }), undefined);
});

t.test('readFormat() and findLoader() take any bytes', (t) => {
  let state = 1;
  const random = (): number => (state = (state * 48_271) % 0x7fff_ffff);
  for (let run = 0; run < 2000; run += 1) {
    const bytes = elf({ machine: X86, loader: '/ld', bits: run % 2 === 0 ? 64 : 32 });
    for (let change = 0; change < 20; change += 1) bytes[4 + (random() % 100)] = random() & 0xff;
    const head = bytes.subarray(0, random() % bytes.length);
    const format = readFormat(head);
    if (format.kind === 'elf') findLoader(bytes.subarray(random() % bytes.length), format);
  }
  t.equal(machineName(9999), 'machine 9999 of ELF');
  t.end();
});

t.test('planLook() and planSayUnfit() are programs of one packet that end as they should', (t) => {
  const look = planLook(3, { path: '/bin/x', offset: 64 });
  t.same(verify(look), []);
  t.match(printProgram(look), /openat\(AT_FDCWD, "\/bin\/x", O_CLOEXEC\|O_NOCTTY\|O_NONBLOCK|pread64/);
  const say = planSayUnfit('exec /x: no\n');
  t.same(verify(say), []);
  t.match(printProgram(say), /write\(2, what is wrong, 12\), accepts any errno[^]*exit_group\(1\)/);
  t.end();
});

t.test('mayLook() is true only where the filter lets all of it pass', (t) => {
  const ALLOW = 0x7fff_0000;
  const plan = (rules: readonly { syscall: string; action: number; conditions: [] }[], defaultAction = ALLOW) =>
    mayLook({ rules: { rules, defaultAction } } as unknown as Parameters<typeof mayLook>[0]);
  t.ok(mayLook(undefined));
  t.ok(plan([]));
  t.notOk(plan([{ syscall: 'openat', action: 0, conditions: [] }]));
  t.notOk(plan([{ syscall: 'pread64', action: 0x8000_0000, conditions: [] }]));
  t.notOk(plan([], 0x5_0001));
  t.end();
});
