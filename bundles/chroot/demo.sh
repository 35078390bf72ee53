#!/bin/sh
# an older and smaller thing than a container: what chroot(2) changes, and what it does not
. "$(dirname "$0")/../lib.sh"

title 'chroot: another root directory, and nothing else'
say 'Since 1979 a process can be given another directory for its "/": only the files below it have names.'
cp -a rootfs tree
mount -t proc proc tree/proc
host 'chroot tree sh -c "cd /; echo *"'

say 'Everything else stays that of the host. Its processes are there, and may be killed:'
host "chroot tree sh -c 'readlink /proc/self/ns/pid; tr \"\\0\" \" \" </proc/$$/cmdline; echo'"
host 'readlink /proc/self/ns/pid'
say 'And the root directory of any other process is a way out:'
host "chroot tree sh -c 'cd /proc/$$/root; echo *'"

say "A container has a root of its own too, but by pivot_root(2) in a mount namespace, where the host's files are not" \
  'mounted at all; its processes and its host name are its own.'
bundle box sleep 100 </dev/null
start box
inside box 'readlink /proc/self/ns/pid; ps -o pid,args | head -n 2; cd /proc/1/root; echo *'

say "What it has not is a kernel: that is the host's, here as well. A virtual machine would bring its own, behind a" \
  'smaller border, and needs seconds and hundreds of megabytes for it.'
host 'uname -r'
inside box 'uname -r'
bundle brief true </dev/null
now() { date +%s%N; }
host 'from=$(now); tsrun run --bundle brief brief; echo "started, ran and removed in $((($(now) - from) / 1000000)) ms"'
try 'npm start -- namespaces; or "tsrun explain --steps", which prints every system call that makes a container.'
