#!/bin/sh
# root in parts: what each part allows, what its absence refuses, and a file that lends one
. "$(dirname "$0")/../lib.sh"

title 'capabilities: root in parts'
say 'What root may do is divided into some forty capabilities. This container is of uid 0 and has none of them.'
bundle nothing sleep 100 <<'JSON'
{ "process": { "capabilities": { "bounding": [], "permitted": [], "effective": [] } } }
JSON
start nothing
serve='nc -l -p 80 </dev/null & sleep 0.2; kill $! 2>/dev/null && echo "listens on port 80"'
inside nothing 'id -u; touch /tmp/mine; chown 1000 /tmp/mine'
inside nothing 'ping -c 1 127.0.0.1'
say 'With two of them, and nothing else, the same goes well:'
bundle some sleep 100 <<'JSON'
{ "process": { "capabilities": {
    "bounding": ["CAP_CHOWN", "CAP_NET_RAW"],
    "permitted": ["CAP_CHOWN", "CAP_NET_RAW"],
    "effective": ["CAP_CHOWN", "CAP_NET_RAW"] } } }
JSON
start some
inside some 'touch /tmp/own; chown 1000 /tmp/own; stat -c "now of %u" /tmp/own'
inside some 'ping -c 1 127.0.0.1 | head -n 2'

say 'Ports below 1024 are for CAP_NET_BIND_SERVICE. An ordinary user keeps it over execve(2) only when it is "ambient".'
for kind in none ambient; do
  set='[]' && [ $kind = ambient ] && set='["CAP_NET_BIND_SERVICE"]'
  bundle $kind sh -c "id -u; $serve" <<JSON
{ "process": { "user": { "uid": 1000, "gid": 1000 }, "capabilities": {
    "bounding": $set, "permitted": $set, "effective": $set, "inheritable": $set, "ambient": $set } } }
JSON
  run $kind
done

if command -v setcap >/dev/null; then
  say 'A file can lend one to whoever runs it, up to the bounding set: a smaller kind of set-user-ID.'
  mkdir rootfs/lent && cp rootfs/bin/busybox rootfs/lent/ping && setcap cap_net_raw+ep rootfs/lent/ping
  for never in false true; do
    bundle never-$never /lent/ping -q -c 1 127.0.0.1 <<JSON
{ "process": { "user": { "uid": 1000, "gid": 1000 }, "noNewPrivileges": $never,
    "capabilities": { "bounding": ["CAP_NET_RAW"], "permitted": [], "effective": [] } } }
JSON
    run never-$never
  done
  say 'With noNewPrivileges no file lends anything, neither by a capability nor by its owner.'
else
  say '(Capabilities of files are not shown: setcap is missing; on Debian: apt-get install libcap2-bin.)'
fi
try '"tsrun exec --cap CAP_CHOWN nothing chown 1000 /tmp/mine"; docker run --cap-drop all --cap-add chown, --security-opt no-new-privileges.'
