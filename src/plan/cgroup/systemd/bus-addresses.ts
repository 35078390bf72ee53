import { utf8 } from '../../../util/utf8.ts';
import type { BusName } from './unit.ts';

/** Where the message buses are; undefined where that is not known. */
export type BusAddresses = Readonly<Record<BusName, string | undefined>>;

const SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket';

/** The addresses that whoever has this environment uses. Source: man 3 sd_bus_default, "ENVIRONMENT". */
export function busAddresses(environment: Readonly<Record<string, string | undefined>>): BusAddresses {
  const valueOf = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  const runtimeDirectory = valueOf('XDG_RUNTIME_DIR');
  const usual = runtimeDirectory === undefined ? undefined : `unix:path=${escapeValue(runtimeDirectory)}/bus`;
  return {
    system: valueOf('DBUS_SYSTEM_BUS_ADDRESS') ?? SYSTEM_BUS,
    user: valueOf('DBUS_SESSION_BUS_ADDRESS') ?? usual,
  };
}

/** Source: D-Bus Specification, "Server Addresses". */
function escapeValue(path: string): string {
  return path.replace(/[^-0-9A-Za-z_/.*\\]/gu, (character) =>
    [...utf8(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}
