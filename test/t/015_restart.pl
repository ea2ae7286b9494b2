# What must be right after the server has crashed and restarted itself, with a
# wrong clock, and for what was promised to a session that does not wait for
# its commits.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $running = q(SELECT count(pid) FROM ftchain.worker_status());
my $sealed = q(SELECT pending = 0 FROM ftchain.status);
my $memory = q(SELECT count(*) FROM pg_shmem_allocations WHERE name = 'ftchain');
my $incarnation = 'SELECT incarnation FROM ftchain.self';

# Kill a session of its own: the postmaster ends all others, makes its memory
# anew, and goes on.
sub crash
{
	my $node = shift;
	my $name = 'victim ' . rand();
	my $postmaster = $node->query('SELECT pg_postmaster_start_time()');
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET application_name = '$name'", '-c', 'SELECT pg_sleep(600)' ],
		'<', \undef, '>', \my $out, '2>', \my $error);
	my $victim;

	FtchainCluster::wait_until('the victim', 60,
		sub { $victim = $node->query("SELECT pid FROM pg_stat_activity WHERE application_name = '$name' AND wait_event = 'PgSleep'") })
	  or die "no victim\n";
	kill('KILL', $victim);
	$session->finish;
	FtchainCluster::wait_until('recovery', 60, sub { $node->psql('postgres', 'SELECT 1') == 0 })
	  or die "the server does not come back\n";
	is($node->query('SELECT pg_postmaster_start_time()'), $postmaster, 'a backend crashes, and the same server goes on');
	return;
}

# With the library preloaded

my $node = FtchainCluster->new_node('node',
	conf => [ "ftchain.databases = 'postgres'", "ftchain.seal_delay = '100ms'", "wal_writer_delay = '10s'" ]);

$node->query('CREATE EXTENSION ftchain');
$node->create_chain;
$node->comes_to($running, 'workers run', '3');
$node->gives($memory, '1', 'what they share is in shared memory');

for my $round (1, 2)
{
	my $before = $node->query($incarnation);

	$node->query(q(SET synchronous_commit = off; SELECT ftchain.append('main', '"maybe lost"')));
	my $last = $node->query(q(SET synchronous_commit = off; SELECT ftchain.append('main', '"maybe lost"')));
	crash($node);
	$node->gives($memory, '1', 'what is shared is in the new shared memory');
	my $first = $node->query(q(SELECT ftchain.append('main', '"new"')));
	isnt($node->query($incarnation), $before, 'the incarnation is another one');
	like($first, qr/,${\$node->query($incarnation)},/, 'new entries bear it');
	isnt($first, $last, 'so no name is given again');
	$node->query('CALL ftchain.seal()');
	$node->gives($sealed, 't', 'a session can seal');
	$node->comes_to($running, 'the workers are back', '3');
	$node->append('"more"');
	$node->comes_to($sealed, 'and seal');
	$node->comes_to(q(SELECT count(*) FROM ftchain.worker_status() WHERE progress IS NOT NULL), 'all of them show what they do', '3');
	$node->is_clean('the chain is clean');
}
$node->gives('SELECT count(*) = count(DISTINCT (incarnation, seq)) FROM ftchain.entries', 't', 'no name is there twice');
$node->gives('SELECT ftchain.stop()', 't', 'the workers can be stopped');
$node->comes_to($running, 'they stop', '0');
$node->gives(
	'SELECT count(*), count(progress), count(attempts), count(hash_rate) FROM ftchain.worker_status()', '3|0|0|0',
	'what they did is not shown as if they still did');

# What is signed is on disk, whatever the session thinks of its commits.

$node->append('"once"');
my $height = $node->query('SET synchronous_commit = off; CALL ftchain.seal(); SELECT height FROM ftchain.status');
$node->kill9;
$node->start;
$node->gives("SELECT height >= $height FROM ftchain.status", 't', 'a block outlives a crash');
$node->query('SELECT ftchain.stop()');
$node->comes_to($running, 'workers are stopped', '0');
my $genesis = $node->query(q(SET synchronous_commit = off; SELECT ftchain.create_chain('other', attempts => 16, spacing => '1 ms')));
$node->kill9;
$node->start;
$node->gives(q(SELECT genesis FROM ftchain.chain WHERE name = 'other'), $genesis, 'so does the first block of a chain');

# A clock that is wrong, or was: each start has an incarnation of its own.

my $future = $node->query(<<'END');
ALTER TABLE ftchain.identity DISABLE TRIGGER USER;
UPDATE ftchain.identity SET run = ftchain.incarnation(), set_back = ftchain.incarnation() + 1000000000000;
ALTER TABLE ftchain.identity ENABLE ALWAYS TRIGGER guard;
SELECT set_back FROM ftchain.identity;
END
$node->gives($incarnation, $future, 'being set back begins another incarnation');
my %seen = ($future => 1);
for my $start (1, 2)
{
	$node->restart;
	$seen{ $node->query(q(SELECT (ftchain.append('main', '"later"')).incarnation)) } = 1;
}
is(keys %seen, 3, 'each start has another one, although it is before that');
crash($node);
$seen{ $node->query(q(SELECT (ftchain.append('main', '"later"')).incarnation)) } = 1;
is(keys %seen, 4, 'so has each crash');
$node->comes_to(q(SELECT bool_and(pending = 0) FROM ftchain.status), 'all is sealed');
$node->is_clean('and clean');
$node->stop('fast');
ok(1, 'the server stops when it is told to');

# Without the library preloaded

my $plain = FtchainCluster->new_node('plain', conf => ["shared_preload_libraries = ''"]);

$plain->query('CREATE EXTENSION ftchain');
$plain->create_chain;
$plain->append('1');
$plain->query('SELECT ftchain.start()');
$plain->comes_to($sealed, 'workers seal');
my $before = $plain->query($incarnation);
crash($plain);
$plain->append('2');
isnt($plain->query($incarnation), $before, 'the incarnation is another one here, too');
$plain->gives($memory, '1', 'what is shared is in shared memory');
$plain->query('SELECT ftchain.start()');
$plain->comes_to($sealed, 'workers seal again');
$plain->is_clean('the chain is clean');
$plain->stop('fast');
ok(1, 'this server stops as well');

done_testing();
