# Every kind of harm, healed by the members themselves; how long each took.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;
use Time::HiRes qw(time);

my @nodes = FtchainCluster->network(
	[qw(alpha beta gamma)],
	conf => [ "ftchain.scrub_interval = '1s'", "ftchain.deep_scrub_interval = '1s'", 'ftchain.repair_limit = -1' ],
	chain => { replicas => 2 },
	member => { full_copy => 'true' });
my ($alpha, $beta, $gamma) = @nodes;

# Until alpha is an owner of enough bodies to damage: the ring gives it two of
# three.  One round after the other: members that seal at once make branches,
# and what they leave comes together in fewer and larger blocks.
my @heights;
foreach my $round (1 .. 60)
{
	my $node = $nodes[ $round % 3 ];

	$node->query("SELECT ftchain.append('main', json_build_object('round', $round, 'n', n)) FROM generate_series(1, 4) AS n");
	$node->query('CALL ftchain.seal()');
	last if !FtchainCluster::converge("all have round $round", 60, @nodes);
	@heights = split(/\n/,
		$alpha->query(q(SELECT height FROM ftchain.blocks b WHERE entries >= 4 AND held AND height < (SELECT height FROM ftchain.status)
			AND EXISTS (SELECT FROM ftchain.replica r JOIN ftchain.identity USING (member) WHERE r.block = b.id)
			AND (SELECT count(*) FROM ftchain.replica r WHERE r.block = b.id) >= 2 ORDER BY height)));
	last if @heights >= 11;
}
cmp_ok(scalar(@heights), '>=', 11, 'there are bodies to damage');

my $block = q((SELECT block FROM ftchain.main_chain WHERE height = %1$d));
my $bundle = qq((SELECT bundle FROM ftchain.block_bundle WHERE block = $block ORDER BY "position" LIMIT 1));
my $entry = qq((SELECT id FROM ftchain.entry e WHERE (SELECT ids FROM ftchain.bundle WHERE id = $bundle) \@> e.id ORDER BY id OFFSET 1 LIMIT 1));

sub flip
{
	my ($column, $at) = @_;

	return "set_byte($column, $at, 255 - get_byte($column, $at))";
}

# Done at alpha, each at another height, all at the same time
my @kinds = (
	[ 'a bit of a payload', qq(UPDATE ftchain.entry SET payload = '{"forged": true}' WHERE id = $entry) ],
	[ 'a bit of a leaf hash', 'UPDATE ftchain.bundle SET leaves = ' . flip('leaves', 40) . " WHERE id = $bundle" ],
	[ 'a bit of a header', 'UPDATE ftchain.block SET header = ' . flip('header', 20) . " WHERE id = $block" ],
	[ 'a bit of a signature', 'UPDATE ftchain.block SET signature = ' . flip('signature', 5) . " WHERE id = $block" ],
	[ 'a bit of a bundle\'s signature', 'UPDATE ftchain.bundle SET signature = ' . flip('signature', 5) . " WHERE id = $bundle" ],
	[ 'a multirange', "UPDATE ftchain.bundle SET ids = ids - int8multirange(int8range($entry, $entry, '[]')) WHERE id = $bundle" ],
	[ 'a multirange without end', "UPDATE ftchain.bundle SET ids = '{[1,)}' WHERE id = $bundle" ],
	[ 'a deleted entry', "DELETE FROM ftchain.entry WHERE id = $entry" ],
	[ 'a duplicated entry', qq(INSERT INTO ftchain.entry (id, seq, "time", incarnation, chain, origin, salt, author, kind, payload)
		SELECT nextval('ftchain.copy_id'), seq, "time", incarnation, chain, origin, salt, author, kind, payload FROM ftchain.entry WHERE id = $entry) ],
	[ 'an inserted entry', qq(INSERT INTO ftchain.entry (id, seq, "time", incarnation, chain, origin, salt, author, kind, payload)
		SELECT nextval('ftchain.copy_id'), 99999, "time", incarnation, chain, origin, salt, author, kind, '"smuggled"' FROM ftchain.entry WHERE id = $entry) ],
	[ 'a body that is gone', qq(DELETE FROM ftchain.entry e WHERE (SELECT ids FROM ftchain.bundle WHERE id = $bundle) \@> e.id),
		qq(UPDATE ftchain.bundle SET ids = NULL, leaves = NULL, bytes = 0 WHERE id = $bundle) ],
	);

# A test: all of it is sound at these nodes, within a time; says how long it took.
sub heals
{
	my ($what, $start, @where) = @_;
	my %left = map { $_->name => $_ } @where;
	my $ok;

	$ok = FtchainCluster::wait_until(
		"$what to heal",
		60,
		sub {
			foreach my $node (values %left)
			{
				my ($out, $error) = $node->try_query(
					q(SELECT (SELECT count(*) FROM ftchain.verify('main')) + (SELECT count(*) FROM ftchain.damage WHERE repaired IS NULL)));
				delete $left{ $node->name } if $out eq '0';
			}
			return !%left;
		});
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($ok, "$what heals");
	note(sprintf('%s: healed in %.1f s', $what, time() - $start)) if $ok;
	if (!$ok)
	{
		diag(join("\n", map { $_->name . ': ' . join(' ', $_->try_query(q(SELECT height, what, expected, found FROM ftchain.verify('main') LIMIT 10)),
					$_->try_query(q(SELECT string_agg(DISTINCT kind || ': ' || detail, E'\n') FROM (SELECT * FROM ftchain.incident ORDER BY id DESC LIMIT 10) i))) } values %left));
	}
	return $ok;
}

my $start = time();
my $since = $alpha->query('SELECT clock_timestamp()');
my $n = 0;

$alpha->tamper(map { my ($name, @sql) = @$_; my $height = $heights[ $n++ ]; map { sprintf($_, $height) } @sql } @kinds);
heals('each kind at once', $start, $alpha);
$n = 0;
foreach my $kind (@kinds)
{
	my $height = $heights[ $n++ ];
	my $where = $kind->[0] =~ /(duplicated|inserted)/ ? 'height IS NULL' : "height = $height";

	my $seconds = $alpha->query(
		"SELECT round(extract(epoch FROM max(repaired) - '$since')::numeric, 1) FROM ftchain.damage WHERE $where AND detected >= '$since'");
	# what has to be here and is not is also asked for as any other body
	if ($seconds eq '' && $kind->[0] eq 'a body that is gone')
	{
		$alpha->gives("SELECT held FROM ftchain.blocks WHERE chain = 'main' AND height = $height", 't', "$kind->[0]: came again before it was found");
		next;
	}
	isnt($seconds, '', "$kind->[0]: was found and repaired");
	note("$kind->[0]: healed in $seconds s");
}

# ---- tables

foreach my $table (qw(entry main_chain block_bundle control epoch_state bundle block))
{
	$start = time();
	$alpha->tamper("TRUNCATE ftchain.$table");
	heals("a truncated table $table", $start, $alpha);
}

# a part of a table, as by a page of it
$start = time();
$alpha->tamper(q(DELETE FROM ftchain.entry WHERE ctid < '(1,0)' AND id IN (SELECT id FROM ftchain.entry ORDER BY id LIMIT 30)));
heals('a page of a table', $start, $alpha);

# ---- two owners at once, at different places and at the same

$start = time();
$alpha->tamper(sprintf($kinds[0][1], $heights[0]), sprintf($kinds[2][1], $heights[1]));
$beta->tamper(sprintf($kinds[0][1], $heights[0]), sprintf($kinds[7][1], $heights[1]));
heals('damage at two owners', $start, $alpha, $beta);

# ---- damage while a repair is under way

$start = time();
$alpha->tamper(map { sprintf($kinds[0][1], $_) } @heights[ 0 .. 5 ]);
FtchainCluster::wait_until('damage to be found', 30, sub { $alpha->query('SELECT damaged FROM ftchain.status') > 0 });
$alpha->tamper(map { sprintf($kinds[0][1], $_) } @heights[ 4 .. 9 ]);
heals('damage during a repair', $start, $alpha);

# ---- a peer that offers wrong repairs

# Each byte of the end of what it gives is another: entries, and what is about them
$beta->query(<<'END');
ALTER FUNCTION ftchain.peer_block(bytea, bytea) RENAME TO peer_block_true;
CREATE FUNCTION ftchain.peer_block(genesis bytea, id bytea, OUT block bytea, OUT stored bytea) LANGUAGE sql VOLATILE AS
$$SELECT set_byte(t.block, length(t.block) - 10, 255 - get_byte(t.block, length(t.block) - 10)), t.stored FROM ftchain.peer_block_true($1, $2) t$$;
GRANT EXECUTE ON FUNCTION ftchain.peer_block(bytea, bytea) TO ftchain_peer;
END
$gamma->stop;
$start = time();
$alpha->tamper(sprintf($kinds[0][1], $heights[2]));
$alpha->query('CALL ftchain.scrub()');
$alpha->gives("SELECT action FROM ftchain.repair() WHERE height = $heights[2]", 'no copy: no peer has a sound one now', 'a wrong repair is not taken');
$gamma->start;
heals('with an honest peer what a liar would not', $start, $alpha);
$beta->query('DROP FUNCTION ftchain.peer_block(bytea, bytea); ALTER FUNCTION ftchain.peer_block_true(bytea, bytea) RENAME TO peer_block');

# ---- what nobody else has

# beta and gamma cannot be asked, nor give what they have.
$_->stop foreach $beta, $gamma;
$alpha->tamper(sprintf($kinds[0][1], $heights[2]));
$alpha->comes_to("SELECT action FROM ftchain.repair() WHERE height = $heights[2]", 'what nobody gives is said clearly',
	'no copy: no peer has a sound one now');
$alpha->gives("SELECT count(*) FROM ftchain.verify('main')", '1', 'the rest is sound');
$alpha->gives("SELECT bool_and((ftchain.check_receipt(ftchain.receipt('main', seq, origin, incarnation))).valid) FROM ftchain.entries WHERE height = $heights[3]",
	't', 'and provable');
$alpha->query(q(SELECT ftchain.append('main', '"it goes on"')));
$start = time();
$_->start foreach $beta, $gamma;
heals('with the others back it', $start, @nodes);
FtchainCluster::converge('all agree in the end', 60, @nodes);
$_->is_clean foreach @nodes;

# ---- bundles that are in no block yet

# On a chain too hard to mine: what they held is bundled anew, and nothing that was
# acknowledged is lost.
my $waits = q(SELECT count(*) FROM ftchain.pending_bundle p JOIN ftchain.bundle u ON u.id = p.bundle JOIN ftchain.entry e ON u.ids @> e.id WHERE e.kind = 'waits');

$alpha->query(q(SELECT ftchain.create_chain('hard', attempts => 1::bigint << 60)));
$alpha->query(q(SELECT ftchain.append('hard', to_json(n), 'waits') FROM generate_series(1, 3) n));
my $hard = $alpha->query(q(SELECT id FROM ftchain.chain WHERE name = 'hard'));
$alpha->comes_to($waits, 'a bundle waits for a block', '3');
$alpha->query(q(SELECT ftchain.append('hard', '"later"', 'waits')));
$alpha->comes_to($waits, 'and another', '4');
$alpha->query(q(SELECT ftchain.append('hard', '"last"', 'waits')));
$alpha->comes_to($waits, 'and one more', '5');
$since = $alpha->query('SELECT clock_timestamp()');
my $n_waits = 5;
foreach my $harm (
	'TRUNCATE ftchain.bundle',
	"DELETE FROM ftchain.bundle WHERE chain = $hard AND number = 2",
	"DELETE FROM ftchain.bundle WHERE chain = $hard AND number = (SELECT max(number) FROM ftchain.bundle WHERE chain = $hard)",
	'TRUNCATE ftchain.pending_bundle',
	'TRUNCATE ftchain.seal_state',
	'TRUNCATE ftchain.pending_bundle, ftchain.seal_state',
	'TRUNCATE ftchain.bundle, ftchain.seal_state')
{
	$start = time();
	$alpha->tamper($harm);
	$alpha->query(q(SELECT ftchain.append('hard', '"meanwhile"', 'waits')));
	heals($harm, $start, $alpha);
	$alpha->comes_to($waits, "$harm: what waited waits again, and what came meanwhile", ++$n_waits);
	$alpha->gives("SELECT count(*) - count(DISTINCT u.number) FROM ftchain.pending_bundle p JOIN ftchain.bundle u ON u.id = p.bundle WHERE u.chain = $hard",
		'0', "$harm: no number is given twice");
}
$alpha->gives("SELECT count(*) > 0 FROM ftchain.damage WHERE what = 'bundles missing' AND repaired >= '$since'", 't', 'the sealer had noticed');
$alpha->gives("SELECT count(*) FROM ftchain.quarantine WHERE \"time\" >= '$since' AND content LIKE '%\"waits\"%'", '0', 'none of it was put aside');
done_testing();
