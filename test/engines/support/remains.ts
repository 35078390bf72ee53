import { waitFor } from '../../live/support/wait.ts';
import type { Containerd } from './containerd.ts';
import { SHIM_ROOT } from './containerd.ts';

const PATIENCE_MS = 30_000;

/** Everything that a container under a shim is made of, a line each; `$1` is the directory of the shims' state, `$2` containerd's. */
const LIST = `
own=$(readlink /proc/self/ns/pid)
for directory in /proc/[0-9]*; do
  pid=\${directory#/proc/}
  namespace=$(readlink "$directory/ns/pid" 2>/dev/null) || continue
  read -r name <"$directory/comm" 2>/dev/null || continue
  case $name in containerd-shim* | tsrun*) echo "process: $name $pid" ;; *) [ "$namespace" = "$own" ] || echo "process: $name $pid" ;; esac
done
sed -n 's/^\\([0-9]*\\) (\\(.*\\)) Z .*/zombie: \\2 \\1/p' /proc/[0-9]*/stat 2>/dev/null
sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\([^ ]*\\) .*/mount: \\1/p' /proc/self/mountinfo
find /sys/fs/cgroup -path '*/default/*' -type d -printf 'cgroup: %p\\n'
find /run /tmp -xdev \\( -type p -o -type s \\) -printf 'FIFO or socket: %p\\n'
for place in "$1/default" "$2/io.containerd.runtime.v2.task/default" /run/containerd/fifo; do
  [ ! -d "$place" ] || find "$place" -mindepth 1 -maxdepth 1 -printf 'directory: %p\\n'
done
`;

/** What there is now of containers, shims and their surroundings: lines `kind: name`. */
export async function listRemains({ inside, runtime }: Containerd): Promise<readonly string[]> {
  const { stdout } = await inside.run(['sh', '-c', LIST, 'sh', SHIM_ROOT, `/run/containerd-${runtime.name}`]);
  return stdout.trimEnd().split('\n').sort();
}

/** What there is beyond what was there before, once it does not get less any more. */
export async function findRemains(containerd: Containerd, before: readonly string[]): Promise<readonly string[]> {
  const known = new Set(before);
  let left: readonly string[] = [];
  await waitFor(async () => {
    left = (await listRemains(containerd)).filter((line) => !known.has(line));
    return left.length === 0;
  }, PATIENCE_MS).catch(() => undefined);
  return left;
}
