# Four servers whose members change, while they append: copies move to their new
# owners, as predicted and within a budget; none is lost, and none is dropped.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;
use Time::HiRes qw(time);

my @nodes = FtchainCluster->network([qw(alpha beta gamma delta)], chain => { replicas => 2 });
my ($alpha, $beta, $gamma, $delta) = @nodes;
my @acked;

sub appends
{
	my ($more, @where) = @_;
	my @loads = map { $_->start_load(size => 3000) } @where;

	FtchainCluster::load_goes_on($_, $more, 'entries are appended at ' . $_->{node}->name) foreach @loads;
	return @loads;
}

# All is where it belongs, says everybody.
sub at_rest
{
	my ($what, @where) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	FtchainCluster::converge("$what: all agree", 120, @where);
	foreach my $node (@where)
	{
		$node->holds_its_share("$what: " . $node->name . ' holds what it owns', 120);
		$node->comes_to(q(SELECT sum(missing) FROM ftchain.ring_load('main')),
			"$what: and knows from the others that they do", '0', 120);
	}
	return;
}

# The blocks up to a height that a node holds
sub held
{
	my ($node, $height) = @_;

	return map { $_ => 1 } split(/\n/, $node->query("SELECT id FROM ftchain.blocks WHERE entries > 0 AND held AND height <= $height"));
}

# A change, made under appends: what moves is what ring_moves() said.
sub change
{
	my ($what, $predict, $verb, $shown, $settled, $by, @where) = @_;
	my $height = $by->query('SELECT height FROM ftchain.status');
	my ($bodies, $against) = split(/\|/,
		$by->query("SELECT sum(bodies), sum(share) / max(optimum) FROM ftchain.ring_moves('main', $predict)"));
	my %before = map { $_->name => { held($_, $height) } } @where;
	my $moved = 0;
	my $dropped = 0;
	my @loads;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	cmp_ok($bodies, '>', 0, "$what: something will move, $bodies bodies");
	cmp_ok($against, '<', 1.05, "$what: and hardly more than must") unless $what =~ /zone/;
	# before it is in a block, or it might be settled already
	is($by->query(<<"END"), "$shown\n$bodies", "$what: it is under way, and moves the same as was predicted");
BEGIN;
SELECT ftchain.$verb \\g /dev/null
SELECT name, change FROM ftchain.members('main') WHERE change IS NOT NULL;
SELECT sum(bodies) FROM ftchain.ring_moves('main');
COMMIT;
END
	@loads = appends(8, @where);
	$_->comes_to("SELECT $settled FROM ftchain.members('main')", "$what: it is settled, says " . $_->name) foreach @where;
	FtchainCluster::load_goes_on($_, 8, "$what: appends go on at " . $_->{node}->name) foreach @loads;
	push @acked, FtchainCluster::stop_load($_) foreach @loads;
	at_rest($what, @where);
	foreach my $node (@where)
	{
		my %after = held($node, $height);

		$moved += grep { !$before{ $node->name }{$_} } keys %after;
		$dropped += grep { !$after{$_} } keys %{ $before{ $node->name } };
	}
	cmp_ok($moved, '<=', 1.05 * $bodies, "$what: no more moved than predicted");
	# some were there already: whoever waited for a body has fetched it
	cmp_ok($moved, '>', 0, "$what: and some did");
	note("$what: $bodies bodies predicted, $moved moved");
	is($dropped, 0, "$what: no old copy is dropped");
	return;
}

push @acked, FtchainCluster::stop_load($_) foreach appends(25, @nodes);
at_rest('at first', @nodes);

change('more weight', q(reweight => '{"beta": 3}'), q(reweight('main', 'beta', 3)),
	'beta|weight 3', q(bool_and(change IS NULL AND (weight = 3 OR name <> 'beta'))), $alpha, @nodes);
change('another zone', q(set_zone => '{"gamma": "beta"}'), q(set_zone('main', 'gamma', 'beta')),
	'gamma|zone "beta"', q(bool_and(change IS NULL AND (zone = 'beta' OR name <> 'gamma'))), $alpha, @nodes);
is( $alpha->query(q(SELECT count(*) FROM ftchain.blocks b WHERE entries > 0 AND
	(SELECT count(DISTINCT zone) FROM ftchain.place('main', b.id)) <> 2)),
	'0', 'copies are in different zones');

# Draining, within a budget.  Meanwhile blocks are made as ever.
my $budget = 60;
$_->configure('ftchain.move_budget' => "${budget}kB") foreach @nodes;
my %bytes = map { split(/\|/) } split(/\n/, $alpha->query(
	q(SELECT to_name, sum(bytes) FROM ftchain.ring_moves('main', reweight => '{"delta": 0}') GROUP BY 1)));
my ($most) = sort { $bytes{$b} <=> $bytes{$a} } keys %bytes;
my ($receiver) = grep { $_->name eq $most || ($most eq 'postgres' && $_ == $alpha) } @nodes;
my $wanted = 'SELECT count(*) FROM ftchain.wanted WHERE moved';
my ($start, $took, $blocks, $bytes);

$alpha->query(q(SELECT ftchain.reweight('main', 'delta', 0)));
ok(FtchainCluster::wait_until('bodies to move', 60, sub { $receiver->query($wanted) > 0 }), 'bodies begin to move');
$start = time();
$blocks = $receiver->query('SELECT array_agg(block) FROM ftchain.wanted WHERE moved');
push @acked, $alpha->append('"meanwhile"');
$_->comes_to(q(SELECT held FROM ftchain.blocks b JOIN ftchain.main_chain m ON m.block = b.id WHERE b.height =
	(SELECT height FROM ftchain.entries WHERE payload::text = '"meanwhile"')), 'what is new does not wait') foreach $alpha;
cmp_ok($receiver->query($wanted), '>', 0, 'for what moves, which is still under way');
$receiver->comes_to($wanted, 'all has moved in the end', '0', 120);
$took = time() - $start;
$bytes = $receiver->query("SELECT sum(u.bytes) FROM ftchain.block_bundle b JOIN ftchain.bundle u ON u.id = b.bundle WHERE b.block = ANY ('$blocks')");
cmp_ok($bytes, '>', 4 * 1024 * $budget, "$bytes bytes moved");
# a second's worth is there from the start, and what is under way may be owed
cmp_ok($took, '>', ($bytes / 1024 / $budget - 1) / 2, sprintf('within the budget: it took %.1f s', $took));
$_->configure('ftchain.move_budget' => undef) foreach @nodes;
at_rest('drained', @nodes);
foreach my $node (@nodes)
{
	$node->gives(q(SELECT weight, owned, change FROM ftchain.ring_load('main') JOIN ftchain.members('main') USING (member, weight)
		WHERE ring_load.name = 'delta'), '0|0|', $node->name . ' sees that the drained one is a member and owns nothing');
}
push @acked, $delta->append('"by the drained one"');
at_rest('it still takes part', @nodes);

# It leaves, and nothing moves any more.
is($delta->query(q(SELECT count(*) FROM ftchain.ring_moves('main', remove => '{delta}'))), '0', 'nothing moves when it leaves');
$delta->query(q(SELECT ftchain.leave('main')));
$delta->refuses(q(SELECT ftchain.reweight('main', 'alpha', 2)), qr/not a governor/, 'who is no governor cannot change others');
$_->comes_to('SELECT members = 3 FROM ftchain.status', 'it has left, says ' . $_->name) foreach @nodes;
$delta->refuses(q(SELECT ftchain.leave('main')), qr/is not a member/, 'once');
$alpha->refuses(q(SELECT ftchain.leave('main')), qr/would have no effect/, 'the last governor does not leave');
$delta->stop;
pop @nodes;
at_rest('without it', @nodes);

foreach my $node (@nodes)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
	like($node->query(q(SELECT ftchain.ring_svg('main'))), qr{^<svg .*</svg>$}s, $node->name . ' draws a picture');
}

done_testing();
