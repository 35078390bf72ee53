import { isNegative, when } from '../../program/build.ts';
import type { Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import { O_NOCTTY, O_NONBLOCK, O_RDONLY } from '../../util/constants.ts';
import type { PlanContext } from '../base/context.ts';
import { needsHome } from './environment.ts';
import { openInRoot } from '../base/handles.ts';
import { reply, replyWithDescriptors } from '../base/reply.ts';
import { withHandle } from '../base/with-handle.ts';

/**
 * Hands the container's /etc/passwd to the parent, opened so that a FIFO or a terminal in its place does no harm. Without
 * the file the reply comes alone. No steps when the environment names a home already.
 */
export function planPasswd(context: PlanContext, process: Process): Step[] {
  if (!needsHome(process)) return [];
  const label = 'hand over /etc/passwd';
  const options = {
    label: 'open /etc/passwd',
    access: O_RDONLY | O_NONBLOCK | O_NOCTTY,
    // Missing, a symlink to nowhere, closed to this user: a program without a home starts all the same.
    accept: 'any',
  } as const;
  const tellMissing = [reply(context.descriptors.sync, 'passwd', 'tell that there is no /etc/passwd')];
  return withHandle(
    context,
    {
      name: 'passwd',
      open: (file) => [...openInRoot(context, '/etc/passwd', file, options), ...when(isNegative(file), tellMissing)],
      optional: true,
    },
    (file) => replyWithDescriptors(context.descriptors, 'passwd', label, [file]),
  );
}
