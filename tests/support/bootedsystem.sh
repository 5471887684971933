#!/bin/bash
# bootedsystem.sh FOLDER PYTHON PACKAGES: becomes pid 1 of the namespaces that boot() makes, a systemd of the system.
# It runs over an overlay of this computer's files, and nothing that it writes outlives it. FOLDER is /exchange there.
set -eu
umask 022
folder=$1 python=$2 packages=$3
mount --make-rprivate /
space=$folder/space
mkdir "$space"
mount -t tmpfs -o mode=755 tmpfs "$space"
mkdir "$space"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$space/root"
root=$space/root
mkdir -p "$root"/{exchange,opt/python,opt/packages}
mount --bind "$folder" "$root/exchange"
mount --bind "$python" "$root/opt/python"
mount --bind "$packages" "$root/opt/packages"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm}
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
touch "$root/dev/console"
mount --bind "$folder/console" "$root/dev/console"

mkdir -p "$root/var/log/journal"
units=$root/etc/systemd/system
mkdir -p "$units"
needs="basic.target dbus.service systemd-logind.service systemd-user-sessions.service"
printf '[Unit]\nRequires=%s test.service\nAfter=%s\nAllowIsolate=yes\n' "$needs" "$needs" >"$units/test.target"
cat >"$units/test.service" <<EOF
[Unit]
After=$needs
[Service]
Type=oneshot
Environment=HOME=/root PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/bash -eux /exchange/script
StandardOutput=append:/exchange/out
StandardError=append:/exchange/err
ExecStopPost=/bin/sh -c 'echo \$EXIT_STATUS >/exchange/code; systemctl poweroff --no-block'
TimeoutStartSec=90
EOF
for unit in systemd-{udevd,timesyncd,tmpfiles-setup-dev,resolved,networkd}; do
  ln -sf /dev/null "$units/$unit.service"
done
cd "$root"
mount --make-rprivate "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=openclaw-tunnel-test PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no --crash-reboot=no
