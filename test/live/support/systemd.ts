import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { inSession, testUser } from './surroundings.ts';

/** Names of the units of the machine's systemd, and of the one of the session that the tests use, in which a text occurs, failed and inactive ones too; none where it does not run. */
export function listUnits(part: string): string[] {
  if (!existsSync('/run/systemd/system')) return [];
  const list = ['list-units', '--all', '--plain', '--no-legend', '--no-pager'];
  const session = testUser === undefined ? [] : [[...inSession(testUser), 'systemctl', '--user', ...list]];
  const texts = [['systemctl', ...list], ...session].map(([file = '', ...args]) =>
    execFileSync(file, args, { encoding: 'utf8' }),
  );
  return texts.flatMap((text) => text.split('\n')).filter((line) => line.includes(part));
}

/** A property of a unit, as `systemctl show` prints it. */
export function showUnit(unit: string, property: string): string {
  return execFileSync('systemctl', ['show', '--value', '--property', property, unit], { encoding: 'utf8' }).trim();
}
