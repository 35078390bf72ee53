import t from 'tap';
import { busAddresses } from '../../../../src/plan/cgroup/systemd/bus-addresses.ts';

const SYSTEM = 'unix:path=/run/dbus/system_bus_socket';

t.test('busAddresses() takes what is named, and the usual places otherwise', (t) => {
  const cases: [Record<string, string | undefined>, string, string | undefined][] = [
    [{}, SYSTEM, undefined],
    [{ XDG_RUNTIME_DIR: '/run/user/7' }, SYSTEM, 'unix:path=/run/user/7/bus'],
    [{ XDG_RUNTIME_DIR: '/run/user/7', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/a' }, SYSTEM, 'unix:path=/a'],
    [{ XDG_RUNTIME_DIR: '', DBUS_SESSION_BUS_ADDRESS: '', DBUS_SYSTEM_BUS_ADDRESS: '' }, SYSTEM, undefined],
    [{ DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/s', DBUS_SESSION_BUS_ADDRESS: undefined }, 'unix:path=/s', undefined],
    [{ XDG_RUNTIME_DIR: '/a b,ü' }, SYSTEM, 'unix:path=/a%20b%2c%c3%bc/bus'],
  ];
  for (const [environment, system, user] of cases) t.strictSame(busAddresses(environment), { system, user });
  t.end();
});
