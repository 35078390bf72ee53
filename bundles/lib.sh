# What the demonstrations share. Each is a short script of these words, after `. "$(dirname "$0")/../lib.sh"`:
#
#   title TEXT               what it is about
#   say TEXT                 a sentence
#   try TEXT                 what to do next
#   need PROGRAM PACKAGE     ends with a hint where a program is missing
#   bundle NAME [ARG ...]    makes a bundle that runs ARG ...; standard input is what its config.json has beyond, or in
#                            place of, that of ../busybox (see config.mjs)
#   run NAME [OPTION ...]    runs it, and waits for its end; the options are those of tsrun run
#   start NAME [OPTION ...]  runs it, and goes on
#   inside NAME COMMAND      a command of the shell in a running container, and what it says
#   host COMMAND             the same on the host, in the directory where the bundles are; `tsrun` there is the function below
#
# "The host" is this shell. It has a mount namespace of its own, and what PRIVATE names (options of unshare), so that nothing
# here is mounted or set up on the machine. Bundles and states lie on a tmpfs in it; containers and cgroups are removed in
# the end, however that comes.
set -u

here=$(cd "$(dirname "$0")" && pwd)
demo=${here##*/}
bundles=$(dirname "$here")
if [ "${TSRUN_DEMO-}" != "$demo" ]; then
  TSRUN_DEMO=$demo exec unshare --mount ${PRIVATE-} sh "$0" "$@"
fi

# The names are those that the tests of this project look for when they look for what is left.
group=tsrun-$demo-$$
work=/tmp/$group
built=$(dirname "$bundles")/dist/bin/main.js
cgroups=/sys/fs/cgroup
helpers='' cleaning='' apart=''
bold='' dim='' plain=''
if [ -t 1 ]; then bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m'); fi

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
say() { printf '\n%s\n' "$*" | fold -s -w 100; }
try() { printf '\n%sTry next:%s %s\n\n' "$bold" "$plain" "$*" | fold -s -w 100; }
indent() { sed 's/^/      /'; }
# Ends with the code that start.mjs takes for "not on this machine".
hint() { printf '\n%s: not here: %s\n\n' "$demo" "$1" && exit 77; }
need() { command -v "$1" >/dev/null || hint "$1 is missing; on Debian: apt-get install $2"; }

# In place of the command: the built one, or the executable that TSRUN names. The state directory is the demonstration's own.
tsrun() {
  if [ -n "${TSRUN-}" ]; then $apart "$TSRUN" --root "$work/state" "$@"; else $apart node "$built" --root "$work/state" "$@"; fi
}

bundle() {
  mkdir -p "$work/$1"
  patch=$(cat)
  if [ -n "$patch" ]; then
    printf '\n  %sconfig.json of %s has%s\n' "$dim" "$1" "$plain"
    printf '%s\n' "$patch" | indent
  fi
  made=$1
  shift
  printf '%s\n' "$patch" |
    node "$bundles/config.mjs" "$bundles/busybox/config.json" "$work/rootfs" "/$group/$made" "$@" \
      >"$work/$made/config.json"
}

# Prints a command at its prompt, what it says, and its exit code unless that is 0: show PROMPT TEXT COMMAND ...
show() {
  printf '\n  %s%s #%s %s\n' "$bold" "$1" "$plain" "$2" | sed '3,$s/^/      /'
  shift 2
  { "$@" </dev/null 2>&1 || echo "(exit code $?)"; } | said | indent
}

# The errors of tsrun in a pipe are lines for programs: here they are for people.
said() { sed 's/^time="[^"]*" level=\([a-z]*\) msg="\(.*\)"$/tsrun: \2/; /^tsrun: /s/\\"/"/g'; }

host() { show host "$1" eval "$1"; }
inside() { show "$1" "$2" tsrun exec "$1" sh -c "$2"; }
run() {
  ran=$1
  shift
  show host "tsrun run $*${1+ }$ran" tsrun run "$@" --bundle "$work/$ran" "$ran"
}
start() {
  ran=$1
  shift
  printf '\n  %shost #%s tsrun run --detach %s\n' "$bold" "$plain" "$*${1+ }$ran"
  tsrun run --detach "$@" --bundle "$work/$ran" "$ran" </dev/null >"$work/$ran/output" 2>&1 || said <"$work/$ran/output" | indent
}
# Pid of a container's first process, as the host has it.
pid_of() { tsrun state "$1" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'; }

# Waits until a command of the shell succeeds, five seconds at most.
await() {
  tries=0
  until eval "$1" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 50 ]; then return 1; fi
    sleep 0.1
  done
}

# Whether this host has a controller, and the directory of a container's cgroup in its hierarchy (v1) or in the one (v2).
is_v2() { [ -f $cgroups/cgroup.controllers ]; }
has_controller() { if is_v2; then grep -qw "$1" $cgroups/cgroup.controllers; else [ -d "$cgroups/$1" ]; fi; }
cgroup_of() { if is_v2; then echo "$cgroups/$group/$1"; else echo "$cgroups/$2/$group/$1"; fi; }

# What a demonstration has to undo of its own: before its containers are removed, and when their cgroups are gone.
undo() { :; }
release() { :; }

# A signal may come when this has just begun at the normal end: then it is done there, and once.
cleanup() {
  code=${1:-$?}
  if [ -n "$cleaning" ]; then return; fi
  cleaning=yes
  trap '' INT TERM HUP PIPE
  # Node takes signals that it has inherited as ignored, and a terminal sends them to all.
  apart='setsid --wait'
  for pid in $helpers; do kill "$pid"; done 2>/dev/null
  undo
  for state in "$work/state"/*/; do
    if [ -d "$state" ]; then tsrun delete --force "$(basename "$state")" >/dev/null 2>&1; fi
  done
  for root in $cgroups $cgroups/*/ "$work"/cgroup/*/; do
    if [ -d "${root%/}/$group" ]; then find "${root%/}/$group" -depth -type d -exec rmdir {} \; 2>/dev/null; fi
  done
  release
  cd /
  umount --recursive --lazy "$work" && rmdir "$work"
  trap - EXIT
  exit "$code"
}

trap cleanup EXIT
trap 'cleanup 130' INT
trap 'cleanup 143' TERM
trap 'cleanup 129' HUP
trap 'cleanup 141' PIPE
mkdir -p "$work"
mount -t tmpfs -o mode=755 tsrun-demo "$work"
cd "$work" || exit
mkdir state
cp -a "$bundles/busybox/rootfs" rootfs
