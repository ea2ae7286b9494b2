# Several members: they append at once and come to agree; who is away, or comes
# late, gets what it lacks.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma)]);
my ($alpha, $beta, $gamma) = @nodes;
my @acked;

# All at once

my @loads = map { $_->start_load } @nodes;
FtchainCluster::load_goes_on($_, 100, 'entries are appended at ' . $_->{node}->name) foreach @loads;
push @acked, FtchainCluster::stop_load($_) foreach @loads;
FtchainCluster::converge('three that append at once agree', 60, @nodes);
foreach my $node (@nodes)
{
	$node->has_sealed(\@acked);
	$node->holds_its_share;
	$node->is_clean;
}
is( $alpha->query('SELECT count(*), sum(entries) FROM ftchain.blocks WHERE entries > 0'),
	$gamma->query('SELECT count(*), sum(entries) FROM ftchain.blocks WHERE entries > 0'),
	'the blocks are the same');
cmp_ok($alpha->query('SELECT count(DISTINCT proposer) FROM ftchain.blocks'), '>', 1, 'not one member alone makes them');

# A body is at its owners, and at who appended it.
my %held;
foreach my $node (@nodes)
{
	my $rows = $node->query(
		"SELECT encode(id, 'hex') FROM ftchain.blocks WHERE entries > 0 AND held");

	push @{ $held{$_} }, $node->name foreach split(/\n/, $rows);
}
my $blocks = $alpha->query('SELECT count(*) FROM ftchain.blocks WHERE entries > 0');
is(scalar(grep { @{ $held{$_} } >= 2 } keys %held), $blocks, 'each body is at two members at least');
cmp_ok(scalar(grep { @{ $held{$_} } == 2 } keys %held), '>', 0, 'and some are not at the third');
foreach my $node (@nodes)
{
	is( $node->query('SELECT count(*) FROM ftchain.replica r JOIN ftchain.main_chain m ON m.block = r.block'
			  . ' WHERE NOT EXISTS (SELECT FROM ftchain.place(\'main\', r.block) p WHERE p.member = r.member)'),
		'0', 'at ' . $node->name . ' only owners state that they store a body');
}
my ($origin, $incarnation, $seq) = split(/\|/, $acked[0]);
my $receipt = $alpha->query("SELECT ftchain.receipt('main', $seq)");
is($gamma->query("SELECT valid, reason, seq FROM ftchain.check_receipt(\$r\$$receipt\$r\$)"),
	"t||$seq", 'a receipt from another member is good');

# One is stopped in good order

$gamma->stop;
my $away = $alpha->start_load;
FtchainCluster::load_goes_on($away, 50, 'two go on while one is stopped');
push @acked, FtchainCluster::stop_load($away);
FtchainCluster::converge('the two agree', 60, $alpha, $beta);
$gamma->start;
FtchainCluster::converge('the third catches up by itself', 60, @nodes);

# One loses its power, in the middle of its own appending

@loads = map { $_->start_load } $alpha, $gamma;
FtchainCluster::load_goes_on($_, 30, 'appending again at ' . $_->{node}->name) foreach @loads;
$gamma->kill9;
FtchainCluster::load_goes_on($loads[0], 50, 'the others go on');
$gamma->start;
FtchainCluster::load_goes_on($_, 30, 'and all of them after its return') foreach @loads;
push @acked, FtchainCluster::stop_load($_) foreach @loads;
FtchainCluster::converge('all agree again', 60, @nodes);

# One comes late

my $delta = FtchainCluster->new_node('delta',
	conf => [ "ftchain.databases = 'postgres'", "ftchain.seal_delay = '50ms'", "ftchain.heartbeat = '300ms'" ]);
$delta->query('CREATE EXTENSION ftchain; SELECT ftchain.create_identity()');
foreach my $node (@nodes)
{
	$node->add_server($delta);
	$delta->add_server($node);
}
$alpha->take_in($delta);
my $late_from = $alpha->query('SELECT height FROM ftchain.status');
$delta->query("CALL ftchain.add_peer('" . $_->name . "')") foreach $beta, $gamma;
$_->query("CALL ftchain.add_peer('delta')") foreach $beta, $gamma;
push @nodes, $delta;
$_->comes_to('SELECT member AND members = 4 FROM ftchain.status', 'the fourth is a member, says ' . $_->name)
  foreach @nodes;
push @acked, $delta->append('"late"');
FtchainCluster::converge('the latecomer agrees', 60, @nodes);
foreach my $node (@nodes)
{
	$node->has_sealed(\@acked);
	$node->holds_its_share($node->name . ' holds its share of all, also of what was before the fourth came', 90);
	$node->is_clean;
}
cmp_ok($delta->query('SELECT count(*) FROM ftchain.blocks WHERE entries > 0 AND held AND height < (SELECT max(height) FROM ftchain.blocks) / 2'),
	'>', 0, 'that is some of the old history');

# One leaves

$alpha->query("SELECT ftchain.remove_member('main', '" . $beta->member . "')");
$_->comes_to('SELECT members = 3 FROM ftchain.status', 'one has left, says ' . $_->name) foreach @nodes;
$beta->refuses(q(SELECT ftchain.append('main', '1')), qr/not a member/, 'who has left cannot append any more');
$delta->append('2');
FtchainCluster::converge('the rest goes on', 60, $alpha, $gamma, $delta);
$_->holds_its_share($_->name . ' takes over its share', 90) foreach $alpha, $gamma, $delta;
$_->is_clean foreach @nodes;

# So does the one that came late; who comes after that hears of what it stored, older than itself as that was

my $late = $delta->member;

cmp_ok($alpha->query("SELECT count(*) FROM ftchain.replica r JOIN ftchain.blocks b ON b.id = r.block WHERE r.member = '$late' AND b.height < $late_from"),
	'>', 0, 'the latecomer has stored what is older than itself');
$alpha->query("SELECT ftchain.remove_member('main', '$late')");
$_->comes_to('SELECT members = 2 FROM ftchain.status', 'the latecomer has left, says ' . $_->name) foreach $alpha, $gamma;

my $epsilon = FtchainCluster->new_node('epsilon',
	conf => [ "ftchain.databases = 'postgres'", "ftchain.seal_delay = '50ms'", "ftchain.heartbeat = '300ms'" ]);
$epsilon->query('CREATE EXTENSION ftchain; SELECT ftchain.create_identity()');
foreach my $node ($alpha, $gamma)
{
	$node->add_server($epsilon);
	$epsilon->add_server($node);
}
$alpha->take_in($epsilon);
$epsilon->query("CALL ftchain.add_peer('gamma')");
$gamma->query("CALL ftchain.add_peer('epsilon')");
FtchainCluster::converge('one that comes after that agrees', 60, $alpha, $gamma, $epsilon);
foreach my $node ($alpha, $gamma)
{
	# each takes what the other knows
	$node->query("SELECT * FROM ftchain.compare_copies('epsilon')");
	$epsilon->comes_to(sprintf(q(SELECT sum(differences) FROM ftchain.compare_copies('%s')), $node->name),
		'and knows of all copies that ' . $node->name . ' knows of', '0');
}
is( $epsilon->query("SELECT count(*) FROM ftchain.replica WHERE member = '$late'"),
	$alpha->query("SELECT count(*) FROM ftchain.replica WHERE member = '$late'"),
	'also of those of the one that has left');

done_testing();
