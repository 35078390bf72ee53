#!/bin/sh
# root of the container is nobody of the host: maps, owners seen from both sides, and a container of an ordinary user
. "$(dirname "$0")/../lib.sh"
need setpriv util-linux

title 'users: ids of its own'
say 'A user namespace maps ids: root of the container "low" is user 100000 of the host, that of "high" 200000.'
mkdir -m 777 port && mkdir rootfs/port
map() {
  printf '{ "linux": { "namespaces+": [{ "type": "user" }],\n    "uidMappings": [{ "containerID": 0, "hostID": %s, "size": 65536 }],\n' "$1"
  printf '    "gidMappings": [{ "containerID": 0, "hostID": %s, "size": 65536 }] },\n' "$1"
  printf '  "mounts+": [{ "source": "%s/port", "destination": "/port", "options": ["bind"] }] }\n' "$work"
}
map 100000 | bundle low sleep 100
map 200000 | bundle high sleep 100
start low
start high
inside low 'id -u; cat /proc/self/uid_map; touch /port/of-low; stat -c "%u:%g %n" /port/*'
inside high 'touch /port/of-high; stat -c "%u:%g %n" /port/*'
say 'What has no id on the map is of 65534, nobody. On the host each file is of the user it was made by:'
touch port/of-host && chmod 600 port/of-host
host 'stat -c "%u:%g %n" port/*; ps -o uid,args -p "$(pid_of low)" -p "$(pid_of high)"'
say 'So this root may not do what it likes: files of the host and of the other container are not its own.'
inside low 'cat /port/of-host; chown 0:0 /port/of-host; echo mine >/port/of-high'
inside low 'rm /bin/busybox'
say 'Nor may it have other ids: a map is written once, by tsrun before the program ran.'
inside low 'echo "0 0 1" >/proc/1/uid_map'

say 'An ordinary user may map one id, its own, and run a container without any root: "rootless".'
mkdir user user/state && cp -a rootfs user/rootfs && chown -R 1000:1000 user
as_user() { (cd user && setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs env HOME=/ XDG_RUNTIME_DIR="$work/user" "$@"); }
tsrun_as_user() {
  if [ -n "${TSRUN-}" ]; then as_user "$TSRUN" --root "$work/user/state" "$@"; else as_user node "$built" --root "$work/user/state" "$@"; fi
}
if as_user test -r "${TSRUN:-$built}"; then
  tsrun_as_user spec --rootless
  sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sh", "-c", "id -u; cat \/proc\/self\/uid_map"/' user/config.json
  host 'as_user id -u; tsrun_as_user run rootless'
else
  say "(Not shown: user 1000 may not read $(dirname "$bundles"); a clone outside of /root will do.)"
fi
try 'docker: "userns-remap" in daemon.json; podman run --userns=auto; two maps of different sizes in bundles/users/demo.sh.'
