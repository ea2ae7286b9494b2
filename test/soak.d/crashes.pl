# Three members under load.  Until the time is over one or two of them are
# killed at random, or restarted, or cut off, or their connections are ended;
# now and then all is left in peace until they agree.  In the end every
# acknowledged entry is in the chain, once, and verify() finds nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainFaults;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{FTC_SOAK_SECONDS} // 60;
my $seed = $ENV{FTC_SOAK_SEED} // time();
my $end = time() + $seconds;

srand($seed);
note("soak: seed $seed, $seconds s");

my $faults = FtchainFaults->new(
	names => [qw(alpha beta gamma)],
	chain => { spacing => q('200 ms') },
	conf => [ "ftchain.call_timeout = '2s'", 'max_connections = 50' ]);
my @kinds = qw(kill_one kill_one kill_worker restart_one cut_one spoil_links spoil_links);
my ($round, $good, @acked) = (0, 1);

# Rounds of a minute, or what there is time for
while ($good && time() < $end)
{
	my $round_end = time() + 60 < $end ? time() + 60 : $end;
	my @loads = map { $_->start_load(pause => 0.02, size => int(rand(400))) } $faults->nodes;

	$round++;
	$faults->kill_one if $round == 1;
	while (time() < $round_end)
	{
		my $kind = FtchainFaults::one_of(@kinds);

		sleep(0.5 + rand(2.5));
		$faults->mend(0);
		$faults->$kind;
	}
	$faults->mend(1);
	# what was appended last may be acknowledged by a member that has just come back
	sleep(1);
	push @acked, map { FtchainCluster::stop_load($_) } @loads;
	$good = $faults->all_is_well("round $round", @acked);
}
$faults->stop;
note(sprintf('soak: %d rounds, %d entries acknowledged (%.0f a second), %s', $round, scalar @acked, @acked / $seconds, $faults->done));

done_testing();
