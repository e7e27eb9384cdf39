# What a postmaster writes after installing the milters of Debian: nothing but what each would not do by itself. For machine-up.
RIG=$2

# Whose mail this machine is for, as the installation of Postfix asks; amavisd-new looks there.
echo example.net > /etc/mailname

# OpenDKIM signs our own mail and verifies the rest. It and dkimpy-milter remove results that bear their own name, so that each has one;
# pyspf-milter and dkimpy-milter share the name of the machine, and OpenDMARC trusts both.
install -o opendkim -m 600 "$RIG/keys/rig.private" /etc/dkimkeys/rig.private
cat >> /etc/opendkim.conf <<'CF'
Domain example.com
Selector rig
KeyFile /etc/dkimkeys/rig.private
AuthservID opendkim.rig.example
ResolverConfiguration /etc/unbound.conf
CF
echo 'TrustedAuthservIDs mx.rig.example,opendkim.rig.example' >> /etc/opendmarc.conf
echo 'Header_Type = AR' >> /etc/pyspf-milter/pyspf-milter.conf
# libunbound, with which OpenDKIM resolves, asks the root servers of the real world, and never a server on loopback, unless it is told to.
sed -i 's/^TrustAnchorFile/#&/' /etc/opendkim.conf
printf 'server:\n  do-not-query-localhost: no\nforward-zone:\n  name: "."\n  forward-addr: 127.0.0.53\n' > /etc/unbound.conf

# A signature of our own, of the EICAR test file, in place of those that freshclam downloads, without which systemd would not start clamd.
printf 'Eicar:0:*:%s\n' 58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e44415244 > /var/lib/clamav/rig.ndb
mkdir /var/lib/clamav/main.inc /var/lib/clamav/daily.inc
sed -i 's/^OnInfected .*/OnInfected Reject/' /etc/clamav/clamav-milter.conf

# rspamd says nothing in mail that it lets pass, unless it is told to.
echo 'extended_spam_headers = true;' > /etc/rspamd/local.d/milter_headers.conf
# The first time it compiles its expressions and all top-level domains, for half a minute of both processors.
printf 'com\nnet\norg\n' > /etc/rspamd/domains
printf 'disable_hyperscan = true;\nurl_tld = "/etc/rspamd/domains";\n' > /etc/rspamd/local.d/options.inc

# The package leaves its unit disabled, and with systemd a unit takes the place of the init script of its name.
systemctl --quiet enable mimedefang
