# FtchainNet: a network of the test's own, in which packets are lost
#
#	use FtchainNet;						# first of all: the test begins again in it
#	FtchainNet::lose(20, @ports);		# percent of the packets to and from these
#	FtchainNet::lose(0);
#
# It is a network namespace with nothing but loopback, and the kernel's packet
# filter loses packets at random; and one of mounts, for FtchainDisk.  No
# privilege is needed: the test's user has them within a user namespace.  Where the kernel refuses that the test dies,
# unless FTC_WITHOUT names namespaces: then FtchainNet::is_ours() is false,
# nothing is lost, and the test is to count that as skipped.
package FtchainNet;

use strict;
use warnings;

my $MARK = 'FTC_IN_NAMESPACE';
my @UNSHARE = qw(unshare --user --map-current-user --net --mount --keep-caps);

# Commands of the administrator are not in everybody's path.
sub _run
{
	my ($input, @command) = @_;

	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
	open(my $out, '|-', @command) or return 0;
	print $out $input;
	return close($out);
}

sub is_ours
{
	return $ENV{$MARK} // 0;
}

# Before other modules have taken the output into their hands
sub import
{
	if (is_ours())
	{
		_run('', qw(ip link set lo up)) or die "loopback cannot be used: is there ip, of the package iproute2?\n";
		return;
	}
	return if grep { $_ eq 'namespaces' } split(/,/, $ENV{FTC_WITHOUT} // '');
	system(@UNSHARE, 'true') == 0
	  or die "the kernel gives no network namespace; FTC_WITHOUT=namespaces leaves out what needs one\n";
	$ENV{$MARK} = 1;
	exec(@UNSHARE, $^X, (map { "-I$_" } @INC), $0) or die "cannot run unshare: $!\n";
}

sub lose
{
	my ($percent, @ports) = @_;

	return unless is_ours();
	my $ports = join(', ', @ports);
	my $loss = "numgen random mod 100 < $percent drop";
	my $rules = "table inet ftchain {}\ndelete table inet ftchain\n";

	$rules .= <<"END" if $percent > 0;
table inet ftchain {
	chain input {
		type filter hook input priority 0;
		tcp dport { $ports } $loss
		tcp sport { $ports } $loss
	}
}
END
	_run($rules, qw(nft -f -)) or die "packets cannot be lost: is there nft, of the package nftables?\n";
	return;
}

1;
