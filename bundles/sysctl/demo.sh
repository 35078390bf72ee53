#!/bin/sh
# settings of the kernel that belong to a namespace, and those that belong to all
. "$(dirname "$0")/../lib.sh"

title 'sysctl: settings of a namespace'
say 'Some files below /proc/sys are of the network, IPC, UTS or user namespace of who reads them. config.json may set those.'
bundle box sleep 100 <<'JSON'
{ "linux": { "sysctl": { "net.ipv4.ip_default_ttl": "42", "net.ipv4.ip_unprivileged_port_start": "80",
                         "kernel.msgmax": "4096", "fs.mqueue.msg_max": "20" } } }
JSON
start box
read_all='cd /proc/sys; for name in net/ipv4/ip_default_ttl net/ipv4/ip_unprivileged_port_start kernel/msgmax fs/mqueue/msg_max; do echo "$name = $(cat $name)"; done'
inside box "$read_all"
host "$read_all"
say 'The program itself may not: to it /proc/sys is read-only.'
inside box 'echo 64 >/proc/sys/net/ipv4/ip_default_ttl'
say "A setting of the whole machine is refused, and so is one of a namespace that is the host's:"
bundle machine true <<'JSON'
{ "linux": { "sysctl": { "kernel.panic": "10" } } }
JSON
run machine
bundle network true <<'JSON'
{ "hostname": null, "linux": { "sysctl": { "net.ipv4.ip_default_ttl": "42" }, "namespaces": [{ "type": "mount" }, { "type": "ipc" }] } }
JSON
run network
host 'cat /proc/sys/net/ipv4/ip_default_ttl'
try 'docker run --sysctl net.ipv4.ip_unprivileged_port_start=80, in place of CAP_NET_BIND_SERVICE.'
