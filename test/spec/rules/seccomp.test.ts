import t from 'tap';
import type { Seccomp } from '../../../src/spec/generated/config.ts';
import { checkSeccompErrno, checkSeccompListener, checkSeccompNotify } from '../../../src/spec/rules/seccomp.ts';
import { checkRows } from './rows.ts';

const withSeccomp = (seccomp: Partial<Seccomp>) => ({
  linux: { seccomp: { defaultAction: 'SCMP_ACT_ALLOW' as const, ...seccomp } },
});
const base = '/linux/seccomp';

checkRows(t, checkSeccompErrno, {
  accepted: [
    {},
    withSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 38 }),
    withSeccomp({ syscalls: [{ names: ['a'], action: 'SCMP_ACT_TRACE', errnoRet: 1 }] }),
    withSeccomp({ syscalls: [{ names: ['a'], action: 'SCMP_ACT_KILL' }] }),
  ],
  refused: [
    [withSeccomp({ defaultErrnoRet: 1 }), `${base}/defaultErrnoRet`, '"SCMP_ACT_ALLOW" cannot return an error number'],
    [
      withSeccomp({ syscalls: [{ names: ['a'], action: 'SCMP_ACT_KILL', errnoRet: 1 }] }),
      `${base}/syscalls/0/errnoRet`,
      'cannot return an error number',
    ],
  ],
});

const notify = { names: ['mount'], action: 'SCMP_ACT_NOTIFY' as const };
checkRows(t, checkSeccompListener, {
  accepted: [
    {},
    withSeccomp({}),
    withSeccomp({ listenerPath: '/s', listenerMetadata: 'x', syscalls: [notify] }),
    { linux: { seccomp: { listenerPath: undefined, syscalls: [notify] } } },
  ],
  refused: [
    [withSeccomp({ listenerMetadata: 'x' }), `${base}/listenerMetadata`, 'without listenerPath'],
    [withSeccomp({ syscalls: [notify], listenerPath: '' }), `${base}/syscalls/0/action`, 'listenerPath is not set'],
  ],
});

checkRows(t, checkSeccompNotify, {
  accepted: [{}, withSeccomp({ syscalls: [notify, { names: ['write'], action: 'SCMP_ACT_LOG' }] })],
  refused: [
    [withSeccomp({ defaultAction: 'SCMP_ACT_NOTIFY' }), `${base}/defaultAction`, 'cannot be used as default action'],
    [
      withSeccomp({ syscalls: [{ ...notify, names: ['read', 'write'] }] }),
      `${base}/syscalls/0/action`,
      'cannot be used for the write syscall',
    ],
  ],
});
