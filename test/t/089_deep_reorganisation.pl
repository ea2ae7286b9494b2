# Bodies that were let go, of blocks that give way after all: their entries are sealed again.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma delta)],
	conf => [
		"ftchain.proof_interval = '100ms'", "ftchain.trim_after = 0", "ftchain.shard_after = 0", "ftchain.scrub_interval = 0",
		"ftchain.down_after = '1500ms'", "ftchain.out_after = '3s'", "ftchain.body_cache = 0", "ftchain.compare_interval = '2s'"
	],
	chain => { replicas => 2 });
my ($alpha, $beta, $gamma, $delta) = @nodes;
my @left = ($alpha, $beta, $gamma);
my @acked;

$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 2, shard_parity => 1)));
push @acked, $_->append('"of all"') foreach @nodes, @nodes;
FtchainCluster::converge('all agree', 60, @nodes);

# Three without the fourth, for so long that nobody of them has whole what they have appended.
$delta->stop;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = 'delta'", 'delta is out', 'out');
my $fork = $alpha->query('SELECT height FROM ftchain.status');

push @acked, $_->append(sprintf('{"v": "%s", "fill": "%s"}', $_->name, 'x' x 500)) foreach @left, @left;
FtchainCluster::converge('the three agree', 60, @left);
my $top = $alpha->query('SELECT height FROM ftchain.status');
my $bodies = "(SELECT id FROM ftchain.blocks WHERE entries > 0 AND height BETWEEN $fork + 1 AND $top)";

ok($top > $fork, 'which have entries');
foreach my $node (@left)
{
	ok( FtchainCluster::wait_while(
			'bodies to go', 120,
			sub { push @acked, $alpha->append('"goes on"') },
			sub {
				return $node->query("SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies") eq '0';
			}),
		$node->name . ' has none of their bodies whole');
}
FtchainCluster::converge('the three agree, still', 60, @left);

# They seal nothing more before they have heard of the other branch.
foreach my $node (@left)
{
	$node->query(q(ALTER SYSTEM SET ftchain.databases = ''));
	$node->query('SELECT ftchain.stop()');
	$node->comes_to('SELECT count(pid) FROM ftchain.worker_status()', $node->name . ' rests', '0');
}
my $work = q(SELECT encode(b.work, 'hex') FROM ftchain.main_chain m JOIN ftchain.block b ON b.id = m.block ORDER BY m.height DESC LIMIT 1);
my ($of_three) = sort { $b cmp $a } map { $_->query($work) } @left;
my $ids = join(', ', map { "'$_'" } split(/\n/, $alpha->query("SELECT id FROM ftchain.blocks WHERE id IN $bodies")));
$_->stop foreach @left;

$delta->start;
ok( FtchainCluster::wait_until(
		'more work of the other branch', 240,
		sub {
			push @acked, $delta->append('"alone"');
			return $delta->query($work) gt $of_three;
		}),
	'the other branch has more work');
$_->start foreach @left;
ok( FtchainCluster::wait_until(
		'the three to give way', 120,
		sub {
			$_->try_query('CALL ftchain.sync()') foreach @left;
			return !grep { $_->query("SELECT count(*) FROM ftchain.main_chain WHERE block IN ($ids)") ne '0' } @left;
		}),
	'the three give way');
$_->query('SELECT ftchain.start()') foreach @left;
FtchainCluster::converge('all agree in the end', 120, @nodes);
foreach my $node (@nodes)
{
	$node->gives("SELECT count(*) FROM ftchain.main_chain WHERE block IN ($ids)", '0', $node->name . ' has left the branch of the three');
	$node->has_sealed(\@acked, undef, 120);
}

# Each of them can be read, wherever it is.
my $read = <<'END';
SELECT count(*), md5(string_agg(e::text, ';' ORDER BY b.height, e."position"))
  FROM ftchain.blocks b, ftchain.block_entries('main', b.height, timeout => '60 s') e WHERE b.entries > 0 AND b.height <= %d
END
my ($common) = sort { $a <=> $b } map { $_->query('SELECT height FROM ftchain.status') } @nodes;
my @read = map { $_->query(sprintf($read, $common)) } @nodes;

like($read[0], qr/^@{[ scalar(@acked) ]}\|/, 'all that was appended is there');
is($read[$_], $read[0], $nodes[$_]->name . ' reads what alpha does') foreach 1 .. 3;
foreach my $node (@nodes)
{
	$node->gives("SELECT count(*) FROM ftchain.damage WHERE what LIKE 'bundles%'", '0', $node->name . ' misses no bundle');
	$node->is_clean;
}

done_testing();
