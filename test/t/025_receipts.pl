# Receipts between members: each proves what it took and what it has a copy of,
# though the bodies of most blocks are at one of the others; and all others find
# that proof good, on the chain that they know themselves.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma)], chain => { replicas => 1 });
my $genesis = $nodes[0]->query('SELECT genesis FROM ftchain.chain');
my %acked;
my $not_whole = <<'END';
SELECT count(*) FROM ftchain.blocks WHERE NOT held AND id IN
       (SELECT block FROM ftchain.entries WHERE origin = (SELECT member FROM ftchain.identity))
END

# What does a node say to receipts of another?  Each is checked by itself, and
# against the block of its head's height that the node has on its own chain.
sub answers
{
	my ($node, $receipts) = @_;

	return $node->query(<<"END");
SELECT count(*), count(*) FILTER (WHERE c.valid), string_agg(DISTINCT c.reason, ', '),
       count(*) FILTER (WHERE b.block = c.block), count(DISTINCT (c.origin, c.incarnation, c.seq))
  FROM json_array_elements(\$receipts\$$receipts\$receipts\$) AS r (receipt),
       ftchain.check_receipt(r.receipt) AS f
  LEFT JOIN ftchain.main_chain h ON h.height = f.head_height
  LEFT JOIN ftchain.main_chain b ON b.height = f.height,
       ftchain.check_receipt(r.receipt, '$genesis', h.block) AS c
END
}

# A test: all others find these receipts good.
sub good_elsewhere
{
	my ($giver, $receipts, $count, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $node (grep { $_ != $giver } @nodes)
	{
		is(answers($node, $receipts), "$count|$count||$count|$count",
			'what ' . $giver->name . " $what is proved to " . $node->name);
	}
	return;
}

# All append at once, so that blocks compete and carry bundles of each other.

my @loads = map { $_->start_load } @nodes;
FtchainCluster::load_goes_on($_, 50, 'entries are appended at ' . $_->{node}->name) foreach @loads;
ok( FtchainCluster::wait_until(
		'a block that is not whole where its entries are from',
		30,
		sub { grep { $_->query($not_whole) > 0 } @nodes }),
	'blocks are not whole where some of their entries are from');
$acked{ $_->{node}->name } = [ FtchainCluster::stop_load($_) ] foreach @loads;
FtchainCluster::converge('all agree', 60, @nodes);

# What a node took it can always prove.

foreach my $node (@nodes)
{
	my @seqs = map { (split(/\|/))[2] } @{ $acked{ $node->name } };
	my $receipts = $node->query(
		"SELECT json_agg(ftchain.receipt('main', seq)) FROM unnest('{" . join(',', @seqs) . "}'::bigint[]) AS seq");

	good_elsewhere($node, $receipts, scalar(@seqs), 'took');
}

# And so it can with every copy that it has, wherever the rest of the block is.

foreach my $node (@nodes)
{
	my ($count, $receipts) = split(/\|/, $node->query(<<'END'), 2);
SELECT count(*), coalesce(json_agg(ftchain.receipt('main', seq, origin, incarnation)), '[]') FROM ftchain.entries
 WHERE origin <> (SELECT member FROM ftchain.identity) AND height IS NOT NULL
END

	good_elsewhere($node, $receipts, $count, 'has a copy of');
}

# What it has no copy of it cannot prove, and says so.

foreach my $node (@nodes)
{
	my $acked = join(', ', map { my ($origin, $incarnation, $seq) = split(/\|/); "('$origin'::bytea, $incarnation, $seq)" }
		  map { @{ $acked{ $_->name } } } @nodes);
	my ($origin, $incarnation, $seq) = split(/\|/, $node->query(<<"END"));
SELECT * FROM (VALUES $acked) AS a (origin, incarnation, seq)
EXCEPT SELECT origin, incarnation, seq FROM ftchain.entries LIMIT 1
END

	$node->refuses("SELECT ftchain.receipt('main', $seq, '$origin', $incarnation)",
		qr/chain "main" has no entry $seq of that origin here/, $node->name . ' gives none of what it does not have');
}

done_testing();
