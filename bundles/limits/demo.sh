#!/bin/sh
# Runs into the limits of the control group, on purpose.
set -u
sh /show.sh cgroup

echo 'Using more memory than is allowed:'
(head -c 64m /dev/zero | tail -c 64m) >/dev/null 2>&1
echo "  the program ended with exit code $?; 137 is SIGKILL, which the kernel sent"

echo 'Starting processes until no more are allowed:'
# A shell that cannot fork ends; what it had started ends with the container.
sh -c 'while :; do sleep 100 & echo x; done' >/tmp/started 2>/dev/null
count=0
while read -r _; do count=$((count + 1)); done </tmp/started
echo "  beside two shells $count could be started"
