import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { Bus } from '../../../src/sys/sd-bus/bus.ts';
import { splitSignature } from '../../../src/sys/sd-bus/values.ts';
import { missingTools } from '../../live/support/surroundings.ts';

t.test('splitSignature() gives the complete types', (t) => {
  const cases: [string, string[]][] = [
    ['', []],
    ['s', ['s']],
    ['ssa(sv)a(sa(sv))', ['s', 's', 'a(sv)', 'a(sa(sv))']],
    ['sba(sv)', ['s', 'b', 'a(sv)']],
    ['aas(i(u)x)t', ['aas', '(i(u)x)', 't']],
  ];
  for (const [signature, types] of cases) t.strictSame(splitSignature(signature), types, signature);
  t.end();
});

t.test(
  'calls, their failures and signals, with a bus of the test',
  { skip: missingTools('dbus-daemon') },
  async (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-bus-'));
    const address = `unix:path=${directory}/bus`;
    const daemon = spawn('dbus-daemon', ['--session', '--nofork', `--address=${address}`, '--print-address'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    t.teardown(() => {
      daemon.kill();
      rmSync(directory, { recursive: true });
    });
    await once(daemon.stdout, 'data');
    using bus = Bus.open('user', address);
    const name = 'org.freedesktop.DBus';
    const target = { destination: name, path: '/org/freedesktop/DBus', interface: name, member: 'GetNameOwner' };
    await t.rejects(bus.call(target, 's', ['org.example.Nobody']), {
      message: /^call GetNameOwner of org\.freedesktop\.DBus: .*org\.example\.Nobody/,
      busError: 'org.freedesktop.DBus.Error.NameHasNoOwner',
    });
    await bus.watch(`type='signal',interface='${name}',member='NameOwnerChanged'`);
    (await bus.call({ ...target, member: 'RequestName' }, 'su', ['org.example.Test', 0]))[Symbol.dispose]();
    using owner = await bus.call(target, 's', ['org.example.Test']);
    t.match(owner.readString(), /^:1\.\d+$/, 'an answer');
    let heard = false;
    // What came before the answers is still there; the bus has told this connection its own names as well.
    for (let left = 5; left > 0 && !heard; left--) {
      using message = await bus.nextMessage(10_000);
      heard = message?.isSignal(name, 'NameOwnerChanged') === true;
    }
    t.ok(heard, 'a signal');
  },
);

t.test('Bus.open() says which bus cannot be reached', (t) => {
  const open = (address: string | undefined) => (): void => {
    Bus.open('user', address)[Symbol.dispose]();
  };
  const message = /^connect to the user message bus: /;
  t.throws(open(undefined), { code: 'host', errno: 'ENOMEDIUM', message });
  t.throws(open('unix:path=/nowhere/bus'), { code: 'host', errno: 'ENOENT', message });
  // Versions of the library differ in what they make of it.
  t.throws(open('no address'), { code: 'host', errno: /^(EINVAL|ECONNREFUSED)$/, message });
  t.end();
});
