# A Debian as it is before docs/installing.md: Node 24 where its package puts it, Postfix as an "Internet Site" for example.com, with the
# mailbox of one user, and no milter. For machine-up.
RIG=$2

mount --bind "$RIG/../../../node_modules/node/bin/node" /usr/bin/node
debconf-set-selections <<'ANSWERS'
postfix postfix/main_mailer_type select Internet Site
postfix postfix/mailname string example.com
ANSWERS
DEBIAN_FRONTEND=noninteractive dpkg-reconfigure postfix
useradd --create-home you
# What this machine may have beyond that.
rm -rf /root/.npmrc /etc/milterhost /var/lib/milterhost /usr/lib/node_modules/milterhost /etc/rspamd /var/lib/rspamd
