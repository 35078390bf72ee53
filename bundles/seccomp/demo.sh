#!/bin/sh
# a filter of system calls: an errno for one, the end for another
. "$(dirname "$0")/../lib.sh"
ls /lib/*/libseccomp.so.2 /usr/lib/*/libseccomp.so.2 /usr/lib*/libseccomp.so.2 >/dev/null 2>&1 || [ -n "$(ldconfig -p 2>/dev/null | grep libseccomp.so.2)" ] ||
  hint 'libseccomp.so.2 is missing; on Debian: apt-get install libseccomp2'

title 'seccomp: which system calls a program may make'
say 'A filter is a small program in the kernel that looks at the number and the arguments of each call. It knows no paths: those are behind pointers.'
bundle box sleep 100 <<'JSON'
{ "linux": { "seccomp": { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 },
    { "names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
      "args": [{ "index": 1, "value": 9, "op": "SCMP_CMP_EQ" }] },
    { "names": ["symlink", "symlinkat"], "action": "SCMP_ACT_KILL_PROCESS" }] } } }
JSON
start box
inside box 'id -u; mkdir /tmp/new'
say 'It is root, and the directory may be written to; the call alone is refused. By argument: kill(2) with 15, but not with 9.'
inside box 'touch /tmp/file && sleep 5 >/dev/null 2>&1 & sleep 0.1; kill -9 $!; kill -15 $! && echo "15 went well"'
say 'Or the process ends at the call, as by the signal SYS:'
inside box 'ln -s file /tmp/link; echo "exit code $?: 128 + $(kill -l SYS 2>/dev/null || echo 31), SYS"'
say 'A child inherits the filter, and nothing takes it away. The host reads in /proc that there is one:'
host 'grep Seccomp: /proc/$(pid_of box)/status /proc/self/status'
try '"SCMP_ACT_LOG", and dmesg; docker run --security-opt seccomp=FILE, whose default profile allows some 350 calls and refuses the rest.'
