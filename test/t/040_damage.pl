# Damage behind the guards: it is found, kept, and repaired from another copy.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma)], workers => 0);
my ($alpha, $beta, $gamma) = @nodes;

# Blocks of several entries, from all members in turn
my $rounds = 0;

sub add_blocks
{
	my $count = shift;

	foreach my $round (map { ++$rounds } 1 .. $count)
	{
		my $node = $nodes[ $round % 3 ];

		$node->query("SELECT ftchain.append('main', json_build_object('round', $round, 'n', n)) FROM generate_series(1, 5) AS n");
		$node->query('CALL ftchain.seal()');
		$node->query('CALL ftchain.sync()');
	}
	FtchainCluster::settle(@nodes);
	return;
}

# Heights below the head whose body alpha and another member have signed that
# they store
sub shared_heights
{
	return split(
		/\n/,
		$alpha->query(
			'SELECT b.height FROM ftchain.blocks b JOIN ftchain.replica r ON r.block = b.id'
			  . ' WHERE entries > 0 AND held AND height < (SELECT height FROM ftchain.status) GROUP BY b.height'
			  . " HAVING count(*) >= 2 AND bool_or(r.member = '" . $alpha->member . "') ORDER BY b.height"));
}

# The ring decides who stores what.
add_blocks(8);
for (1 .. 10)
{
	last if shared_heights() >= 4;
	add_blocks(3);
}
# Two blocks of one height: one of them ends off the main chain.
foreach my $node ($alpha, $beta)
{
	$node->query("SELECT ftchain.append('main', json_build_object('fork', n)) FROM generate_series(1, 5) AS n");
	$node->query('CALL ftchain.seal()');
}
add_blocks(1);
FtchainCluster::converge('the chain is the same everywhere', 10, @nodes);
cmp_ok($alpha->query('SELECT count(*) FROM ftchain.block WHERE id NOT IN (SELECT block FROM ftchain.main_chain)'),
	'>=', 1, 'there is a block off the main chain');

my @heights = shared_heights();
my $head = $alpha->query('SELECT height FROM ftchain.status');

cmp_ok(scalar(@heights), '>=', 4, 'enough bodies are here and elsewhere');

# All that repair may change, in short
my $everything = 'SELECT ' . join(', ', map { "(SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM ftchain.$_ t)" }
	  qw(entry bundle block block_bundle main_chain control epoch_state origin damage quarantine incident));

my $block = q((SELECT block FROM ftchain.main_chain WHERE height = %1$d));
my $bundle = qq((SELECT bundle FROM ftchain.block_bundle WHERE block = $block ORDER BY "position" LIMIT 1));
my $entry = qq((SELECT id FROM ftchain.entry e WHERE (SELECT ids FROM ftchain.bundle WHERE id = $bundle) \@> e.id ORDER BY id OFFSET 1 LIMIT 1));

# A statement that changes a byte of a column
sub flip
{
	my ($column, $at) = @_;

	return "set_byte($column, $at, 255 - get_byte($column, $at))";
}

# What is done: what verify() says of it, what quarantine then holds, and how;
# each at another height, or as the name says
my @kinds = (
	[ 'a payload is changed', qr/^entry changed$/m, qr/forged/,
		qq(UPDATE ftchain.entry SET payload = '{"forged": true}' WHERE id = $entry) ],
	[ 'an author is changed', qr/^entry changed$/m, qr/nobody/,
		qq(UPDATE ftchain.entry SET author = 'nobody' WHERE id = $entry) ],
	[ 'a time is changed', qr/^entry changed$/m, qr/payload/,
		qq(UPDATE ftchain.entry SET "time" = "time" + '1 us' WHERE id = $entry) ],
	[ 'an entry goes to another chain', qr/^entry missing$/m, undef,
		qq(UPDATE ftchain.entry SET chain = 77 WHERE id = $entry) ],
	[ 'an entry is deleted', qr/^entry missing$/m, undef,
		qq(DELETE FROM ftchain.entry WHERE id = $entry) ],
	[ 'all entries of a bundle are deleted', qr/^entry missing$/m, undef,
		qq(DELETE FROM ftchain.entry e WHERE (SELECT ids FROM ftchain.bundle WHERE id = $bundle) \@> e.id) ],
	[ 'a body is lost', qr/^body missing$/m, undef,
		qq(DELETE FROM ftchain.entry e WHERE (SELECT ids FROM ftchain.bundle WHERE id = $bundle) \@> e.id),
		qq(UPDATE ftchain.bundle SET ids = NULL, leaves = NULL, bytes = 0 WHERE id = $bundle) ],
	[ 'an entry is added', qr/^extra entry$/m, qr/smuggled/,
		qq(INSERT INTO ftchain.entry (id, seq, "time", incarnation, chain, origin, salt, author, kind, payload)
		   SELECT nextval('ftchain.copy_id'), 99999, "time", incarnation, chain, origin, salt, author, kind, '"smuggled"'
		     FROM ftchain.entry WHERE id = $entry) ],
	[ 'two entries change places', qr/^entry changed$/m, qr/payload/,
		qq(UPDATE ftchain.entry SET payload = CASE id WHEN $entry
		     THEN (SELECT payload FROM ftchain.entry WHERE id = $entry + 1)
		     ELSE (SELECT payload FROM ftchain.entry WHERE id = $entry) END WHERE id IN ($entry, $entry + 1)) ],
	[ 'a header is changed', qr/^header changed$/m, qr/header/,
		'UPDATE ftchain.block SET header = ' . flip('header', 20) . " WHERE id = $block" ],
	[ 'the header of the head is changed', qr/^header changed$/m, qr/header/,
		'UPDATE ftchain.block SET header = ' . flip('header', 20) . " WHERE id = $block" ],
	[ 'a header is cut short', qr/^header changed$/m, qr/header/,
		"UPDATE ftchain.block SET header = substr(header, 1, 100) WHERE id = $block" ],
	[ 'a nonce is changed', qr/^header changed$/m, qr/header/,
		'UPDATE ftchain.block SET header = ' . flip('header', 239) . " WHERE id = $block" ],
	[ 'a signature is changed', qr/^signature$/m, qr/signature/,
		'UPDATE ftchain.block SET signature = ' . flip('signature', 5) . " WHERE id = $block" ],
	[ 'a signature is cut short', qr/^signature$/m, qr/signature/,
		"UPDATE ftchain.block SET signature = substr(signature, 1, 10) WHERE id = $block" ],
	[ 'a manifest is changed', qr/^manifest changed$/m, qr/manifest/,
		'UPDATE ftchain.block SET manifest = ' . flip('manifest', 30) . " WHERE id = $block" ],
	[ 'a manifest is emptied', qr/^manifest changed$/m, qr/manifest/,
		qq(UPDATE ftchain.block SET manifest = '' WHERE id = $block) ],
	[ 'a proof is changed', qr/^manifest changed$/m, qr/proof/,
		'UPDATE ftchain.block SET proof = ' . flip('proof', 10) . " WHERE id = $block" ],
	[ 'work is added', qr/^work or history changed$/m, qr/work/,
		'UPDATE ftchain.block SET work = ' . flip('work', 31) . " WHERE id = $block" ],
	[ 'a tip is changed', qr/^work or history changed$/m, qr/tip/,
		'UPDATE ftchain.block SET tip = ' . flip('tip', 15) . " WHERE id = $block" ],
	[ 'a bundle\'s head is changed', qr/^bundle changed$/m, qr/header/,
		'UPDATE ftchain.bundle SET head = ' . flip('head', 60) . " WHERE id = $bundle" ],
	[ 'a bundle\'s signature is changed', qr/^bundle changed$/m, qr/header/,
		'UPDATE ftchain.bundle SET signature = ' . flip('signature', 60) . " WHERE id = $bundle" ],
	[ 'a bundle\'s number is changed', qr/^bundle changed$/m, qr/header/,
		"UPDATE ftchain.bundle SET number = number + 1000 WHERE id = $bundle" ],
	[ 'leaf hashes are changed', qr/^leaf hashes changed$/m, qr/header/,
		'UPDATE ftchain.bundle SET leaves = ' . flip('leaves', 40) . " WHERE id = $bundle" ],
	[ 'leaf hashes are cut short', qr/^leaf hashes changed$/m, qr/header/,
		"UPDATE ftchain.bundle SET leaves = substr(leaves, 1, 33) WHERE id = $bundle" ],
	[ 'a list of entries is changed', qr/^list of entries changed$/m, qr/header/,
		"UPDATE ftchain.bundle SET ids = ids - int8multirange(int8range($entry, $entry, '[]')) WHERE id = $bundle" ],
	[ 'a bundle is taken out of its block', qr/^bundles changed$/m, qr/header/,
		"DELETE FROM ftchain.block_bundle WHERE block = $block" ],
	[ 'a bundle is put into a block', qr/^bundles changed$/m, qr/header/,
		"INSERT INTO ftchain.block_bundle SELECT $block, 50, max(id) FROM ftchain.bundle" ],
	[ 'a state is changed', qr/^state changed$/m, undef,
		'UPDATE ftchain.epoch_state SET content = ' . flip('content', 40)
		  . " WHERE root = (SELECT substr(header, 161, 32) FROM ftchain.block WHERE id = $block)" ],
	[ 'a state is deleted', qr/^state missing$/m, undef,
		"DELETE FROM ftchain.epoch_state WHERE root = (SELECT substr(header, 161, 32) FROM ftchain.block WHERE id = $block)" ],
	[ 'a block is deleted', qr/^block missing$/m, undef, "DELETE FROM ftchain.block WHERE id = $block" ],
	[ 'a height is deleted', qr/^height missing$/m, undef, 'DELETE FROM ftchain.main_chain WHERE height = %1$d' ],
	[ 'a height shows another block', qr/^(header changed|height|broken link)$/m, undef,
		'UPDATE ftchain.main_chain SET block = (SELECT id FROM ftchain.block WHERE block.id NOT IN (SELECT block FROM ftchain.main_chain) LIMIT 1) WHERE height = %1$d' ],
	);

sub found
{
	my $node = shift;

	return $node->query(q(SELECT what FROM ftchain.verify('main')));
}

# What repair() says; an error is part of it.
sub repair
{
	my ($node, $dry_run) = @_;
	my ($out, $error) = $node->try_query(
		'SELECT height, what, action FROM ftchain.repair(dry_run => ' . ($dry_run ? 'true' : 'false') . ')');

	return "$out$error";
}

# The status works whatever is damaged.
sub shows_damage
{
	my ($node, $wanted, $what) = @_;
	my ($out, $error) = $node->try_query('SELECT damaged > 0 FROM ftchain.status');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is("$out$error", $wanted, $what);
}

# The answers of several statements in one session, for speed; an empty one for
# what fails.
sub answers
{
	my ($node, @statements) = @_;
	my ($out, $error) = ('', '');

	$node->psql('postgres', join(";\n\\echo ----\n", @statements, ''), stdout => \$out, stderr => \$error, on_error_stop => 0);
	diag($error) if $error ne '';
	return map { chomp; $_ } split(/^----(?:\n|\z)/m, $out, -1);
}

my $n = 0;
foreach my $kind (@kinds)
{
	my ($name, $what, $quarantined, @sql) = @$kind;
	my $height = $name =~ /the head/ ? $head : $heights[ $n++ % @heights ];
	my ($quarantine, $incident) = split(
		/\|/,
		$alpha->query('SELECT (SELECT coalesce(max(id), 0) FROM ftchain.quarantine), (SELECT coalesce(max(id), 0) FROM ftchain.incident)'));
	my $status = 'SELECT damaged > 0 FROM ftchain.status';
	my $incidents = "SELECT string_agg(DISTINCT kind, ' ') FROM ftchain.incident WHERE id > $incident";

	$alpha->tamper(map { sprintf($_, $height) } @sql);
	my ($found, undef, $recorded, $damage, $damaged, $before, $planned, $after) = answers(
		$alpha,
		q(SELECT what FROM ftchain.verify('main')),
		'CALL ftchain.scrub()',
		'SELECT what FROM ftchain.damage WHERE repaired IS NULL',
		$incidents, $status, $everything,
		'SELECT height, what, action FROM ftchain.repair(dry_run => true)',
		$everything);
	like($found, $what, "$name: verify() finds it");
	like($recorded, $what, "$name: scrub() records it");
	is($damage, 'damage', "$name: it is an incident");
	is($damaged, 't', "$name: the status shows it");
	like($planned, qr/\|(replace|rebuild|move)/, "$name: a dry run of repair says what it would do");
	is($after, $before, "$name: and changes nothing");

	my ($done, $left, $mended, $repair, $kept) = answers(
		$alpha,
		'SELECT height, what, action FROM ftchain.repair()',
		q(SELECT * FROM ftchain.verify('main')),
		$status, $incidents,
		"SELECT content FROM ftchain.quarantine WHERE id > $quarantine");
	like($done, qr/\|(replaced|rebuilt|moved)/, "$name: repair() does it");
	is($left, '', "$name: then all is well");
	is($mended, 'f', "$name: and the status says so");
	like($repair, qr/repair/, "$name: the repair is an incident");
	like($kept, $quarantined, "$name: what was there is in quarantine") if defined $quarantined;
}

# Several at once

my %at_once = map { $_->[0] => $_ } @kinds;
$alpha->tamper(
	sprintf($at_once{'a payload is changed'}->[3], $heights[0]),
	sprintf($at_once{'a manifest is changed'}->[3], $heights[1]),
	sprintf($at_once{'an entry is deleted'}->[3], $heights[2]),
	sprintf($at_once{'an entry is added'}->[3], $heights[0]),
	sprintf($at_once{'a height is deleted'}->[3], $heights[3]));
$alpha->query('CALL ftchain.scrub()');
repair($alpha);
$alpha->is_clean('several at once are repaired at once');

# No copy to be had

my $forge = sprintf($at_once{'a payload is changed'}->[3], $heights[0]);
$_->stop foreach $beta, $gamma;
$alpha->tamper($forge);
$alpha->query('CALL ftchain.scrub()');
like(repair($alpha, 1), qr/no copy: no peer has a sound one now/, 'without the others a dry run says that there is no copy');
like(repair($alpha), qr/no copy: no peer has a sound one now/, 'and so does repair');
like(found($alpha), qr/^entry changed$/m, 'the damage stays');
shows_damage($alpha, 't', 'and stays on record');
$_->start foreach $beta, $gamma;
like(repair($alpha), qr/\|replaced by the copy/, 'when they are back it is repaired');
$alpha->is_clean('then all is well');

# The same damage wherever the body is
my @holders = grep {
	$_->query("SELECT held FROM ftchain.blocks WHERE height = $heights[0]") eq 't'
} @nodes;
my $here = $alpha->query(sprintf("SELECT seq, encode(convert_to(payload::text, 'UTF8'), 'hex') FROM ftchain.entry WHERE id = $entry", $heights[0]));
my ($seq, $payload) = split(/\|/, $here);
$_->tamper($forge) foreach @holders;
$alpha->query('CALL ftchain.scrub()');
like(repair($alpha), qr/no copy: no peer has a sound one now/, 'damaged copies are not taken');
$holders[-1]->tamper(sprintf("UPDATE ftchain.entry SET payload = convert_from('\\x$payload', 'UTF8')::json WHERE id = $entry", $heights[0]));
$holders[-1]->is_clean('one holder has what was there');
like(repair($alpha), qr/\|replaced by the copy/, 'one sound copy is enough');
foreach my $node (@holders)
{
	$node->query('CALL ftchain.scrub()');
	repair($node);
	$node->is_clean($node->name . ' is clean again');
}

# Nobody to ask
$gamma->query("SELECT ftchain.remove_peer('alpha'), ftchain.remove_peer('beta')");
my $held = $gamma->query('SELECT max(height) FROM ftchain.blocks WHERE entries > 0 AND held');
$gamma->tamper(sprintf($at_once{'a payload is changed'}->[3], $held));
$gamma->query('CALL ftchain.scrub()');
like(repair($gamma), qr/no copy: there is no peer/, 'who has no peer is told so');
$gamma->query("CALL ftchain.add_peer('alpha')");
$gamma->query("CALL ftchain.add_peer('beta')");
like(repair($gamma), qr/\|replaced by the copy/, 'with peers it is repaired');
$gamma->is_clean;

# By itself

my $quarantine = $alpha->query('SELECT count(*) FROM ftchain.quarantine');
$alpha->tamper($forge);
$alpha->configure('ftchain.scrub_interval' => '1s', 'ftchain.deep_scrub_interval' => '1s');
$alpha->query('SELECT ftchain.start()');
$alpha->comes_to("SELECT count(*) > $quarantine FROM ftchain.quarantine", 'the keeper finds damage and repairs it when it starts');
$alpha->comes_to(q(SELECT count(*) FROM ftchain.verify('main')), 'then all is well', '0');
$quarantine = $alpha->query('SELECT count(*) FROM ftchain.quarantine');
$alpha->tamper(sprintf($at_once{'a manifest is changed'}->[3], $heights[1]), $forge);
$alpha->comes_to("SELECT count(*) > $quarantine FROM ftchain.quarantine", 'and also while it runs');
$alpha->comes_to(q(SELECT (SELECT count(*) FROM ftchain.verify('main')), (SELECT damaged FROM ftchain.status)),
	'then all is well again', '0|0');

$_->is_clean foreach @nodes;
done_testing();
