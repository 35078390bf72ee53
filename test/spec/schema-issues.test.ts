import t from 'tap';
import { validateConfig, validateState } from '../../src/spec/validate.ts';

const base = { ociVersion: '1.3.0', root: { path: 'rootfs' } };
const process = { cwd: '/', args: ['sh'] };

/** A value, where it goes, and the one message it causes. */
const rows: readonly (readonly [pointer: string, config: object, message: string])[] = [
  ['', [], 'is [], wanted an object'],
  ['', { root: { path: 'a' } }, 'lacks the property "ociVersion"'],
  ['/ociVersion', { ...base, ociVersion: '1' }, 'is "1", wanted a semantic version such as "1.3.0"'],
  ['/ociVersion', { ...base, ociVersion: '1.0-rc1' }, 'is "1.0-rc1", wanted a semantic version such as "1.3.0"'],
  ['/ociVersion', { ...base, ociVersion: 1 }, 'is 1, wanted a string'],
  ['/root', { ...base, root: {} }, 'lacks the property "path"'],
  ['/root', { ...base, root: null }, 'is null, wanted an object'],
  ['/root/readonly', { ...base, root: { path: 'a', readonly: 'yes' } }, 'is "yes", wanted true or false'],
  ['/process', { ...base, process: { args: ['sh'] } }, 'lacks the property "cwd": Cwd property must not be empty'],
  ['/process/args', { ...base, process: { ...process, args: 'sh' } }, 'is "sh", wanted an array'],
  [
    '/process/oomScoreAdj',
    { ...base, process: { ...process, oomScoreAdj: 1001 } },
    'is 1001, wanted an integer between -1000 and 1000',
  ],
  [
    '/process/user/uid',
    { ...base, process: { ...process, user: { uid: 4294967295 } } },
    'is 4294967295, wanted an integer between 0 and 4294967294',
  ],
  [
    '/process/user/uid',
    { ...base, process: { ...process, user: { uid: 0.5 } } },
    'is 0.5, wanted an integer between 0 and 4294967294',
  ],
  [
    '/process/ioPriority/class',
    { ...base, process: { ...process, ioPriority: { class: 'RT' } } },
    'is "RT", wanted one of "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"',
  ],
  [
    '/process/execCPUAffinity/final',
    { ...base, process: { ...process, execCPUAffinity: { final: '0-' } } },
    'is "0-", wanted a list such as "0-3,7"',
  ],
  [
    '/hooks/poststop/0/timeout',
    { ...base, hooks: { poststop: [{ path: '/x', timeout: 0 }] } },
    'is 0, wanted an integer between 1 and 2147483647',
  ],
  ['/hooks/prestart/0/path', { ...base, hooks: { prestart: [{ path: 'x' }] } }, 'is "x", wanted an absolute path'],
  ['/annotations/a~1b', { ...base, annotations: { 'a/b': 1 } }, 'is 1, wanted a string'],
  [
    '/linux/namespaces/0/path',
    { ...base, linux: { namespaces: [{ type: 'ipc', path: 'a' }] } },
    'is "a", wanted an absolute path',
  ],
  [
    '/linux/maskedPaths/0',
    { ...base, linux: { maskedPaths: ['a'], namespaces: [{ type: 'mount' }] } },
    'is "a", wanted an absolute path',
  ],
  [
    '/linux/seccomp/syscalls/0/names',
    {
      ...base,
      linux: { seccomp: { defaultAction: 'SCMP_ACT_LOG', syscalls: [{ names: [], action: 'SCMP_ACT_LOG' }] } },
    },
    'is [], wanted at least 1 item',
  ],
  [
    '/linux/resources/memory/limit',
    { ...base, linux: { resources: { memory: { limit: 2n ** 63n } } } },
    'is 9223372036854775808, wanted an integer between -1 and 9223372036854775807',
  ],
  [
    '/linux/timeOffsets/boottime/secs',
    { ...base, linux: { namespaces: [{ type: 'time' }], timeOffsets: { boottime: { secs: -(2n ** 63n) - 1n } } } },
    'is -9223372036854775809, wanted an integer between -9223372036854775808 and 9223372036854775807',
  ],
];

t.test('findSchemaIssues() says what was found and what was wanted', (t) => {
  for (const [pointer, config, message] of rows) t.strictSame(validateConfig(config), [{ pointer, message }], pointer);
  t.end();
});

t.test('findSchemaIssues() takes BigInts at the very bounds', (t) => {
  const memory = { limit: 2n ** 63n - 1n, reservation: -1n };
  const rlimits = [{ type: 'RLIMIT_AS', soft: 0n, hard: 2n ** 64n - 1n }];
  const timeOffsets = { monotonic: { secs: -(2n ** 63n) } };
  const linux = { resources: { memory }, timeOffsets, namespaces: [{ type: 'time' }] };
  t.strictSame(validateConfig({ ...base, process: { ...process, rlimits }, linux }), []);
  t.equal(
    validateConfig({ ...base, process: { ...process, rlimits: [{ type: 'RLIMIT_AS', soft: 0, hard: 2 ** 64 }] } })
      .length,
    1,
  );
  t.end();
});

t.test('findSchemaIssues() knows the status of a state', (t) => {
  const state = { ociVersion: '1.3.0', id: 'a', status: 'paused', bundle: '/b', pid: 0 };
  t.strictSame(validateState(state), []);
  t.strictSame(validateState({ ...state, status: 'gone', pid: -1, bundle: 'b' }), [
    { pointer: '/status', message: 'is "gone", wanted one of "creating", "created", "running", "paused", "stopped"' },
    { pointer: '/pid', message: 'is -1, wanted an integer between 0 and 2147483647' },
    { pointer: '/bundle', message: 'is "b", wanted an absolute path' },
  ]);
  t.end();
});
