import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import { utf8 } from '../../util/utf8.ts';
import type { PlanContext } from '../base/context.ts';

/** config.md, "Hostname" and "Domainname". Sets what the config gives; needs to be in the container's UTS namespace. */
export function planUts({ config: { hostname, domainname } }: PlanContext): Step[] {
  return [
    ...setName('sethostname', { what: 'hostname', name: hostname }),
    ...setName('setdomainname', { what: 'domainname', name: domainname }),
  ];
}

interface Name {
  readonly what: 'hostname' | 'domainname';
  readonly name: string | undefined;
}

function setName(callName: 'sethostname' | 'setdomainname', { what, name }: Name): Step[] {
  // Some callers write an empty name where they mean none.
  if (name === undefined || name === '') return [];
  return [
    call(callName, [name, utf8(name).length], { label: `set ${what} ${JSON.stringify(name)}`, pointer: `/${what}` }),
  ];
}
