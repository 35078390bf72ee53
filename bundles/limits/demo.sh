#!/bin/sh
# what else a control group limits and counts: processes, the limit of a parent, and the smaller controllers
. "$(dirname "$0")/../lib.sh"
has_controller pids || hint 'the pids controller is missing (cgroups(7))'

title 'limits: processes, parents, accounts'
say 'Ten processes at most, so that a program that forks for ever stops itself and nobody else.'
bundle box sh -c 'while :; do sleep 1; done' <<'JSON'
{ "linux": { "resources": { "pids": { "limit": 10 } } } }
JSON
start box
fork="sh -c 'while :; do sleep 1 & echo x; done' >/tmp/started 2>/tmp/why"
inside box "$fork; cat /tmp/why; echo \"\$(wc -l </tmp/started) could be started\""
host 'cat "$(cgroup_of box pids)/pids.events" "$(cgroup_of box pids)/pids.max"'
say 'Control groups are a tree, and each limit holds for all below. Six for the parent, and the ten of the child are no more than six:'
parent=$(dirname "$(cgroup_of box pids)")
sleep 1.2
host 'echo 6 >"$parent/pids.max"; cat "$parent/pids.current"'
inside box "$fork; echo \"\$(wc -l </tmp/started) could be started\""
say 'Every controller counts, whether it limits or not:'
host 'tsrun events --stats box | grep -o "\"pids\":{[^}]*}\|\"cpu\":{\"usage\":{\"total\":[0-9]*"'

echo max >"$parent/pids.max"

say 'Some controllers are seldom mounted. Those of this host are shown on hierarchies of a mount namespace of their own.'
resources=''
bound=''
# A controller that lies in a hierarchy without a mount is missed by other programs. The kernel keeps a hierarchy whose last mount ends
# while a cgroup of it is still on its way out, until one more mount ends.
release() {
  for controller in $bound; do
    umount "cgroup/$controller" 2>/dev/null
    await "is_free $controller || { mount -t cgroup -o $controller cgroup cgroup/$controller && umount cgroup/$controller; is_free $controller; }"
  done
}
is_free() { grep -qw "^$1.0" /proc/cgroups; }
# A controller of v1 that no hierarchy has yet, with a part of config.json that needs it.
small() {
  is_free "$1" && ! is_v2 && ! grep -qsw "$1" $cgroups/unified/cgroup.controllers || return 0
  mkdir -p "cgroup/$1" && mount -t cgroup -o "$1" cgroup "cgroup/$1" 2>/dev/null || return 0
  bound="$bound $1"
  if [ -n "$2" ]; then resources="${resources:+$resources, }$2"; fi
}
small net_cls '"network": { "classID": 1048577, "priorities": [{ "name": "lo", "priority": 3 }] }'
small net_prio ''
small perf_event ''
small rdma ''
if has_controller hugetlb || grep -qsw hugetlb $cgroups/unified/cgroup.controllers; then
  size=$(ls /sys/kernel/mm/hugepages | sed -n 's/^hugepages-\(.*\)kB$/\1/p' | sort -n | head -n 1)
  resources="${resources:+$resources, }\"hugepageLimits\": [{ \"pageSize\": \"$((size / 1024))MB\", \"limit\": 4194304 }]"
fi
bundle small sleep 100 <<JSON
{ "linux": { "resources": { $resources } } }
JSON
start small
files="net_cls.classid net_prio.ifpriomap hugetlb.$((${size:-0} / 1024))MB.max hugetlb.$((${size:-0} / 1024))MB.limit_in_bytes"
host 'cut -d: -f2- /proc/$(pid_of small)/cgroup | grep -E "net_|perf|rdma|hugetlb|^:"'
host 'for file in $files; do grep -s . cgroup/*/$group/small/$file $cgroups/*/$group/small/$file $cgroups/$group/small/$file; done | sed "s#.*/##" | grep -v " 0$"'
try 'docker run --pids-limit, --cgroup-parent; "cgroupsPath" of config.json is what puts two containers below one parent.'
