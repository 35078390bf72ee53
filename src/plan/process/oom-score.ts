import { block, call } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from '../../util/constants.ts';
import { utf8 } from '../../util/utf8.ts';
import type { PlanContext } from '../base/context.ts';
import { withHandle } from '../base/with-handle.ts';

/**
 * config.md, "oomScoreAdj": written by the process that tsrun started, in the host's own mount namespace and before a user
 * namespace is entered, since lowering it takes a privilege of the host. It is inherited. An unprivileged tsrun,
 * the root of a user namespace included, goes on without, as runc does.
 */
export function planOomScore(context: PlanContext, process: Process | undefined): Step[] {
  const score = process?.oomScoreAdj;
  if (score === undefined) return [];
  const options = { label: `set oom_score_adj ${score}`, pointer: '/process/oomScoreAdj' };
  const text = utf8(String(score));
  const { euid, inUserNamespace } = context.host.identity;
  const tolerated = euid === 0 && !inUserNamespace ? {} : ({ accept: ['EACCES', 'EPERM'] } as const);
  const open = (result: Region): Step[] => [
    call('openat', [AT_FDCWD, '/proc/self/oom_score_adj', O_WRONLY | O_CLOEXEC, 0], {
      ...options,
      ...tolerated,
      result,
    }),
  ];
  return withHandle(context, { name: 'oom_score_adj', open, optional: true }, (file) => [
    call('write', [file, block(text, JSON.stringify(String(score))), text.length], { ...options, ...tolerated }),
  ]);
}
