# Who stores what is compared by digests, in a few small calls; who has diverged
# stops writing.
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
my $height = $alpha->query('SELECT height FROM ftchain.status');
my $block = "(SELECT block FROM ftchain.main_chain WHERE height = $height)";

# ---- who stores what

# More than one range of heights
seal($alpha, 300);
FtchainCluster::settle(@nodes);
FtchainCluster::converge('a longer chain is at both', 10, @nodes);
my $copies = q(SELECT differences, taken, calls, bytes < 30000 FROM ftchain.compare_copies('beta'));

$alpha->query('CALL ftchain.scrub()');
is($alpha->query($copies) =~ s/\|\d+\|t$//r, '0|0', 'both know the same of who stores what');
$alpha->query(qq(ALTER TABLE ftchain.replica DISABLE TRIGGER guard;
	DELETE FROM ftchain.replica WHERE block = $block AND member = ') . $beta->member . q(';
	ALTER TABLE ftchain.replica ENABLE ALWAYS TRIGGER guard));
my $found = $alpha->query($copies);
like($found, qr/^1\|1\|\d+\|t$/, 'a statement that is missing here is found and taken');
my ($calls) = $found =~ /^1\|1\|(\d+)/;
cmp_ok($calls, '<=', 6, 'in a few calls');
$alpha->gives("SELECT count(*) FROM ftchain.replica WHERE block = $block", '2', 'it is here again');
is($alpha->query($copies) =~ s/\|\d+\|t$//r, '0|0', 'then they are the same');

# The other way round the peer has to take it: nothing is dropped for that.
$beta->query(qq(ALTER TABLE ftchain.replica DISABLE TRIGGER guard;
	DELETE FROM ftchain.replica WHERE block = $block;
	ALTER TABLE ftchain.replica ENABLE ALWAYS TRIGGER guard));
like($alpha->query($copies), qr/^1\|0\|/, 'what the peer lacks is a difference');
$beta->gives(q(SELECT differences, taken FROM ftchain.compare_copies('alpha')), '1|1', 'the peer takes it, its own statement, too');
is($alpha->query($copies) =~ s/\|\d+\|t$//r, '0|0', 'then they are the same again');

# Sums are kept of what does not change any more.
$_->query("SELECT ftchain.start()") foreach @nodes;
seal($alpha, 500);
FtchainCluster::converge('workers exchange more of it', 60, @nodes);
$_->query("SELECT ftchain.stop()") foreach @nodes;
$_->comes_to('SELECT count(pid) FROM ftchain.worker_status()', 'they stop', '0') foreach @nodes;
like($alpha->query($copies), qr/^0\|0\|/, 'with sums kept and without both say the same');

# Bad questions
foreach my $question ("0, '{0}', 10", "9, '{0}', 10", "1, '{}', 10", "1, '{-1}', 10", "1, '{NULL}', 10", "1, array_fill(0, '{17}')::bigint[], 10",
	"3, '{9223372036854775807}', 10")
{
	$alpha->refuses("SELECT ftchain.peer_copies((SELECT genesis FROM ftchain.chain), $question)", qr/level is out of range: [09]|a question is about 1 to 16 nodes, not \d+|node 1 is none of level [13]/, "no question: $question");
}
$alpha->gives("SELECT count(*) FROM ftchain.peer_copies((SELECT genesis FROM ftchain.chain), 8, '{0}', -5)", '1', 'a height below all has an answer');

# ---- divergence

seal($alpha, 7);
seal($beta, 12);
$_->query('CALL ftchain.sync()') foreach @nodes;
like(compared($beta, $alpha), qr/^diverged\|.*has less work/, 'who has more work knows that they have diverged');
$beta->gives('SELECT count(*) FROM ftchain.alarms', '0', 'and goes on');
like(compared($alpha, $beta), qr/^diverged\|.*has more work and leaves this one 7 blocks below the head, the chain's limit is 4/, 'so does the other one');
$alpha->gives('SELECT kind, member FROM ftchain.alarms', 'divergence|' . $beta->member, 'for whom it is an alarm');
$alpha->refuses(q(SELECT ftchain.append('main', '1')), qr/nothing is written to chain "main"/, 'nothing is appended there');
$alpha->refuses(q(SELECT ftchain.append_many('main', '{1}')), qr/nothing is written to chain "main"/, 'nor many');
my $head = $alpha->query('SELECT head FROM ftchain.status');
my $entries = $alpha->query('SELECT count(*) FROM ftchain.entries');
$alpha->query('SET client_min_messages = error; CALL ftchain.seal()');
$alpha->gives('SELECT head FROM ftchain.status', $head, 'nor sealed');
$alpha->gives('SELECT count(*) FROM ftchain.entries', $entries, 'reading goes on');
$alpha->gives(q(SELECT ftchain.clear_alarm('main', 'divergence')), '1', 'an operator lifts it');
seal($alpha, 1);
isnt($alpha->query('SELECT head FROM ftchain.status'), $head, 'then it goes on');
like(compared($alpha, $beta), qr/^diverged\|/, 'they still have diverged');
$alpha->gives('SELECT count(*) FROM ftchain.alarms', '0', 'but what was decided stays decided');

# ---- a peer whose branch is not what it says

# No work counts that nobody has signed, and its question is not asked for ever.
my $fork = $alpha->query(q(SELECT height - 1 FROM ftchain.compare('beta', 'main')));
my $ours = $alpha->query("SELECT string_agg(format('(%L::bytea)', p.block), ', ') FROM ftchain.chain c, ftchain.main_chain m,"
	  . " ftchain.peer_blocks(c.genesis, ARRAY[m.block], 200) p WHERE m.chain = c.id AND m.height = $fork");
sub give_instead
{
	my $blocks = shift;

	$beta->query(<<"END");
DROP FUNCTION IF EXISTS ftchain.peer_blocks(bytea, bytea[], integer);
CREATE FUNCTION ftchain.peer_blocks(genesis bytea, locator bytea[], most integer) RETURNS TABLE (block bytea, stored bytea) LANGUAGE sql VOLATILE AS
\$\$SELECT t.block, t.stored FROM ftchain.peer_blocks_true(\$1, \$2, \$3) t WHERE \$3 < 2 OR cardinality(\$2) > 1
UNION ALL SELECT b, NULL FROM ($blocks) t (b) WHERE \$3 > 1 AND cardinality(\$2) = 1\$\$;
GRANT EXECUTE ON FUNCTION ftchain.peer_blocks(bytea, bytea[], integer) TO ftchain_peer;
END
	return;
}
$beta->query('ALTER FUNCTION ftchain.peer_blocks(bytea, bytea[], integer) RENAME TO peer_blocks_true');
give_instead('SELECT set_byte(f.block, 250, 255 - get_byte(f.block, 250)) FROM ftchain.peer_blocks_true($1, $2, $3) f');
like(compared($alpha, $beta), qr/^diverged\|.*has less work/, 'blocks that nobody has signed show no work');
give_instead("VALUES $ours");
$alpha->refuses(q(SELECT outcome FROM ftchain.compare('beta', 'main')), qr/server "beta" gives an answer that cannot be understood/, 'our own blocks are no other branch');
$alpha->gives('SELECT count(*) FROM ftchain.alarms', '0', 'and stop nobody');
$beta->query('DROP FUNCTION ftchain.peer_blocks(bytea, bytea[], integer); ALTER FUNCTION ftchain.peer_blocks_true(bytea, bytea[], integer) RENAME TO peer_blocks');

$alpha->refuses(q(SELECT ftchain.clear_alarm('main', 'nonsense')), qr/there is no alarm of kind "nonsense"/, 'there are not alarms of any kind');
$_->is_clean foreach @nodes;

# ---- who may

$alpha->refuses(q(BEGIN; SELECT * FROM ftchain.compare('beta')), qr/cannot run "ftchain.compare" inside a transaction block/, 'not in a transaction block');
$alpha->refuses(q(SELECT * FROM ftchain.compare(NULL)), qr/"server" must not be null/, 'not without a server');
$alpha->refuses(q(SELECT * FROM ftchain.compare('nowhere')), qr/server "nowhere" does not exist/, 'nor with one that is not there');
done_testing();
