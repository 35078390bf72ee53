#!/usr/bin/env bash
# Makes a fresh Debian root file system the guest of test/vm: `guest.sh ROOT`, called by build.sh.
# It runs /share/run.sh of the second disk as soon as it is up, with what that prints on the virtual console, and turns itself off.
set -euo pipefail
root=$1
units=$root/etc/systemd/system

echo guest >"$root/etc/hostname"
: >"$root/etc/fstab"
echo 5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e >"$root/etc/machine-id"

# An ordinary user with subordinate ids, whose session is there from the start and has controllers to itself.
chroot "$root" useradd --create-home --uid 1000 --shell /bin/bash tester
for file in subuid subgid; do echo tester:100000:65536 >"$root/etc/$file"; done
mkdir -p "$root/var/lib/systemd/linger" "$units/user@.service.d" "$units/multi-user.target.wants"
touch "$root/var/lib/systemd/linger/tester"
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' >"$units/user@.service.d/delegate.conf"

# What costs time at each start and serves nobody here.
for unit in getty@tty1.service serial-getty@ttyS0.service serial-getty@ttyAMA0.service serial-getty@hvc0.service apt-daily.timer apt-daily-upgrade.timer \
  e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-random-seed.service \
  systemd-journal-flush.service systemd-pstore.service systemd-hwdb-update.service ldconfig.service \
  containerd.service docker.service docker.socket podman.service podman.socket podman-auto-update.timer podman-restart.service; do
  ln -sf /dev/null "$units/$unit"
done
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n' >"$root/etc/systemd/journald.conf"

# `Delegate`: what the tests make below their own cgroup is theirs.
cat >"$units/tests.service" <<'END'
[Unit]
After=dbus.service systemd-user-sessions.service apparmor.service user@1000.service
Wants=dbus.service user@1000.service
[Service]
Type=oneshot
Delegate=yes
ExecStartPre=/bin/mount -t ext4 /dev/vdb /share
ExecStart=/bin/bash /share/run.sh
ExecStopPost=/bin/systemctl poweroff --force --force
StandardInput=null
StandardOutput=file:/dev/hvc0
StandardError=inherit
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
END
ln -s ../tests.service "$units/multi-user.target.wants/tests.service"
