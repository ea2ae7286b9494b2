# Bodies of up to the largest size, over narrow lines.  First one of 62 MB while
# nothing goes wrong: what small messages and entries wait for meanwhile, and how much
# memory each process takes.  Then, as long as there is time, bodies of any size while
# connections end after random bytes and servers are killed; in the end all agree,
# verify() finds nothing, and nobody is blamed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainBodies;
use List::Util qw(max sum0);
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{FTC_SOAK_SECONDS} // 300;
my $seed = $ENV{FTC_SOAK_SEED} // int(time());
my $end = time() + $seconds;

srand($seed);
note("soak: seed $seed, $seconds s");

my $bodies = FtchainBodies->new(conf => [ "ftchain.heartbeat = '2s'", 'shared_buffers = 64MB' ]);
my @nodes = $bodies->nodes;
my ($alpha, $beta, $gamma) = @nodes;
$_->query(q(SELECT ftchain.create_topic('small'))) foreach @nodes;

# Memory of its own that a process has, MB
sub memory
{
	my ($pid) = @_;

	open(my $in, '<', "/proc/$pid/status") or return 0;
	my ($kb) = join('', <$in>) =~ /^RssAnon:\s+(\d+) kB/m;
	close $in;
	return ($kb // 0) / 1024;
}

my %most;

sub look_at_memory
{
	my %pids = (
		'who asks' => $gamma->query(q(SELECT pid FROM ftchain.worker_status() WHERE worker = 'courier')),
		'who takes it' => $gamma->query(q(SELECT pid FROM ftchain.worker_status() WHERE worker = 'keeper')),
		'who gives' => $alpha->query(q(SELECT max(pid) FROM pg_stat_activity WHERE usename = 'peer_gamma')));

	foreach my $who (keys %pids)
	{
		$most{$who} = max($most{$who} // 0, memory($pids{$who})) if $pids{$who};
	}
	return;
}

# ---- A large one

my $rate = 3_000_000;
my %longest;

sub takes
{
	my ($what, $code) = @_;
	my $begun = time();
	my $ok = FtchainCluster::wait_until($what, 60, $code);

	look_at_memory();
	$longest{$what} = max($longest{$what} // 0, $ok ? time() - $begun : 1000);
	return;
}

$bodies->line('gamma', 'beta')->set(mode => 'cut');
look_at_memory();
my %least = %most;
$bodies->line('gamma', 'alpha')->set(rate => $rate);
$bodies->line('alpha', 'gamma')->set(rate => $rate);
my $start = time();
my $kind = $bodies->append($alpha, 62);
FtchainBodies::under_way($gamma, 1, 'a large body is under way');
while ($gamma->query('SELECT count(*) FROM ftchain.fetch') > 0)
{
	$gamma->query(q(SELECT ftchain.send('alpha', 'small', '1')));
	takes('a message from here', sub { $gamma->query(q(SELECT waiting FROM ftchain.streams WHERE direction = 'out')) eq '0' });
	my (undef, $incarnation, $seq) = split(/\|/, $alpha->append('"small"'));
	takes('an entry', sub { $gamma->query("SELECT count(height) FROM ftchain.entries WHERE incarnation = $incarnation AND seq = $seq") eq '1' });
}
my $took = time() - $start;
$bodies->comes($gamma, $kind, 'a body of 62 MB comes');
note(sprintf('soak: 62 MB took %.1f s at %d bytes/s', $took, $rate));
cmp_ok($took, '<', 62e6 / $rate * 1.3 + 10, 'the line was used well');
foreach my $what (sort keys %longest)
{
	note(sprintf('soak: %s: %.2f s at most', $what, $longest{$what}));
	cmp_ok($longest{$what}, '<', 5, "$what did not wait for it");
}
foreach my $who (sort keys %most)
{
	note(sprintf('soak: memory of %s: %.0f MB at most, %.0f before', $who, $most{$who}, $least{$who} // 0));
	cmp_ok($most{$who} - ($least{$who} // 0), '<', $who eq 'who asks' ? 48 : 192, "memory of $who is bounded");
}

# ---- Cuts and crashes

while (time() < $end)
{
	my @two = @nodes[ grep { rand() < 0.67 } 0 .. 2 ];

	foreach my $line (values %{ $bodies->{lines} })
	{
		$line->set(
			mode => 'pass',
			rate => rand() < 0.3 ? 0 : int(1_000_000 * exp(rand(3))),
			drop => rand() < 0.3 ? 0 : int(100_000 * exp(rand(4))));
	}
	foreach my $node (@two)
	{
		$bodies->append($node, 1 + int(rand(40)));
	}
	for (1 .. 5)
	{
		sleep(rand(3));
		next if rand() < 0.6;
		my $node = $nodes[ int(rand(3)) ];

		$node->kill9;
		$node->start;
	}
	note('soak: ' . join(', ', map { $_->name . ': ' . $_->query('SELECT count(*), coalesce(sum(bytes), 0), coalesce(sum(total), 0) FROM ftchain.fetches') } @nodes));
}
$bodies->set_all(mode => 'pass', rate => 0, drop => 0);
FtchainCluster::converge('all agree in the end', 300, @nodes);
foreach my $node (@nodes)
{
	my $name = $node->name;

	$bodies->comes($node, $_, "$name has $_") foreach $bodies->kinds;
	FtchainBodies::nothing_left($node, "$name: nothing is left");
	$node->gives(q(SELECT DISTINCT detail FROM ftchain.incident WHERE kind = 'refused' AND detail LIKE '%body%'), '', "$name blames nobody");
	$node->is_clean;
}
my @kinds = $bodies->kinds;
note(sprintf('soak: %d bodies, %d connections ended', scalar(@kinds), sum0(map { $_->drops } values %{ $bodies->{lines} })));

done_testing();
