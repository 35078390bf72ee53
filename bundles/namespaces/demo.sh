#!/bin/sh
# the eight kinds of namespaces: the host's link beside the container's, own, shared and joined
. "$(dirname "$0")/../lib.sh"

title 'namespaces: eight borders, each of them on its own'
say 'A namespace is a view of one kind of thing. /proc/PID/ns has a link for each; two processes with equal links see the same.'
bundle own sleep 100 <<'JSON'
{ "linux": {
    "namespaces": [{ "type": "cgroup" }, { "type": "ipc" }, { "type": "mount" }, { "type": "network" },
                   { "type": "pid" }, { "type": "time" }, { "type": "user" }, { "type": "uts" }],
    "uidMappings": [{ "containerID": 0, "hostID": 100000, "size": 65536 }],
    "gidMappings": [{ "containerID": 0, "hostID": 100000, "size": 65536 }],
    "timeOffsets": { "boottime": { "secs": 31536000 }, "monotonic": { "secs": 31536000 } } } }
JSON
start own
say "What config.json does not list is not made: then it is the host's."
bundle shared sleep 100 <<'JSON'
{ "hostname": null, "linux": { "namespaces": [{ "type": "mount" }] } }
JSON
start shared
say "And with a path it is somebody else's, here the network, the host name and the processes of the first container."
pid=$(pid_of own)
bundle joined sleep 100 <<JSON
{ "hostname": null,
  "linux": { "namespaces": [{ "type": "mount" }, { "type": "network", "path": "/proc/$pid/ns/net" },
                            { "type": "uts", "path": "/proc/$pid/ns/uts" }, { "type": "pid", "path": "/proc/$pid/ns/pid" }] } }
JSON
start joined

printf '\n      %-8s %-13s %-13s %-13s %s\n' '' host own shared joined
for kind in cgroup ipc mnt net pid time user uts; do
  printf '      %-8s' $kind
  for process in self "$pid" "$(pid_of shared)" "$(pid_of joined)"; do
    link=$(readlink "/proc/$process/ns/$kind")
    printf ' %-13s' "${link#*:}"
  done
  echo
done
say 'The same from the inside; and the clocks of its time namespace are a year ahead, so that it seems to be up that long.'
inside own 'for kind in net pid; do readlink /proc/self/ns/$kind; done; cut -d. -f1 /proc/uptime'
host 'cut -d. -f1 /proc/uptime'
say '(The "host" here is the shell of this demonstration, whose mount namespace is not that of the machine, so that what is mounted here ends with it.)'
try 'take a line out of "namespaces" in bundles/namespaces/demo.sh; npm start -- pid1, mounts, ipc-uts, users, networks show what each is for.'
