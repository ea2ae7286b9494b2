# verify() with parallel workers finds what it finds without.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my $CHAIN = 'long';
my $node = FtchainCluster->new_node('parallel', conf => [ 'log_min_messages = debug1', 'autovacuum = off' ]);

# More entries than it takes for workers to be worth it, in bundles of all
# sizes, one of them larger than what one process reads at a time.
$node->query('CREATE EXTENSION ftchain');
$node->query("SELECT ftchain.create_chain('$CHAIN', spacing => '1 ms', attempts => 1)");
foreach my $count (60_000, 1, 30_000, 2, 3, 20_000, 500, 40_000)
{
	$node->query("SELECT ftchain.append_many('$CHAIN', array_agg(json_build_object('n', n))) FROM generate_series(1, $count) AS n");
	$node->query('CALL ftchain.seal()');
}
my $entries = $node->query('SELECT count(*) FROM ftchain.entry');
my $heights = $node->query("SELECT count(*) FROM ftchain.blocks WHERE chain = '$CHAIN' AND entries > 0");

is($entries, 150_506, 'entries');
cmp_ok($heights, '>=', 8, 'blocks of several sizes');

# All faults, in order
sub faults
{
	my ($workers, $range) = @_;

	return $node->query("SET max_parallel_maintenance_workers = $workers;"
		  . " SELECT * FROM ftchain.verify('$CHAIN'" . ($range // '') . ') AS f ORDER BY f::text');
}

sub started_workers
{
	my $offset = shift;
	my @started = $node->log_since($offset) =~ /starting background worker process "parallel worker/g;

	return scalar @started;
}

# Tests: the same with workers, which are there, as without
sub same_faults
{
	my ($what, $count) = @_;
	my $alone = faults(0);
	my $end = $node->log_end;
	my @found = split /\n/, $alone;

	cmp_ok(scalar(@found), '==', $count, "$what: faults");
	is(faults(2), $alone, "$what: found by parallel workers as well");
	cmp_ok(started_workers($end), '>=', 1, "$what: there were some");
	return;
}

same_faults('sound', 0);

my $end = $node->log_end;
is(faults(2, ', 2, 2'), '', 'a short range is sound');
is(started_workers($end), 0, 'and takes no workers');

# One of each, in different chunks, at their ends, and in a bundle of several
$node->tamper(
	"UPDATE ftchain.entry SET payload = '{}' WHERE id IN (1, 20000, 20001, 59999, 60001, 150506)",
	'DELETE FROM ftchain.entry WHERE id IN (2, 40000, 90002, 110507)',
	"INSERT INTO ftchain.entry SELECT 4611686018427387904 + n, n, NULL, now(), 1, chain, origin, salt, author, kind, payload"
	  . ' FROM ftchain.entry, generate_series(10, 12) AS n WHERE id = 5');
same_faults('entries changed, missing and extra', 6 + 4 + 3);

# What is said of a bundle is said once, though several processes read it.
$node->tamper(
	"UPDATE ftchain.bundle SET leaves = set_byte(leaves, 0, get_byte(leaves, 0) # 1) WHERE count = 60000");
same_faults('leaf hashes of the largest bundle', 5 + 4 + 3 + 1 - 3);

# More than fits into a queue: workers wait until it is read
$node->tamper('DELETE FROM ftchain.entry WHERE id BETWEEN 110600 AND 140599');
same_faults('thousands missing', 10 + 30_000);

# An error in a worker, or of the leader, ends all of them.
my (undef, $err) = $node->try_query("SET statement_timeout = '20 ms'; SELECT count(*) FROM ftchain.verify('$CHAIN')");
like($err, qr/canceling statement due to statement timeout/, 'with its own error');
$node->comes_to("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'", 'no worker is left', '0');

# In a transaction that has written, and under a snapshot of its own
is($node->query(<<"END"), '10', 'in a transaction block');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT ftchain.append('$CHAIN', '{}') IS NULL \\g /dev/null
SELECT count(*) FROM ftchain.verify('$CHAIN') WHERE what <> 'entry missing' OR entry NOT BETWEEN 110600 AND 140599;
ROLLBACK;
END

$node->stop;
done_testing();
