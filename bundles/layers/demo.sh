#!/bin/sh
# two containers on one image: copy-up, whiteouts, opaque directories, renames, and what is shared
. "$(dirname "$0")/../lib.sh"
grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || hint 'the kernel has no overlay file system'

title 'layers: one image, two containers'
say 'overlayfs shows directories on top of each other as one. Only the uppermost is written to; the image, below, stays as it is.'
mv rootfs base
mkdir -p app/site app/docs
dd if=/dev/zero of=app/big bs=1M count=4 2>/dev/null
echo old >app/old && echo page >app/site/page && echo text >app/docs/text
say 'The option --overlay does it: app and base are what both containers lie on, and each has a layer of its own.'
say '(With DIR the layer is kept there. Without it goes with the container, and lies below /var/lib/tsrun/overlay.)'
for name in one two; do
  bundle $name sleep 100 <<JSON
{ "root": { "path": "$work/base" } }
JSON
  start $name --overlay="$work/$name/layer" --lower "$work/app"
done
say 'What the kernel has of it is one mount, in the mount namespace of the container; on the host there is none:'
host "grep -o '/ / .* overlay .*' /proc/$(pid_of one)/mountinfo; grep -c ' overlay .*$work' /proc/self/mountinfo"
host 'ls -l one/layer | sed -n "s/.* \([^ ]* -> .*\)/\1/p"'
# What of a layer is beyond the mount points that tsrun itself has made.
content() { (cd "$1/layer/upper" && find . -mindepth 1 \( -path ./dev -o -path ./proc -o -path ./sys \) -prune -o -mindepth 1 -printf '%y %8s  %P\n' | sort -k 3); }

say 'Two bytes are added to a file of 4 MiB: the whole file is copied up first.'
inside one 'echo x >>/big; ls -l /big'
host 'content one; ls -l app/big | cut -d" " -f5'
say 'Deleted: a whiteout, a character device 0:0, hides what is still below. (".wh." names are those of AUFS and of image archives.)'
inside one 'rm /old; ls /old'
host 'stat -c "%F %t:%T %n" one/layer/upper/old; cat app/old'
say 'A directory that is deleted and made anew is opaque: it hides all of its name below.'
inside one 'rm -r /site; mkdir /site; ls -a /site'
if command -v getfattr >/dev/null; then host 'getfattr -m - -d one/layer/upper/site'; else say '(What says so is the extended attribute trusted.overlay.opaque; getfattr of the package attr shows it.)'; fi
say 'A rename is a copy and a whiteout:'
inside one 'mv /docs/text /docs/renamed; ls /docs'
host 'content one'
say 'All of that in the words of a list: A is new, C is changed, D is gone.'
host 'tsrun diff one'
say 'The other container has seen nothing of it, and its layer is as good as empty; both share the image and its memory.'
inside two 'cat /old /site/page /docs/text; ls -l /big'
host 'content two; du -sk base app one/layer/upper two/layer/upper'
say 'By hand it is one call of mount(8): the layer of the first with what it lies on, looked at from the host.'
tsrun kill one KILL && await '! tsrun state one | grep -q running'
mkdir merged
host 'mount -t overlay -o ro,lowerdir=one/layer/upper:app:base overlay merged; ls merged/site merged/docs; umount merged'
try 'docker diff, docker commit (which keeps the upper layer as one of an image), /var/lib/docker/overlay2; npm start -- image.'
