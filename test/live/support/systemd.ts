import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Names of the units of the machine's systemd in which a text occurs, failed and inactive ones too; none where it does not run. */
export function listUnits(part: string): string[] {
  if (!existsSync('/run/systemd/system')) return [];
  const text = execFileSync('systemctl', ['list-units', '--all', '--plain', '--no-legend', '--no-pager'], {
    encoding: 'utf8',
  });
  return text.split('\n').filter((line) => line.includes(part));
}

/** A property of a unit, as `systemctl show` prints it. */
export function showUnit(unit: string, property: string): string {
  return execFileSync('systemctl', ['show', '--value', '--property', property, unit], { encoding: 'utf8' }).trim();
}
