#!/bin/sh
# A hook of the bundle, `hook.sh up|down` with the container's state on stdin. It runs in the runtime's network namespace,
# where "up" makes the bridge and one end of a veth pair; the other end becomes the container's eth0 (veth(4)).
set -eu

bridge=tsrun0
address=10.77.0.1
container_address=10.77.0.2

# Process 1 is in the machine's own network. Where its namespace may not be read (no CAP_SYS_PTRACE over it, namespaces(7)),
# there is nothing to compare, and the check is skipped.
refuse_initial_network() {
  initial=$(readlink /proc/1/ns/net) || return 0
  if [ "$(readlink /proc/self/ns/net)" = "$initial" ]; then
    echo "bridge: refused: this is the machine's own network; run it below \"unshare --net\", as \"npm start -- bridge\" does" >&2
    exit 1
  fi
}

exists() { ip link show "$1" >/dev/null 2>&1; }
inside() { nsenter --target "$pid" --net ip "$@"; }

up() {
  pid=$(tr -d ' \n' | sed -n 's/.*"pid":\([0-9][0-9]*\).*/\1/p')
  if [ "${pid:-0}" = 0 ]; then
    echo 'bridge: the state on stdin has no pid' >&2
    exit 1
  fi

  if ! exists $bridge; then
    ip link add $bridge type bridge
    ip address add $address/24 dev $bridge
    ip link set $bridge up
  fi

  # Several containers may have their end here, so names hold the pid; a name has 15 characters at most (IFNAMSIZ).
  ip link add "veth$pid" type veth peer name "peer$pid"
  ip link set "veth$pid" master $bridge up
  ip link set "peer$pid" netns "$pid" name eth0

  inside link set lo up
  inside address add $container_address/24 dev eth0
  inside link set eth0 up
  inside route add default via $address
}

# The veth pair is gone or going: it ends with the container's network namespace.
down() {
  if exists $bridge; then ip link delete $bridge; fi
}

refuse_initial_network
case ${1:-} in
  up | down) "$1" ;;
  *) echo 'usage: hook.sh up|down' >&2 && exit 1 ;;
esac
