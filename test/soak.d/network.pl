# Members on hosts of the network laboratory.  First two of them say the same to
# each other, blocks and messages, again and again over connections that end, or
# fall silent, at each byte of it.  Then three of them append all the time while the network is bad in
# one way after another; after each it is measured how long it takes until what
# is appended then has got everywhere.  In the end all agree, every acknowledged
# entry is in the chain, once, and verify() finds nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainLab;
use List::Util qw(max shuffle sum);
use Test::More;
use Time::HiRes qw(sleep time);

plan(skip_all => 'no network namespaces') unless FtchainLab::is_ours();

my $seconds = $ENV{FTC_SOAK_SECONDS} // 300;
my $seed = $ENV{FTC_SOAK_SEED} // int(time());
my $end = time() + $seconds;

srand($seed);
note("soak: seed $seed, $seconds s");
my $lab = FtchainLab->new(qw(alpha beta gamma));
$lab->seed($seed);


# ---- Every byte boundary, for a quarter of the time

# Two members whose workers are off.  What a connection carries is the same each
# time, but for numbers: a login, and a message with a block.
sub cut_everywhere
{
	my $until = shift;
	my $cutter;
	my ($alpha, $beta) = FtchainLab::Node->network(
		[qw(alpha_1 beta_1)],
		workers => 0,
		conf => [ "ftchain.call_timeout = '1s'", 'ftchain.scrub_interval = 0', 'ftchain.deep_scrub_interval = 0' ],
		reach => sub {
			my ($from, $to) = @_;

			return () if $from->name ne 'alpha_1';
			$cutter = $lab->cutter('alpha', $to);
			return $cutter->place;
		});
	my $sent = 0;
	my $round = sub {
		my $plan = shift;

		$sent++;
		$alpha->append('"news"');
		$alpha->query("SELECT ftchain.send('beta_1', '$_', '{\"n\": $sent}')") foreach qw(queue rows);
		$alpha->query('CALL ftchain.seal()');
		$cutter->plan(@$plan) if $plan;
		# which may fail, or not: the last bytes are of no consequence
		$alpha->try_query(q(CALL ftchain.sync('beta_1'))) if $plan;
		$cutter->plan('pass');
		$alpha->query(q(CALL ftchain.sync('beta_1')));
		return $alpha->query('SELECT head FROM ftchain.status') eq $beta->query('SELECT head FROM ftchain.status');
	};

	$beta->query(q(CREATE TABLE landed (id bigserial, n bigint); SELECT ftchain.create_topic('queue'), ftchain.create_topic('rows', deliver_to => 'landed')));
	$round->(undef) foreach 1 .. 3;
	my %bytes = $cutter->show;
	my @plans = shuffle(map { my $way = $_; map { [ $way, $_, 'reset', 1 ] } 0 .. $bytes{$way} } qw(up down));
	my @silent = map { [ @$_[ 0, 1 ], 'silent', 1 ] } grep { rand() < 0.02 } @plans;
	my ($cut, $good, $all) = (0, 1, scalar @plans);

	@plans = shuffle(@plans, @silent) if @silent;
	while ($good && @plans && time() < $until)
	{
		my $plan = shift @plans;

		$good = $round->($plan) or diag("not so with: @$plan");
		$cut++;
	}
	ok($good, 'wherever a connection ends, the next one delivers');
	my %now = $cutter->show;
	note("soak: $cut of " . ($all + @silent) . " byte boundaries of $bytes{up} bytes up and $bytes{down} down, "
		  . "$now{reset} connections reset, $now{silent} silenced");
	is($beta->query(q(SELECT count(*) FROM ftchain.entry)), $alpha->query(q(SELECT count(*) FROM ftchain.entry)), 'and each entry once');
	foreach my $rows (q(SELECT id, (message->>'n')::bigint AS n FROM ftchain.message_in WHERE topic = 'queue'), 'SELECT id, n FROM landed')
	{
		is($beta->query("SELECT count(*), min(n), max(n), count(DISTINCT n), count(*) FILTER (WHERE n <= before) FROM (SELECT n, lag(n) OVER (ORDER BY id) AS before FROM ($rows) r) o"),
			"$sent|1|$sent|$sent|0", "and $sent messages, each once and in order");
	}
	$_->is_clean foreach $alpha, $beta;
	$_->stop foreach $alpha, $beta;
	return;
}

cut_everywhere(time() + $seconds / 4);


# ---- Everything else

my %cutter;
my @nodes = $lab->network(
	conf => [ "ftchain.call_timeout = '5s'", 'shared_buffers = 32MB', 'max_connections = 50' ],
	chain => { spacing => q('300 ms'), attempts => 100000, replicas => 3 },
	reach => sub {
		my ($from, $to) = @_;

		$cutter{ $from->name }{ $to->name } = $lab->cutter($from->name, $to);
		return $cutter{ $from->name }{ $to->name }->place;
	});
my @cutters = map { values %$_ } values %cutter;
my %names = map { $_->name => 1 } @nodes;

sub one_of
{
	return $_[ int(rand(@_)) ];
}

sub one_and_others
{
	my @order = shuffle(sort keys %names);

	return ([ $order[0] ], [ @order[ 1 .. $#order ] ]);
}

# Name => [seconds, what happens]; what goes on by itself is called in a row.
my %scenarios = (
	'no fault' => [ 10, sub { } ],
	'5 % loss' => [ 30, sub { $lab->set('*', '*', loss => 5) } ],
	'20 % loss' => [ 30, sub { $lab->set('*', '*', loss => 20) } ],
	'200 ms delay' => [ 30, sub { $lab->set('*', '*', delay => 200) } ],
	'a mix' => [
		60,
		sub {
			$lab->set('*', '*', loss => 3, delay => 30, jitter => 20, duplicate => 3, late => 3, lateness => 40, corrupt => 1);
		}
	],
	'corruption' => [ 30, sub { $lab->set('*', '*', corrupt => 5) } ],
	'narrow' => [ 30, sub { $lab->set('*', '*', rate => 2000, limit => 50) } ],
	'30 s parted' => [ 30, sub { $lab->part(one_and_others()) } ],
	'5 min parted' => [ 300, sub { $lab->part(one_and_others()) } ],
	'30 s one way' => [
		30,
		sub {
			my ($one, $others) = one_and_others();
			my $out = rand() < 0.5;

			$lab->set($out ? ($one->[0], $_) : ($_, $one->[0]), down => 1) foreach @$others;
		}
	],
	'flapping' => [
		30,
		sub {
			$lab->part(one_and_others());
			sleep(rand(2));
			$lab->join_all;
			sleep(rand(1));
		},
		1
	],
	'resets' => [
		30,
		sub {
			one_of(@cutters)->plan(one_of(qw(up down both)), int(rand(20000)), 'reset', 1);
			one_of(@cutters)->end('reset');
			sleep(rand(0.5));
		},
		1
	],
	'half-open' => [
		30,
		sub {
			one_of(@cutters)->plan(one_of(qw(up down both)), int(rand(20000)), 'silent', 1);
			one_of(@cutters)->end('silent');
			sleep(rand(3));
		},
		1
	]);
my @wanted = grep { $_ ne '' } split(/,/, $ENV{FTC_SCENARIOS} // '');
@wanted = sort keys %scenarios unless @wanted;

# Seconds until what each of them appends now is in a block at all others
sub until_news
{
	my $start = time();
	my @news = map { [ $_, (split(/\|/, $_->append('"news"')))[2] ] } @nodes;
	my @missing = map { my $to = $_; map { [ $to, @$_ ] } grep { $_->[0] != $to } @news } @nodes;

	while (@missing && time() < $start + 180)
	{
		@missing = grep {
			my ($to, $from, $seq) = @$_;
			my $member = $from->member;

			$to->query(<<"END") ne '1';
SELECT count(*) FROM ftchain.bundle u JOIN ftchain.origin o ON o.id = u.origin
  JOIN ftchain.block_bundle b ON b.bundle = u.id JOIN ftchain.main_chain m ON m.block = b.block
 WHERE u.seqs \@> $seq\::bigint AND o.member = '$member' AND u.ids IS NOT NULL
END
		} @missing;
		sleep(0.05) if @missing;
	}
	ok(!@missing, 'news gets everywhere')
	  or diag(join(', ', map { $_->[1]->name . ' to ' . $_->[0]->name } @missing));
	return time() - $start;
}

my (%took, @acked);
my ($round, $good) = (0, 1);
while ($good && time() < $end)
{
	my @loads = map { $_->start_load(pause => 0.05, size => int(rand(400))) } @nodes;
	my $round_end = time() + 240;

	$round++;
	while (time() < $round_end && time() < $end)
	{
		my $left = $end - time();
		my @possible = grep { $scenarios{$_}[0] <= $left || $scenarios{$_}[0] <= 10 } @wanted;
		my $name = @possible ? one_of(@possible) : 'no fault';
		my ($length, $what, $goes_on) = @{ $scenarios{$name} };
		my $until = time() + ($length < $left ? $length : $left);

		note("$name for $length s");
		$what->();
		while (time() < $until)
		{
			$goes_on ? $what->() : sleep(0.1);
		}
		$_->plan('pass') foreach @cutters;
		$lab->heal;
		push @{ $took{$name} }, until_news();
	}
	push @acked, map { FtchainCluster::stop_load($_) } @loads;
	$good = FtchainCluster::converge("round $round: all agree", 180, @nodes);
	$good = $_->has_sealed(\@acked, $_->name . ' has every entry, each once') && $good foreach @nodes;
	$good = $_->is_clean && $good foreach @nodes;
}

foreach my $name (sort keys %took)
{
	my @times = sort { $a <=> $b } @{ $took{$name} };

	note(sprintf('soak: after %s (%d times): news everywhere in %.2f s (%.2f to %.2f)',
			$name, scalar @times, $times[ @times / 2 ], $times[0], $times[-1]));
}
note('soak: packets: ' . $lab->counters);
note(sprintf('soak: %d rounds, %d entries acknowledged (%.0f a second)', $round, scalar @acked, @acked / $seconds));
$_->stop foreach @nodes;

done_testing();
