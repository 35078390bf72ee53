#!/bin/sh
# a device file may be made, and still not be opened
. "$(dirname "$0")/../lib.sh"
{ is_v2 || has_controller devices; } || hint 'the devices controller is missing (cgroups(7))'

title 'devices: a node is a name, and the cgroup is the lock'
say 'A device file is two numbers. Who may make one has the way to a disk of the host, unless something else is in the way.'
# Some disk that the host itself may open; one with something on it comes last.
for size in '^0$' '[1-9]'; do
  for entry in /sys/block/*; do
    if grep -q "$size" "$entry/size" && (: <"/dev/${entry##*/}") 2>/dev/null; then disk=$(cat "$entry/dev"); fi
  done
done
[ -n "${disk-}" ] || hint 'this host has no block device'
bundle box sleep 100 </dev/null
start box
inside box 'ls /dev'
inside box "mknod /tmp/disk b ${disk%:*} ${disk#*:} && ls -l /tmp/disk"
say 'Made, as CAP_MKNOD allows. But not opened: the cgroup has a list of what may be, on v1 in files, on v2 as an eBPF program.'
inside box 'head -c 1 /tmp/disk'
if is_v2; then host 'tsrun explain --steps --bundle box | grep -A 3 -i "device" | head -n 8'
else host 'cat "$(cgroup_of box devices)/devices.list"'; fi

say 'What shall be usable is in config.json: the node in "devices", the rule in "resources". Here to read and nothing else:'
bundle reader sh -c 'ls -l /dev/disk; head -c 1 /dev/disk | wc -c; echo >>/dev/disk' <<JSON
{ "linux": { "devices": [{ "path": "/dev/disk", "type": "b", "major": ${disk%:*}, "minor": ${disk#*:} }],
    "resources": { "devices+": [{ "allow": true, "type": "b", "major": ${disk%:*}, "minor": ${disk#*:}, "access": "r" }] } } }
JSON
run reader
try 'drop CAP_MKNOD and make the node again; docker run --device /dev/sda:/dev/disk:r, --device-cgroup-rule.'
