#!/bin/sh
# writing to a disk under a throttle
. "$(dirname "$0")/../lib.sh"
controller=blkio && is_v2 && controller=io
has_controller $controller || hint "the $controller controller is missing (cgroups(7))"

title 'io: bytes in a second, for each disk'
# A throttle is for a disk as a whole, not for a partition of it.
disk=$(stat -c '%Hd:%Ld' /var/tmp) sys=/sys/dev/block/$(stat -c '%Hd:%Ld' /var/tmp)
[ -e "$sys" ] || hint '/var/tmp is on no disk of its own, but on a network, in memory or on a volume of several disks'
if [ -e "$sys/partition" ]; then disk=$(cat "$sys/../dev"); fi
data=/var/tmp/$group
undo() { rm -r "$data"; }
mkdir "$data"
say "Four megabytes in a second may be written to $disk, where /var/tmp is."
bundle box sleep 100 <<JSON
{ "mounts+": [{ "source": "$data", "destination": "/data", "options": ["bind"] }],
  "linux": { "resources": { "blockIO": {
    "throttleWriteBpsDevice": [{ "major": ${disk%:*}, "minor": ${disk#*:}, "rate": 4194304 }] } } } }
JSON
start box
rule=blkio.throttle.write_bps_device && is_v2 && rule=io.max
host "cat \"\$(cgroup_of box $controller)/$rule\""
say 'The host writes 8 MiB past the page cache, and then the container does:'
host 'dd if=/dev/zero of=$data/host bs=1M count=8 oflag=direct 2>&1 | tail -n 1'
inside box 'time dd if=/dev/zero of=/data/box bs=1M count=8 oflag=direct 2>&1 | grep real'
say 'Without "direct" the writes end in memory at first. cgroups v2 charges what reaches the disk later to the container, v1 to nobody.'
try 'take the limit away: the same with "rate": 0 through "tsrun update -r -"; docker run --device-write-bps /dev/sda:4mb.'
