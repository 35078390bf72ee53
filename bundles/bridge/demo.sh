#!/bin/sh
# Shows the container's end of a bridged network, and that the other end answers.
set -eu

gateway=$(ip -4 route show default | sed -n 's/.* via \([0-9.]*\) .*/\1/p')

indent() { sed 's/^./  &/'; }
# Debian's ping is in iputils-ping, which a small installation lacks.
ping_twice() { if command -v ping >/dev/null; then ping -c 2 -W 2 "$1"; else busybox ping -c 2 -W 2 "$1"; fi; }

printf '\nAddresses\n'
ip -4 -brief address show | indent
printf '\nRoutes\n'
ip -4 route show | indent
printf '\nPing to the bridge, on the other side of eth0\n'
# A pipe has the status of its last command, so the outcome goes by way of a variable.
answer=$(ping_twice "$gateway" 2>&1) && status=0 || status=$?
printf '%s\n\n' "$answer" | indent
exit "$status"
