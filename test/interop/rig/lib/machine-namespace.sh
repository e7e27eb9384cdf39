#!/bin/bash
# machine-namespace.sh DIR SETUP SERVICE.. : in the namespaces that machine-up made, turns a copy of this machine's file system into a
# root of its own, and becomes its systemd. What is written there lies in memory and goes with the namespace.
set -e
DIR=$1 SETUP=$2
shift 2
RIG=$(dirname "$(dirname "$(readlink -f "$0")")")
NEW=$DIR/root
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$NEW"
mkdir "$NEW/written" "$NEW/work" "$NEW/all"
# What is mounted below / is not part of the copy: of /proc, /sys, /dev and /run the folders alone.
mount -t overlay -o "lowerdir=/,upperdir=$NEW/written,workdir=$NEW/work" overlay "$NEW/all"
cd "$NEW/all"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mkdir run/lock
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
  : > "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${stream%:*}" "dev/${stream#*:}"; done
# Either all of it is of version 2, or systemd has a hierarchy of version 1 for itself.
if [ -e /sys/fs/cgroup/cgroup.procs ]; then mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
mkdir -p "$NEW/all$DIR"
mount --bind "$DIR" "$NEW/all$DIR"
mkdir -p "$NEW/all/mnt"
pivot_root . mnt
cd /
umount -l /mnt

echo mx.rig.example | tee /etc/hostname > /proc/sys/kernel/hostname
ip link set lo up
printf '127.0.0.1 localhost\n::1 localhost\n127.0.0.1 mx.rig.example mx\n' > /etc/hosts
rm -f /etc/resolv.conf
printf 'nameserver 127.0.0.53\noptions timeout:1 attempts:1\n' > /etc/resolv.conf
# At boot systemd would empty /tmp, where DIR may be.
mkdir -p /etc/tmpfiles.d
ln -s /dev/null /etc/tmpfiles.d/tmp.conf
ln -s /dev/null /etc/tmpfiles.d/x11.conf
named() { case " $* dns " in *" $link "*) ;; *) false ;; esac; }
for path in /etc/systemd/system/*.wants/* /etc/systemd/system/*.requires/* /etc/rc?.d/S*; do
  link=$(basename "$path")
  link=${link%.*}
  case $path in /etc/rc*) link=${link#S??} ;; esac
  named "$@" || rm -f "$path"
done
# The kernel is everyone's: nothing may set it up anew.
for unit in systemd-sysctl systemd-modules-load systemd-remount-fs systemd-udevd systemd-logind systemd-networkd; do
  ln -sf /dev/null "/etc/systemd/system/$unit.service"
done
ln -sf /dev/null /etc/systemd/system/getty.target
cat > /etc/systemd/system/dns.service <<UNIT
[Unit]
Before=nss-lookup.target
[Service]
ExecStart=/usr/bin/python3 -B $RIG/lib/dnsd.py --log $DIR/queries.txt 127.0.0.53 53 $RIG/zone.txt
[Install]
WantedBy=multi-user.target
UNIT
systemctl --quiet enable dns.service
bash -e "$SETUP" "$DIR" "$RIG"
export container=rig
exec /lib/systemd/systemd --system --log-target=console --show-status=false --unit=multi-user.target
