#!/bin/sh
# rules about files that hold for root as well: Landlock
. "$(dirname "$0")/../lib.sh"

title 'landlock: rules about files, for whoever it is'
say 'A Landlock ruleset says below which paths a process may read, write and execute. config.json has no place for it, so tsrun takes an annotation.'
bundle box sleep 100 <<'JSON'
{ "annotations": { "run.tsrun.landlock": "{\"execute\": [\"/bin\"], \"read\": [\"/etc\", \"/proc\"], \"write\": [\"/tmp\", \"/dev/null\"]}" } }
JSON
start box
if ! tsrun state box >/dev/null 2>&1; then hint 'the kernel has no Landlock, or one older than Linux 6.2'; fi
inside box 'id -u; head -n 1 /etc/passwd; echo note >/tmp/note && cat /tmp/note'
inside box 'echo root2::0:0::/:/bin/sh >>/etc/passwd'
inside box 'cp /bin/busybox /tmp/tool && /tmp/tool true'
inside box 'ls /root'
say 'Nobody else is concerned: the host reads and writes the same files.'
host 'ls -d rootfs/root; cat rootfs/tmp/note'
try '"tsrun explain --steps --bundle" and the steps with landlock_; unlike seccomp it knows paths, unlike AppArmor it needs no administrator.'
