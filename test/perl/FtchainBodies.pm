# FtchainBodies: large bodies on their way between members
#
#	my $bodies = FtchainBodies->new(conf => [...]);
#	my ($alpha, $beta, $gamma) = $bodies->nodes;	# each holds every body
#	$bodies->line('gamma', 'alpha')->set(rate => 2_000_000);	# as gamma reaches alpha
#	my $kind = $bodies->append($alpha, 12);		# megabytes, in one block
#	$bodies->comes($gamma, $kind, 'it comes');	# a test
#
# A line lies between gamma and each of the others, in both directions.
package FtchainBodies;

use strict;
use warnings;

use FtchainCluster;
use FtchainProxy;
use Test::More;

sub new
{
	my ($class, %params) = @_;
	my $self = bless({ lines => {}, megabytes => {} }, $class);

	$self->{nodes} = [
		FtchainCluster->network(
			[qw(alpha beta gamma)],
			chain => { replicas => 3, max_body => 67108864 },
			conf => [ 'ftchain.scrub_interval = 0', "recovery_init_sync_method = 'syncfs'", @{ $params{conf} // [] } ],
			reach => sub {
				my ($from, $to) = map { $_->name } @_;

				return () unless $from eq 'gamma' || $to eq 'gamma';
				$self->{lines}{"$from $to"} = FtchainProxy->new($_[1]);
				return (port => $self->{lines}{"$from $to"}->port);
			})
	];
	return $self;
}

sub nodes
{
	return @{ shift->{nodes} };
}

sub line
{
	my ($self, $from, $to) = @_;

	return $self->{lines}{"$from $to"};
}

sub set_all
{
	my ($self, %settings) = @_;

	$_->set(%settings) foreach values %{ $self->{lines} };
	return;
}

# Entries of a megabyte, in one transaction; gives their kind
sub append
{
	my ($self, $node, $megabytes) = @_;
	my $kind = 'body ' . (1 + keys %{ $self->{megabytes} });

	$node->query(qq(SELECT count(*) FROM ftchain.append_many('main', ARRAY(SELECT ('"' || repeat(md5(n::text), 31250) || '"')::json FROM generate_series(1, $megabytes) n), '$kind')));
	$self->{megabytes}{$kind} = $megabytes;
	return $kind;
}

# The same, and not before another node has them, too
sub append_and_wait
{
	my ($self, $node, $other, $megabytes) = @_;
	my $kind = $self->append($node, $megabytes);

	FtchainCluster::wait_until("$kind at " . $other->name, 60,
		sub { $other->query("SELECT count(*) FROM ftchain.entries WHERE kind = '$kind'") eq $megabytes }) or die "no $kind\n";
	return $kind;
}

sub kinds
{
	my $self = shift;

	return sort keys %{ $self->{megabytes} };
}

# A test: the node comes to have all of it.
sub comes
{
	my ($self, $node, $kind, $what, $seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $node->comes_to("SELECT count(*) FROM ftchain.entries WHERE kind = '$kind'", $what, $self->{megabytes}{$kind}, $seconds);
}

# A test: so many bytes of bodies come to be under way.
sub under_way
{
	my ($node, $bytes, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(FtchainCluster::wait_until($what, 60, sub { held($node) >= $bytes }), $what);
}

sub held
{
	return shift->query('SELECT coalesce(sum(bytes), 0) FROM ftchain.fetches');
}

# A test: no row of a fetch is left.
sub nothing_left
{
	my ($node, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $node->comes_to('SELECT (SELECT count(*) FROM ftchain.fetch) + (SELECT count(*) FROM ftchain.chunk)', $what, '0');
}

1;
