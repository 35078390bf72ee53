import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Capabilities, Rlimit } from '../../src/spec/generated/config.ts';
import { put, type BaseConfig } from '../harness/bundle.ts';
import type { Case } from '../harness/case.ts';
import { equal, match, skipUnless } from '../harness/check.ts';
import { readLimits } from '../harness/probe.ts';
import { section, type Requirement } from '../harness/requirement.ts';

/** config.md, "Process" and its parts. */

const { must } = section('config.md', 'Process');
const posix = section('config.md', 'POSIX process');
const linux = section('config.md', 'Linux Process');
const user = section('config.md', 'POSIX-platform User');

const basic: readonly Requirement[] = [
  must('process.cwd', 'the program starts in cwd', async (c) => {
    equal(await c.observe('pwd', (config) => (config.process.cwd = '/etc')), '/etc', 'pwd');
  }),
  must('process.cwd.relative', 'a relative cwd is an error', (c) =>
    c.refuses('a relative cwd', (config) => (config.process.cwd = 'etc')),
  ),
  must('process.env', 'the environment is that of the config', async (c) => {
    const found = await c.observe(
      'env | sort',
      (config) => (config.process.env = ['PATH=/bin', 'A=b', 'EMPTY=', 'C=d=e']),
    );
    const lines = found.split('\n');
    for (const line of ['A=b', 'EMPTY=', 'C=d=e', 'PATH=/bin'])
      equal(lines.includes(line), true, `${line} is in ${found}`);
  }),
  must('process.args', 'the program gets the arguments of the config', async (c) => {
    const args = ['/bin/sh', '-c', 'for a in "$0" "$@"; do echo "<$a>"; done', 'one', '', 'two words', 'ä*'];
    const found = await c.observe('', (config) => (config.process.args = args));
    equal(found, '<one>\n<>\n<two words>\n<ä*>', 'arguments');
  }),
  must('process.args.path', 'a program without a slash is looked for in PATH of its environment', async (c) => {
    const found = await c.observe('', (config, rootfs) => {
      mkdirSync(path.join(rootfs, 'else'));
      config.mounts.push({ destination: '/else', type: 'bind', source: path.join(rootfs, 'bin'), options: ['bind'] });
      config.process.env = ['PATH=/nothing:/else'];
      config.process.args = ['sh', '-c', 'echo found'];
    });
    equal(found, 'found', 'output');
  }),
  must('process.console-size', 'consoleSize without a terminal is ignored', async (c) => {
    const found = await c.observe('echo up', (config) => (config.process.consoleSize = { height: 10, width: 20 }));
    equal(found, 'up', 'output');
  }),
  must('process.args.empty', 'args without an entry are an error', (c) =>
    c.refuses('empty args', (config) => (config.process.args = []), { at: 'create or start' }),
  ),
];

const identity: readonly Requirement[] = [
  user.must('user.uid', 'the program runs as the user', async (c) => {
    equal(await c.observe('id -u', (config) => (config.process.user = { uid: 1234, gid: 0 })), '1234', 'uid');
  }),
  user.must('user.gid', 'the program runs as the group', async (c) => {
    equal(await c.observe('id -g', (config) => (config.process.user = { uid: 0, gid: 4321 })), '4321', 'gid');
  }),
  user.must('user.umask', 'the program starts with the umask', async (c) => {
    const change = (config: BaseConfig): void => {
      config.process.user = { uid: 0, gid: 0, umask: 0o027 };
    };
    equal(await c.observe('umask', change), '0027', 'umask');
  }),
  user.must('user.additional-gids', 'the program has the additional groups', async (c) => {
    const change = (config: BaseConfig): void => {
      config.process.user = { uid: 0, gid: 7, additionalGids: [11, 22] };
    };
    const groups = (await statusField(c, 'Groups', change)).split(/\s+/).filter((group) => group !== '7');
    equal(groups, ['11', '22'], 'Groups');
  }),
  user.must('user.no-groups', 'the program has no groups of the runtime', async (c) => {
    const change = (config: BaseConfig): void => {
      config.process.user = { uid: 5, gid: 7 };
    };
    const groups = (await statusField(c, 'Groups', change)).split(/\s+/).filter((group) => !['', '7'].includes(group));
    equal(groups, [], 'Groups');
  }),
  user.must('user.uid.invalid', 'a uid that is no number is an error', (c) =>
    c.refuses('a uid that is text', (config) => {
      put(config.process, { user: { uid: 'root', gid: 0 } });
    }),
  ),
];

const SETS: readonly (readonly [set: keyof Capabilities, field: string])[] = [
  ['bounding', 'CapBnd'],
  ['effective', 'CapEff'],
  ['permitted', 'CapPrm'],
  ['inheritable', 'CapInh'],
  ['ambient', 'CapAmb'],
];

/** CAP_CHOWN (0), CAP_KILL (5), CAP_NET_BIND_SERVICE (10). */
const CAPABILITIES = ['CAP_CHOWN', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];
const MASK = (1 << 0) | (1 << 5) | (1 << 10);

/** Sets that the kernel allows for a program that is not root: each is part of the next. */
function capabilitiesUpTo(set: keyof Capabilities, names: string[]): Capabilities {
  const order = ['bounding', 'permitted', 'effective', 'inheritable', 'ambient'] as const;
  return Object.fromEntries(order.slice(0, order.indexOf(set) + 1).map((name) => [name, names]));
}

const capabilities: readonly Requirement[] = [
  ...SETS.map(([set, field]) =>
    linux.must(`capabilities.${set}`, `the ${set} capabilities are those of the config`, async (c) => {
      const found = await statusField(c, field, (config) => {
        config.process.capabilities = capabilitiesUpTo(set, CAPABILITIES);
        // For root the kernel would add to the sets at execve; a program of somebody else keeps only ambient ones.
        if (set === 'ambient') config.process.user = { uid: 1000, gid: 1000 };
      });
      equal(Number.parseInt(found, 16), MASK, field);
    }),
  ),
  ...SETS.map(([set, field]) =>
    linux.must(`capabilities.${set}.empty`, `without ${set} capabilities a program has none`, async (c) => {
      const found = await statusField(c, field, (config) => {
        config.process.capabilities = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
      });
      equal(Number.parseInt(found, 16), 0, field);
    }),
  ),
  linux.must(
    'capabilities.absent',
    'a config without capabilities grants none',
    async (c) => {
      equal(Number.parseInt(await statusField(c, 'CapEff', () => undefined), 16), 0, 'CapEff');
    },
    {
      disputed:
        'the section leaves open what a config without the object means: runc before 1.3, crun and tsrun grant none, runc since 1.3 all that it has itself',
    },
  ),
  linux.should('capabilities.unknown', 'a capability that the kernel does not know is no error', async (c) => {
    const found = await c.observe('echo up', (config) => {
      config.process.capabilities = { bounding: [...CAPABILITIES, 'CAP_OF_THE_FUTURE'] };
    });
    equal(found, 'up', 'output');
  }),
  linux.must('capabilities.unknown.others', 'the other capabilities beside an unknown one are granted', async (c) => {
    const found = await statusField(c, 'CapBnd', (config) => {
      config.process.capabilities = { bounding: [...CAPABILITIES, 'CAP_OF_THE_FUTURE'] };
    });
    equal(Number.parseInt(found, 16), MASK, 'CapBnd');
  }),
];

type RlimitType = Rlimit['type'];

const LIMITS: readonly (readonly [type: RlimitType, name: string, soft: number, hard: number])[] = [
  ['RLIMIT_AS', 'Max address space', 2 ** 40, 2 ** 41],
  ['RLIMIT_CORE', 'Max core file size', 0, 4096],
  ['RLIMIT_CPU', 'Max cpu time', 3600, 7200],
  ['RLIMIT_DATA', 'Max data size', 2 ** 40, 2 ** 41],
  ['RLIMIT_FSIZE', 'Max file size', 2 ** 30, 2 ** 31],
  ['RLIMIT_LOCKS', 'Max file locks', 100, 200],
  ['RLIMIT_MEMLOCK', 'Max locked memory', 4096, 8192],
  ['RLIMIT_MSGQUEUE', 'Max msgqueue size', 4096, 8192],
  ['RLIMIT_NICE', 'Max nice priority', 0, 0],
  ['RLIMIT_NOFILE', 'Max open files', 512, 1024],
  ['RLIMIT_NPROC', 'Max processes', 5000, 6000],
  ['RLIMIT_RSS', 'Max resident set', 2 ** 30, 2 ** 31],
  ['RLIMIT_RTPRIO', 'Max realtime priority', 0, 0],
  ['RLIMIT_RTTIME', 'Max realtime timeout', 1_000_000, 2_000_000],
  ['RLIMIT_SIGPENDING', 'Max pending signals', 100, 200],
  ['RLIMIT_STACK', 'Max stack size', 4_194_304, 8_388_608],
];

const limits: readonly Requirement[] = [
  ...LIMITS.map(([type, name, soft, hard]) =>
    posix.must(`rlimit.${type}`, `${type} has the soft and hard value of the config`, async (c) => {
      const [, highest = 0] = readLimits().get(name) ?? [];
      skipUnless(highest < 0 || highest >= hard, `the machine's hard ${type} is ${highest}`);
      const found = await c.observe(
        'cat /proc/self/limits',
        (config) => (config.process.rlimits = [{ type, soft, hard }]),
      );
      equal(readLimits(found).get(name), [soft, hard], name);
    }),
  ),
  posix.must(
    'rlimit.duplicate',
    'two entries of one type are an error',
    (c) =>
      c.refuses('two entries for RLIMIT_CORE', (config) => {
        const entry: Rlimit = { type: 'RLIMIT_CORE', soft: 0, hard: 0 };
        config.process.rlimits = [entry, { ...entry }];
      }),
    { says: 'An array with two entries of the same type has no meaning, and the runtime is told to give an error.' },
  ),
  posix.must('rlimit.unknown', 'an unknown type is an error', (c) =>
    c.refuses('RLIMIT_NONSENSE', (config) => {
      put(config.process, { rlimits: [{ type: 'RLIMIT_NONSENSE', soft: 0, hard: 0 }] });
    }),
  ),
  posix.must('rlimit.soft-above-hard', 'a soft value above the hard one is an error', (c) =>
    c.refuses('soft above hard', (config) => (config.process.rlimits = [{ type: 'RLIMIT_CORE', soft: 2, hard: 1 }])),
  ),
];

const rest: readonly Requirement[] = [
  linux.must('no-new-privileges.on', 'noNewPrivileges sets no_new_privs', async (c) => {
    equal(await statusField(c, 'NoNewPrivs', (config) => (config.process.noNewPrivileges = true)), '1', 'NoNewPrivs');
  }),
  linux.must('no-new-privileges.off', 'without noNewPrivileges no_new_privs is not set', async (c) => {
    equal(await statusField(c, 'NoNewPrivs', (config) => (config.process.noNewPrivileges = false)), '0', 'NoNewPrivs');
  }),
  linux.must('oom-score-adj', 'oomScoreAdj is set', async (c) => {
    const found = await c.observe('cat /proc/self/oom_score_adj', (config) => (config.process.oomScoreAdj = 321));
    equal(found, '321', 'oom_score_adj');
  }),
  linux.must('oom-score-adj.absent', 'without oomScoreAdj the value stays', async (c) => {
    const under = ['sh', '-c', 'echo 123 > /proc/self/oom_score_adj; exec "$@"', 'sh'];
    const { container, result } = await c.tryCreate({ script: 'cat /proc/self/oom_score_adj', under });
    equal(result.code, 0, `create: ${result.stderr}`);
    await container.start();
    await container.waitForEnd();
    equal(container.output().trim(), '123', 'oom_score_adj');
  }),
  linux.must('scheduler.batch', 'the scheduling policy is that of the config', async (c) => {
    const found = await c.observe('cat /proc/self/sched', (config) => {
      put(config.process, { scheduler: { policy: 'SCHED_BATCH', nice: 5 } });
    });
    match(found, /^policy\s*:\s*3$/m, 'policy in /proc/self/sched');
  }),
  linux.must('scheduler.invalid', 'an unknown scheduling policy is an error', (c) =>
    c.refuses('SCHED_NONSENSE', (config) => {
      put(config.process, { scheduler: { policy: 'SCHED_NONSENSE' } });
    }),
  ),
  linux.must('io-priority.invalid', 'an unknown I/O priority class is an error', (c) =>
    c.refuses('IOPRIO_CLASS_NONSENSE', (config) => {
      put(config.process, { ioPriority: { class: 'IOPRIO_CLASS_NONSENSE', priority: 1 } });
    }),
  ),
  linux.must('io-priority', 'the I/O priority is that of the config', async (c) => {
    const container = await c.start({
      script: 'echo up; while :; do sleep 1; done',
      change: (config) => {
        put(config.process, { ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 } });
      },
    });
    await container.waitForOutput('up');
    match(await c.prepare('ionice', '-p', String(container.pid)), /best-effort: prio 6/, 'ionice');
  }),
];

async function statusField(
  c: Case,
  name: string,
  change: (config: BaseConfig, rootfs: string) => void,
): Promise<string> {
  const status = await c.observe('cat /proc/self/status', change);
  return new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? 'no such field';
}

export const processRequirements: readonly Requirement[] = [...basic, ...identity, ...capabilities, ...limits, ...rest];
