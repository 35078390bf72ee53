import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { findLeftovers } from './support/leftovers.ts';
import { live, type Rig } from './support/rig.ts';
import { needsRoot, nodeScript, tsrunFile } from './support/surroundings.ts';
import { Terminal } from './support/terminal.ts';
import { waitFor } from './support/wait.ts';

const bundles = fileURLToPath(new URL('../../bundles/', import.meta.url));

/** Of start.mjs and lib.sh: something that the demonstration needs is not on this machine, and it has said what. */
const NOT_HERE = 77;
const TIMEOUT_MS = 60_000;

/** Demonstration -> what it shows of the host and of its containers, in this order. */
const SHOWN: Readonly<Record<string, readonly RegExp[]>> = {
  default: [
    /pid +1, the first/,
    /hostname +tsrun/,
    /\/usr +the host's, read-only/,
    /\n {2}1 +sh \/show.sh/,
    /pid +pid:\[\d+\] +the host has pid:\[\d+\]/,
    /user +user:\[\d+\], which is the host's/,
    /\/proc\/keys +- +masked/,
    /Try next: /,
  ],
  chroot: [
    /host # chroot tree .*\n +bin dev etc/,
    /(pid:\[\d+\])\n.*demo\.sh[\s\S]*?host # readlink .*\n +\1/,
    /chroot tree sh -c 'cd \/proc\/\d+\/root; echo \*'\n.*\busr\b/,
    /box # [^\n]*\n +pid:\[\d+\]\n.*\n +1 sleep 100\n +bin dev etc(?!.*usr)/,
    /host # uname -r\n +(\S+)\n\n +box # uname -r\n +\1\n/,
    /started, ran and removed in \d+ ms/,
  ],
  namespaces: [
    ...['cgroup', 'ipc'].map((kind) => new RegExp(`${kind} +(\\[\\d+\\]) +(?!\\1)(\\[\\d+\\]) +\\1 +\\1`)),
    /mnt +(\[\d+\]) +(?!\1)(\[\d+\]) +(?!\1|\2)(\[\d+\]) +(?!\1|\2|\3)\[\d+\]/,
    ...['net', 'pid'].map((kind) => new RegExp(`${kind} +(\\[\\d+\\]) +(?!\\1)(\\[\\d+\\]) +\\1 +\\2`)),
    ...['time', 'user'].map((kind) => new RegExp(`${kind} +(\\[\\d+\\]) +(?!\\1)(\\[\\d+\\]) +\\1 +\\1`)),
    /uts +(\[\d+\]) +(?!\1)(\[\d+\]) +\1 +\2/,
    /own # .*\n +net:\[\d+\]\n +pid:\[\d+\]\n +[3-9]\d{7}\n/,
  ],
  pid1: [
    /process 1 is still: Name:\tsh/,
    /kill plain TERM.*\n +"status": "running"/,
    /TERM: the handler ran/,
    /\d+ +1 SN? +sleep/,
    /\d+ +1 ZN? +sleep/,
    /tsrun ps plain \| wc -l\n +1\n/,
  ],
  mounts: [
    /box # [^\n]*\n +only here\n +1\n[\s\S]*?host # .*\n +0\n +0\n/,
    /shared: seen\n +slave: seen\n +private: not there\n +unbindable: not there/,
    /shared: 1\n +slave: 0\n +private: 0\n +unbindable: 0/,
    /private: bound\n.*\/unbindable.*failed: Invalid argument/,
  ],
  'ipc-uts': [
    /own # hostname.*\n +inside\n +changed\n/,
    /host # hostname\n +(?!changed)\S+\n/,
    /name of the host is what it was/,
    /Shared memory id: \d+\n +1\n[\s\S]*?own # .*\n +0\n[\s\S]*?tsrun run shared\n +1\n/,
    /own # touch .*\n +jobs\n +QSIZE/,
    /ls queues \| wc -l\n +0\n/,
  ],
  users: [
    /low # .*\n +0\n +0 +100000 +65536\n +0:0 \/port\/of-low/,
    /high # .*\n +0:0 \/port\/of-high\n +65534:65534 \/port\/of-low/,
    /200000:200000 port\/of-high\n +0:0 port\/of-host\n +100000:100000 port\/of-low/,
    /100000 sleep 100\n +200000 sleep 100/,
    /rm \/bin\/busybox\n +rm: can't remove/,
    /uid_map\n.*Operation not permitted/,
    /(run rootless\n +1000\n +0\n +0 +1000 +1\n|Not shown: user 1000)/,
  ],
  join: [
    /web # .*\n((?: +[a-z]+:\[\d+\]\n){5})\n +host # .*\n\1/,
    /tsrun run side\n +net:\[\d+\]\n.*\n +1 sleep 100/,
    /setns\(.*CLONE_NEWNET\)[\s\S]*setns\(.*CLONE_NEWPID\)[\s\S]*clone3\(/,
  ],
  networks: [
    /tsrun run --network none links\n +lo *\n/,
    /tsrun run --network host links\n +dummy1 dummy2 lo/,
    /--detach --network bridge --publish 8080:80 web/,
    /tsrun0 +UP +10\.87\.0\.1\/22.*\n +tsrun[0-9a-f]{8}.*\n +tsrun[0-9a-f]{8}/,
    /client # .*\n +inet 10\.87\.0\.3\/22.*\n +default via 10\.87\.0\.1/,
    /host # ping .*\n +1 packets transmitted, 1 .*\b0% packet loss/,
    /client # wget .*\n +a page of the container/,
    /tsrun run --network container:web beside\n +a page of the container/,
    /host # cat .*\n +1\n[\s\S]*8080 : 10\.87\.0\.2 \. 80[\s\S]*masquerade/,
    /client # wget .*\n +a page of the world outside[\s\S]*192\.0\.2\.1.*url[\s\S]*outside # .*\n +a page of the container\n.*unreachable/,
    /host # tsrun delete .*\n +0\n.*does not exist/,
    /host # ip .*\n +byhand0 +UP +10\.77\.0\.1\/24.*\n +veth/,
    /host # wget .*\n +a page of the container/,
  ],
  cpu: [
    /quota: \d+ ms of CPU time/,
    /nr_throttled [1-9]/,
    /double: \d+ ms[\s\S]*single: \d+ ms[\s\S]*single: \d+ ms/,
    /Cpus_allowed_list:\t0\n[\s\S]*Cpus_allowed_list:\t\d+\n/,
  ],
  memory: [
    /host # for file in \$limits; .*\n +16777216\n/,
    /8 MiB: exit code 0/,
    /32 MiB: exit code 137/,
    /"status": "running"/,
    /tsrun run eater\n +tsrun: "eater" was killed for want of memory: .*\n +\(exit code 137\)/,
    /(under_oom 1\n[\s\S]*went on|v2 has no such thing)/,
  ],
  io: [/host # cat .*\n +\d+:\d+ .*4194304/, /host # dd .*\n.*B\/s/, /box # .*\n +real\s+0m [1-9]\d*\./],
  freezer: [
    /"status": "paused"/,
    /host # cat [^\n]*\n +(\d+)\n +\1\n/,
    /(freezer\.state: FROZEN|cgroup\.freeze: 1)\n/,
    /resume box.*\n +\d+\n/,
  ],
  devices: [
    /mknod .*\n +b.*\/tmp\/disk/,
    /head: \/tmp\/disk: Operation not permitted/,
    /b.*\/dev\/disk\n +[01]\n +sh: can't create .*not permitted/,
  ],
  limits: [
    /can't fork[\s\S]*[4-7] could be started/,
    /max [1-9]\d*\n +10\n/,
    /\b2 could be started/,
    /"pids":\{"current":\d+,"limit":10\}/,
    /tsrun run --detach small\n\n +host # /,
  ],
  capabilities: [
    /nothing # .*\n +0\n +chown: .*not permitted/,
    /nothing # ping .*\n.*\n +ping: permission denied/,
    /now of 1000/,
    /64 bytes from 127\.0\.0\.1/,
    /tsrun run none\n +1000\n.*Permission denied/,
    /tsrun run ambient\n +1000\n +listens on port 80/,
    /(never-false\n(?: +.*\n)*?.*1 packets received[\s\S]*never-true\n.*\n +ping: permission denied|setcap is missing)/,
  ],
  sysctl: [
    /box # .*\n +net\/ipv4\/ip_default_ttl = 42\n.* = 80\n.* = 4096\n.* = 20\n/,
    /host # .*\n +net\/ipv4\/ip_default_ttl = (?!42)\d+\n/,
    /Read-only file system/,
    /"kernel\.panic" is not in a separate kernel namespace/,
    /not allowed in host network namespace/,
  ],
  seccomp: [
    /box # id -u; mkdir .*\n +0\n +mkdir: .*Operation not permitted/,
    /Operation not permitted\n +15 went well/,
    /exit code 159/,
    /status:Seccomp:\t2\n.*self\/status:Seccomp:\t\d/,
  ],
  landlock: [
    /box # .*\n +0\n +root:.*\n +note\n/,
    /\/etc\/passwd: Permission denied/,
    /\/tmp\/tool: Permission denied/,
    /'\/root': Permission denied/,
    /host # .*\n +rootfs\/root\n +note\n/,
  ],
  hooks: [
    /host # readlink .*\n +mnt:(\[\d+\])\n[\s\S]*createRuntime: container created, .*; mounts \1,.*\n +createContainer: .*; mounts (?!\1)/,
    /startContainer: .*its pid is 1; mounts (\[\d+\]),.*\n +the program: mounts \1\n +poststart: container running.*\n +poststop: container stopped/,
    /tsrun run refused\n.*createRuntime hook #0: exit status 1/,
  ],
  layers: [
    /--detach --overlay=\S+\/one\/layer --lower \S+\/app one/,
    /host # grep .*\n +\/ \/ .* overlay .*\n +0\n/,
    /host # ls .*\n +0 -> \S+\/app\n +1 -> \S+\/base\n/,
    /one # echo x .*\n.* 4194306 .*\/big\n/,
    /f +4194306 +big\n +4194304\n/,
    /character special file 0:0 one\/layer\/upper\/old\n +old\n/,
    /one # rm -r .*\n +\.\n +\.\.\n/,
    /f +\d+ +docs\/renamed\n +c +\d+ +docs\/text\n/,
    /host # tsrun diff one\n(?: +. .*\n)* +C \/big\n(?: +. .*\n)* +A \/docs\/renamed\n +D \/docs\/text\n(?: +. .*\n)* +D \/old\n/,
    /two # .*\n +old\n +page\n +text\n.* 4194304 /,
    /host # content two.*\n +\d+\tbase\n/,
    /host # mount .*\n +merged\/docs:\n +renamed\n/,
  ],
  image: [
    /layer2\.tar: .*\.wh\.key/,
    /tree\/etc:\n +motd\n +\n +tree\/srv:\n +new\n/,
    /tsrun run box\n +second\n +\/etc:\n(?: +hosts.*\n| +motd\n| +resolv.*\n)+ *\n +\/srv:\n +new\n +hello\n/,
    /tsrun unpack --flat layout made .*\n +etc:\n +motd\n +\n +srv:\n +new\n/,
    /tsrun run --bundle made made\n +second\n +\/etc:\n[\s\S]*?\n +hello\n/,
    /tsrun unpack layout stack\n +--lower \S+\/stack\/layers\/2\n/,
    /a secret/,
  ],
  shell: [/is no terminal/, /Try next: /],
};

/** What of a demonstration, its group of names being known by its pid, is still on the machine. */
function leftOf(name: string, pid: number): string[] {
  const group = `tsrun-${name}-${pid}`;
  const directory = `/tmp/${group}`;
  const left = findLeftovers({ prefix: group, directory, root: `${directory}/state`, sessions: new Set([pid]) });
  return [...left, ...[directory, `/var/tmp/${group}`].filter((file) => existsSync(file))];
}

function networks(): string[] {
  return readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .flatMap((line) => /^ *(\S+):/.exec(line)?.[1] ?? []);
}

function start(rig: Rig, name: string): ReturnType<Rig['start']> {
  const PATH = `${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`;
  const env = { PATH, ...(tsrunFile === nodeScript ? {} : { TSRUN: tsrunFile }) };
  return rig.start(['sh', `${bundles}${name}/demo.sh`], { timeoutMs: TIMEOUT_MS, env });
}

live('demonstrations', async (t, rig) => {
  const skip = needsRoot('a demonstration needs root');

  await t.test('each has its lines here', { skip }, (t) => {
    // Their rootfs, which npm start makes.
    execFileSync(process.execPath, [`${bundles}prepare.mjs`, 'busybox', 'default']);
    const list = execFileSync(process.execPath, [`${bundles}start.mjs`, '--list'], { encoding: 'utf8' });
    const names = list.split('\n').flatMap((line) => /^\S+/.exec(line)?.[0] ?? []);
    t.strictSame([...Object.keys(SHOWN), 'tour'], names);
    t.end();
  });

  for (const [name, patterns] of Object.entries(SHOWN)) {
    await t.test(`${name} shows what it says, in a pipe, and leaves nothing`, { skip }, async (t) => {
      const before = networks();
      const running = start(rig, name);
      const { code, stdout, stderr, timedOut } = await running.done;
      t.notOk(timedOut, 'it ends');
      t.strictSame(leftOf(name, running.pid), [], 'nothing is left');
      t.strictSame(networks(), before, 'no interface is left');
      if (code === NOT_HERE) {
        t.match(stdout, /: not here: /, 'what is missing is a hint');
        return;
      }
      t.equal(code, 0, 'exit code', { stdout, stderr });
      t.equal(stderr, '', 'no errors of its own');
      showsInOrder(t, stdout, patterns);
    });
  }

  for (const name of ['namespaces', 'networks', 'memory', 'freezer', 'limits', 'layers', 'io']) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      await t.test(`${name} leaves nothing when ${signal} comes amid it`, { skip }, async (t) => {
        const running = start(rig, name);
        await waitFor(() => running.output().includes('tsrun run'), TIMEOUT_MS);
        // As the terminal does: to all of its processes.
        process.kill(-running.pid, signal);
        const { code, timedOut } = await running.done;
        t.notOk(timedOut, 'it ends');
        t.ok(code === (signal === 'SIGINT' ? 130 : 143) || code === NOT_HERE, `exit code ${String(code)}`);
        t.strictSame(leftOf(name, running.pid), [], 'nothing is left');
      });
    }
  }

  await t.test('a reader that goes away is the end of it', { skip }, async (t) => {
    const script = `sh -c 'echo $$ >&2; exec sh "$1"' sh ${bundles}pid1/demo.sh | head -n 2`;
    const running = rig.start(['sh', '-c', script], { timeoutMs: TIMEOUT_MS });
    const { stderr } = await running.done;
    const pid = Number(stderr.split('\n')[0]);
    await waitFor(() => !existsSync(`/proc/${pid}`), TIMEOUT_MS);
    t.strictSame(leftOf('pid1', pid), []);
  });

  await t.test('an interrupted tour ends, and goes on to nothing', { skip }, async (t) => {
    for (const [signal, wanted] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const running = rig.start([process.execPath, `${bundles}start.mjs`, 'tour'], { timeoutMs: TIMEOUT_MS });
      await waitFor(() => running.output().includes('chroot: another root'), TIMEOUT_MS);
      // Ctrl-C goes to all of them, kill(1) to one.
      process.kill(signal === 'SIGINT' ? -running.pid : running.pid, signal);
      const { code, stdout } = await running.done;
      t.equal(code, wanted, signal);
      t.notMatch(stdout, /namespaces: eight|The tour took/);
    }
  });

  await t.test('npm start runs one in a terminal, and the shell there has a terminal', { skip }, async (t) => {
    {
      using terminal = new Terminal();
      const { done } = terminal.start([process.execPath, `${bundles}start.mjs`, 'join']);
      await terminal.readUntil('Try next:');
      t.match(terminal.text, '\u001b[1mjoin: into namespaces', 'titles are bold');
      t.equal(await done, 0);
    }
    using terminal = new Terminal();
    const { done } = terminal.start([process.execPath, `${bundles}start.mjs`, 'busybox']);
    await terminal.readUntil('~ #');
    terminal.type('tty; echo $((6 * 7)); hostname\r');
    await terminal.readUntil('/dev/pts/0\r\n42\r\nbusybox\r\n');
    terminal.type('exit\r');
    await terminal.readUntil('Try next:');
    t.equal(await done, 0);
  });
});

function showsInOrder(t: Test, output: string, patterns: readonly RegExp[]): void {
  let rest = output;
  for (const pattern of patterns) {
    const found = pattern.exec(rest);
    t.ok(found, `it shows ${String(pattern)}`, { output: rest });
    rest = rest.slice(found === null ? 0 : found.index + found[0].length);
  }
}
