import type { Test } from 'tap';
import { capabilityNumbers } from '../../src/util/capability-names.ts';
import { setNamespace, setUserNamespace } from '../live/support/namespaces.ts';
import { expectSuccess, live, readStatusField } from '../live/support/rig.ts';
import type { BaseConfig, Rig } from '../live/support/rig.ts';
import { waitFor } from '../live/support/wait.ts';
import { count } from './count.mjs';

/**
 * Looks for what enters, as fast as a shell can: the capabilities that it has, its mode of seccomp, and whether its memory can be
 * written, which takes the same right as to trace it. Memory that was opened is ours only where the name still is: between the two
 * looks the process may have become the program (execve holds the opening back until it has the new name).
 */
const SPY = `echo spying; while :; do for d in /proc/[0-9]*; do n=
while read -r k v; do case $k in Name:) n=$v;; CapPrm:) p=$v;; CapBnd:) b=$v;; Seccomp:) s=$v;; esac; done 2>/dev/null <$d/status
case $n in tsrun*) m=closed; (exec 9<>$d/mem) 2>/dev/null && { m=program; n=; read -r n <$d/comm; case $n in tsrun*) m=open;; esac; } 2>/dev/null
echo "SEEN $p $b $s $m";; esac
done; done`;

const OWN = ['CAP_KILL', 'CAP_SYS_PTRACE'];

/** Bits of a set, as /proc/PID/status shows them. */
function mask(names: readonly string[]): bigint {
  return names.reduce((bits, name) => bits | (1n << BigInt(capabilityNumbers.get(name) ?? 63)), 0n);
}

interface Sight {
  readonly permitted: bigint;
  readonly bounding: bigint;
  readonly seccomp: string;
  readonly memory: string;
}

function sightsOf(output: string): Sight[] {
  return [...output.matchAll(/^SEEN (\w+) (\w+) (\d) (\w+)$/gm)].map(([, permitted, bounding, seccomp, memory]) => ({
    permitted: BigInt(`0x${permitted ?? ''}`),
    bounding: BigInt(`0x${bounding ?? ''}`),
    seccomp: seccomp ?? '',
    memory: memory ?? '',
  }));
}

/** A container whose program may trace whatever it sees, and looks out. */
async function startSpy(t: Test, rig: Rig, change: (config: BaseConfig) => void = () => undefined) {
  const spy = await rig.create(t, {
    args: SPY,
    change: (config) => {
      config.process.capabilities = { bounding: OWN, effective: OWN, permitted: OWN };
      config.process.noNewPrivileges = false;
      change(config);
    },
  });
  expectSuccess(t, await rig.tsrun(['start', spy.id]), 'start');
  await waitFor(() => spy.result.readOutput().includes('spying'));
  return spy;
}

/** Until the spy has seen something, and some rounds more. */
async function provoke(
  spy: { readonly result: { readOutput(): string } },
  enter: () => Promise<void>,
): Promise<Sight[]> {
  for (let round = 0; round < 40; round++) {
    count('attacks tried');
    await enter();
    if (round >= 5 && sightsOf(spy.result.readOutput()).length > 3) break;
  }
  return sightsOf(spy.result.readOutput());
}

const NO_PRIVILEGES = (config: BaseConfig): void => {
  config.process.noNewPrivileges = true;
};
const FILTERED = (config: BaseConfig): void => {
  config.linux.seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mount'], action: 'SCMP_ACT_ERRNO' }],
  };
};

const ROWS = [
  { name: 'root', flags: [], change: NO_PRIVILEGES, more: [] },
  { name: 'another user', flags: ['--user', '1000:1000'], change: NO_PRIVILEGES, more: ['CAP_SETUID', 'CAP_SETGID'] },
  {
    name: 'root, with a filter and no_new_privs',
    flags: [],
    more: [],
    change: (config: BaseConfig): void => {
      NO_PRIVILEGES(config);
      FILTERED(config);
    },
  },
  { name: 'root, with a filter alone', flags: [], change: FILTERED, more: ['CAP_SYS_ADMIN'] },
] as const;

live('a process of the container with CAP_SYS_PTRACE looks at what enters it (CVE-2016-9962)', async (t, rig) => {
  for (const { name, flags, change, more } of ROWS) {
    await t.test(`exec as ${name}`, async (t) => {
      const spy = await startSpy(t, rig, change);
      const sights = await provoke(spy, async () => {
        expectSuccess(t, await rig.tsrun(['exec', ...flags, spy.id, 'true']), 'exec');
      });
      t.comment(`${sights.length} sights`);
      t.ok(sights.length > 0, 'it was seen');
      const allowed = mask([...OWN, ...more]);
      for (const { permitted, bounding } of sights) {
        t.equal(permitted & ~allowed, 0n, `permitted ${permitted.toString(16)}`);
        t.equal(bounding, mask(OWN), 'the bounding set is that of the program');
      }
      await rig.delete(t, spy.id);
    });
  }

  await t.test('exec into a user namespace', async (t) => {
    const spy = await startSpy(t, rig, (config) => {
      setUserNamespace(config);
    });
    const sights = await provoke(spy, async () => {
      expectSuccess(t, await rig.tsrun(['exec', spy.id, 'true']), 'exec');
    });
    t.ok(sights.length > 0, 'it was seen');
    for (const { memory } of sights) t.not(memory, 'open', 'its memory is that of a program of the host');
    t.ok(
      sights.some(({ memory }) => memory === 'closed'),
      'and was looked at',
    );
    await rig.delete(t, spy.id);
  });

  await t.test('create into its pid namespace', async (t) => {
    const spy = await startSpy(t, rig);
    const bundle = rig.bundle({
      change: (config) => {
        setNamespace(config, 'pid', { path: `/proc/${spy.pid}/ns/pid` });
      },
    });
    const sights = await provoke(spy, async () => {
      expectSuccess(t, await rig.tsrun(['run', '--bundle', bundle, rig.id('beside')]), 'run');
    });
    t.ok(sights.length > 0, 'it was seen');
    const never = mask([
      'CAP_SYS_MODULE',
      'CAP_SYS_RAWIO',
      'CAP_SYS_BOOT',
      'CAP_SYS_TIME',
      'CAP_SYS_PTRACE',
      'CAP_BPF',
    ]);
    const held = BigInt(`0x${readStatusField('self', 'CapPrm')}`);
    t.not(held & never, 0n, 'tsrun itself has some of them');
    const template = mask(['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']);
    for (const { permitted, bounding } of sights) {
      t.equal(permitted & never, 0n, `permitted ${permitted.toString(16)}`);
      t.equal(bounding, template & held, 'the bounding set is that of the program');
    }
    await rig.delete(t, spy.id);
  });
});
