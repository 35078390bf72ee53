import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import { listOwnProcesses } from './support/leftovers.ts';
import { expectSuccess, live, readStatusField } from './support/rig.ts';
import { waitForEnd } from './support/wait.ts';

const PR_SET_CHILD_SUBREAPER = 36;

// As containerd's shim does: what its runtime leaves behind becomes a child of this process.
const libc = koffi.load('libc.so.6');
const prctl = libc.func('int prctl(int option, ulong argument, ulong b, ulong c, ulong d)') as (
  ...args: number[]
) => number;
const waitpid = libc.func('int waitpid(int pid, _Out_ int *status, int options)') as (
  ...args: [number, number[], number]
) => number;

/** Number -> what it leads to. */
function readDescriptors(pid: number): Map<number, string> {
  const numbers = readdirSync(`/proc/${pid}/fd`).map(Number);
  return new Map(numbers.sort((a, b) => a - b).map((fd) => [fd, readlinkSync(`/proc/${pid}/fd/${fd}`)]));
}

live('a container between create and start', async (t, rig) => {
  t.equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0, 'this process adopts');
  const { id, pid } = await rig.create(t, { args: 'echo started' });

  await t.test('its init is not tsrun: the executable is a sealed memfd', (t) => {
    t.match(readlinkSync(`/proc/${pid}/exe`), /^\/memfd:tsrun-init/);
    const image = readFileSync(`/proc/${pid}/exe`);
    t.equal(image.subarray(0, 4).toString('latin1'), '\x7fELF');
    t.ok(image.length < 4096, `${image.length} bytes`);
    t.comment(`init is an ELF file of ${image.length} bytes`);
    t.throws(
      () => readFileSync(`/proc/${pid}/exe`, { flag: 'r+' }),
      { code: /ETXTBSY|EPERM|EACCES/ },
      'nobody writes to it',
    );
    t.end();
  });

  await t.test('its init is a child of the caller, and nothing else of tsrun stays', (t) => {
    t.equal(Number(readStatusField(pid, 'PPid')), process.pid);
    t.strictSame(listOwnProcesses(rig.marks()), [pid]);
    t.end();
  });

  await t.test('its init holds less than 100 KB of memory of its own', (t) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]);
    const kilobytes = field('Private_Clean') + field('Private_Dirty');
    t.comment(`private memory: ${kilobytes} KB, Rss ${field('Rss')} KB`);
    t.ok(kilobytes > 0 && kilobytes < 100, `${kilobytes} KB`);
    t.equal(readStatusField(pid, 'Threads'), '1');
    t.end();
  });

  await t.test(
    'its init holds the standard descriptors, the socket on which it waits and the end of the sync pipe',
    (t) => {
      const links = readDescriptors(pid);
      t.ok([0, 1, 2].every((fd) => links.get(fd) === '/dev/null' || links.get(fd)?.startsWith(rig.directory) === true));
      const others = [...links].filter(([fd]) => fd > 2).map(([, link]) => link);
      t.strictSame(
        others.filter((link) => !link.startsWith('socket:')),
        [],
        'no file but the standard ones',
      );
      t.strictSame([...new Set(others)], others, 'each socket once');
      const sockets = readFileSync('/proc/net/unix', 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/ +/));
      const kinds = others.map((link) =>
        sockets
          .find((fields) => fields[6] === /\d+/.exec(link)?.[0])
          ?.slice(3, 5)
          .join(' '),
      );
      // Flags and type: SOCK_SEQPACKET both, one with __SO_ACCEPTCON.
      t.strictSame(kinds.sort(), ['00000000 0005', '00010000 0005'].slice(2 - kinds.length), 'one that listens');
      t.end();
    },
  );

  await t.test("nobody but the host's root may look into its init", async (t) => {
    t.match(readlinkSync(`/proc/${pid}/cwd`), '/');
    const { code } = await rig.start(['setpriv', '--reuid=65534', '--clear-groups', 'ls', `/proc/${pid}/fd`]).done;
    t.not(code, 0);
  });

  await t.test('start has it become the program', async (t) => {
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    const status: number[] = [0];
    t.equal(waitpid(pid, status, 0), pid, 'the caller reaps it');
    t.equal(status[0], 0, 'exit code 0');
    await waitForEnd(pid);
    t.equal((await rig.state(id)).status, 'stopped');
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('the exit code of a program that was created and started reaches the caller', async (t) => {
    const other = await rig.create(t, { args: 'exit 7' });
    expectSuccess(t, await rig.tsrun(['start', other.id]), 'start');
    const status: number[] = [0];
    t.equal(waitpid(other.pid, status, 0), other.pid);
    t.equal((status[0] ?? 0) >> 8, 7);
    await rig.delete(t, other.id);
  });

  await t.test('a hundred descriptors of the caller do not arrive', async (t) => {
    const crowd = await rig.start([
      'sh',
      '-c',
      'exec 4</etc/passwd 5</etc/group 9</proc/self/status; exec "$@"',
      'sh',
      ...rig.tsrunArgv(['create', '--bundle', rig.bundle(), rig.id('crowd')]),
    ]).done;
    expectSuccess(t, crowd, 'create');
    const id =
      rig
        .leftovers()
        .map((line) => /state directory .*\/(\S+)$/.exec(line)?.[1])
        .find((name) => name !== undefined) ?? '';
    const { pid } = await rig.state(id);
    t.strictSame(
      [...readDescriptors(pid).values()].filter((link) => link.startsWith('/etc') || link.startsWith('/proc')),
      [],
    );
    await rig.delete(t, id);
  });
  t.equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
});
