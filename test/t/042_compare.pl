# Comparing with a peer: the first difference is named, and whose fault it is.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network(
	[qw(alpha beta)],
	workers => 0,
	conf => [ 'ftchain.scrub_interval = 0', 'ftchain.deep_scrub_interval = 0' ],
	chain => { replicas => 2, attempts => 16, spacing => q('1 ms'), reorg_limit => 4, settle_blocks => 2 });
my ($alpha, $beta) = @nodes;

sub seal
{
	my ($node, $count) = @_;

	# one session: it is not connecting that is to be tested
	$node->query(join("\n", map { "SELECT ftchain.append('main', '$_') \\g /dev/null\nCALL ftchain.seal();" } 1 .. $count));
	return;
}

# What compare() says, in short
sub compared
{
	my ($node, $peer, $deep) = @_;

	return $node->query("SELECT outcome, height, here <> there, entry, detail FROM ftchain.compare('"
		  . $peer->name . "', 'main', " . ($deep ? 'true' : 'false') . ')');
}

seal($alpha, 3);
FtchainCluster::settle(@nodes);
is(compared($alpha, $beta), 'same||||', 'both are the same');
is(compared($alpha, $beta, 1), 'same||||', 'to the last byte');

# ---- one has more

my $height = $alpha->query('SELECT height FROM ftchain.status');

seal($alpha, 2);
is(compared($alpha, $beta), "ahead|$height|||by 2 blocks", 'who has more is ahead');
is(compared($beta, $alpha), "behind|$height|||by 2 blocks", 'and the other one behind');
seal($beta, 1);
my $next = $height + 1;
like(compared($alpha, $beta), qr/^fork\|$next\|t\|\|they differ in: proposer/, 'where both go on, the first blocks that differ are named');
$alpha->gives('SELECT count(*) FROM ftchain.alarms', '0', 'which is no alarm');
FtchainCluster::settle(@nodes);
FtchainCluster::converge('one gives way', 10, @nodes);

# ---- damage

my $block = "(SELECT block FROM ftchain.main_chain WHERE height = $height)";
my $entry = "(SELECT lower(ids) FROM ftchain.bundle JOIN ftchain.block_bundle ON bundle = id WHERE block = $block LIMIT 1)";
my $forge = "UPDATE ftchain.entry SET kind = 'forged' WHERE id = $entry";

$alpha->tamper($forge);
my $id = $alpha->query("SELECT $entry");
is(compared($alpha, $beta, 1), "damaged here|$height|$id|entry changed: entry $id" =~ s/\|$id\|/||$id|/r, 'an entry that was changed here is named');
like(compared($beta, $alpha, 1), qr/^damaged there\|$height\|\|\|it does not give the body/, 'and at the peer, its block');
$alpha->query('CALL ftchain.scrub(); SELECT ftchain.repair()');
is(compared($alpha, $beta, 1), 'same||||', 'after a repair they are the same again');
$beta->tamper("UPDATE ftchain.block SET header = set_byte(header, 200, 255 - get_byte(header, 200)) WHERE id = $block");
like(compared($alpha, $beta, 1), qr/^damaged there\|$height\|\|\|it says that the block is damaged/, 'a header that was changed there');
$beta->query('CALL ftchain.scrub(); SELECT ftchain.repair()');
$_->is_clean foreach @nodes;
done_testing();
