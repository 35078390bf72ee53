#!/bin/sh
# programs of the host at six moments of a container's life
. "$(dirname "$0")/../lib.sh"

title 'hooks: six moments, and where each is'
say 'Engines and plugins hang on to hooks, for networks and graphics cards. Each gets the state of the container on standard input.'
cat >hook.sh <<'SH'
#!/bin/sh
# hook.sh NAME FILE: adds a line to FILE about where it runs.
state=$(tr -d ' \n')
pid=${state##*\"pid\":} status=${state##*\"status\":\"}
mounts=$(readlink /proc/self/ns/mnt) network=$(readlink /proc/self/ns/net)
echo "$1: container ${status%%\"*}, its pid is ${pid%%[,\}]*}; mounts ${mounts#*:}, network ${network#*:}" >>"$2"
SH
chmod +x hook.sh && cp hook.sh rootfs/hook.sh
touch log && ln log rootfs/log
hook() { printf '"%s": [{ "path": "%s/hook.sh", "args": ["hook.sh", "%s", "%s/log"], "env": ["PATH=/usr/bin:/bin"] }]' "$1" "$2" "$1" "$2"; }
bundle box sh -c 'echo "the program: mounts $(readlink /proc/self/ns/mnt | cut -d: -f2)" >>/log' <<JSON
{ "hooks": {
    $(hook createRuntime "$work"),
    $(hook createContainer "$work"),
    $(hook startContainer ''),
    $(hook poststart "$work"),
    $(hook poststop "$work") } }
JSON
host 'readlink /proc/self/ns/mnt /proc/self/ns/net'
host 'tsrun create --bundle box box >/dev/null 2>&1; cat log'
say 'createRuntime runs in the namespaces of the host, createContainer in those of the container before its root is changed.'
host 'tsrun start box; await "tsrun state box | grep stopped"; tsrun delete box; cat log'
say 'startContainer is a program of the container: its path is one in the rootfs. (prestart, the oldest, is deprecated for createRuntime.)'
say 'A hook that fails before the program runs is the end of the container:'
bundle refused true <<JSON
{ "hooks": { "createRuntime": [{ "path": "/bin/false" }] } }
JSON
run refused
try 'npm start -- networks, whose hook makes a network; "timeout" of a hook.'
