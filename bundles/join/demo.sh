#!/bin/sh
# entering a container that runs: exec is setns(2), and so is a namespace with a path
. "$(dirname "$0")/../lib.sh"
need nsenter util-linux

title 'join: into namespaces that are there already'
say 'A namespace lives as long as a process is in it. setns(2) puts another one there: that is all that "exec" is.'
bundle web sleep 100 </dev/null
start web
pid=$(pid_of web)
links='cd /proc/self/ns; for kind in ipc mnt net pid uts; do readlink $kind; done'
inside web "$links"
host "cd /proc/$pid/ns; for kind in ipc mnt net pid uts; do readlink \$kind; done"
say 'The host needs no runtime for it; nsenter(1) takes the same way, here into the network and the host name only.'
host "nsenter --target $pid --net --uts sh -c 'hostname; readlink /proc/self/ns/net; readlink /proc/self/ns/mnt'"

say 'A container may be made in namespaces of another one: so all containers of a Kubernetes pod have one network.'
bundle side sh -c 'readlink /proc/self/ns/net; ps -o pid,args | head -n 2' <<JSON
{ "hostname": null,
  "linux": { "namespaces": [{ "type": "mount" }, { "type": "network", "path": "/proc/$pid/ns/net" },
                            { "type": "pid", "path": "/proc/$pid/ns/pid" }] } }
JSON
run side
say 'The system calls of it, out of the program that tsrun would run (clone3 makes what is new, setns joins):'
host 'tsrun explain --steps --bundle side | grep -E "setns|clone3|unshare"'
try 'a file that a namespace is mounted on ("ip netns add") is a path as well; docker run --net=container:ID, --pid=container:ID.'
