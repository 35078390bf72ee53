#!/bin/sh
# a limit of memory, what the kernel kills at it, and a container that waits instead
. "$(dirname "$0")/../lib.sh"
has_controller memory || hint 'the memory controller is missing (cgroups(7))'

title 'memory: a limit, and what happens at it'
eat() { echo "dd if=/dev/zero of=/dev/null bs=${1}M count=1 2>/dev/null"; }
say 'Sixteen megabytes, and none of swap ("swap" is the sum of both). The files that a program has read count too.'
bundle box sh -c 'while :; do sleep 1; done' <<'JSON'
{ "linux": { "resources": { "memory": { "limit": 16777216, "swap": 16777216 } } } }
JSON
start box
if is_v2; then limits='memory.max memory.swap.max'; else limits='memory.limit_in_bytes memory.memsw.limit_in_bytes'; fi
host 'for file in $limits; do grep -s . "$(cgroup_of box memory)/$file"; done'
inside box "$(eat 8); echo \"8 MiB: exit code \$?\""
say 'More: the kernel kills the process that has most, with KILL, so that its exit code is 137. The container goes on.'
inside box "$(eat 32); echo \"32 MiB: exit code \$?\""
host 'tsrun state box | grep status; tsrun events --stats box | grep -o "\"usage\":{\"limit\":[^}]*}" | head -n 1'
say 'To the container the machine looks as large as ever: /proc/meminfo is not part of any namespace.'
inside box 'grep MemTotal /proc/meminfo'

say 'When it is process 1 that eats, the container ends:'
bundle eater dd if=/dev/zero of=/dev/null bs=32M count=1 <<'JSON'
{ "linux": { "resources": { "memory": { "limit": 16777216, "swap": 16777216 } } } }
JSON
run eater

if is_v2; then
  say 'With cgroups v1 the killer could be turned off ("disableOOMKiller"); v2 has no such thing, and this host has v2.'
else
  say 'With cgroups v1 the killer can be turned off. Then the program sleeps until there is memory again.'
  # Memory that the program itself touches: what the kernel fills for it, as in read(2), fails in place of waiting.
  bundle waiter sh -c 'x=0123456789abcdef; while [ ${#x} -lt 16777216 ]; do x=$x$x; done; echo "went on"; sleep 100' <<'JSON'
{ "linux": { "resources": { "memory": { "limit": 16777216, "swap": 16777216, "disableOOMKiller": true } } } }
JSON
  start waiter
  oom=$(cgroup_of waiter memory)/memory.oom_control
  host 'await "grep -q \"under_oom 1\" $oom"; cat "$oom"; cat waiter/output'
  say 'A larger limit, and it wakes up:'
  host 'tsrun update --memory 256M --memory-swap 256M waiter; await "grep . waiter/output"; cat waiter/output'
fi
try 'docker run -m 16m --memory-swap 16m, --oom-kill-disable; "tsrun events box" in another terminal while it happens.'
