# Five members that mine against each other, all the time and about as fast as
# blocks travel, so that branches part and come together again.  Meanwhile a
# fifth of all packets is lost, members are killed and parted from each other,
# and clocks are wrong by an hour.  In the end all agree, every acknowledged
# entry is in the chain, once, and verify() finds nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainNet;
use FtchainCluster;
use FtchainFaults;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{FTC_SOAK_SECONDS} // 120;
my $seed = $ENV{FTC_SOAK_SEED} // time();
my $end = time() + $seconds;

srand($seed);
note("soak: seed $seed, $seconds s");

# Work is what keeps blocks apart, not min_spacing; the difficulty follows soon.
my $faults = FtchainFaults->new(
	names => [qw(alpha beta gamma delta epsilon)],
	chain => { attempts => 20000000, spacing => q('1 s'), min_spacing => q('1 ms'), half_life => q('30 s'), replicas => 3 },
	conf => [ "ftchain.call_timeout = '3s'", "ftchain.mining_duty = 30", 'max_connections = 50', 'shared_buffers = 32MB' ]);
my @kinds = qw(kill_one kill_one kill_worker restart_one cut_one part_some part_some spoil_links spoil_clock);
my ($round, $good, @acked) = (0, 1);

# Rounds of two minutes, or what there is time for
while ($good && time() < $end)
{
	my $round_end = time() + 120 < $end ? time() + 120 : $end;
	my @loads = map { $_->start_load(pause => 0.1, size => int(rand(400))) } $faults->nodes;

	$round++;
	FtchainNet::lose(20, map { $_->port } $faults->nodes);
	$faults->kill_one if $round == 1;
	while (time() < $round_end)
	{
		my $kind = FtchainFaults::one_of(@kinds);

		sleep(0.5 + rand(3.5));
		$faults->mend(0);
		$faults->$kind;
	}
	$faults->mend(1);
	FtchainNet::lose(0);
	sleep(1);
	push @acked, map { FtchainCluster::stop_load($_) } @loads;
	$good = $faults->all_is_well("round $round", @acked);
}
foreach my $node ($faults->nodes)
{
	my ($off, $all, $depths) = $faults->forks($node);

	note(sprintf('soak: %s knows %d blocks, %d (%.1f %%) off the main chain; reorganisations: %s',
			$node->name, $all, $off, 100 * $off / $all, $depths || 'none'));
	cmp_ok($off, '>', 0, 'branches have parted at ' . $node->name);
}
$faults->stop;
SKIP:
{
	skip('no network namespaces', 1) unless FtchainNet::is_ours();
	pass('a fifth of all packets was lost');
}
note(sprintf('soak: %d rounds, %d entries acknowledged (%.0f a second), %s', $round, scalar @acked, @acked / $seconds, $faults->done));

done_testing();
