# The background workers: how they start, what wakes them, what they survive,
# and whom they make way for.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $running = q(SELECT string_agg(worker, ' ' ORDER BY worker) FROM ftchain.worker_status() WHERE pid IS NOT NULL);
my $all = 'courier keeper sealer';
my $sealed = q(SELECT pending = 0 FROM ftchain.status);
my $activity = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'ftchain%');

# A new server without the library, where nobody asked for workers

my $plain = FtchainCluster->new_node('plain', conf => ["shared_preload_libraries = ''"]);

$plain->query('CREATE EXTENSION ftchain');
$plain->create_chain;
$plain->append('1');
$plain->gives($activity, '0', 'no worker runs where none was asked for');
$plain->gives('SELECT ftchain.start()', 't', 'start() says that they were not running');
$plain->comes_to($running, 'start() starts them without the library being preloaded', $all);
$plain->gives('SELECT ftchain.start()', 'f', 'and the next time that they were');
$plain->comes_to($sealed, 'what was appended before is sealed');
$plain->gives('SELECT ftchain.stop()', 't', 'stop() says that they were running');
$plain->comes_to($running, 'stop() stops them', '');
$plain->gives('SELECT ftchain.stop()', 'f', 'and the next time that they were not');
$plain->append('2');
$plain->query('CALL ftchain.seal()');
$plain->gives($sealed, 't', 'sessions can seal while they are stopped');
$plain->append('3');
$plain->query('SELECT ftchain.start()');
$plain->comes_to($sealed, 'they can be started again');
$plain->query('SELECT ftchain.stop()');
$plain->comes_to($running, 'and stopped again', '');
$plain->restart;
$plain->gives($activity, '0', 'a new server knows nothing of it');
$plain->stop;

# With the library preloaded and databases named

my $node = FtchainCluster->new_node(
	'preloaded',
	init => { allows_streaming => 1 },
	conf => [
		"ftchain.databases = 'postgres, other, missing'", "ftchain.seal_delay = '100ms'",
		'max_connections = 50', 'max_prepared_transactions = 5', 'shared_buffers = 16MB'
	]);

$node->comes_to($activity, 'the launcher waits for an extension', '1');
$node->query('CREATE EXTENSION ftchain');
$node->create_chain;
$node->comes_to($running, 'workers start by themselves', $all);
$node->comes_to(q(SELECT count(*) FROM ftchain.worker_status() WHERE progress <> ''), 'and say what they do', '3');
$node->gives(
	q(SELECT string_agg(backend_type, ', ' ORDER BY backend_type) FROM pg_stat_activity WHERE backend_type LIKE 'ftchain%'),
	'ftchain courier, ftchain keeper, ftchain launcher, ftchain sealer',
	'they are in pg_stat_activity by name');
$node->gives(
	q(SELECT DISTINCT datname, usename FROM pg_stat_activity WHERE backend_type LIKE 'ftchain%' AND backend_type NOT LIKE '%launcher'),
	'postgres|ftchain_worker', 'they work as ftchain_worker');
$node->gives(q(SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication FROM pg_roles WHERE rolname = 'ftchain_worker'),
	'f', 'which has no rights beyond its tables');
my ($out, $error) = $node->try_query('SELECT 1', extra_params => [ '-U', 'ftchain_worker' ]);
like($error, qr/too many connections for role "ftchain_worker"/, 'and cannot log in');

# Waking

$node->append('1');
$node->comes_to($sealed, 'an entry is sealed', 't', 5);
$node->gives(q(SELECT bool_and(b.received - e."time" < '5 s') FROM ftchain.entries e JOIN ftchain.blocks b ON b.id = e.block),
	't', 'soon after its commit, not when the sealer looks anyway');
$node->configure('ftchain.seal_delay' => '9s', 'ftchain.seal_entries' => 3);
$node->append($_) foreach 2, 3, 4;
$node->comes_to($sealed, 'enough entries are sealed without waiting longer, after a reload', 't', 5);
$node->configure('ftchain.seal_entries' => undef, 'ftchain.seal_bytes' => '1kB');
$node->append('"' . 'x' x 2000 . '"');
$node->comes_to($sealed, 'so are enough bytes', 't', 5);
$node->configure('ftchain.seal_bytes' => undef, 'ftchain.seal_delay' => undef);

# What is open delays nobody else

$node->query("BEGIN; SELECT ftchain.append('main', '\"prepared\"'); PREPARE TRANSACTION 'p'");
$node->append('"after"');
$node->comes_to(q(SELECT height IS NOT NULL FROM ftchain.entries WHERE payload::text = '"after"'),
	'an entry is sealed while an earlier one is still open');
$node->query(q(COMMIT PREPARED 'p'));
$node->comes_to(q(SELECT height IS NOT NULL FROM ftchain.entries WHERE payload::text = '"prepared"'),
	'the earlier one is sealed when it is committed');
$node->query("BEGIN; SELECT ftchain.append('main', '\"rolled back\"'); ROLLBACK");
$node->append('"last"');
$node->comes_to($sealed, 'all is sealed');
$node->gives(q(SELECT count(*) FROM ftchain.entries WHERE payload::text = '"rolled back"'), '0', 'but what was rolled back');

# Errors

my $sealer = $node->query(q(SELECT pid FROM ftchain.worker_status() WHERE worker = 'sealer'));
my $log = $node->log_end;
my %seen;
$node->query('REVOKE SELECT ON ftchain.seal_state FROM ftchain_worker');
$node->append('5');
ok( FtchainCluster::wait_until(
		'several failures',
		60,
		sub {
			$seen{ $node->query(q(SELECT last_error_at FROM ftchain.worker_status() WHERE worker = 'sealer')) }++;
			return keys %seen > 4;
		}),
	'a worker that fails tries again');
$node->gives(q(SELECT last_error FROM ftchain.worker_status() WHERE worker = 'sealer'),
	'permission denied for table seal_state', 'and shows why');
is(scalar(() = $node->log_since($log) =~ /ERROR:  permission denied for table seal_state/g), 1, 'it is logged once');
$node->query('GRANT SELECT ON ftchain.seal_state TO ftchain_worker');
$node->comes_to($sealed, 'it goes on when the cause is gone');
$node->gives(q(SELECT pid FROM ftchain.worker_status() WHERE worker = 'sealer'), $sealer, 'in the same process');

# Off and on

$node->configure('ftchain.enabled' => 'off');
$node->append('6');
ok(!FtchainCluster::wait_until('nothing', 2, sub { $node->query($sealed) eq 't' }), 'with ftchain.enabled = off nothing is sealed');
$node->gives($running, $all, 'but the workers stay');
$node->configure('ftchain.enabled' => undef);
$node->comes_to($sealed, 'and go on when it is on again');

# Making way

$node->query('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION ftchain');
$node->safe_psql('other', "SELECT ftchain.create_chain('hard', attempts => 1000000000000)");
$node->wait_for('other', $running, 'workers start in a database that is made later', $all);
$node->query('CREATE DATABASE copy TEMPLATE other');
ok(1, 'a database can be copied while workers run in it');
$node->wait_for('other', $running, 'they come back', $all);
is($node->safe_psql('copy', $running), '', 'and there are none in the copy');
$node->safe_psql('other', "SELECT ftchain.append('hard', '1')");
$node->wait_for('other', q(SELECT hash_rate > 0 FROM ftchain.worker_status() WHERE worker = 'sealer'),
	'the sealer is at work that has no end');
($out, $error) = $node->try_query('DROP DATABASE other');
is($error, '', 'a database can be dropped while workers run in it, even then');
$node->query('DROP DATABASE IF EXISTS other WITH (FORCE)');
$node->query('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION ftchain');
$node->safe_psql('other', "SELECT ftchain.create_chain('hard', attempts => 1000000000000)");
$node->wait_for('other', $running, 'they start in a new database of that name', $all);
$node->safe_psql('other', "SELECT ftchain.append('hard', '1')");
$node->wait_for('other', q(SELECT hash_rate > 0 FROM ftchain.worker_status() WHERE worker = 'sealer'), 'and work');
$node->query('DROP DATABASE copy');
$node->query('CREATE DATABASE copy TEMPLATE other');
ok(1, 'a database can be copied while its sealer is at work that has no end');
$node->wait_for('other', q(SELECT hash_rate > 0 FROM ftchain.worker_status() WHERE worker = 'sealer'), 'which goes on then');
$node->gives(q(SELECT count(*) FROM pg_database WHERE datname = 'copy'), '1', 'the copy is there');
$node->safe_psql('other', 'SELECT ftchain.stop()');
$node->wait_for('other', $running, 'stop() ends that work', '');
is($node->safe_psql('other', 'SELECT count(progress), count(attempts), count(hash_rate) FROM ftchain.worker_status()'),
	'0|0|0', 'and nothing is shown of it any more');
$node->safe_psql('other', 'SELECT ftchain.start()');

$node->query(q(SET lock_timeout = '20s'; DROP EXTENSION ftchain));
ok(1, 'the extension can be dropped while workers run');
$node->comes_to(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'ftchain%' AND datname = 'postgres'),
	'they are gone then', '0');
$node->query('CREATE EXTENSION ftchain');
$node->create_chain;
$node->append('1');
$node->comes_to($sealed, 'and come back when it is created again');
$node->is_clean('the new chain is clean');
unlike($node->log_since(0), qr/missing/, 'a database that does not exist is not mentioned in the log');
$node->query('DROP DATABASE other WITH (FORCE)');

# More databases than there are places, one after the other, each started as
# soon as it is there: none loses its place, and none keeps it.

my $started = 0;
for my $n (1 .. 10)
{
	$node->query('CREATE DATABASE brief');
	$node->safe_psql('brief', 'CREATE EXTENSION ftchain; SELECT ftchain.start()');
	$started += FtchainCluster::wait_until('workers', 30, sub { $node->safe_psql('brief', $running) eq $all }) ? 1 : 0;
	$node->query('DROP DATABASE brief');
}
is($started, 10, 'workers start in each of many databases');

# Ends

$node->query(q(SELECT pg_terminate_backend(pid) FROM ftchain.worker_status()));
$node->append('2');
$node->comes_to($sealed, 'workers that were told to end are started again');
my $pids = $node->query('SELECT array_agg(pid ORDER BY pid) FROM ftchain.worker_status()');
my $pid = $node->query(q(SELECT pid FROM ftchain.worker_status() WHERE worker = 'keeper'));
kill('KILL', $pid);
$node->comes_to("SELECT count(pid) = 3 AND array_agg(pid ORDER BY pid) <> '$pids' FROM ftchain.worker_status()",
	'after a crash of one the server restarts, and with it all of them');
$node->append('3');
$node->comes_to($sealed, 'and sealing goes on');

# A standby

$node->backup('copy');
my $standby = FtchainCluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->configure('ftchain.enabled' => 'off');
$node->append('"not sealed"');
my $incarnation = $node->query('SELECT DISTINCT incarnation FROM ftchain.entries WHERE height IS NULL');
$node->wait_for_catchup($standby);
$standby->gives($activity, '0', 'no worker runs on a standby');
$standby->gives('SELECT height, pending FROM ftchain.status', $node->query('SELECT height, pending FROM ftchain.status'),
	'its status can be read');
$standby->is_clean('and verified');
$standby->refuses(q(SELECT ftchain.append('main', '1')), qr/read-only transaction|recovery/, 'nothing can be appended');
$standby->refuses('CALL ftchain.seal()', qr/read-only transaction|recovery/, 'nor sealed');
$standby->refuses('SELECT ftchain.start()', qr/read-only transaction|recovery/, 'nor can workers be started');
$node->stop('immediate');
$standby->configure('ftchain.enabled' => undef);
$standby->promote;
$standby->comes_to($sealed, 'after its promotion it seals what was waiting');
$standby->comes_to($running, 'by its own workers', $all);
$standby->append('"promoted"');
$standby->comes_to($sealed, 'and what is new');
isnt($standby->query(q(SELECT incarnation FROM ftchain.entries WHERE payload::text = '"promoted"')),
	$incarnation, 'in another incarnation');
$standby->gives('SELECT count(*), count(DISTINCT (incarnation, seq)), count(height) FROM ftchain.entries', '5|5|5',
	'each entry is there once');
$standby->is_clean('all is clean');

# An upgrade

$standby->stop;
system_or_bail('pg_ctl', '-w', '-D', $standby->data_dir, '-l', $standby->logfile, '-o', '-b', 'start');
$standby->_update_pid(1);
$standby->gives($activity, '0', 'no worker runs in a server that is being upgraded');
$standby->stop;

done_testing();
