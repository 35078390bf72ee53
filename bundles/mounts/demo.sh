#!/bin/sh
# what one side mounts and the other sees: own mounts, its own /proc, and shared, slave, private and unbindable ones
. "$(dirname "$0")/../lib.sh"

title 'mounts: a list of mounts of its own'
say 'A mount of the container is not on the list of the host. A bind mount is how the two share a directory.'
mkdir port
mount -t tmpfs -o size=64k port port && mount --make-shared port
admin='"capabilities": { "bounding+": ["CAP_SYS_ADMIN"], "permitted+": ["CAP_SYS_ADMIN"], "effective+": ["CAP_SYS_ADMIN"] }'
view() { printf '{ "source": "%s/port", "destination": "/%s", "options": ["rbind", "%s"] }' "$work" "$1" "$2"; }
bundle box sleep 100 <<JSON
{ "process": { $admin },
  "mounts+": [{ "type": "tmpfs", "source": "secret", "destination": "/mnt", "options": ["size=64k"] },
              $(view shared rshared),
              $(view slave rslave),
              $(view private rprivate),
              $(view unbindable runbindable)],
  "linux": { "rootfsPropagation": "shared" } }
JSON
start box
inside box 'echo only here >/mnt/note; cat /mnt/note; grep -c " /mnt " /proc/self/mountinfo'
host 'grep -c " $work/rootfs/mnt " /proc/self/mountinfo; ls rootfs/mnt | grep note | wc -l'
say '/proc shows the processes of the pid namespace that it was mounted in: the same words, another list.'
host 'ls /proc | grep -c "^[0-9]"'
inside box 'ls /proc | grep -c "^[0-9]"'

say 'What is mounted later crosses the border or not, by the propagation of the mount. The host mounts a disk below "port":'
host 'mkdir port/disk; mount -t tmpfs -o size=64k disk port/disk; echo seen >port/disk/note'
inside box 'for view in shared slave private unbindable; do echo "$view: $(cat /$view/disk/note 2>/dev/null || echo "not there")"; done'
say 'In the other direction: only what is mounted below a shared one comes out to the host.'
inside box 'for view in shared slave private unbindable; do mkdir -p /$view/of-$view; mount -t tmpfs -o size=64k box /$view/of-$view; done'
host 'for view in shared slave private unbindable; do echo "$view: $(grep -c "/port/of-$view " /proc/self/mountinfo)"; done'
say 'An unbindable mount is private, and cannot be the source of another bind mount either:'
inside box 'mkdir /copy; for view in private unbindable; do mount --bind /$view /copy && echo "$view: bound"; done'
try '"rootfsPropagation" of config.json, for the container as a whole; docker run -v DIR:DIR:rslave; mount_namespaces(7).'
