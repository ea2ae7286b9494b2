# FtchainDisk: servers on disks that get full
#
#	use FtchainDisk;					# first of all: the test begins again in a namespace
#
#	plan(skip_all => 'no namespaces') unless FtchainDisk::is_ours();
#	my $node = FtchainDisk::Node->new_node('alpha');	# or ->network(...)
#	$node->{disk}->fill;				# of the data; nothing is left
#	$node->{disk}->fill(100);			# but for so many kB
#	$node->{wal_disk}->fill;			# of the write-ahead log
#	$node->{disk}->clear;				# there is room again
#
# A disk is a file system in memory that only this test sees; so no privilege is
# needed, and no other's disk gets full.
package FtchainDisk;

use strict;
use warnings;

use FtchainNet;

sub is_ours
{
	return FtchainNet::is_ours();
}

# new(directory, MB): the directory is one of its own, and empty
sub new
{
	my ($class, $path, $size) = @_;

	-d $path or mkdir($path) or die "cannot make $path: $!\n";
	system('mount', '-t', 'tmpfs', '-o', "size=${size}m,mode=0700", 'ftchain', $path) == 0
	  or die "cannot mount a file system at $path\n";
	return bless({ path => $path, filler => "$path/filler" }, $class);
}

# Leave no room, or so many kB: takes what becomes free as well.
sub fill
{
	my ($self, $left) = @_;

	open(my $out, '>>', $self->{filler}) or die "cannot write $self->{filler}: $!\n";
	binmode($out);
	1 while syswrite($out, "\0" x 65536);
	1 while syswrite($out, "\0" x 512);
	truncate($out, (-s $out) - 1024 * $left) if $left;
	close($out);
	return;
}

sub clear
{
	my $self = shift;

	unlink($self->{filler});
	return;
}

sub remove
{
	my $self = shift;

	system('umount', '-l', $self->{path});
	return;
}


package FtchainDisk::Node;

use strict;
use warnings;

use FtchainCluster;

use parent -norequire, 'FtchainCluster';

# The write-ahead log is on a disk of its own: without it a server stops.
sub init
{
	my ($self, %params) = @_;
	my $wal = $self->basedir . '/wal';

	$self->{disk} = FtchainDisk->new($self->data_dir, $params{disk} // 150);
	$self->{wal_disk} = FtchainDisk->new($wal, 48);
	delete $params{disk};
	$self->SUPER::init(%params, extra => [ "--waldir=$wal/log", '--wal-segsize=1', @{ $params{extra} // [] } ]);
	$self->append_conf('postgresql.conf', "min_wal_size = 2MB\nmax_wal_size = 8MB\n");
	return;
}

# When the test is over
sub clean_node
{
	my $self = shift;

	$_->remove foreach grep { defined } $self->{disk}, $self->{wal_disk};
	return $self->SUPER::clean_node;
}

1;
