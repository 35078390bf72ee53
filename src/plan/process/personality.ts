import { call } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { PersonalityDomain } from '../../spec/generated/config.ts';
import type { PlanContext } from '../base/context.ts';
import { PER_LINUX, PER_LINUX32 } from '../../util/constants.ts';

/** include/uapi/linux/personality.h: PER_LINUX and PER_LINUX32. */
const DOMAINS: Readonly<Record<PersonalityDomain, number>> = { LINUX: PER_LINUX, LINUX32: PER_LINUX32 };

/** config-linux.md, "Personality": personality(2). Its flags are ignored: the specification defines none so far. */
export function planPersonality({ config }: PlanContext): Step[] {
  const personality = config.linux?.personality;
  if (personality === undefined) return [];
  const { domain } = personality;
  return [
    call('personality', [DOMAINS[domain]], {
      label: `set personality ${JSON.stringify(domain)}`,
      pointer: '/linux/personality',
    }),
  ];
}
