#!/bin/sh
# A machine within the machine for engines: namespaces, cgroups and directories of their own, and an end that takes all of it away.
#
#   surroundings.sh hold DIRECTORY NAME SECONDS KEEP ...   makes them, says "ready", and holds them until standard input ends
#   surroundings.sh enter DIRECTORY WORKDIR COMMAND ...    runs a command in them
#   surroundings.sh hold_machine DIRECTORY NAME SECONDS, surroundings.sh enter_machine DIRECTORY WORKDIR COMMAND ...
#                                                          the same where the whole machine is there for nothing else
#
# DIRECTORY and every KEEP are the same inside as outside; what a command writes anywhere else stays inside.
set -eu

# One line for each cgroup v1 hierarchy, and for cgroup2 where hybrid hosts have it: NAME OPTIONS DIRECTORY.
list_hierarchies() {
  while IFS=: read -r _ controllers own; do
    case $controllers in
      '') name=unified options=none ;;
      name=*) name=${controllers#name=} options=none,$controllers ;;
      *) name=$controllers options=$controllers ;;
    esac
    [ -e "/sys/fs/cgroup/$name/cgroup.procs" ] && echo "$name $options /sys/fs/cgroup/$name${own%/}"
  done </proc/self/cgroup
}

make_cgroups() {
  list_hierarchies | while read -r name options parent; do
    mkdir "$parent/$1"
    # A process cannot join a cpuset without processors.
    if [ -e "$parent/cpuset.cpus" ]; then
      for file in cpuset.cpus cpuset.mems; do cat "$parent/$file" >"$parent/$1/$file"; done
      echo 1 >"$parent/$1/cgroup.clone_children"
    fi
    echo "$name $options $parent/$1"
  done >"$2/cgroups"
}

join_cgroups() {
  while read -r _ _ cgroup; do echo 0 >"$cgroup/cgroup.procs"; done <"$1/cgroups"
}

# A frozen process of cgroup v1 cannot be killed, and its pid namespace does not end before it.
thaw() {
  while read -r name _ cgroup; do
    [ "$name" != freezer ] || find "$cgroup" -depth -name freezer.state -exec sh -c 'echo THAWED >"$1"' sh {} \;
  done <"$1/cgroups"
}

remove_cgroups() {
  while read -r _ _ cgroup; do
    tries=0
    while [ -e "$cgroup" ] && [ "$tries" -lt 200 ]; do
      find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [ ! -e "$cgroup" ] || sleep 0.05
      tries=$((tries + 1))
    done
  done <"$1/cgroups"
}

hold() {
  directory=$1 name=$2 seconds=$3
  shift 3
  # Only the end of standard input ends it: a terminal's Ctrl-C reaches the tests too, and they may still be at work.
  trap '' HUP INT TERM
  make_cgroups "$name" "$directory"
  (
    join_cgroups "$directory"
    exec setpriv --pdeathsig KILL unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child \
      --propagation private -- sh "$0" inside "$directory" "$@"
  ) </dev/null &
  echo "$!" >"$directory/outer.pid"
  timeout "$seconds" cat >/dev/null || true
  thaw "$directory"
  kill -KILL "$(cat "$directory/outer.pid")" 2>/dev/null || true
  wait || true
  remove_cgroups "$directory"
  rm -rf --one-file-system "$directory"
}

# Changes of a directory stay in memory.
cover() {
  layers=/run/cover$1
  mkdir -p "$layers/upper" "$layers/work"
  mount -t overlay -o "lowerdir=$1,upperdir=$layers/upper,workdir=$layers/work" overlay "$1"
}

empty() {
  mkdir -p "$2"
  mount -t tmpfs -o "mode=$1" tmpfs "$2"
}

inside() {
  directory=$1
  mount -t proc proc /proc
  umount -R /sys
  mount -t sysfs sysfs /sys
  mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup
  while read -r name options _; do
    mkdir "/sys/fs/cgroup/$name"
    if [ "$name" = unified ]; then mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    else mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$name"; fi
  done <"$directory/cgroups"
  count=0
  empty 0755 /run
  for kept in "$@"; do
    mkdir -p "/run/keep/$count"
    mount --bind "$kept" "/run/keep/$count"
    count=$((count + 1))
  done
  cover /etc
  cover /var/lib
  # No file system that takes part in an overlay may lie on one.
  for covered in containers docker containerd cni; do empty 0711 "/var/lib/$covered"; done
  for open in /tmp /var/tmp /dev/shm; do empty 1777 "$open"; done
  empty 0755 /etc/cni
  count=0
  for kept in "$@"; do
    mkdir -p "$kept"
    mount --move "/run/keep/$count" "$kept"
    count=$((count + 1))
  done
  ip link set lo up
  hostname engines
  echo ready
  exec >/dev/null 2>&1
  # It is the first process of a pid namespace, and "wait" reaps whatever becomes its child.
  while :; do
    sleep 3600 &
    wait "$!"
  done
}

hold_machine() {
  trap '' HUP INT TERM
  echo ready
  timeout "$3" cat >/dev/null || true
  rm -rf --one-file-system "$1"
}

enter_machine() {
  cd "$2"
  shift 2
  unset NODE_OPTIONS
  exec "$@"
}

enter() {
  directory=$1 workdir=$2
  shift 2
  # The test runner gives it to every Node below it, where it loads a module of the runner.
  unset NODE_OPTIONS
  join_cgroups "$directory"
  outer=$(cat "$directory/outer.pid")
  # It has one child, the first process inside; the kernel ends the list with a blank.
  first=$(tr -d ' ' <"/proc/$outer/task/$outer/children")
  exec nsenter --target "$first" --mount --uts --ipc --net --pid --cgroup --wdns="$workdir" -- "$@"
}

"$@"
