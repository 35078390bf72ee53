import { call } from '../program/build.ts';
import type { Program } from '../program/step.ts';
import { CLONE_NEWUSER } from '../util/constants.ts';
import { reply, TAG } from './reply.ts';

/** A process that enters a new user namespace and holds it while the parent writes its id maps and opens it. */
export function planHoldUserNamespace(sync: number): Program {
  return {
    name: 'make a user namespace for an idmapped mount',
    replies: true,
    steps: [
      call('unshare', [CLONE_NEWUSER], { label: 'create user namespace', pointer: '/mounts' }),
      reply(sync, TAG.idMaps, 'wait for the id maps'),
    ],
  };
}
