import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { removeNamespace } from './support/namespaces.ts';
import { expectFailure, expectSuccess, live, type BaseConfig } from './support/rig.ts';
import { isRunning, waitFor, waitForEnd } from './support/wait.ts';

/** Containers without a pid namespace of their own, whose processes outlive their first one. */
live('without a pid namespace', async (t, rig) => {
  const change = (config: BaseConfig): void => {
    removeNamespace(config, 'pid');
  };
  /** A container whose first process waits for its child, or ends at once and leaves it. */
  const withChild = async (t: Test, end: 'wait' | 'exit 0'): Promise<{ id: string; pid: number; child: number }> => {
    const { id, pid, result } = await rig.create(t, { args: `sleep 1000 & echo $!; ${end}`, change });
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    await waitFor(() => result.readOutput().includes('\n'));
    if (end !== 'wait') await rig.waitForStatus(id, 'stopped');
    const child = Number(result.readOutput());
    t.ok(isRunning(child), 'the child runs');
    return { id, pid, child };
  };

  await t.test('delete ends what the first process has left', async (t) => {
    const { id, child } = await withChild(t, 'exit 0');
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
    t.notOk(isRunning(child));
    t.strictSame(rig.leftovers(), []);
  });

  await t.test('kill KILL ends all of it, not only the first process', async (t) => {
    const { id, pid, child } = await withChild(t, 'wait');
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    for (const one of [pid, child]) await waitForEnd(one);
    t.equal((await rig.state(id)).status, 'stopped');
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
  });

  await t.test('kill KILL ends what the first process has left', async (t) => {
    const { id, child } = await withChild(t, 'exit 0');
    expectFailure(t, await rig.tsrun(['kill', id, 'TERM']), { message: /container not running/ });
    t.ok(isRunning(child));
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await waitForEnd(child);
    expectFailure(t, await rig.tsrun(['kill', id, 'KILL']), { message: /container not running/ });
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
  });
});

live('what ends a container, and what does not', async (t, rig) => {
  await t.test('kill WINCH leaves a created container created', async (t) => {
    const { id, pid } = await rig.create(t, { args: ['sleep', '1000'] });
    expectSuccess(t, await rig.tsrun(['kill', id, 'WINCH']), 'kill');
    t.equal((await rig.state(id)).status, 'created');
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    t.ok(isRunning(pid));
    await rig.delete(t, id);
  });

  await t.test('kill --all of a stopped container without a cgroup succeeds', async (t) => {
    const global = ['--cgroup-manager', 'disabled'];
    const id = rig.id('stopped');
    expectSuccess(t, await rig.tsrun(['create', '--bundle', rig.bundle(), id], { global }), 'create');
    expectSuccess(t, await rig.tsrun(['start', id], { global }), 'start');
    await rig.waitForStatus(id, 'stopped');
    expectSuccess(t, await rig.tsrun(['kill', '--all', id, 'KILL'], { global }), 'kill --all');
    expectFailure(t, await rig.tsrun(['kill', id, 'KILL'], { global }), { message: /container not running/ });
    expectSuccess(t, await rig.tsrun(['delete', id], { global }), 'delete');
  });

  await t.test('a poststop hook finds no state directory, however its name is spelled', async (t) => {
    for (const spelling of ['poststop', String.raw`p\u006fststop`]) {
      const id = rig.id('last');
      const place = rig.fresh('place');
      mkdirSync(place, { mode: 0o777 });
      const report = path.join(place, 'report');
      const look = `if [ -e ${path.join(rig.root, id)} ]; then echo there; else echo gone; fi > ${report}`;
      const bundle = rig.bundle({
        change: (config) => (config.hooks = { poststop: [{ path: '/bin/sh', args: ['sh', '-c', look] }] }),
        text: (config) => JSON.stringify(config).replace('"poststop"', `"${spelling}"`),
      });
      expectSuccess(t, await rig.tsrun(['create', '--bundle', bundle, id]), 'create');
      expectSuccess(t, await rig.tsrun(['start', id]), 'start');
      await rig.waitForStatus(id, 'stopped');
      t.notOk(existsSync(report), 'not before it is deleted');
      expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
      t.equal(readFileSync(report, 'utf8'), 'gone\n', spelling);
    }
  });

  const skip = process.arch === 'x64' ? false : 'has a program for x86-64';
  await t.test('a program whose first thread ends while another runs has not stopped', { skip }, async (t) => {
    const { id, pid } = await rig.create(t, {
      args: ['/threads'],
      fill: (rootfs) => {
        writeFileSync(path.join(rootfs, 'threads'), twoThreads(), { mode: 0o755 });
      },
    });
    expectSuccess(t, await rig.tsrun(['start', id]), 'start');
    await waitFor(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
    t.match(await rig.state(id), { status: 'running', pid });
    expectFailure(t, await rig.tsrun(['delete', id]), { message: 'that is not stopped: running' });
    expectSuccess(t, await rig.tsrun(['kill', id, 'KILL']), 'kill');
    await rig.waitForStatus(id, 'stopped');
    expectSuccess(t, await rig.tsrun(['delete', id]), 'delete');
  });
});

/** A static ELF64 program for x86-64: its first thread makes another, which waits for ever, and ends. */
function twoThreads(): Buffer {
  const HEADERS = 64 + 56;
  const code = Buffer.from(
    [
      // clone(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, rsp - 4096, 0, 0, 0)
      'b838000000 bf000f0500 488db42400f0ffff 31d2 4d31d2 4d31c0 0f05',
      // test eax, eax; jz over exit(0)
      '85c0 7409 b83c000000 31ff 0f05',
      // pause(), again and again
      'b822000000 0f05 ebf7',
    ]
      .join('')
      .replaceAll(' ', ''),
    'hex',
  );
  const base = 0x40_0000n;
  const bytes = Buffer.concat([Buffer.alloc(HEADERS), code]);
  // e_ident: 64 bits, little endian, version 1; ET_EXEC, EM_X86_64.
  bytes.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(base + BigInt(HEADERS), 24);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  // PT_LOAD, read and execute, all of the file.
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(5, 68);
  bytes.writeBigUInt64LE(base, 80);
  bytes.writeBigUInt64LE(base, 88);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 96);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 104);
  bytes.writeBigUInt64LE(4096n, 112);
  return bytes;
}
