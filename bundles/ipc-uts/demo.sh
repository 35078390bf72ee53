#!/bin/sh
# the two small namespaces: the host's name, and its queues and shared memory
PRIVATE='--ipc --uts'
. "$(dirname "$0")/../lib.sh"
need ipcmk util-linux

title 'ipc-uts: a name, and objects that are no files'
say 'The UTS namespace holds two strings, of which the host name is one. Root of a container with CAP_SYS_ADMIN may change it.'
bundle own sleep 100 <<'JSON'
{ "hostname": "inside",
  "process": { "capabilities": { "bounding+": ["CAP_SYS_ADMIN"], "permitted+": ["CAP_SYS_ADMIN"], "effective+": ["CAP_SYS_ADMIN"] } } }
JSON
start own
before=$(hostname)
inside own 'hostname; hostname changed; hostname'
host 'hostname'
[ "$(hostname)" = "$before" ] && say 'The name of the host is what it was.'

say 'Shared memory and message queues of System V and POSIX have keys and names of their own, which the IPC namespace holds.'
segments='tail -n +2 /proc/sysvipc/shm | wc -l'
host "ipcmk --shmem 4096 --mode 600; $segments"
inside own "$segments"
say "A container without an IPC namespace of its own has the host's:"
bundle shared sh -c "$segments" <<'JSON'
{ "hostname": null, "linux": { "namespaces": [{ "type": "mount" }, { "type": "pid" }] } }
JSON
run shared
say 'A POSIX queue is a file below /dev/mqueue; each mount of that shows the queues of one namespace.'
inside own 'touch /dev/mqueue/jobs; ls /dev/mqueue; cat /dev/mqueue/jobs'
mkdir queues && mount -t mqueue mqueue queues
host 'ls queues | wc -l'
say '(The "host" has an IPC and a UTS namespace of its own here, too, so that nothing is made on the machine.)'
try '"domainname" of config.json; docker run --ipc=container:ID, --uts=host, --hostname.'
