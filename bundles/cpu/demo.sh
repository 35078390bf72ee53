#!/bin/sh
# a quota of CPU time, shares of two who want the same CPU, and a set of CPUs
. "$(dirname "$0")/../lib.sh"
has_controller cpu && has_controller cpuset || hint 'the cpu or the cpuset controller is missing (cgroups(7))'

title 'cpu: how much of it, beside whom, and which one'
# CPU time that a container has had, in ms.
used() {
  if is_v2; then sed -n 's/^usage_usec \(.*\)...$/\1/p' "$(cgroup_of "$1" cpu)/cpu.stat"
  else sed 's/......$//' "$(cgroup_of "$1" cpuacct)/cpuacct.usage"; fi
}
# CPU time of some containers in one second.
watch() {
  for name in "$@"; do eval "before_$name=$(used "$name")"; done
  sleep 1
  for name in "$@"; do echo "$name: $(($(used "$name") - before_$name)) ms of CPU time in a second"; done
}

say 'A quota of 20 ms in each period of 100 ms: who has used it up waits for the next period, also on an idle machine.'
bundle quota sh -c 'while :; do :; done' <<'JSON'
{ "linux": { "resources": { "cpu": { "quota": 20000, "period": 100000 } } } }
JSON
start quota
host 'watch quota'
host 'grep nr_throttled "$(cgroup_of quota cpu)/cpu.stat"'
host 'tsrun update --cpu-quota 50000 quota; watch quota'
tsrun delete --force quota

say 'Shares are weights: two containers that both want CPU 0 get it 2 to 1. One of them alone would have all of it.'
for name in double single; do
  shares=1024 && [ $name = single ] && shares=512
  bundle $name sh -c 'while :; do :; done' <<JSON
{ "linux": { "resources": { "cpu": { "shares": $shares, "cpus": "0" } } } }
JSON
  start $name
done
host 'watch double single'
tsrun delete --force double
say 'The first is gone, and the second has what it wants; a cpuset says where, and "update" moves it.'
host 'watch single'
inside single 'grep Cpus_allowed_list /proc/1/status'
last=$(($(nproc --all) - 1))
host "tsrun update --cpuset-cpus $last single"
inside single 'grep Cpus_allowed_list /proc/1/status'
try 'tsrun events --stats quota; docker run --cpu-quota, --cpus, --cpu-shares, --cpuset-cpus.'
