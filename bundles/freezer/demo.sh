#!/bin/sh
# a container that stands still: pause and resume
. "$(dirname "$0")/../lib.sh"
{ is_v2 || has_controller freezer; } || hint 'the freezer controller is missing (cgroups(7))'

title 'freezer: time stops for a container'
bundle box sh -c 'n=0; while :; do n=$((n + 1)); echo $n >/tmp/count; sleep 0.05; done' </dev/null
start box
await 'grep -q . rootfs/tmp/count'
say 'It counts:'
host 'cat rootfs/tmp/count; sleep 0.5; cat rootfs/tmp/count'
say 'Paused, all of its processes stop wherever they are; unlike at a STOP signal they cannot know of it.'
host 'tsrun pause box; tsrun state box | grep status'
host 'cat rootfs/tmp/count; sleep 0.5; cat rootfs/tmp/count'
for file in $cgroups/freezer/$group/box/freezer.state $cgroups/unified/$group/box/cgroup.freeze $cgroups/$group/box/cgroup.freeze; do
  if [ -f "$file" ]; then frozen=$file; fi
done
host 'echo "${frozen##*/}: $(cat "$frozen")"'
say 'And it goes on as if nothing had been:'
host 'tsrun resume box; sleep 0.5; cat rootfs/tmp/count'
try '"tsrun exec box true" while it is paused; docker pause; checkpoint programs freeze a container so before they look at it.'
