#!/usr/bin/env bash
# Makes a virtual machine with cgroup v2, systemd as pid 1 and AppArmor, from Debian packages: kernel, initrd and root file system
# for test/vm/run.mjs. It needs root on Debian and the packages mmdebstrap, cpio, kmod and e2fsprogs.
# `test/vm/build.sh ARCHITECTURE DIRECTORY [PACKAGES]`; the architecture is Debian's name of it, the packages are installed besides, with a
# comma between them. Nothing happens when the machine is there and they, this file and guest.sh have not changed since.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
architecture=$1
target=$2
suite=bookworm
packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,apparmor,busybox-static,libstdc++6,uidmap,iproute2,procps,kmod,util-linux,strace,jq,keyutils,libseccomp2,runc${3:+,$3}

stamp=$( (cat "$0" "$here/guest.sh" && echo "$packages") | sha256sum)
if [ "$(cat "$target/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
mkdir -p "$target"
work=$(mktemp -d "$target/work-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

# The mirrors of this machine where it runs the same Debian, so that a proxy or a snapshot holds for the guest as well.
mirrors=()
for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
  if [ -s "$file" ] && grep -q "$suite" "$file"; then mirrors+=("$file"); fi
done
bootstrap() {
  mmdebstrap --quiet --mode=root --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' "$@" ${mirrors[@]+"${mirrors[@]}"}
}

# The kernel is unpacked and not installed: its own initrd, with everything, takes an emulated processor long to read.
echo "test/vm: unpacking a kernel"
bootstrap --variant=extract --architectures="$architecture" --include="linux-image-cloud-$architecture" "$suite" "$work/kernel.tar"
mkdir "$work/kernel" "$work/initrd"
tar -xf "$work/kernel.tar" -C "$work/kernel" ./boot ./lib/modules
rm "$work/kernel.tar"
version=$(basename "$work"/kernel/lib/modules/*)
depmod -b "$work/kernel" "$version"

echo "test/vm: installing the guest"
root=$work/root
bootstrap --variant=minbase --include="$packages" "$suite" "$root"
"$here/guest.sh" "$root"
# What the scripts of packages configure (users, PAM, units) is the same on every architecture. Where those of the guest's cannot run, which
# would take minutes through an emulator anyway, the same packages of this machine's architecture are installed, and programs and
# libraries of the guest's are unpacked over theirs.
if [ "$architecture" != "$(dpkg --print-architecture)" ]; then
  echo "test/vm: unpacking what is of $architecture"
  bootstrap --variant=extract --architectures="$architecture" --include='?essential' --include="$packages" "$suite" "$work/guest.tar"
  rm -rf "$root"/usr/lib/*-linux-gnu "$root"/usr/lib64/* "$root/etc/ld.so.cache"
  tar -xf "$work/guest.tar" -C "$root" --keep-directory-symlink --exclude=./etc --exclude=./var --exclude=./dev
  rm "$work/guest.tar"
fi
mkdir -p "$root/lib/modules" "$root/share"
cp -a "$work/kernel/lib/modules/$version" "$root/lib/modules/"

# The initrd: busybox and what it takes to see the disks and to say something.
mkdir "$work"/initrd/{bin,dev,proc,sys,root,modules}
cp "$root/bin/busybox" "$work/initrd/bin/busybox"
number=100
modprobe -d "$work/kernel" -S "$version" --show-depends --all virtio_pci virtio_blk virtio_console ext4 | while read -r word module _; do
  [ "$word" = insmod ] || continue
  number=$((number + 1))
  cp "$module" "$work/initrd/modules/$number.ko"
done
cat >"$work/initrd/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
# A module that two others need comes twice; the second time is refused.
for module in /modules/*.ko; do $b insmod $module 2>/dev/null; done
until [ -b /dev/vda ] && [ -b /dev/vdb ]; do $b sleep 0.05; done
$b mount -t ext4 /dev/vda /root
$b mount --move /dev /root/dev
$b umount /proc
exec $b switch_root /root /sbin/init
INIT
chmod +x "$work/initrd/init"
(cd "$work/initrd" && find . | cpio --quiet --create --format=newc) >"$work/initrd.img"

truncate -s 2G "$work/root.img"
mkfs.ext4 -q -F -O ^has_journal -d "$root" "$work/root.img"
cp "$work/kernel/boot/vmlinuz-$version" "$target/vmlinuz"
mv "$work/initrd.img" "$work/root.img" "$target/"
echo "$stamp" >"$target/stamp"
