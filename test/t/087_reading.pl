# Members that keep their share only read what is elsewhere.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma)],
	conf => [
		"ftchain.proof_interval = '100ms'", "ftchain.trim_after = 0", "ftchain.scrub_interval = 0",
		"ftchain.body_cache = '64MB'"
	],
	chain => { replicas => 1 });
my ($alpha, $beta, $gamma) = @nodes;
my @acked;

# Enough of them that everybody owns some, and that they go from who made them.
foreach my $n (1 .. 12)
{
	push @acked, $_->append(sprintf('{"v": "%s %d", "fill": "%s"}', $_->name, $n, 'x' x 300)) foreach @nodes;
}
FtchainCluster::converge('all agree', 60, @nodes);
my $elsewhere = q(SELECT b.height FROM ftchain.blocks b WHERE entries > 0 AND NOT held ORDER BY height);

foreach my $node (@nodes)
{
	ok( FtchainCluster::wait_while(
			'bodies to go', 60,
			sub { push @acked, $alpha->append('"goes on"') },
			sub { return 3 <= split(/\n/, $node->query($elsewhere)) }),
		$node->name . ' keeps its share only');
}
FtchainCluster::converge('all agree, still', 60, @nodes);

# Everybody reads the same of each block, wherever it is.
my $read = <<'END';
SELECT md5(string_agg(e::text, ';' ORDER BY b.height, e."position")), count(*)
  FROM ftchain.blocks b, ftchain.block_entries('main', b.height, timeout => '60 s') e
END
my ($top) = sort { $a <=> $b } map { $_->query('SELECT height FROM ftchain.status') } @nodes;
my @read = map { $_->query("$read WHERE b.entries > 0 AND b.height <= $top") } @nodes;

is($read[$_], $read[0], $nodes[$_]->name . ' reads what alpha does') foreach 1, 2;
like($read[0], qr/\|[3-9]\d$/, 'and that is all there is');
foreach my $node (@nodes)
{
	$node->gives('SELECT count(*) > 0 FROM ftchain.cached_body', 't', $node->name . ' has a cache of them');
	$node->gives(q(SELECT count(*) FROM ftchain.cached_body c JOIN ftchain.replica r ON r.block = c.block WHERE r.member = (SELECT member FROM ftchain.identity)),
		'0', 'and signs for none of it');
	$node->has_sealed(\@acked);
	$node->is_clean;
}

# The cache has its bounds, and a snapshot of long ago is no hindrance.
$gamma->configure('ftchain.body_cache' => 0);
# what could still give way is not let go: the chain goes on
ok( FtchainCluster::wait_while(
		'the end of the cache', 60,
		sub { push @acked, $alpha->append('"goes on"') },
		sub {
			return $gamma->query('SELECT count(*) FROM ftchain.cached_body c JOIN ftchain.blocks b ON b.id = c.block WHERE b.held') eq '0';
		}),
	'without a cache nothing of it stays');
$gamma->is_clean;
my ($height) = split(/\n/, $gamma->query("$elsewhere LIMIT 1"));
$gamma->configure('ftchain.body_cache' => undef);
like( $gamma->query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ftchain.chain; SELECT count(*) > 0 FROM ftchain.block_entries('main', $height, timeout => '60 s'); COMMIT"),
	qr/t$/, 'a transaction with an old snapshot reads what came after it');

# What nobody gives is an error, in time.
my ($block, $server) = split(/\|/, $gamma->query(<<'END'));
SELECT b.height, p.name FROM ftchain.blocks b, LATERAL ftchain.place('main', b.id) p
 WHERE NOT b.held AND b.entries > 0 AND p.name IN ('beta') ORDER BY b.height LIMIT 1
END
SKIP:
{
	skip 'beta owns nothing that gamma has not', 3 unless defined $block && $block ne '';
	$beta->stop;
	my ($out, $error) = $gamma->try_query("SELECT count(*) FROM ftchain.block_entries('main', $block, timeout => '500 ms')");
	ok($error =~ /the body of block $block of chain "main" is not here, and did not come in time/ || $out =~ /^[1-9]/,
		'a body whose owner is away does not come, unless somebody else has it still');
	$beta->start;
	$gamma->comes_to("SELECT count(*) > 0 FROM ftchain.block_entries('main', $block, timeout => '5 s')", 'and does when it is back');
	$gamma->is_clean;
}
$gamma->refuses(q(SELECT * FROM ftchain.block_entries('main', 100000)), qr/has no block at height 100000/, 'there are only so many blocks');

done_testing();
