# Scrubbing: light passes and deep ones, at a rate, over a restart; indexes; the
# breaker; what is told on the chain.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

# Each begins when it is told to: intervals are set below.
my @nodes = FtchainCluster->network(
	[qw(alpha beta)],
	conf => [ 'ftchain.scrub_interval = 0', 'ftchain.deep_scrub_interval = 0' ],
	chain => { replicas => 2 });
my ($alpha, $beta) = @nodes;

foreach my $round (1 .. 12)
{
	$alpha->query(q(SELECT count(*) FROM (SELECT ftchain.append('main', json_build_object('n', n, 'fill', repeat('x', 20000)))
		FROM generate_series(1, 10) AS n) t));
	$alpha->query('CALL ftchain.seal()');
}
FtchainCluster::converge('both have all of it', 60, @nodes);
my @heights = split(/\n/, $alpha->query('SELECT height FROM ftchain.blocks WHERE entries > 0 AND held ORDER BY height'));
my $block = '(SELECT block FROM ftchain.main_chain WHERE height = %1$d)';
my $ids = "(SELECT ids FROM ftchain.bundle JOIN ftchain.block_bundle ON bundle = id WHERE block = $block LIMIT 1)";
my $entry = "(SELECT lower($ids))";

cmp_ok(scalar(@heights), '>=', 10, 'there are blocks to damage');
$alpha->gives('SELECT count(*) FROM ftchain.scrub_state', '0', 'nothing is scrubbed where the intervals are 0');

# ---- a light pass

sub passes
{
	my ($pass, $what) = @_;
	my $before = $alpha->query('SELECT clock_timestamp()');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $alpha->comes_to("SELECT bool_and(finished > '$before') FROM ftchain.scrubs WHERE pass = '$pass'", $what);
}

$alpha->configure('ftchain.scrub_interval' => '1s');
passes('light', 'a light pass is made');
$alpha->gives(q(SELECT count(*) FROM ftchain.scrub_state WHERE pass <> 'light'), '0', 'and no other');

$alpha->tamper(sprintf("DELETE FROM ftchain.entry WHERE id = $entry", $heights[1]));
$alpha->comes_to(q(SELECT count(*) FROM ftchain.damage WHERE what = 'entry missing' AND repaired IS NOT NULL),
	'it finds that an entry is missing, and it is repaired', '1');
$alpha->tamper(sprintf(q(UPDATE ftchain.entry SET payload = '{"forged": true}' WHERE id = ) . $entry, $heights[2]));
passes('light', 'another light pass');
$alpha->gives(q(SELECT count(*) FROM ftchain.damage WHERE what = 'entry changed'), '0', 'does not read the bytes of entries');

# ---- a deep one

$alpha->configure('ftchain.scrub_interval' => undef, 'ftchain.deep_scrub_interval' => '1h');
$alpha->comes_to(q(SELECT count(*) FROM ftchain.damage WHERE what = 'entry changed' AND repaired IS NOT NULL),
	'a deep pass does', '1');
$alpha->comes_to(q(SELECT bool_and(phase = 'idle' AND finished IS NOT NULL AND due > now()) FROM ftchain.scrubs
	WHERE pass <> 'light'), 'it comes to its end, and that over the indexes');
$alpha->gives(q(SELECT bytes > 2000000 FROM ftchain.scrubs WHERE pass = 'deep'), 't', 'having read every byte');
$alpha->is_clean;

# What was found and repaired is told on the chain.
$beta->comes_to(q(SELECT count(DISTINCT d->>'what') FROM ftchain.entries, json_array_elements(payload->'damage') d
	WHERE kind = 'ftchain.damage' AND (d->>'repaired')::boolean), 'both are told on the chain', '2');
FtchainCluster::converge('which is the same everywhere', 60, @nodes);

# At 400 kB a second it takes some seconds; in between the server is restarted.
my $state = q(SELECT started, height FROM ftchain.scrubs WHERE pass = 'deep' AND phase <> 'idle' AND height > 2);

$alpha->configure('ftchain.scrub_rate' => '400kB', 'ftchain.deep_scrub_interval' => '1s');
my ($started, $height) = split(/\|/, FtchainCluster::wait_until('a deep pass', 60, sub { $alpha->query($state) }));
$alpha->restart;
$alpha->comes_to("SELECT started = '$started' AND height > $height FROM ftchain.scrubs WHERE pass = 'deep'",
	'after a restart it goes on where it was');
$alpha->comes_to("SELECT finished > '$started' AND finished - '$started' > '2 s' FROM ftchain.scrubs WHERE pass = 'deep'",
	'and takes its time');
$alpha->configure('ftchain.scrub_rate' => undef, 'ftchain.deep_scrub_interval' => '0');

# ---- indexes

# A row that an index does not show
sub hide_row
{
	my ($index, $sql) = @_;

	return (
		"UPDATE pg_index SET indisready = false WHERE indexrelid = 'ftchain.$index'::regclass",
		$sql, "UPDATE pg_index SET indisready = true WHERE indexrelid = 'ftchain.$index'::regclass");
}

my $id = $alpha->query(sprintf("SELECT $entry", $heights[3]));

$alpha->query('SET allow_system_table_mods = on; BEGIN; ALTER TABLE ftchain.entry DISABLE TRIGGER guard; '
	  . join('; ', hide_row('entry_pkey', "UPDATE ftchain.entry SET xid = NULL, kind = kind WHERE id = $id"))
	  . '; ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard; COMMIT');
$alpha->gives("SET enable_seqscan = off; SELECT count(*) FROM ftchain.entry WHERE id = $id", '0', 'an index does not show a row');
$alpha->query('CALL ftchain.scrub()');
$alpha->gives(q(SELECT count(*) FROM ftchain.damage WHERE what = 'index entry_pkey' AND found LIKE 'no entry for row%'), '1',
	'which a scrub finds');
$alpha->comes_to(q(SELECT count(*) FROM ftchain.damage WHERE repaired IS NULL), 'the keeper builds it anew', '0');
$alpha->gives("SET enable_seqscan = off; SELECT count(*) FROM ftchain.entry WHERE id = $id", '1', 'then it shows the row');
$alpha->gives('SELECT count(*) - count(DISTINCT id) FROM ftchain.entry', '0', 'and no copy was put beside it');
$alpha->is_clean;

# ---- much damage

$alpha->tamper(map { sprintf(q(UPDATE ftchain.entry SET payload = '"forged"' WHERE id = ) . $entry, $_) } @heights[ 0 .. 7 ]);
$alpha->query('CALL ftchain.scrub()');
$alpha->comes_to(q(SELECT kind FROM ftchain.alarms), 'much damage at once is an alarm', 'much damage');
$alpha->gives('SELECT alarms FROM ftchain.status', '1', 'the status shows it');
ok(!FtchainCluster::wait_until('nothing', 3, sub { $alpha->query('SELECT count(*) FROM ftchain.damage WHERE repaired IS NULL') ne '8' }),
	'nothing is repaired then');
$alpha->gives(q(SELECT ftchain.clear_alarm('main')), '1', 'an operator lifts it');
$alpha->comes_to('SELECT count(*) FROM ftchain.damage WHERE repaired IS NULL', 'then all of it is repaired', '0');
$alpha->gives(q(SELECT count(*) FROM ftchain.quarantine WHERE content LIKE '%forged%' AND entry IS NOT NULL), '9',
	'what was there is in quarantine');
$alpha->gives(q(SELECT string_agg(kind, ' ' ORDER BY id) FROM ftchain.incident WHERE kind LIKE 'alarm%'), 'alarm alarm lifted',
	'alarm and operator are on record');

FtchainCluster::converge('both agree in the end', 60, @nodes);
$_->is_clean foreach @nodes;
done_testing();
