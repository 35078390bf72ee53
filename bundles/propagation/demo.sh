#!/bin/sh
# Mounts below a shared directory and looks which of its other views show it (mount_namespaces(7), "Shared subtrees").
set -eu
cd /tmp

look() { if [ -e "$1/below/note" ]; then echo 'visible'; else echo 'not there'; fi; }

mkdir shared slave private
mount -t tmpfs -o size=64k original shared
mount --make-shared shared
mkdir shared/below
mount --bind shared slave
mount --make-slave slave
mount --bind shared private
mount --make-private private

mount -t tmpfs -o size=64k new shared/below
echo 'seen' >shared/below/note
echo
echo 'After a mount below the shared view:'
echo "  /tmp/shared   $(look shared)"
echo "  /tmp/slave    $(look slave)"
echo "  /tmp/private  $(look private)"

umount shared/below
mount -t tmpfs -o size=64k new slave/below
echo 'seen' >slave/below/note
echo
echo 'After a mount below the slave view:'
echo "  /tmp/shared   $(look shared)"
echo "  /tmp/slave    $(look slave)"

sh /show.sh mounts
