# Three members under load.  Until the time is over one or two of them are
# killed at random, or restarted, or cut off, or their connections are ended;
# now and then all is left in peace until they agree.  In the end every
# acknowledged entry is in the chain, once, and verify() finds nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainProxy;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{FTC_SOAK_SECONDS} // 60;
my $seed = $ENV{FTC_SOAK_SEED} // time();
my $end = time() + $seconds;
my %done;

srand($seed);
note("soak: seed $seed, $seconds s");

my %proxy;
my @nodes = FtchainCluster->network(
	[qw(alpha beta gamma)],
	reach => sub {
		my ($from, $to) = @_;

		$proxy{ $from->name }{ $to->name } = FtchainProxy->new($to);
		return (port => $proxy{ $from->name }{ $to->name }->port);
	},
	chain => { spacing => q('200 ms') },
	conf => [ "ftchain.call_timeout = '2s'", 'max_connections = 50' ]);
my @proxies = map { values %$_ } values %proxy;
my %down;			# name of a node that is killed => when it is started again
my %bad;			# proxies that are not as they should be => until when
my @acked;
my @heights;

sub one_of
{
	return $_[ int(rand(@_)) ];
}

# ---- what happens

sub kill_one
{
	my $node = one_of(grep { !$down{ $_->name } } @nodes) or return;

	$node->kill9;
	$down{ $node->name } = time() + (rand() < 0.3 ? 0 : rand(6));
	$done{kills}++;
	return;
}

sub kill_worker
{
	my $node = one_of(grep { !$down{ $_->name } } @nodes) or return;
	my ($pids) = $node->try_query(q(SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE backend_type ~ '^ftchain|client backend' AND pid <> pg_backend_pid()));
	my $pid = one_of(split(' ', $pids)) or return;

	# the server sees a crash and starts anew by itself
	kill('KILL', $pid);
	$done{crashes}++;
	return;
}

sub restart_one
{
	my $node = one_of(grep { !$down{ $_->name } } @nodes) or return;

	$node->stop(one_of('fast', 'immediate'), fail_ok => 1);
	$down{ $node->name } = time() + rand(2);
	$done{stops}++;
	return;
}

sub cut_one
{
	my $node = one_of(@nodes);
	my @links = (values %{ $proxy{ $node->name } }, map { $proxy{$_}{ $node->name } // () } keys %proxy);
	my $until = time() + rand(6);

	set_bad($until, [ mode => one_of('cut', 'hole') ], @links);
	$done{partitions}++;
	return;
}

sub spoil_links
{
	my @settings = one_of([ mode => 'cut' ], [ mode => 'hole' ], [ delay => rand(0.3) ], [ drop => 500 + int(rand(50000)) ],
		[ drop => 2000, split => 1 ], [ delay => 0.05, split => 1 ]);

	set_bad(time() + rand(8), $settings[0], grep { rand() < 0.4 } @proxies);
	$done{'bad links'}++;
	return;
}

sub set_bad
{
	my ($until, $settings, @links) = @_;

	foreach my $proxy (@links)
	{
		$proxy->set(@$settings);
		$bad{ $proxy->port } = [ $until, $proxy ];
	}
	return;
}

# ---- and what ends it

sub mend
{
	my $all = shift;

	foreach my $node (@nodes)
	{
		next unless defined $down{ $node->name } && ($all || $down{ $node->name } <= time());
		$node->start;
		delete $down{ $node->name };
	}
	foreach my $port (keys %bad)
	{
		my ($until, $proxy) = @{ $bad{$port} };

		next unless $all || $until <= time();
		$proxy->set(mode => 'pass', delay => 0, drop => 0, split => 0);
		delete $bad{$port};
	}
	return;
}

# Tests, after a round: nothing is lost and all agree.
sub all_is_well
{
	my $what = shift;
	my $start = time();

	unless (FtchainCluster::converge("$what: all agree", 180, @nodes))
	{
		foreach my $node (@nodes)
		{
			diag($node->name . ": $_") foreach grep { $_ ne "" } map { ($node->try_query($_))[0] } (
				"SELECT worker, pid, started, progress, last_error, last_error_at FROM ftchain.worker_status()",
				"SELECT pid, backend_type, wait_event_type, wait_event, state, query_start, left(query, 60) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
				"SELECT server, state, last_error, last_error_at FROM ftchain.peer_status()",
				"SELECT * FROM ftchain.seal_state",
				"SELECT p.bundle, u.origin, u.incarnation, u.number, u.seqs FROM ftchain.pending_bundle p JOIN ftchain.bundle u ON u.id = p.bundle ORDER BY u.number LIMIT 20",
				"SELECT 'self', * FROM ftchain.self",
				"SELECT * FROM ftchain.incident ORDER BY id DESC LIMIT 10",
				"SELECT now(), * FROM ftchain.status");
		}
		return 0;
	}
	note(sprintf('soak: %s: agreed after %.1f s, %d acknowledged so far, %s', $what, time() - $start, scalar @acked,
			join(', ', map { "$done{$_} $_" } sort keys %done)));
	push @heights, $nodes[0]->query('SELECT height FROM ftchain.status');
	foreach my $node (@nodes)
	{
		$node->has_sealed(\@acked, "$what: " . $node->name . ' has all ' . @acked . ' entries, each once', 120);
		$node->is_clean("$what: " . $node->name . ' is clean');
		$node->holds_its_share("$what: " . $node->name . ' holds its share', 120);
		$node->gives('SELECT count(*) FROM ftchain.damage', '0', "$what: nothing was found damaged at " . $node->name);
		unlike($node->log_since, qr/PANIC|TRAP:|terminated by signal (?!9\b)/, "$what: nothing crashed by itself at " . $node->name);
	}
	return 1;
}

# Rounds of a minute, or what there is time for
my $round = 0;
my $good = 1;
my @kinds = (\&kill_one, \&kill_one, \&kill_worker, \&restart_one, \&cut_one, \&spoil_links, \&spoil_links);

while ($good && time() < $end)
{
	my $round_end = time() + 60 < $end ? time() + 60 : $end;
	my @loads = map { $_->start_load(pause => 0.02, size => int(rand(400))) } @nodes;

	$round++;
	kill_one() if $round == 1;
	while (time() < $round_end)
	{
		sleep(0.5 + rand(2.5));
		mend(0);
		one_of(@kinds)->();
	}
	mend(1);
	# what was appended last may be acknowledged by a member that has just come back
	sleep(1);
	push @acked, map { FtchainCluster::stop_load($_) } @loads;
	$good = all_is_well("round $round");
}
$_->stop foreach @proxies;
note(sprintf('soak: %d rounds, %d entries acknowledged (%.0f a second), height %d, %s',
		$round, scalar @acked, @acked / $seconds, $heights[-1] // 0, join(', ', map { "$done{$_} $_" } sort keys %done)));

done_testing();
