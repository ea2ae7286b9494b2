# Links over a network that loses connections: what is appended arrives once and
# in order, whatever is cut, delayed or half-open; and a network that falls
# apart and heals again loses nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainProxy;
use Test::More;
use Time::HiRes qw(sleep time);

# Each reaches each other through a proxy of its own.
my %proxy;

sub through_proxy
{
	my ($from, $to) = @_;
	my $proxy = $proxy{ $from->name }{ $to->name } = FtchainProxy->new($to);

	return (port => $proxy->port);
}

my @nodes = FtchainCluster->network(
	[qw(alpha beta gamma)],
	reach => \&through_proxy,
	conf => [ "ftchain.call_timeout = '1s'", "ftchain.scrub_interval = 0", "ftchain.deep_scrub_interval = 0" ]);
my ($alpha, $beta, $gamma) = @nodes;
my @acked;

# The proxies between the nodes of one list and those of another
sub between
{
	my ($some, $others) = @_;
	my @found;

	foreach my $a (@$some)
	{
		push @found, $proxy{ $a->name }{ $_->name }, $proxy{ $_->name }{ $a->name } foreach @$others;
	}
	return @found;
}

# Tests: all of it is everywhere, once and in order.
sub all_is_well
{
	my $what = shift;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	FtchainCluster::converge("$what: they agree", 60, @nodes);
	foreach my $node (@nodes)
	{
		my $name = $node->name;

		$node->has_sealed(\@acked, "$what: at $name all " . @acked . ' entries are there, each once', 20);
		$node->gives(<<'END', '0', "$what: at $name they are in the order in which they were appended");
SELECT count(*) FROM (
    SELECT m.height, lag(m.height) OVER w AS height_before, u.number, lag(u.number) OVER w AS number_before
      FROM ftchain.main_chain m JOIN ftchain.block_bundle b ON b.block = m.block JOIN ftchain.bundle u ON u.id = b.bundle
    WINDOW w AS (PARTITION BY u.origin, u.incarnation ORDER BY m.height, b."position")) x
 WHERE number <> coalesce(number_before, 0) + 1 OR height < height_before
END
		$node->gives('SELECT count(*) FROM ftchain.link_in WHERE received < next - 1', '0',
			"$what: at $name no message was passed over");
	}
	return;
}

# Appended one after the other by one client, in the order of their numbers
sub in_order
{
	my ($lines, $what) = @_;
	my $before = 0;
	my $bad = 0;

	foreach (@$lines)
	{
		my (undef, undef, $seq) = split /\|/;

		$bad++ if $seq <= $before;
		$before = $seq;
	}
	return is($bad, 0, $what);
}

sub under_load
{
	my ($what, $load_nodes, $code) = @_;
	my @loads = map { $_->start_load(pause => 0.01) } @$load_nodes;

	FtchainCluster::load_goes_on($_, 20, "$what: appending at " . $_->{node}->name) foreach @loads;
	$code->();
	FtchainCluster::load_goes_on($_, 20, "$what: still appending at " . $_->{node}->name) foreach @loads;
	foreach my $load (@loads)
	{
		my @lines = FtchainCluster::stop_load($load);

		in_order(\@lines, "$what: numbers ascend at " . $load->{node}->name);
		push @acked, @lines;
	}
	return;
}

my @all = map { values %$_ } values %proxy;

# Connections end at random points, in the middle of calls and answers

under_load(
	'connections end at random',
	[ $alpha, $beta ],
	sub {
		$_->set(drop => 15000) foreach @all;
		sleep(2.5);
		$_->set(drop => 3000, split => 1) foreach between([$alpha], [$beta]);
		sleep(2);
		$_->set(drop => 0, split => 0) foreach @all;
	});
my $drops = 0;
$drops += $_->drops foreach @all;
cmp_ok($drops, '>', 10, "connections were ended in their middle ($drops)");
all_is_well('connections end at random');

# A slow network, in small pieces

under_load(
	'a slow network',
	[ $alpha, $gamma ],
	sub {
		$_->set(delay => 0.1, split => 1) foreach @all;
		sleep(2.5);
		$_->set(delay => 0, split => 0) foreach @all;
	});
all_is_well('a slow network');

# Cut for a second, again and again

under_load(
	'short cuts',
	[ $beta, $gamma ],
	sub {
		for (1 .. 3)
		{
			my @some = grep { rand() < 0.5 } @all;

			$_->set(mode => 'cut') foreach @some;
			sleep(0.3 + rand(0.7));
			$_->set(mode => 'pass') foreach @some;
			sleep(0.3);
		}
	});
all_is_well('short cuts');

# Half-open: the connections stand, and nothing comes

{
	my @to_beta = ($proxy{alpha}{beta}, $proxy{gamma}{beta});
	my $log = $alpha->log_end;

	under_load(
		'half-open',
		[$alpha],
		sub {
			$_->set(mode => 'hole') foreach @to_beta;
			$alpha->logs($log, qr/server "beta": no answer within 1000 ms/, 'half-open: a call is given up after its time', 20);
			push @acked, my $entry = $alpha->append('"half-open"');
			my (undef, $incarnation, $seq) = split(/\|/, $entry);
			$gamma->comes_to(
				"SELECT count(*) FROM ftchain.bundle u JOIN ftchain.block_bundle b ON b.bundle = u.id JOIN ftchain.main_chain m ON m.block = b.block"
				  . " WHERE u.incarnation = $incarnation AND u.seqs \@> $seq\::bigint",
				'half-open: the others go on', '1', 20);
			$_->set(mode => 'pass') foreach @to_beta;
		});
	all_is_well('half-open');
	$alpha->gives(q(SELECT timeouts > 0 FROM ftchain.links WHERE server = 'beta'), 't', 'half-open: that nothing came in time is counted');
}

# Away for longer than announcements are kept: those are folded into one, to compare
# heads, and nothing is lost.

{
	my @cut = between([$gamma], [ $alpha, $beta ]);

	$_->set(mode => 'cut') foreach @cut;
	$alpha->configure('ftchain.outbox_limit' => 4);
	foreach my $n (1 .. 5)
	{
		push @acked, $alpha->append("\"folded $n\"");
		$alpha->comes_to('SELECT pending FROM ftchain.status', "folded: entry $n is sealed", '0');
	}
	# the keeper looks when it starts
	$alpha->query(q(SELECT pg_terminate_backend(pid) FROM ftchain.worker_status() WHERE worker = 'keeper'));
	$alpha->comes_to('SELECT count(*) <= 4 FROM ftchain.outbox', 'folded: what goes beyond the limit is not kept', 't', 20);
	$_->set(mode => 'pass') foreach @cut;
	all_is_well('folded');
	$alpha->gives(q(SELECT DISTINCT encode(member, 'hex') FROM ftchain.incident WHERE kind = 'announcements folded'),
		$gamma->query(q(SELECT encode(member, 'hex') FROM ftchain.self)), 'folded: it is on record');
	$alpha->configure('ftchain.outbox_limit' => undef);
}

# Two sides, and each goes on: when they meet again one gives way, and what it
# had sealed is sealed again

foreach my $alone ($gamma, $alpha)
{
	my $what = 'a partition, ' . $alone->name . ' alone';
	my @rest = grep { $_ != $alone } @nodes;
	my @cut = between([$alone], \@rest);
	my $incidents = q(SELECT count(*) FROM ftchain.incident WHERE kind = 'reorganisation');
	my ($before, $after) = (0, 0);
	my @heads;

	$before += $_->query($incidents) foreach @nodes;
	$_->set(mode => 'cut') foreach @cut;
	foreach my $node (@nodes)
	{
		push @acked, map { $node->append("\"$what, at " . $node->name . " $_\"") } 1 .. 5;
	}
	$_->comes_to('SELECT pending = 0 FROM ftchain.status', "$what: " . $_->name . ' has sealed what was appended there')
	  foreach @nodes;
	isnt($alone->query('SELECT head FROM ftchain.status'), $rest[0]->query('SELECT head FROM ftchain.status'), "$what: two branches");
	$_->set(mode => 'pass') foreach @cut;
	all_is_well($what);
	$after += $_->query($incidents) foreach @nodes;
	cmp_ok($after, '>', $before, "$what: there was a reorganisation");
}

$_->is_clean foreach @nodes;
foreach my $node (@nodes)
{
	$node->holds_its_share;
	unlike($node->log_since, qr/PANIC|was terminated by signal|TRAP:/, $node->name . ' has not crashed');
}
$_->stop foreach @all;

done_testing();
