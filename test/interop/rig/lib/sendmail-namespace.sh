#!/bin/bash
# sendmail-namespace.sh DIR CMD... : dresses the namespaces that sendmail-up made for its Sendmail, then becomes CMD.
# A /dev with the few devices Sendmail uses and a log socket that leads to DIR; DIR/etc/sasl in place of /usr/lib/sasl2.
set -e
DIR=$1
shift
echo mx.rig.example > /proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 tmpfs "$DIR/dev"
for d in null zero random urandom tty; do
  : > "$DIR/dev/$d"
  mount --bind "/dev/$d" "$DIR/dev/$d"
done
ln -s "$DIR/log.sock" "$DIR/dev/log"
mount --rbind "$DIR/dev" /dev
[ ! -d /usr/lib/sasl2 ] || mount --bind "$DIR/etc/sasl" /usr/lib/sasl2
exec "$@"
