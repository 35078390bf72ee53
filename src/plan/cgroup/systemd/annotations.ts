import { configAnnotations } from '../../../spec/annotations.ts';
import { pointerTo } from '../../../spec/pointer.ts';
import type { Problems } from '../problems.ts';
import { parseGvariant } from './gvariant.ts';
import type { UnitProperty } from '../unit-property.ts';

const PREFIX = configAnnotations.unitProperty;
const US_PER_SECOND = 1_000_000;

/**
 * Annotations `org.systemd.property.NAME` -> properties of the container's unit, as runc and crun read them: the value is the text
 * of a GVariant, and `NameSec` is turned into `NameUSec` (man 5 systemd.directives has the former, D-Bus the latter).
 */
export function planAnnotatedProperties(
  annotations: Readonly<Record<string, string>>,
  problems: Problems,
): UnitProperty[] {
  return Object.entries(annotations).flatMap(([key, text]): UnitProperty[] => {
    if (!key.startsWith(PREFIX)) return [];
    const name = key.slice(PREFIX.length);
    const pointer = pointerTo('/annotations', key);
    if (!/^[A-Za-z]{3,}$/.test(name)) {
      problems.wrong(pointer, `is for ${JSON.stringify(name)}, wanted the name of a unit property`);
      return [];
    }
    const parsed = parseGvariant(text);
    if (parsed === undefined) {
      problems.wrong(pointer, `is ${JSON.stringify(text)}, wanted a value such as "true", "'text'" or "uint64 5"`);
      return [];
    }
    if (!name.endsWith('Sec') || name.endsWith('USec')) return [{ name, ...parsed }];
    if (typeof parsed.value !== 'bigint' && typeof parsed.value !== 'number') {
      problems.wrong(pointer, `is ${JSON.stringify(text)}, wanted a number of seconds`);
      return [];
    }
    const microseconds = BigInt(Math.round(Number(parsed.value) * US_PER_SECOND));
    return [{ name: `${name.slice(0, -'Sec'.length)}USec`, signature: 't', value: microseconds }];
  });
}
