# A crash at every failpoint: what was acknowledged is sealed once, whatever
# step is cut short.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Each start after a crash would look at every file.
my @nodes = FtchainCluster->network([qw(alpha beta)], conf => ["recovery_init_sync_method = 'syncfs'"]);
my ($alpha, $beta) = @nodes;

if (!$alpha->has_failpoints)
{
  SKIP: { skip 'this build has no failpoints', 1 }
	done_testing();
	exit;
}

# All that was acknowledged, as has_sealed() takes it, and in this round
my @acked;
my @round;
my $appended = 0;

sub try_append
{
	my $node = shift;
	my $payload = '"' . $node->name . ' ' . ++$appended . '"';
	my ($row) = $node->try_query("SELECT *, '$payload' FROM ftchain.append('main', '$payload')");

	push @round, $row if $row ne '';
	return;
}

# ---- what leads to a step at a node

# The node seals what it took, and tells the other.
sub by_own_entry
{
	my ($node, $other) = @_;

	return sub { try_append($node) };
}

# The node is told what the other has sealed.
sub by_entry_of_other
{
	my ($node, $other) = @_;

	return sub { try_append($other) };
}

# The node's keeper finds an entry changed, and has its own again from the other.
sub by_damage
{
	my ($node, $other, $failpoint) = @_;
	my $entry = $node->query('SELECT e.id FROM ftchain.entries e JOIN ftchain.replica r ON r.block = e.block'
		  . " WHERE r.member = '" . $other->member . "' ORDER BY e.id LIMIT 1");

	$node->tamper(qq(UPDATE ftchain.entry SET payload = '"forged for $failpoint"' WHERE id = $entry));
	return sub { $node->try_query('CALL ftchain.scrub()') };
}

my %scenarios = (
	'seal-bundle-stored' => \&by_own_entry,
	'seal-bundle-before-commit' => \&by_own_entry,
	'seal-block-signed' => \&by_own_entry,
	'seal-block-before-commit' => \&by_own_entry,
	'send-before-call' => \&by_own_entry,
	'send-after-call' => \&by_own_entry,
	'send-before-ack-commit' => \&by_own_entry,
	'receive-body-stored' => \&by_entry_of_other,
	'receive-switched' => \&by_entry_of_other,
	'receive-before-commit' => \&by_entry_of_other,
	'repair-quarantined' => \&by_damage,
	'repair-replaced' => \&by_damage,
	'repair-before-commit' => \&by_damage,
);

# ---- every failpoint has one

my $sources = join('', map { slurp_file($_) } glob("$FindBin::RealBin/../../src/*.c"));
# messages, files, recovery and chunks have theirs in 047_messages, 048_early, 035_export,
# 044_recover and 082_chunks
my @failpoints = grep { !/^(message|import|recover|fetch)-|^receive-early$/ } $sources =~ /\bFTC_FAILPOINT\("([^"]+)"\)/g;

is_deeply([ sort @failpoints ], [ sort keys %scenarios ], 'there is a scenario for each failpoint of the source that other tests do not have');

# ---- the crashes

# Seen by both: the workers are at rest.
sub all_is_well
{
	my ($when, $rows) = @_;

	FtchainCluster::converge("$when: both agree and nothing waits", 60, @nodes);
	foreach my $node (@nodes)
	{
		$node->has_sealed($rows, "$when: " . $node->name . ' has what was acknowledged, each entry once');
		$node->is_clean("$when: " . $node->name . ' is clean');
	}
	return;
}

try_append($_) foreach @nodes;
FtchainCluster::converge('the first entries are sealed', 60, @nodes);

my $turn = 0;
foreach my $failpoint (sort @failpoints)
{
	# in turn, so that a crash also meets a node that has just had one
	my ($node, $other) = $turn++ % 2 ? ($alpha, $beta) : ($beta, $alpha);
	my $before = $node->query('SELECT incarnation FROM ftchain.self');
	my $scenario = $scenarios{$failpoint} // next;

	$node->crashes_at($failpoint, $scenario->($node, $other, $failpoint));
	try_append($other);
	$node->start;
	try_append($node);
	$node->gives("SELECT incarnation > $before FROM ftchain.self", 't', "$failpoint: another incarnation");
	$node->comes_to('SELECT damaged FROM ftchain.status', "$failpoint: all damage is repaired", '0')
	  if $failpoint =~ /^repair-/;
	all_is_well($failpoint, \@round);
	$node->gives("SELECT count(*) FROM ftchain.quarantine WHERE content LIKE '%forged for $failpoint%'",
		'1', "$failpoint: what was found is in quarantine, once")
	  if $failpoint =~ /^repair-/;
	cmp_ok(scalar(@round), '>=', 2, "$failpoint: entries were acknowledged, also after the crash");
	push @acked, splice(@round);
}

# ---- one more time, while both append all the time

my @loads = map { $_->start_load } @nodes;
foreach my $node (@nodes)
{
	my $failpoint = $node == $alpha ? 'seal-block-before-commit' : 'receive-before-commit';

	FtchainCluster::load_goes_on($_, 20, 'entries are appended at ' . $_->{node}->name) foreach @loads;
	$node->crashes_at($failpoint, sub { });
	$node->start;
}
FtchainCluster::load_goes_on($_, 20, 'entries are appended again at ' . $_->{node}->name) foreach @loads;
push @acked, FtchainCluster::stop_load($_) foreach @loads;
all_is_well('under load', \@acked);

done_testing();
