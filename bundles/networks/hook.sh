#!/bin/sh
# A hook, `hook.sh up ADDRESS` or `hook.sh down` with the container's state on standard input. It runs in the network namespace
# of the runtime, where "up" makes a bridge and one end of a veth pair; the other end becomes the container's eth0 (veth(4)).
set -eu

bridge=byhand0
gateway=10.77.0.1

# Process 1 is in the machine's own network. Where its namespace may not be read (no CAP_SYS_PTRACE over it, namespaces(7)),
# there is nothing to compare, and the check is skipped.
refuse_initial_network() {
  initial=$(readlink /proc/1/ns/net) || return 0
  if [ "$(readlink /proc/self/ns/net)" = "$initial" ]; then
    echo "networks: refused: this is the machine's own network; run it below \"unshare --net\", as demo.sh does" >&2
    exit 1
  fi
}

exists() { ip link show "$1" >/dev/null 2>&1; }
inside() { nsenter --target "$pid" --net ip "$@"; }

up() {
  pid=$(tr -d ' \n' | sed -n 's/.*"pid":\([0-9][0-9]*\).*/\1/p')
  if [ "${pid:-0}" = 0 ]; then
    echo 'networks: the state on stdin has no pid' >&2
    exit 1
  fi

  if ! exists $bridge; then
    ip link add $bridge type bridge
    ip address add $gateway/24 dev $bridge
    ip link set $bridge up
  fi

  # Several containers have their end here, so names hold the pid; a name has 15 characters at most (IFNAMSIZ).
  ip link add "veth$pid" type veth peer name "peer$pid"
  ip link set "veth$pid" master $bridge up
  ip link set "peer$pid" netns "$pid" name eth0

  inside link set lo up
  inside address add "$1/24" dev eth0
  inside link set eth0 up
  inside route add default via $gateway
}

# The veth pair is gone or going: it ends with the container's network namespace.
down() {
  if exists $bridge && [ -z "$(ip link show master $bridge)" ]; then ip link delete $bridge; fi
}

refuse_initial_network
case ${1:-} in
  up | down) "$@" ;;
  *) echo 'usage: hook.sh up ADDRESS|down' >&2 && exit 1 ;;
esac
