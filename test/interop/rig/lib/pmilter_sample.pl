#!/usr/bin/perl
# pmilter_sample.pl SOCKET LOG
#   A milter on Sendmail::PMilter, which speaks the protocol in pure Perl and only in version 2. Adds X-PMilter: seen; refuses reject@.
use strict;
use warnings;
use Sendmail::PMilter qw(:all);

my ($socket, $log) = @ARGV;
$socket =~ s/^local:/unix:/;
open my $out, '>>', $log or die "$log: $!";
$out->autoflush(1);
my %callbacks;
for my $name (qw(connect helo envfrom envrcpt data header eoh body abort close unknown)) {
    $callbacks{$name} = sub {
        my ($ctx, @arguments) = @_;
        print $out join(' ', $name, map { $_ // '' } @arguments[0 .. 0]), "\n";
        return SMFIS_REJECT if $name eq 'envrcpt' && $arguments[0] =~ /^<?reject@/;
        return SMFIS_CONTINUE;
    };
}
$callbacks{eom} = sub { $_[0]->addheader('X-PMilter', 'seen'); return SMFIS_CONTINUE };
my $milter = Sendmail::PMilter->new;
$milter->setconn($socket);
$milter->register('pmilter', \%callbacks, SMFI_CURR_ACTS);
umask 0;
$milter->main(5, 100);
