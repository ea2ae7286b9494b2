# Copies of bodies, from wanted to proved: what is safe, who lost one, who is away.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma delta)],
	conf => [
		"ftchain.proof_interval = '100ms'", "ftchain.down_after = '1500ms'", "ftchain.out_after = '3s'",
		"ftchain.trim_after = -1", "ftchain.scrub_interval = 0"
	],
	chain => { replicas => 2, durability => 2 });
my ($alpha, $beta, $gamma, $delta) = @nodes;
my %by_member = map { $_->member => $_ } @nodes;
my @acked;

# ---- what is safe

my $owners = q(SELECT string_agg(member::text, ' ' ORDER BY member) FROM ftchain.copies WHERE owner AND height =
	(SELECT height FROM ftchain.entries WHERE payload::text = '"%s"'));

push @acked, $alpha->append("\"$_\"") foreach 1 .. 12;
my (undef, undef, $seq) = split(/\|/, $acked[-1]);
$alpha->gives("SELECT ftchain.wait_for('main', $seq, copies => 2, timeout => '30 s')", 't', 'an entry comes to have two copies');
like($alpha->query("SELECT ftchain.receipt('main', $seq)"), qr/"version":1/, 'and then there is a receipt');
$alpha->comes_to("SELECT count(*) FROM ftchain.copies WHERE owner AND state NOT IN ('stored', 'proved')",
	'all copies are stored', '0');

$_->stop foreach $beta, $gamma, $delta;
push @acked, $alpha->append('"alone"');
(undef, undef, $seq) = split(/\|/, $acked[-1]);
$alpha->gives("SELECT ftchain.wait_for('main', $seq, timeout => '30 s')", 't', 'an entry is sealed by one that is alone');
$alpha->gives("SELECT ftchain.wait_for('main', $seq, copies => 2, timeout => '100 ms')", 'f', 'but is not safe');
$alpha->refuses("SELECT ftchain.receipt('main', $seq)", qr/entry $seq of chain "main" is not safe yet\nDETAIL:.*wants 2 copies.*and 1 are/,
	'and there is no receipt');
$alpha->refuses("SELECT ftchain.wait_for('main', $seq, copies => 0)", qr/copies is out of range: 0/, 'no copy is none to wait for');
like($alpha->query("SELECT string_agg(DISTINCT state, ' ') FROM ftchain.copies WHERE owner AND height = (SELECT max(height) FROM ftchain.blocks WHERE entries > 0)"),
	qr/wanted/, 'copies are wanted');
$_->start foreach $beta, $gamma, $delta;
$alpha->gives("SELECT ftchain.wait_for('main', $seq, copies => 2, timeout => '60 s')", 't', 'it is, when the others are back');
like($alpha->query("SELECT ftchain.receipt('main', $seq)"), qr/"version":1/, 'and has a receipt');
FtchainCluster::converge('all agree', 60, @nodes);

# ---- proofs

my $unproved = q(SELECT count(*) FROM ftchain.copies c WHERE owner AND state <> 'proved' AND member <> (SELECT member FROM ftchain.identity)
	AND (SELECT held FROM ftchain.blocks b WHERE b.id = c.block));

$_->comes_to($unproved, $_->name . ' has every copy proved that it can judge', '0') foreach @nodes;

# One changes what it holds; its workers rest, so that it does not find out.
my ($block, $height, $loser_id) = split(/\|/, $alpha->query(<<'END'));
SELECT c.block, c.height, c.member FROM ftchain.copies c JOIN ftchain.blocks b ON b.id = c.block
 WHERE c.owner AND b.held AND c.member <> (SELECT member FROM ftchain.identity) ORDER BY c.height LIMIT 1
END
my $loser = $by_member{$loser_id};
my @others = grep { $_ != $loser } @nodes;

$loser->configure('ftchain.enabled' => 'off');
$loser->tamper("UPDATE ftchain.entry SET payload = '\"changed\"' WHERE id <@ ANY (SELECT ids FROM ftchain.bundle u JOIN ftchain.block_bundle b ON b.bundle = u.id WHERE b.block = '$block')");
$alpha->query("CALL ftchain.prove('main', 100)");
$alpha->comes_to("SELECT state, reason FROM ftchain.copies WHERE block = '$block' AND member = '$loser_id'",
	'a changed copy is found lost', 'lost|it answered a challenge wrongly, three times');
$alpha->gives("SELECT count(*) FROM ftchain.incident WHERE kind = 'copy lost' AND block = '$block' AND member = '$loser_id'",
	'1', 'which is an incident');
ok( FtchainCluster::wait_until(
		'another copy', 60,
		sub { 2 <= grep { $_->query("SELECT held FROM ftchain.blocks WHERE id = '$block'") eq 't' } @others }),
	'another copy is made elsewhere');
$_->is_clean foreach @others;

# It is told, looks, and mends it.
$loser->configure('ftchain.enabled' => undef);
$loser->comes_to("SELECT count(*) > 0 AND bool_and(repaired IS NOT NULL) FROM ftchain.damage WHERE block = '$block'",
	'whoever is told of its loss finds the damage and repairs it');
$alpha->comes_to("SELECT state FROM ftchain.copies WHERE block = '$block' AND member = '$loser_id'", 'the copy is proved again', 'proved');
$alpha->comes_to("SELECT count(*) FROM ftchain.incident WHERE kind = 'copy found' AND block = '$block'", 'which is on record', '1');

# ---- one that is away

# A restart moves nothing.
my $out = q(SELECT count(*) FROM ftchain.incident WHERE kind = 'member out');
my $before = $alpha->query($out);
my $name = $delta->name;
my $wanted = q(SELECT count(*) FROM ftchain.incident WHERE kind = 'member out' AND "time" > '%s');
my $now = $alpha->query('SELECT clock_timestamp()');
my $begun = time();

$_->configure('ftchain.out_after' => '30s') foreach @nodes;
$delta->restart;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = '$name'", 'one that restarts is up again', 'up');
SKIP:
{
	skip 'this machine is too busy to restart a server in time', 1 if time() - $begun > 30;
	$alpha->gives(sprintf($wanted, $now), '0', 'and was not out');
}
$_->configure('ftchain.out_after' => '3s') foreach @nodes;

# One that stays away is replaced, and not before.
my @left = grep { $_ != $delta } @nodes;
my $delta_id = $delta->member;

push @acked, $delta->append("\"of delta $_\"") foreach 1 .. 3;
FtchainCluster::converge('all agree before one goes', 60, @nodes);
$_->holds_its_share foreach @nodes;
$delta->kill9;
foreach my $state (qw(down out))
{
	ok(FtchainCluster::wait_until($state, 30, sub { $alpha->query("SELECT state FROM ftchain.health WHERE server = '$name'") eq $state }),
		"one that stays away is $state");
}
$_->comes_to("SELECT state FROM ftchain.health WHERE server = '$name'", $_->name . ' says so', 'out') foreach @left;
push @acked, $alpha->append('"meanwhile"');
ok( FtchainCluster::wait_until(
		'two copies of each body', 60,
		sub {
			my %held;

			$held{$_}++ foreach map { split(/\n/, $_->query('SELECT id FROM ftchain.blocks WHERE entries > 0 AND held')) } @left;
			return !grep { ($held{$_} // 0) < 2 } split(/\n/, $alpha->query('SELECT id FROM ftchain.blocks WHERE entries > 0'));
		}),
	'and each body has two copies among those that are left');
$_->comes_to('SELECT count(*) FROM ftchain.wanted', $_->name . ' wants nothing more', '0') foreach @left;

# Back again, it takes what it has missed; what was made in its place goes when it has proved its own.
$delta->start;
$alpha->comes_to("SELECT state FROM ftchain.health WHERE server = '$name'", 'one that is back is up, when it has what it missed', 'up');
$alpha->gives("SELECT count(*) > 0 FROM ftchain.incident WHERE kind = 'member returned' AND member = '$delta_id'", 't', 'that is on record');
FtchainCluster::converge('all agree again', 60, @nodes);
$_->holds_its_share foreach @nodes;
$alpha->query('CREATE TABLE said AS SELECT block, member, signature FROM ftchain.replica');
$_->configure('ftchain.trim_after' => 0) foreach @nodes;
# blocks that controls could still settle in are left alone: make some more
push @acked, $alpha->append("\"more $_\"") foreach 1 .. 3;
my $surplus = <<'END';
SELECT count(*) FROM ftchain.blocks b WHERE held AND entries > 0 AND b.height < (SELECT height - 5 FROM ftchain.status)
   AND (SELECT member FROM ftchain.identity) NOT IN (SELECT member FROM ftchain.place('main', b.id))
   AND id NOT IN (SELECT block FROM ftchain.cached_body)
END
foreach my $node (@nodes)
{
	ok( FtchainCluster::wait_while(
			'the end of copies too many', 90,
			sub { push @acked, $alpha->append('"goes on"') },
			sub { return $node->query($surplus) eq '0' }),
		$node->name . ' keeps no body that belongs elsewhere');
}
FtchainCluster::converge('all agree in the end', 60, @nodes);
foreach my $node (@nodes)
{
	$node->holds_its_share;
	$node->has_sealed(\@acked);
	$node->is_clean;
	$node->gives('SELECT count(*) FROM ftchain.damage WHERE repaired IS NULL', '0', $node->name . ' has no damage');
}

# ---- a statement that was taken back

# One does not know any more that it was: nobody else believes it, nor does it itself for long.
my $held = q(SELECT count(*) FROM ftchain.replica WHERE block = '%s' AND member = '%s');
my ($old, $taker, $signature) = split(/\|/, $alpha->query(<<'END'));
SELECT block, member, said.signature FROM said JOIN ftchain.withdrawn USING (block, member) ORDER BY block LIMIT 1
END
ok($signature, 'some statements were taken back');
$held = sprintf($held, $old, $taker);
my ($gossip) = grep { $_ != $by_member{$taker} && $_->query("SELECT held FROM ftchain.blocks WHERE id = '$old'") eq 't' } @nodes;
my ($hearer) = grep { $_ != $by_member{$taker} && $_ != $gossip } @nodes;

$_->gives($held, '0', $_->name . ' knows that a statement was taken back') foreach @nodes;
$gossip->configure('ftchain.enabled' => 'off');
$gossip->query("DELETE FROM ftchain.word WHERE block = '$old' AND member = '$taker'; DELETE FROM ftchain.withdrawn WHERE block = '$old' AND member = '$taker'; INSERT INTO ftchain.replica VALUES ('$old', '$taker', '$signature')");
my $gossip_name = $gossip->name;

foreach my $node ($hearer, $by_member{$taker})
{
	$node->gives("SELECT differences > 0 FROM ftchain.compare_copies('$gossip_name')", 't', $node->name . ' compares what it knows with one that does not');
	$node->gives($held, '0', 'and does not take it back');
}
$gossip->configure('ftchain.enabled' => undef);
$gossip->query("CALL ftchain.prove('main', 100)");
$gossip->comes_to($held, 'who asks for a proof hears that it was taken back', '0');
$gossip->gives("SELECT count(*) FROM ftchain.incident WHERE kind = 'copy lost' AND block = '$old' AND member = '$taker'", '0', 'which is no loss');

# And one that is no peer of the taker hears of it from others.
$hearer->configure('ftchain.enabled' => 'off');
$hearer->query("DELETE FROM ftchain.word WHERE block = '$old' AND member = '$taker'; DELETE FROM ftchain.withdrawn WHERE block = '$old' AND member = '$taker'; INSERT INTO ftchain.replica VALUES ('$old', '$taker', '$signature')");
$hearer->gives($held, '1', 'a member that has not heard of it believes in the copy');
$hearer->gives("SELECT sum(taken) FROM ftchain.compare_copies('$gossip_name')", '1', 'and takes the word from one that is not its member');
$hearer->gives($held, '0', 'so that it believes no more');
$hearer->gives("SELECT count(*) FROM ftchain.withdrawn WHERE block = '$old' AND member = '$taker' AND signature = '$signature'", '1', 'but that it was there once');
$hearer->configure('ftchain.enabled' => undef);

# whose bodies are gone can be asked all the same
$alpha->comes_to('SELECT count(*) > 0 FROM ftchain.challenge', 'challenges are kept for bodies that went');

done_testing();
