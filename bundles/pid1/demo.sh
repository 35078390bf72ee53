#!/bin/sh
# process 1: signals from inside and outside, orphans, zombies, and what its end means
. "$(dirname "$0")/../lib.sh"

title 'pid1: the first process of a pid namespace is its init'
say 'The program of the first container is a shell with no handler for signals, that of the second has one for TERM.'
bundle plain sh -c 'while :; do sleep 1; done' </dev/null
bundle handler sh -c 'trap "echo TERM: the handler ran; exit 7" TERM; while :; do sleep 0.1; done' </dev/null
start plain
start handler

say 'From inside nothing ends a process 1 that did not ask for it, not even KILL:'
inside plain 'kill -TERM 1; kill -KILL 1; sleep 0.2; echo "process 1 is still: $(head -n 1 /proc/1/status)"'
say 'From outside TERM does not either, as it has no handler. That is why "docker stop" of some images takes ten seconds.'
host 'tsrun kill plain TERM; sleep 0.2; tsrun state plain | grep status'
say 'With a handler TERM arrives. KILL from outside always does.'
host 'tsrun kill handler TERM; await "tsrun state handler | grep stopped"; cat handler/output'

say 'An orphan is given to process 1. A shell waits for its children; a process 1 that does not leaves zombies.'
inside plain '(sleep 5 >/dev/null 2>&1 &); sleep 0.1; ps -o pid,ppid,stat,comm | grep "1 S.*sleep"'
bundle lazy sleep 100 </dev/null
start lazy
inside lazy '(sleep 0.1 &); sleep 0.3; ps -o pid,ppid,stat,comm | grep Z'

say 'When process 1 ends the kernel kills all others of its namespace. To the host they were ordinary processes:'
host 'tsrun ps plain'
host 'tsrun kill plain KILL; await "tsrun state plain | grep stopped"; tsrun ps plain | wc -l'
try "\"trap '' TERM\" in place of the handler in bundles/pid1/demo.sh; docker run --init puts a small init before the program."
