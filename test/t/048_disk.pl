# A disk that gets full, at either end; and a receiver that may only read.  That
# is a state, which the sender shows, and no attempt; others are served as
# before; and when there is room again all goes on by itself.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainDisk;
use FtchainCluster;
use FtchainMessages;
use Test::More;

plan(skip_all => 'no namespaces') unless FtchainDisk::is_ours();

# A chain, and messages, between all of them
my @nodes = FtchainDisk::Node->network([qw(alpha beta gamma)], conf => [ "ftchain.call_timeout = '3s'", "autovacuum = off" ]);
my ($alpha, $beta, $gamma) = @nodes;
my (%streams, @loads, @acked);

foreach my $node (@nodes)
{
	FtchainMessages::receive($node, 'queue');
	FtchainMessages::receive($node, 'rows', 'landed');
}
foreach my $way ([ $alpha, $beta ], [ $alpha, $gamma ], [ $beta, $alpha ])
{
	my ($from, $to) = @$way;
	my $name = $from->name . ' ' . $to->name;

	# one of each, which the other sends nothing to
	$streams{$name} = FtchainMessages->new($from, $to, 'queue');
	$streams{"$name rows"} = FtchainMessages->new($from, $to, 'rows', 'landed');
}
my @to_beta = @streams{ 'alpha beta', 'alpha beta rows' };
my @to_gamma = @streams{ 'alpha gamma', 'alpha gamma rows' };
my @to_alpha = @streams{ 'beta alpha', 'beta alpha rows' };
my @all = values %streams;

sub all_is_well
{
	my $what = shift;

	$_->all_there($what) foreach @all;
	push @acked, map { $_->append(qq("$what")) } @nodes;
	FtchainCluster::converge("$what: the ledger is the same at all", 60, @nodes);
	$_->has_sealed(\@acked) foreach @nodes;
	return;
}

# What the sender shows of its peer
sub shows
{
	my ($node, $peer, $error, $what) = @_;

	$node->comes_to(
		"SELECT last_error ~ '$error' AND last_error_at IS NOT NULL FROM ftchain.peer_status() WHERE server = '" . $peer->name . "'", $what);
	return;
}

sub counts_nothing
{
	my ($node, $what) = @_;

	$node->gives(q(SELECT coalesce(sum(attempts), 0) FROM ftchain.streams WHERE direction = 'in'), '0', "$what: no attempt is counted");
	$node->gives('SELECT count(*) FROM ftchain.dead_letter', '0', "$what: and nothing is put aside");
	return;
}

$_->send(5, 100) foreach @all;
all_is_well('before');

# ---- the receiver's disk is full

$beta->{disk}->fill;
$_->send(20, 20000) foreach @to_beta;
shows($alpha, $beta, 'No space left on device', 'a receiver without room is shown');
$_->send(5) foreach @to_gamma;
$_->all_there('while the disk of another is full', 20) foreach @to_gamma;
$alpha->gives(q(SELECT bool_and(waiting > 0) FROM ftchain.streams WHERE direction = 'out' AND server = 'beta'), 't', 'what it does not take waits');
counts_nothing($beta, 'a full disk at the receiver');
$beta->{disk}->clear;
all_is_well('the receiver has room again');
unlike($beta->log_since, qr/PANIC|TRAP:|terminated by signal/, 'no process has crashed');

# ---- the sender's is: it can send nothing, and goes on receiving when it can

$_->send(20, 200) foreach @to_beta;
$alpha->{disk}->fill;
FtchainCluster::wait_until('a message that does not fit', 30, sub { $to_beta[0]->try_send(20000) =~ /No space left on device/ })
  or fail('a message is refused for want of room');
$_->send(20, 20000) foreach @to_alpha;
shows($beta, $alpha, 'No space left on device', 'beta shows that alpha takes nothing');
$_->all_there('sent before its disk was full', 30) foreach @to_beta;
counts_nothing($alpha, 'a full disk at the sender');
$alpha->{disk}->clear;
all_is_well('the sender has room again');
unlike($alpha->log_since, qr/PANIC|TRAP:|terminated by signal/, 'no process has crashed');

# ---- that of the write-ahead log is: a server stops, in the middle of it all

foreach my $node ($beta, $alpha)
{
	my $name = $node->name;

	$_->start(size => 2000, pause => 0) foreach $to_beta[0], $to_alpha[0];
	$_->goes_on(20, "messages come and go before the log of $name is full") foreach $to_beta[0], $to_alpha[0];
	$node->{wal_disk}->fill;
	ok( FtchainCluster::wait_until(
			"a server without room for its log",
			60,
			sub {
				$node->{wal_disk}->fill;
				# segments that are there already have room for much
				$node->try_query('SELECT pg_switch_wal()');
				return $node->log_since =~ /PANIC: .*No space left on device/;
			}),
		"$name has no room for its log");
	$node->{wal_disk}->clear;
	# it may have come back by itself, or given up
	ok(FtchainCluster::wait_until("$name to be back or gone", 60,
			sub { ($node->try_query('SELECT 1'))[0] eq '1' || !$node->processes }), "$name comes back, or ends");
	unless ($node->processes)
	{
		$node->kill9;
		$node->start;
	}
	$_->goes_on(20, "messages come and go when there is room for the log of $name") foreach $to_beta[0], $to_alpha[0];
	$_->stop foreach $to_beta[0], $to_alpha[0];
	all_is_well("the log of $name has room again");
}

# ---- a receiver that may only read

$beta->configure(default_transaction_read_only => 'on');
$_->send(20) foreach @to_beta, @to_gamma;
shows($alpha, $beta, 'read-only transaction', 'a receiver that may only read is shown');
$_->all_there('while another may only read', 20) foreach @to_gamma;
counts_nothing($beta, 'read-only');
$beta->configure(default_transaction_read_only => undef);
all_is_well('the receiver may write again');

foreach my $node (@nodes)
{
	$node->is_clean;
	unlike($node->log_since, qr/TRAP:|terminated by signal (?!6\b)/, $node->name . ' has met nothing unforeseen');
}
$_->stop foreach @nodes;
done_testing();
