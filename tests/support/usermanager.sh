#!/bin/bash
# usermanager.sh UID NAME HOME PYTHON PACKAGES READY: pid 1 of the namespaces that UserManager makes; runs as root.
# A systemd of user UID, with a journal, that can see nothing of this computer's own: everything mounted is private.
set -eu
umask 022
uid=$1 name=$2 home=$3 python=$4 packages=$5 ready=$6
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
runtime=/run/user/$uid
# /run/systemd/system says "booted with systemd": it must never exist outside of this mount namespace
mkdir -p /run/systemd/{system,unit-root,journal} "$runtime" /run/{bin,python,packages}
chmod 700 "$runtime"
chown "$uid" "$runtime"
mount --bind "$packages" /run/packages
# A Python in a home that nobody else may enter: it stays at its path, and the rest of that home is not there.
mount --bind "$python" /run/python
closed=$python
until [ "$closed" = / ] || setpriv --reuid "$uid" --regid "$uid" --clear-groups test ! -x "$closed"; do
  closed=$(dirname "$closed")
done
while [ "$closed" != / ] && setpriv --reuid "$uid" --regid "$uid" --clear-groups test ! -x "$(dirname "$closed")"; do
  closed=$(dirname "$closed")
done
if [ "$closed" != / ]; then
  mount -t tmpfs -o mode=755 tmpfs "$closed"
  mkdir -p "$python"
  mount --bind /run/python "$python"
fi

cp /etc/passwd /run/passwd
echo "$name:x:$uid:$uid::$home:/bin/bash" >>/run/passwd
mount --bind /run/passwd /etc/passwd
mount -t tmpfs -o mode=755 tmpfs "$(dirname "$home")"
mkdir -p "$home"
chown "$uid:$uid" "$home"
chmod 700 "$home"

# A cgroup tree that begins here. The path is the one that journald reads the user's unit from.
umount -R -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
own=/sys/fs/cgroup/user.slice/user-$uid.slice/user@$uid.service
mkdir -p "$own" /sys/fs/cgroup/harness /sys/fs/cgroup/journald
echo $$ >/sys/fs/cgroup/harness/cgroup.procs
chown "$uid" "$own" "$own"/cgroup.{procs,threads,subtree_control} /sys/fs/cgroup/cgroup.procs

touch /run/systemd/journal/flushed
mkdir -p /var/log/journal
mount -t tmpfs -o mode=755 tmpfs /var/log/journal
printf '[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\nSplitMode=uid\nRateLimitIntervalSec=0\n' >/run/journald.conf
[ -e /etc/systemd/journald.conf ] && mount --bind /run/journald.conf /etc/systemd/journald.conf
if [ ! -s /etc/machine-id ]; then
  systemd-id128 new >/run/machine-id
  [ -e /etc/machine-id ] && mount --bind /run/machine-id /etc/machine-id
fi
(
  echo "$BASHPID" >/sys/fs/cgroup/journald/cgroup.procs
  exec /lib/systemd/systemd-journald
) &
for _ in {1..500}; do [ -S /run/systemd/journal/stdout ] && break; sleep .01; done

# A login brings the user's systemd; where /run/login exists when it ends, there is another login.
log_in() (
  echo "$BASHPID" >"$own/cgroup.procs"
  cd "$home"
  exec setpriv --reuid "$uid" --regid "$uid" --clear-groups env -i "HOME=$home" "USER=$name" "LOGNAME=$name" \
    SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin "XDG_RUNTIME_DIR=$runtime" \
    /lib/systemd/systemd --user --log-target=journal
)
log_in &
manager=$!
for _ in {1..500}; do
  [ -S "$runtime/systemd/private" ] && break
  kill -0 "$manager"
  sleep .01
done
touch "$ready"
wait "$manager" || true
while [ -e /run/login ]; do
  rm /run/login
  log_in || true
done
