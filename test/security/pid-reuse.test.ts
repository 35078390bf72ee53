import { writeFileSync } from 'node:fs';
import { live } from '../live/support/rig.ts';
import { findTool, raceRounds, tsrunFile } from '../live/support/surroundings.ts';
import { count } from './count.mjs';

/** Nothing is left to chance here: what one round shows, more confirm. */
const ROUNDS = raceRounds(1);

/** The launcher of the executable makes a file in memory before the command runs; the next one is what init is written to. */
const INIT_FILE = tsrunFile.endsWith('.js') ? 1 : 2;

/** Where `exec` is held up, by a file that it opens or a call that it makes then, and how it fails. */
const POINTS = [
  [
    'when init was found alive',
    '-e trace=%file -P /proc/sys/kernel/cap_last_cap -e inject=%file:signal=STOP:when=1',
    /cannot exec in a stopped container/,
  ],
  [
    'when everything is decided',
    `-e trace=memfd_create -e inject=memfd_create:signal=STOP:when=${INIT_FILE}`,
    /join the .* namespaces of the container: no such process: ESRCH/,
  ],
] as const;

/**
 * In a pid namespace of its own, whose numbers can be chosen: `exec` is stopped, init killed, its number given to a process of the
 * host, and `exec` goes on. Prints whether the number was had, the exit code of `exec`, and its output and errors.
 */
const SCRIPT = `
id=$1 work=$2 points=$3; shift 3
host=$(readlink /proc/self/ns/mnt)
"$@" run --detach --bundle $work/bundle $id </dev/null >/dev/null 2>&1 || exit 1
pid=$("$@" state $id | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p')
strace -f -qq -o $work/trace $points "$@" exec $id readlink /proc/self/ns/mnt >$work/out 2>$work/err </dev/null &
tracer=$!
for ((n = 0; n < 600; n++)); do grep -q 'stopped by SIGSTOP' $work/trace 2>/dev/null && break; sleep 0.05; done
kill -9 $pid; while [ -e /proc/$pid ]; do sleep 0.01; done
echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
sleep 1000 & other=$!
[ $other = $pid ] && echo reused || echo "$other is not $pid"
for task in $(sed -n 's/^\\([0-9]*\\) .*stopped by SIGSTOP.*/\\1/p' $work/trace); do kill -CONT $task; done
wait $tracer; echo $?
kill -9 $other; wait $other 2>/dev/null
"$@" delete --force $id
[ "$(<$work/out)" = "$host" ] && echo 'ran on the host' || echo "printed '$(<$work/out)'"
cat $work/err
`;

live('the number of init is given to a process of the host while exec is on its way', async (t, rig) => {
  const tools = ['unshare', 'bash', 'strace'].map((name) => findTool(name) ?? '');
  if (tools.includes('')) {
    t.comment('unshare, bash or strace is missing');
    return;
  }
  const [unshare = '', bash = ''] = tools;
  const script = rig.fresh('script');
  writeFileSync(script, SCRIPT);
  for (const [name, trace, failure] of POINTS) {
    await t.test(name, async (t) => {
      const bundle = rig.bundle({ args: ['sleep', '1000'] });
      for (let round = 0; round < ROUNDS && t.passing(); round++) {
        const work = rig.fresh('work');
        const setUp = `mkdir ${work} && ln -s ${bundle} ${work}/bundle && exec ${bash} ${script} "$@"`;
        const under = [unshare, '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', setUp, 'sh'];
        const { stdout } = await rig.start([...under, rig.id('reused'), work, trace, ...rig.tsrunArgv([])]).done;
        count('attacks tried');
        const [reused, code, printed, error] = stdout.split('\n');
        t.equal(reused, 'reused', `round ${round}: ${stdout}`);
        t.equal(printed, "printed ''", 'nothing ran');
        t.equal(code, '255');
        t.match(error, failure);
      }
    });
  }
});
