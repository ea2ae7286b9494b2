# Old bodies in shards: converted, proved, read, made anew, and whole again.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma delta)],
	conf => [
		"ftchain.proof_interval = '100ms'", "ftchain.trim_after = 0", "ftchain.shard_after = 0", "ftchain.scrub_interval = 0",
		"ftchain.down_after = '1500ms'", "ftchain.out_after = '3s'", "ftchain.compare_interval = '2s'"
	],
	chain => { replicas => 2 });
my ($alpha, $beta, $gamma, $delta) = @nodes;
my @acked;

foreach my $n (1 .. 3)
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

# ---- into shards

$alpha->refuses(q(SELECT ftchain.alter_chain('main', shard_data => 2)), qr/the parameters do not fit together/, 'shards need some to be lost');
$beta->refuses(q(SELECT ftchain.alter_chain('main', shard_data => 2, shard_parity => 1)), qr/not a governor/, 'a governor says that there are shards');
$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 2, shard_parity => 1)));
my $incomplete = "SELECT count(*) FROM unnest(ARRAY$bodies) b (id) WHERE (SELECT count(DISTINCT number) FROM ftchain.shard_copy s WHERE s.block = b.id) <> 3";

comes($_, $incomplete, '0', $_->name . ' knows three shards of each body') foreach @nodes;
comes($_, "SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies AND id NOT IN (SELECT block FROM ftchain.cached_body)", '0',
	$_->name . ' has no whole body any more') foreach @nodes;
$alpha->gives("SELECT bool_and(n = 3) FROM (SELECT count(*) AS n FROM ftchain.copies WHERE block IN $bodies AND shard IS NOT NULL GROUP BY block) c",
	't', 'the view of copies shows them');
$alpha->gives('SELECT shards > 0 AND overhead > 1 AND overhead < 2 FROM ftchain.storage', 't', 'they take less than two whole copies');
note($alpha->query('SELECT * FROM ftchain.storage'));

# ---- they are read

my $read = <<"END";
SELECT md5(string_agg(e::text, ';' ORDER BY b.height, e."position")), count(*)
  FROM (SELECT height FROM ftchain.blocks WHERE id IN $bodies OFFSET 0) b, ftchain.block_entries('main', b.height, timeout => '60 s') e
END
my @read = map { $_->query($read) } @nodes;

is($read[$_], $read[0], $nodes[$_]->name . ' reads what alpha does') foreach 1 .. 3;
like($read[0], qr/\|12$/, 'which is all there was');

# ---- what was read is not let go of while nobody is there to prove that he has it

my $cached = "SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies";
my $looks = q(SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relid = 'ftchain.cached_body'::regclass);
my $has = $alpha->query($cached);

cmp_ok($has, '>', 0, 'alpha has bodies in its cache');
$_->stop foreach $beta, $gamma, $delta;
$alpha->comes_to("SELECT count(*) FROM ftchain.health WHERE state IN ('down', 'out')", 'the others are gone', '3');
$alpha->configure('ftchain.body_cache' => 0);
my $looked = $alpha->query($looks);
$alpha->comes_to("SELECT ($looks) > $looked + 10", 'the cache is looked through', 't');
$alpha->gives($cached, $has, 'and nothing of it goes');
$_->start foreach $beta, $gamma, $delta;
$alpha->comes_to("SELECT count(*) FROM ftchain.health WHERE state = 'up'", 'the others are back', '3');
comes($alpha, $cached, '0', 'and it goes, when others have proved what they have');
$alpha->configure('ftchain.body_cache' => undef);
is($alpha->query($read), $read[0], 'it can be read again');

# ---- one joins: it takes what it owes, and nothing that is elsewhere

my $epsilon = FtchainCluster->new_node('epsilon',
	conf => [
		"ftchain.seal_delay = '50ms'", "ftchain.heartbeat = '300ms'", "ftchain.call_timeout = '5s'", "ftchain.databases = 'postgres'",
		"ftchain.proof_interval = '100ms'", "ftchain.trim_after = 0", "ftchain.shard_after = 0", "ftchain.scrub_interval = 0",
		"ftchain.down_after = '1500ms'", "ftchain.out_after = '3s'", "ftchain.compare_interval = '2s'"
	]);
$epsilon->query('CREATE EXTENSION ftchain; SELECT ftchain.create_identity()');
foreach my $node (@nodes)
{
	$epsilon->add_server($node);
	$node->add_server($epsilon);
}
$alpha->take_in($epsilon, genesis => $alpha->query('SELECT genesis FROM ftchain.chain'), workers => 1);
foreach my $node ($beta, $gamma, $delta)
{
	$epsilon->query("CALL ftchain.add_peer('" . $node->name . "')");
	$node->query("CALL ftchain.add_peer('epsilon')");
}
push @nodes, $epsilon;
FtchainCluster::converge('all agree with one that joined', 60, @nodes);
comes($epsilon, 'SELECT member FROM ftchain.status', 't', 'epsilon is a member');
comes($_, $incomplete, '0', $_->name . ' still knows three shards of each body') foreach @nodes;
comes($epsilon, 'SELECT count(*) FROM ftchain.wanted_shard', '0', 'epsilon has what it should keep');
$epsilon->gives("SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies", '0', 'and has taken no old body whole');
$epsilon->gives("SELECT count(*) FROM ftchain.cached_body WHERE block IN $bodies", '0', 'nor wanted parts to restore one');
is($epsilon->query($read), $read[0], 'it reads what alpha does');

# ---- what a member keeps is heard of whoever knows it

my $alpha_id = $alpha->member;
my $of_alpha = "SELECT count(*) FROM ftchain.shard_copy WHERE member = '$alpha_id' AND block IN $bodies";
my $words = "SELECT md5(string_agg(bytes, '' ORDER BY block)) FROM ftchain.word WHERE member = '$alpha_id' AND block IN $bodies";

cmp_ok($beta->query($of_alpha), '>', 0, 'alpha keeps some');
# by hand: the keeper is not to be faster
$beta->configure('ftchain.enabled' => 'off');
$beta->query("DELETE FROM ftchain.word WHERE member = '$alpha_id'; DELETE FROM ftchain.shard_copy WHERE member = '$alpha_id'");
$beta->gives("SELECT sum(taken) > 0 FROM ftchain.compare_copies('gamma')", 't', 'who has forgotten it hears of another one');
is($beta->query($of_alpha), $gamma->query($of_alpha), 'which shards alpha keeps');
is($beta->query($words), $gamma->query($words), 'and all of its words');
$beta->configure('ftchain.enabled' => undef);

# ---- a shard is damaged

$gamma->tamper("UPDATE ftchain.shard SET content = set_byte(content, 0, 255 - get_byte(content, 0)) WHERE (block, number) ="
	  . " (SELECT block, number FROM ftchain.shard WHERE kept AND block IN $bodies ORDER BY block LIMIT 1)");
$gamma->configure('ftchain.deep_scrub_interval' => '1s');
$gamma->comes_to(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'shard damaged'), 'which is found', '1');
$gamma->configure('ftchain.deep_scrub_interval' => undef);
comes($_, $incomplete, '0', $_->name . ' knows three shards of each body again') foreach @nodes;

# ---- another way of cutting

$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 3, shard_parity => 1)));
my $recut = "SELECT count(*) FROM unnest(ARRAY$bodies) b (id) WHERE (SELECT count(DISTINCT number) FROM ftchain.shard_copy s WHERE s.block = b.id AND get_byte(s.head, 2) = 3) <> 4";
comes($_, $recut, '0', $_->name . ' knows four shards of each body', 180) foreach @nodes;
is($beta->query($read), $read[0], 'all can be read');
$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 2, shard_parity => 1)));
comes($_, $incomplete =~ s/WHERE s.block = b.id/WHERE s.block = b.id AND get_byte(s.head, 2) = 2/r, '0', $_->name . ' knows three again', 180) foreach @nodes;

# ---- one member is lost

$_->configure('ftchain.body_cache' => 0) foreach @nodes;
comes($_, "SELECT count(*) FROM ftchain.blocks WHERE held AND id IN $bodies", '0', $_->name . ' forgets what it has read') foreach @nodes;
FtchainCluster::converge('all agree before one goes', 60, @nodes);
my $gone = $delta->member;

$delta->kill9;
$_->configure('ftchain.body_cache' => undef) foreach $alpha, $beta, $gamma, $epsilon;
is($alpha->query($read), $read[0], 'without one member all can be read');
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = 'delta'", 'it is out after a while', 'out');
$incomplete = "SELECT count(*) FROM unnest(ARRAY$bodies) b (id) WHERE (SELECT count(DISTINCT number) FROM ftchain.shard_copy s WHERE s.block = b.id AND s.member <> '$gone') <> 3";
comes($_, $incomplete, '0', $_->name . ' knows three shards of each body without it') foreach $alpha, $beta, $gamma, $epsilon;
$delta->start;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = 'delta'", 'it comes back', 'up');
FtchainCluster::converge('all agree again', 60, @nodes);

# ---- whole again

$alpha->query(q(SELECT ftchain.alter_chain('main', shard_data => 0, shard_parity => 0)));
foreach my $node (@nodes)
{
	comes($node, "SELECT count(*) FROM ftchain.blocks b WHERE NOT held AND id IN $bodies AND (SELECT member FROM ftchain.identity) IN (SELECT member FROM ftchain.place('main', b.id))",
		'0', $node->name . ' has the bodies that it owns whole');
}
comes($_, "SELECT count(*) FROM ftchain.shard WHERE block IN $bodies", '0', $_->name . ' has no shard any more', 180) foreach @nodes;
FtchainCluster::converge('all agree in the end', 60, @nodes);
foreach my $node (@nodes)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
	$node->gives(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'shards do not fit'), '0', $node->name . ': all shards fitted');
}

done_testing();
