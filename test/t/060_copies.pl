# Copies of a database: dumps, backups that are put back, clones, and a member
# that starts anew.  No copy speaks for its original, and none does harm.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @quick = ("recovery_init_sync_method = 'syncfs'", "ftchain.seal_delay = '50ms'", "ftchain.heartbeat = '300ms'");
# Members go away with what they hold here, sooner than others can take it over:
# so everybody holds everything.
my @nodes = FtchainCluster->network([qw(alpha beta)],
	conf => \@quick, init => { allows_streaming => 1 }, chain => { replicas => 3 });
my ($alpha, $beta) = @nodes;
my @acked;

# JSON as people write it, and one that is stored out of line
foreach my $node (@nodes)
{
	$node->query(qq(SELECT ftchain.append('main', \$\${"n" :  1.50,\n\t"text": "\\u00e4 \x{c3}\x{a4} \\\\ ''",  "n": 2}\$\$, 'odd')));
	$node->query(q(SELECT ftchain.append('main', (SELECT json_agg(md5(n::text)) FROM generate_series(1, 5000) n), 'long')));
	push @acked, $node->append($_) foreach 1 .. 3;
}
FtchainCluster::converge('the ledger is the same at both', 60, @nodes);

# What went wrong since then, at any of the nodes
sub kinds_since
{
	my ($time, @where) = @_;

	return join(' ', map { $_->query(qq(SELECT DISTINCT kind FROM ftchain.incident WHERE "time" > '$time')) } @where);
}

# ---- dumps

# An entry that waits is in the dump, but it is the original's to seal.
$alpha->configure('ftchain.enabled' => 'off');
push @acked, $alpha->append('"waits"');

# Topics keep the names of their owners, also of one that is gone.
$alpha->query(q(CREATE ROLE leaves; GRANT ftchain_admin TO leaves; SET ROLE leaves; SELECT ftchain.create_topic('left'); RESET ROLE;
	DROP OWNED BY leaves; DROP ROLE leaves));

my $dump = $alpha->basedir . '/dump';
$alpha->command_ok([ 'pg_dump', '-f', "$dump.sql", 'postgres' ], 'pg_dump');
$alpha->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.custom", 'postgres' ], 'pg_dump -Fc');

my $other = FtchainCluster->new_node('other', conf => [ @quick, "ftchain.databases = 'postgres'" ]);
$other->configure('ftchain.enabled' => 'off');
$other->query('CREATE DATABASE custom');
$alpha->query('CREATE DATABASE again');
$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-f', "$dump.sql" ],
	'a plain dump is restored at another server');
$other->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'custom', "$dump.custom" ],
	'a custom one as well');
$alpha->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'again', "$dump.custom" ],
	'and at the same server');
$other->configure('ftchain.enabled' => undef);

my $ledger = q(SELECT count(*), md5(string_agg(e::text, ';' ORDER BY e.origin, e.incarnation, e.seq)) FROM
	(SELECT origin, incarnation, seq, "time", author, kind, payload::text, height, block FROM ftchain.entries) e);
my $receipts = q(SELECT count(r), md5(string_agg(r::text, ';' ORDER BY e.origin, e.incarnation, e.seq)),
	bool_and((ftchain.check_receipt(r, (SELECT genesis FROM ftchain.chain))).valid)
	FROM ftchain.entries e, ftchain.receipt('main', e.seq, e.origin, e.incarnation) r WHERE e.height IS NOT NULL);
my $genesis = $alpha->query('SELECT genesis FROM ftchain.chain');
my %members = map { $_->member => 1 } @nodes;
my %height;

foreach my $copy ([ $other, 'postgres', 'a plain copy' ], [ $other, 'custom', 'a custom copy' ],
	[ $alpha, 'again', 'a copy beside the original' ])
{
	my ($node, $db, $name) = @$copy;
	my $gives = sub {
		my ($sql, $wanted, $what) = @_;

		is($node->safe_psql($db, $sql), $wanted, "$name: $what");
	};
	my $member;

	$gives->(q(SELECT * FROM ftchain.verify('main')), '', 'is clean');
	$gives->($ledger, $alpha->query($ledger), 'has the same entries');
	$gives->($receipts, $alpha->query($receipts), 'gives the same receipts');
	like($alpha->query($receipts), qr/\|t$/, "$name: and they are good");
	$node->refuses(q(UPDATE ftchain.entry SET kind = 'x'), qr/ftchain/, "$name: is guarded", dbname => $db);

	$gives->('SELECT name, owner FROM ftchain.topic', 'left|leaves', 'has the topics, and whose they are');

	# It is nobody.
	$height{$name} = $node->safe_psql($db, 'SELECT height FROM ftchain.status');
	$gives->('SELECT count(*) FROM ftchain.self', '0', 'has no identity');
	$node->refuses(q(SELECT ftchain.append('main', '1')), qr/this database has no identity/,
		"$name: cannot append", dbname => $db);
	$node->refuses("SELECT ftchain.peer_identity(1, '$genesis')", qr/this database has no identity/,
		"$name: cannot say that it is the original", dbname => $db);
	$node->refuses("SELECT ftchain.peer_hello(1, '$genesis', '$genesis')", qr/this database has no identity/,
		"$name: nor answer for it", dbname => $db);
	$node->safe_psql($db, 'CALL ftchain.seal()');
	$gives->('SELECT height, pending, member FROM ftchain.status', "$height{$name}|0|f", 'seals nothing');

	# It may become somebody else.
	$member = $node->safe_psql($db, 'SELECT member FROM ftchain.create_identity()');
	ok(!$members{$member}++, "$name: becomes another member");
	$node->refuses(q(SELECT ftchain.create_identity()), qr/has an identity already/, "$name: once", dbname => $db);
	$node->refuses(q(SELECT ftchain.append('main', '1')), qr/not a member/,
		"$name: the chain does not know that one", dbname => $db);
	$node->safe_psql($db, 'CALL ftchain.seal()');
	$gives->('SELECT height, pending, member FROM ftchain.status', "$height{$name}|0|f", 'still seals nothing');
	$gives->(q(SELECT * FROM ftchain.verify('main')), '', 'is still clean');
}

# Workers do not touch a ledger that is still being restored.
my $sql = slurp_file("$dump.sql") =~ s/^\\(un)?restrict .*\n//mgr;
my ($first, $second) = $sql =~ /\A(.*?)^(COPY ftchain\.main_chain .*)\z/ms;

append_to_file("$dump.first", $first);
append_to_file("$dump.second", $second);
$other->query('CREATE DATABASE busy');
$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'busy', '-f', "$dump.first" ], 'half a dump is restored');
$other->configure('ftchain.databases' => 'postgres, busy');
$other->wait_for('busy', 'SELECT count(pid) FROM ftchain.worker_status()', 'and workers start', '3');
ok(!FtchainCluster::wait_until(
		'nothing',
		2,
		sub { $other->safe_psql('busy', 'SELECT (SELECT count(*) FROM ftchain.damage) + (SELECT count(*) FROM ftchain.main_chain)') }),
	'they leave it alone, as it is nobody');
$other->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'busy', '-f', "$dump.second" ],
	'so that the rest can follow');
is($other->safe_psql('busy', q(SELECT * FROM ftchain.verify('main'))), '', 'which makes it complete');
$other->query('DROP DATABASE busy WITH (FORCE)');

$alpha->query('DROP DATABASE again WITH (FORCE)');
$other->query('DROP DATABASE custom WITH (FORCE)');
$alpha->configure('ftchain.enabled' => undef);
FtchainCluster::converge('the original seals what waited', 60, @nodes);

# A copy is taken in, and has the history already.
$_->add_server($other) foreach @nodes;
$other->add_server($alpha);
$alpha->query(q(CALL ftchain.add_member('main', 'other', zone => 'other')));
$beta->query(q(CALL ftchain.add_peer('other')));
$other->query(q(CALL ftchain.add_peer('alpha')));
$_->comes_to('SELECT member AND members = 3 FROM ftchain.status', $_->name . ': the copy is a member') foreach @nodes, $other;
push @acked, $other->append('"by the copy"');
FtchainCluster::converge('the copy takes part', 60, @nodes, $other);
foreach my $node (@nodes, $other)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
}
$alpha->query("SELECT ftchain.remove_member('main', '" . $other->member . "')");
$_->comes_to('SELECT members = 2 FROM ftchain.status', 'the copy has left, says ' . $_->name) foreach @nodes;
$other->stop;

# ---- an old backup in place of a member

# The backup has an entry that no bundle has yet.  The original puts it into
# one with another; the restored one, not knowing, into one of its own.
$beta->configure('ftchain.enabled' => 'off');
push @acked, $beta->append('"before the backup"');
$beta->backup('old');
push @acked, $beta->append('"after the backup"');
$beta->configure('ftchain.enabled' => undef);
push @acked, $beta->append('"long after"'), $alpha->append('"of another"');
FtchainCluster::converge('all is sealed, also what the backup does not have', 60, @nodes);
my $forgotten = $beta->query(q(SELECT incarnation, seq FROM ftchain.entries WHERE payload::text = '"after the backup"'));

my $before = $alpha->query('SELECT clock_timestamp()');
$beta->stop;
rename($beta->data_dir, $beta->data_dir . '.away') or die "cannot rename: $!";
system_or_bail('cp', '-a', $beta->backup_dir . '/old', $beta->data_dir);
$beta->start;
$beta->gives('SELECT pending FROM ftchain.status', '1', 'the restored member is where it was');
push @acked, $beta->append('"after the restore"');
isnt($beta->query(q(SELECT incarnation, seq FROM ftchain.entries WHERE payload::text = '"after the restore"')),
	$forgotten, 'a new entry has another name than the forgotten one');
$beta->gives(q(SELECT seq FROM ftchain.entries WHERE payload::text = '"after the restore"'),
	(split /\|/, $forgotten)[1], 'although its number is the same');
$beta->query('CALL ftchain.seal()');
$beta->gives('SELECT pending FROM ftchain.status', '0', 'it seals a branch of its own');
$beta->configure('ftchain.enabled' => undef);
push @acked, $_->append('"after all"') foreach @nodes;
FtchainCluster::converge('the restored member catches up', 60, @nodes);
like(kinds_since($before, @nodes), qr/link restarted/, 'that it was set back is on record');
foreach my $node (@nodes)
{
	$node->has_sealed(\@acked, $node->name . ' has all entries, also those the restored one had forgotten');
	$node->is_clean;
}
$beta->gives(q(SELECT string_agg(payload::text, ' ' ORDER BY payload::text) FROM ftchain.entries
	WHERE payload::text IN ('"after the backup"', '"long after"', '"before the backup"')),
	'"after the backup" "before the backup" "long after"', 'the restored member holds them again, each once');

# ---- a clone that runs beside its original

$beta->backup('clone');
my $clone = FtchainCluster->new('clone');
$clone->init_from_backup($beta, 'clone');
$clone->start;
$before = $alpha->query('SELECT clock_timestamp()');
is($clone->member, $beta->member, 'a clone with its key is the same member');
foreach my $round (1 .. 3)
{
	push @acked, $_->append(qq("round $round with a clone, by @{[ $_->name ]}")) foreach @nodes, $clone;
	FtchainCluster::converge("round $round: even so all agree", 60, @nodes, $clone);
}
foreach my $node (@nodes, $clone)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
	unlike($node->log_since(0), qr/PANIC|terminated by signal|TRAP/, $node->name . ' has never crashed');
}
like(kinds_since($before, @nodes, $clone), qr/link restarted|rollback/, 'that one speaks with two tongues is on record');
$clone->stop;
push @acked, $_->append('"without the clone"') foreach @nodes;
FtchainCluster::converge('the two go on without the clone', 60, @nodes);

# ---- the extension is dropped, and the chain joined again

# Whoever keeps the key is the same member.
my $same = $beta->member;
$beta->query('DROP EXTENSION ftchain; CREATE EXTENSION ftchain');
$beta->gives('SELECT member FROM ftchain.create_identity()', $same, 'who has the key file is still the same member');
$beta->query("CALL ftchain.join_chain('alpha', 'main', '$genesis')");
FtchainCluster::converge('it has the chain again', 60, @nodes);
push @acked, $_->append('"joined again"') foreach @nodes;
FtchainCluster::converge('and takes part', 60, @nodes);

# Without the key it is a new one.
$alpha->query(q(SELECT ftchain.remove_peer('beta')));
$beta->query('DROP EXTENSION ftchain; CREATE EXTENSION ftchain');
unlink(glob($beta->data_dir . '/ftchain_keys/*'));
my $new = $beta->query('SELECT member FROM ftchain.create_identity()');
isnt($new, $same, 'without its key file it is another member');
$beta->query("CALL ftchain.join_chain('alpha', 'main', '$genesis')");
$alpha->query(q(CALL ftchain.add_member('main', 'beta', zone => 'beta')));
$alpha->query("SELECT ftchain.remove_member('main', '$same')");
$_->comes_to("SELECT string_agg(member::text, ' ' ORDER BY name = 'beta') FROM ftchain.members('main')",
	$_->name . ' sees the new member in the place of the old one', $alpha->member . " $new") foreach @nodes;
push @acked, $_->append('"as another"') foreach @nodes;
FtchainCluster::converge('the new member takes part', 60, @nodes);
foreach my $node (@nodes)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
}

done_testing();
