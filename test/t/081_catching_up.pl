# A branch with more work whose bodies come one after the other is waited for, until one does not come.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my ($alpha, $beta) = FtchainCluster->network([qw(alpha beta)], workers => 0);
my $head = 'SELECT head FROM ftchain.status';
my $fork = $alpha->query('SELECT height FROM ftchain.status');

sub seal
{
	my ($node, $payload) = @_;

	$node->append($payload);
	$node->query('CALL ftchain.seal()');
	return;
}

# Side by side; the bodies of beta's are nowhere for now.
seal($alpha, qq("here $_")) foreach 1 .. 2;
seal($beta, qq("there $_")) foreach 1 .. 5;
my $best = $beta->query($head);
my $old = $alpha->query($head);
my $of_beta = "SELECT u.id FROM ftchain.main_chain m JOIN ftchain.block_bundle b ON b.block = m.block JOIN ftchain.bundle u ON u.id = b.bundle WHERE m.height";

$beta->query("CREATE TABLE hidden AS SELECT id, ids FROM ftchain.bundle WHERE id IN ($of_beta > $fork)");
$beta->query("CREATE TABLE stored AS SELECT r.* FROM ftchain.replica r JOIN ftchain.main_chain m ON m.block = r.block WHERE m.height > $fork");
$beta->tamper('UPDATE ftchain.bundle u SET ids = NULL FROM hidden h WHERE h.id = u.id');
$beta->query('ALTER TABLE ftchain.replica DISABLE TRIGGER guard; DELETE FROM ftchain.replica WHERE block IN (SELECT block FROM stored)');

# Give some of them back, and let alpha ask until so many blocks of the branch wait for theirs.
sub comes_to_wait_for
{
	my ($n, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok( FtchainCluster::wait_until(
			$what, 60,
			sub {
				$alpha->query('CALL ftchain.sync()');
				return $alpha->query('SELECT count(*) FROM ftchain.incomplete_block') eq $n;
			}),
		$what);
	return;
}

sub give_back
{
	my $where = shift;

	$beta->tamper("UPDATE ftchain.bundle u SET ids = h.ids FROM hidden h WHERE h.id = u.id AND u.id IN ($of_beta $where)");
	return;
}

comes_to_wait_for(5, 'the branch is known, and no body');
$alpha->gives($head, $old, 'it is not taken');

# They have waited for long, all of them, when the first body comes.
$alpha->tamper("UPDATE ftchain.incomplete_block SET since = since - interval '1 h'");
give_back('= ' . ($fork + 1));
comes_to_wait_for(4, 'one body has come');
$alpha->gives($head, $old, 'which does not make it the best branch');
my $came = "SELECT max(since) FROM ftchain.incomplete_block";
my $since = $alpha->query($came);
seal($alpha, '"meanwhile"');
$alpha->gives("SELECT received >= '$since'::timestamptz + interval '3 s' FROM ftchain.blocks ORDER BY height DESC LIMIT 1",
	't', 'the next one is waited for before anything is sealed beside them');
isnt($alpha->query($head), $old, 'and no longer');

give_back("> $fork");
comes_to_wait_for(0, 'all bodies have come');
$alpha->gives($head, $best, 'the branch with more work is taken');
$alpha->is_clean;

done_testing();
