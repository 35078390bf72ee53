#!/bin/sh
# Shows a container from the inside. Without arguments everything, else the sections that are named:
#   sh show.sh [program|processes|namespaces|capabilities|mounts|cgroup|network]...
# It reads /proc and /sys with what a POSIX shell has built in, so that it needs next to nothing in the container.
set -eu

bold='' plain=''
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
row() { printf '  %-14s %s\n' "$1" "$2"; }
first_line() { if read -r line <"$1"; then printf '%s' "$line"; fi; }

show_program() {
  title 'The program'
  row 'pid' "$$$([ $$ != 1 ] || printf ', the first process of its own pid namespace')"
  row 'hostname' "$(first_line /proc/sys/kernel/hostname)"
  row 'user' "uid $(status_field Uid), gid $(status_field Gid)"
  row 'directory' "$(pwd)"
  row 'kernel' "$(first_line /proc/sys/kernel/osrelease), the host's: a container has none of its own"
  read -r up _ </proc/uptime
  row 'uptime' "$up s, as the time namespace has it"
  if (: >/usr/.write-test) 2>/dev/null; then row '/usr' 'writable'; else row '/usr' "the host's, read-only"; fi
}

# The first value of a line of /proc/self/status; the shell itself is "self" as long as no program is started.
status_field() {
  while IFS=':	 ' read -r name value _; do
    if [ "$name" = "$1" ]; then printf '%s' "$value"; fi
  done </proc/$$/status
}

show_processes() {
  title 'Processes, all that can be seen from here'
  for directory in /proc/[0-9]*; do
    pid=${directory#/proc/}
    { command=$(tr '\0' ' ' <"$directory/cmdline"); } 2>/dev/null || continue
    row "$pid" "${command:-(ended)}"
  done
}

# A link beside that of the host, which demo.sh has left in the environment.
beside_host() {
  for link in ${HOST_NAMESPACES-}; do
    if [ "$link" = "$1" ]; then printf '%s, which is the host'"'"'s' "$1" && return; fi
    if [ "${link%%:*}" = "${1%%:*}" ]; then printf '%-21s the host has %s' "$1" "$link" && return; fi
  done
  printf '%s' "$1"
}

show_namespaces() {
  title 'Namespaces'
  for name in pid mnt net uts ipc cgroup time user; do
    if [ -e /proc/$$/ns/$name ]; then row "$name" "$(beside_host "$(readlink /proc/$$/ns/$name)")"; fi
  done
}

capability_names='chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable
net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct
sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap
mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'

# Names of the bits of a capability set, given in hexadecimal.
decode_capabilities() {
  bits=$((0x$1)) names=''
  for name in $capability_names; do
    if [ $((bits & 1)) = 1 ]; then names="$names $name"; fi
    bits=$((bits >> 1))
  done
  printf '%s' "${names:- none}"
}

show_capabilities() {
  title 'Capabilities'
  for entry in CapBnd:bounding CapPrm:permitted CapEff:effective CapInh:inheritable CapAmb:ambient; do
    row "${entry#*:}" "$(decode_capabilities "$(status_field "${entry%:*}")" | fold -s -w 90 | sed '2,$s/^/                  /; 1s/^ //')"
  done
  row 'new privileges' "$([ "$(status_field NoNewPrivs)" = 1 ] && printf 'never (no_new_privs is set)' || printf 'allowed')"
}

show_mounts() {
  title 'Mounts'
  while read -r _ _ _ _ where options rest; do
    case "$rest" in *shared:*) kind='shared' ;; *master:*) kind='slave' ;; *) kind='' ;; esac
    type=${rest#*- }
    case $options in ro | ro,*) access='read-only' ;; *) access='writable' ;; esac
    # What is masked lies below a tmpfs or, if it is a file, below /dev/null.
    case "$where ${type%% *}" in "/proc/"*tmpfs | "/sys/firmware tmpfs") type='-' access='masked' ;; esac
    printf '  %-26s %-9s %-9s %s\n' "$where" "${type%% *}" "$access" "$kind"
  done </proc/$$/mountinfo
}

# Prints the first of some files of /sys/fs/cgroup that can be read: cgroup v2 first, then v1.
limit() {
  label=$1
  shift
  for file in "$@"; do
    if [ -r "/sys/fs/cgroup/$file" ]; then
      row "$label" "$(first_line "/sys/fs/cgroup/$file")"
      return
    fi
  done
}

show_cgroup() {
  title 'Control group'
  while IFS=: read -r _ controllers where; do row "${controllers:-cgroup2}" "$where"; done </proc/$$/cgroup
  limit 'memory limit' memory.max memory/memory.limit_in_bytes
  limit 'memory in use' memory.current memory/memory.usage_in_bytes
  limit 'process limit' pids.max pids/pids.max
  limit 'processes now' pids.current pids/pids.current
  limit 'cpu share' cpu.weight cpu/cpu.shares
}

show_network() {
  title 'Network interfaces'
  while IFS=': ' read -r name _; do
    case $name in Inter-* | face*) ;; *) row "$name" "$(first_line "/sys/class/net/$name/address")" ;; esac
  done </proc/net/dev
}

if [ $# = 0 ]; then
  printf '%sThis is a container made by tsrun, seen from the inside.%s\n' "$bold" "$plain"
  set -- program processes namespaces capabilities network mounts cgroup
fi
for section in "$@"; do "show_$section"; done
echo
