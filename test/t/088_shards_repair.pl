# Shards that are lost by as many as the parity bears, of which lies are told, or that are cut
# otherwise while somebody is away: they are made anew, and nobody is accused.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

# As many members as shards: nobody can take the place of another.
my @nodes = FtchainCluster->network([qw(alpha beta gamma delta)],
	conf => [
		"ftchain.proof_interval = '100ms'", "ftchain.trim_after = 0", "ftchain.shard_after = 0", "ftchain.scrub_interval = 0",
		"ftchain.down_after = '1500ms'", "ftchain.out_after = '3s'", "ftchain.compare_interval = '2s'", "ftchain.body_cache = 0"
	],
	chain => { replicas => 2 });
my ($alpha, $beta, $gamma, $delta) = @nodes;
my @acked;

foreach my $n (1 .. 2)
{
	push @acked, $_->append(sprintf('{"v": "%s %d", "fill": "%s"}', $_->name, $n, 'x' x 2000)) foreach @nodes;
}
FtchainCluster::converge('all agree', 60, @nodes);
my $top = $alpha->query('SELECT height FROM ftchain.status');
my $bodies = "(SELECT id FROM ftchain.blocks WHERE entries > 0 AND height <= $top)";

# Wait for something, while the chain goes on.
sub comes
{
	my ($node, $query, $wanted, $what, $seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(
		FtchainCluster::wait_while(
			$what,
			$seconds // 120,
			sub { push @acked, $alpha->append('"goes on"') },
			sub { return $node->query($query) eq $wanted }),
		$what);
}

# Bodies of which not each of so many shards, with that parity, is kept.
sub incomplete
{
	my ($shards, $parity) = @_;

	return "SELECT count(*) FROM unnest(ARRAY$bodies) b (id) WHERE (SELECT count(DISTINCT number) FROM ftchain.shard_copy s"
	  . " WHERE s.block = b.id AND get_byte(s.head, 3) = $parity) <> $shards";
}

$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 2, shard_parity => 2)));
comes($_, incomplete(4, 2), '0', $_->name . ' knows four shards of each body') foreach @nodes;
comes($_, "SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies", '0', $_->name . ' has no whole body any more')
  foreach @nodes;

# ---- two have lost theirs of one body, and it is said of both

my ($gamma_id, $delta_id) = ($gamma->member, $delta->member);
my $chain = $alpha->query('SELECT id FROM ftchain.chain');
my $block = $alpha->query("SELECT min(id::text) FROM ftchain.blocks WHERE id IN $bodies");

foreach my $node (@nodes)
{
	foreach my $lost ($gamma_id, $delta_id)
	{
		$node->query(
			"INSERT INTO ftchain.loss (block, member, sayer, chain) SELECT id, '$lost', '" . $alpha->member . "', $chain FROM unnest(ARRAY$bodies) b (id)"
			  . ' ON CONFLICT DO NOTHING');
	}
}
foreach my $node ($gamma, $delta)
{
	$node->tamper("UPDATE ftchain.shard SET content = set_byte(content, 0, 255 - get_byte(content, 0)) WHERE kept AND block = '$block'");
	$node->configure('ftchain.deep_scrub_interval' => '1s');
}
$_->comes_to(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'shard damaged'), $_->name . ' finds that its shard is damaged', '1')
  foreach $gamma, $delta;
foreach my $node ($gamma, $delta)
{
	$node->configure('ftchain.deep_scrub_interval' => undef);
	comes($node, "SELECT count(*) FROM ftchain.shard WHERE kept AND block = '$block'", '1', $node->name . ' makes it anew');
}
comes($_, incomplete(4, 2), '0', $_->name . ' knows four shards of each body again') foreach @nodes;

# ---- who keeps which is forgotten, but for the words

$beta->query("DELETE FROM ftchain.shard_copy WHERE block IN $bodies");
comes($beta, incomplete(4, 2), '0', 'who keeps which comes back from the words');

# ---- own words that come back, of shards that are not here any more

$gamma->configure('ftchain.enabled' => 'off');
$gamma->tamper("DELETE FROM ftchain.shard WHERE block = '$block'");
$gamma->query("DELETE FROM ftchain.word WHERE member = '$gamma_id' AND block = '$block'");
$gamma->query("DELETE FROM ftchain.shard_copy WHERE member = '$gamma_id' AND block = '$block'");
$gamma->gives("SELECT sum(taken) > 0 FROM ftchain.compare_copies('beta')", 't', 'an own word comes back');
$gamma->gives("SELECT get_byte(bytes, 2) FROM ftchain.word WHERE member = '$gamma_id' AND block = '$block'", '255', 'and is answered: there is no shard');
$gamma->gives("SELECT count(*) FROM ftchain.shard_copy WHERE member = '$gamma_id' AND block = '$block'", '0', 'nor is it believed');
$gamma->configure('ftchain.enabled' => undef);
comes($_, incomplete(4, 2), '0', $_->name . ' knows four shards of each body after that') foreach @nodes;
comes($gamma, "SELECT count(*) FROM ftchain.shard WHERE kept AND block = '$block'", '1', 'gamma has one again');

# ---- the chain changes how bodies are cut while one is away

FtchainCluster::converge('all agree before one goes', 60, @nodes);
my @left = ($alpha, $beta, $gamma);
my %seen = map { $_->name => $_->query('SELECT coalesce(max(id), 0) FROM ftchain.incident') } @nodes;

$delta->stop;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = 'delta'", 'delta is out', 'out');
$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 2, shard_parity => 1)));
my $old = "SELECT count(*) FROM ftchain.shard WHERE kept AND get_byte(head, 3) = 2 AND block IN $bodies";

comes($_, incomplete(3, 1), '0', $_->name . ' knows three new shards of each body') foreach @left;
comes($_, $old, '0', $_->name . ' has no old shard any more') foreach @left;
$delta->start;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = 'delta'", 'delta comes back', 'up');
comes($delta, incomplete(3, 1), '0', 'delta knows three new shards of each body');
comes($delta, $old, '0', 'delta has no old shard any more');
foreach my $node (@nodes)
{
	$node->gives("SELECT count(*) FROM ftchain.incident WHERE kind = 'copy lost' AND block IN $bodies AND id > $seen{ $node->name }", '0',
		$node->name . ' accuses nobody because of the new cut');
}

# ---- a shard that nobody else can keep

$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 3, shard_parity => 1)));
my $two = "SELECT count(*) FROM ftchain.shard WHERE kept AND get_byte(head, 2) = 2 AND block IN $bodies";

comes($_, $two, '0', $_->name . ' has one of four shards of each body') foreach @nodes;
comes($_, "SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies", '0', $_->name . ' has no whole body again')
  foreach @nodes;
FtchainCluster::converge('all agree before one goes again', 60, @nodes);
$delta->stop;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = 'delta'", 'delta is out again', 'out');
comes($alpha,
	"SELECT count(*) FROM unnest(ARRAY$bodies) b (id) WHERE NOT EXISTS"
	  . " (SELECT FROM ftchain.replica r WHERE r.block = b.id AND r.member <> '$delta_id')",
	'0', 'three of four shards bear no other loss: owners have the bodies whole as well');
$delta->start;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = 'delta'", 'delta comes back again', 'up');
comes($_, "SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies", '0', $_->name . ' lets go of them when it is back')
  foreach @nodes;

# ---- all of it can be read

$_->configure('ftchain.body_cache' => undef) foreach @nodes;
my $read = <<"END";
SELECT md5(string_agg(e::text, ';' ORDER BY b.height, e."position")), count(*)
  FROM (SELECT height FROM ftchain.blocks WHERE id IN $bodies OFFSET 0) b, ftchain.block_entries('main', b.height, timeout => '60 s') e
END
my @read = map { $_->query($read) } @nodes;

like($read[0], qr/\|8$/, 'all there was can be read');
is($read[$_], $read[0], $nodes[$_]->name . ' reads what alpha does') foreach 1 .. 3;
FtchainCluster::converge('all agree in the end', 60, @nodes);
foreach my $node (@nodes)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
}

done_testing();
