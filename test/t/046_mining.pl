# Mining in the background: by miners or by the sealer, of several chains at
# once, through restarts, crashes and changed minds.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;
use Time::HiRes qw(sleep time);

my $miners = q(SELECT count(*) FROM ftchain.worker_status() WHERE worker = 'miner');
my $height;
my $attempts = q(SELECT attempts FROM ftchain.mining WHERE chain = 'hard');
my $node = FtchainCluster->new_node(
	'node',
	conf => [ "ftchain.databases = 'postgres'", "ftchain.seal_delay = '10ms'", 'max_worker_processes = 16' ]);

# A test: the search goes on
sub goes_on
{
	my ($what) = @_;
	my $before = $node->query($attempts) || 0;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $node->comes_to("SELECT attempts > $before FROM ftchain.mining WHERE chain = 'hard'", $what);
}

$node->query('CREATE EXTENSION ftchain');
$node->create_chain;
$node->query(q(SELECT ftchain.create_chain('hard', attempts => 1000000000000000)));
$node->gives(q(SELECT height, workers, attempts, since, hash_rate, expected_left FROM ftchain.mining WHERE chain = 'hard'),
	'1|0||||', 'nothing is mined while nothing waits');
$node->gives(q(SELECT bits = ftchain.target_to_bits(target) AND expected_attempts BETWEEN 1000000000000000 AND 1001000000000000 FROM ftchain.mining WHERE chain = 'hard'),
	't', 'but what will have to be done is known');

# By the sealer

$node->query(q(SELECT ftchain.append('hard', '1')));
$node->comes_to(q(SELECT workers = 1 AND attempts > 1000000 AND hash_rate > 0 AND since < now() FROM ftchain.mining WHERE chain = 'hard'),
	'without miners the sealer mines');
$node->gives(
	q(SELECT expected_left BETWEEN make_interval(secs => 0.9 * expected_attempts::float8 / hash_rate) AND make_interval(secs => 1.1 * expected_attempts::float8 / hash_rate)
	  FROM (SELECT DISTINCT ON (chain) * FROM ftchain.mining) m WHERE chain = 'hard'),
	't', 'and says how long it takes on average');
$node->append('2');
$node->comes_to(q(SELECT pending = 0 FROM ftchain.status WHERE chain = 'main'), 'an easy chain does not wait for a hard one');
$node->gives(q(SELECT height, pending FROM ftchain.status WHERE chain = 'hard'), '0|1', 'which is not done');
$node->query(q(SELECT ftchain.append('hard', '3')));
$node->comes_to(q(SELECT leaves >= 4 FROM ftchain.candidate c, ftchain.decode_header(c.header) WHERE chain = (SELECT id FROM ftchain.chain WHERE name = 'hard')),
	'what comes while it is mined is taken into it');

# It is published when it is found, whatever else is mined by the same process.
sub median_wait
{
	my @took;

	foreach (1 .. 9)
	{
		my (undef, undef, $seq) = split(/\|/, $node->append("\"promptly $_\""));
		my $start = time();

		$node->query("SELECT ftchain.wait_for('main', $seq, timeout => '20 s')");
		push @took, time() - $start;
	}
	return (sort { $a <=> $b } @took)[4];
}
cmp_ok(median_wait(), '<', 0.7, 'and a block of the easy chain is there at once');

# A role that only reads cannot make others work.
$node->query('CREATE ROLE reads; GRANT ftchain_reader TO reads');
my (undef, undef, $last) = split(/\|/, $node->append('"for a reader"'));
$node->query("SELECT ftchain.wait_for('main', $last, timeout => '20 s')");
$height = $node->query(q(SELECT height FROM ftchain.status WHERE chain = 'main'));
$node->gives("SET ROLE reads; SELECT ftchain.wait_for('main', $last, 1000000, '2 s')", 'f', 'who only reads may wait');
$node->gives("SELECT height - $height FROM ftchain.status WHERE chain = 'main'", '0', 'but no block is made for him');
$node->refuses(q(SET ROLE reads; SELECT ftchain.hash_rate(0.1, 2)), qr/only members of ftchain_admin may mine with several workers/,
	'nor take the workers of others');

# By miners

$node->configure('ftchain.mining_workers' => 2);
$node->comes_to($miners, 'a setting starts miners', '2');
$node->gives(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ftchain miner' AND datname IS NULL), '2', 'which are of no database');
$node->comes_to(q(SELECT workers FROM ftchain.mining WHERE chain = 'hard'), 'and mine', '2');
goes_on('with the attempts counted on');
$node->comes_to(q(SELECT bool_and(attempts > 0 AND hash_rate > 0 AND started < now()) FROM ftchain.worker_status() WHERE worker = 'miner'), 'both of them');
my $sealer = $node->query(q(SELECT attempts FROM ftchain.worker_status() WHERE worker = 'sealer'));
$node->append('4');
$node->comes_to(q(SELECT pending = 0 FROM ftchain.status WHERE chain = 'main'), 'the sealer has time for other things');
$node->gives(q(SELECT attempts FROM ftchain.worker_status() WHERE worker = 'sealer'), $sealer, 'and does not mine itself');

my $pid = $node->query(q(SELECT min(pid) FROM ftchain.worker_status() WHERE worker = 'miner'));
$node->query("SELECT pg_terminate_backend($pid)");
goes_on('a miner that leaves takes nothing along');
$node->comes_to("SELECT count(*) = 2 AND min(pid) <> $pid FROM ftchain.worker_status() WHERE worker = 'miner'", 'and another one comes');
$node->configure('ftchain.mining_workers' => 1);
$node->comes_to($miners, 'too many leave', '1');
goes_on('the one that is left goes on');

# With rests: of the time, not of the rate while it works

$node->configure('ftchain.mining_duty' => 10);
my ($done, $started, $resting) = (0, 0, 0);
ok( FtchainCluster::wait_until(
		'three seconds of little work in a row', 60,
		sub {
			my ($now, $rate) = split(/\|/, $node->query(q(SELECT attempts, hash_rate FROM ftchain.worker_status() WHERE worker = 'miner')));
			my $seconds = time() - $started;

			# the first second may be one before the setting is known
			return 0 if $seconds < 1;
			my $share = $started && $rate ? ($now - $done) / $seconds / $rate : 1;
			($done, $started) = ($now, time());
			$resting = $share > 0 && $share < 0.3 ? $resting + 1 : 0;
			return $resting == 3;
		}),
	'a miner with little duty rests most of the time');

# Priority

sub priority
{
	my ($pid) = @_;

	open(my $stat, '<', "/proc/$pid/stat") or return '';
	return (split(' ', <$stat> =~ s/^.*\) //r))[16];
}

$pid = $node->query(q(SELECT pid FROM ftchain.worker_status() WHERE worker = 'miner'));
is(priority($pid), 10, 'miners step back for others');
$node->configure('ftchain.mining_nice' => 15);
ok(FtchainCluster::wait_until('niceness', 30, sub { priority($pid) eq '15' }), 'further, if they are told');
$node->configure('ftchain.mining_nice' => 5);
$node->comes_to("SELECT count(*) = 1 AND min(pid) <> $pid FROM ftchain.worker_status() WHERE worker = 'miner'", 'and another one comes to step back less');
is(priority($node->query(q(SELECT pid FROM ftchain.worker_status() WHERE worker = 'miner'))), 5, 'as it does');
$node->configure('ftchain.mining_nice' => undef, 'ftchain.mining_duty' => undef, 'ftchain.mining_workers' => 2);
$node->comes_to($miners, 'miners are back', '2');

# A restart, and a crash: the same candidate, from where it was

$node->query('CREATE TABLE kept (n serial, header bytea); GRANT ALL ON kept, kept_n_seq TO ftchain_worker');
$node->query(q(CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.kept (header) VALUES (NEW.header); RETURN NEW; END'));
$node->query('CREATE TRIGGER note AFTER UPDATE ON ftchain.candidate FOR EACH ROW EXECUTE FUNCTION note()');
for my $how (qw(fast kill))
{
	$node->query('DELETE FROM kept');
	# the last one may not be on disk yet when a crash comes
	$node->comes_to('SELECT count(*) > 1 FROM kept', 'a candidate that takes long is kept');
	$how eq 'kill' ? $node->kill9 : $node->stop($how);
	$node->start;
	my ($n, $before, $since) = split(
		/\|/,
		$node->query(q(SELECT max(n), max(c.attempts), max(c.since) FROM kept, ftchain.candidate c WHERE c.chain = (SELECT id FROM ftchain.chain WHERE name = 'hard'))));
	$node->comes_to("SELECT count(*) > 0 FROM kept WHERE n > $n", "and goes on after it ($how)");
	$node->gives(
		"SELECT substr(a.header, 1, 232) = substr(b.header, 1, 232) AND substr(a.header, 233) > substr(b.header, 233) FROM kept a, kept b WHERE a.n = (SELECT min(n) FROM kept WHERE n > $n) AND b.n = (SELECT max(n) FROM kept WHERE n <= $n)",
		't', 'the same one, with later nonces');
	$node->gives("SELECT attempts > $before, since = '$since' FROM ftchain.mining WHERE chain = 'hard'", 't|t', 'and all of its attempts');
	$node->comes_to($miners, 'by miners again', '2');
}
$pid = $node->query(q(SELECT max(pid) FROM ftchain.worker_status() WHERE worker = 'miner'));
kill('KILL', $pid);
$node->comes_to("SELECT count(*) = 2 AND bool_and(pid <> $pid) FROM ftchain.worker_status() WHERE worker = 'miner'",
	'a miner that crashes restarts the server, as any other process does');
goes_on('and mining goes on');

# A found nonce ends it

$node->query(q(SELECT ftchain.create_chain('middling', attempts => 30000000)));
$node->query(q(SELECT ftchain.append('middling', '5')));
$node->comes_to(q(SELECT height = 1 AND pending = 0 FROM ftchain.status WHERE chain = 'middling'), 'a block that can be found is found by miners');
$node->gives(q(SELECT workers FROM ftchain.mining WHERE chain = 'middling'), '0', 'and is mined no longer');
$node->gives(q(SELECT count(*) FROM ftchain.verify('middling')), '0', 'it is right');

# Waiting for it

my $seq = $node->query(q(SELECT seq FROM ftchain.append('middling', '6')));
$node->gives("SELECT ftchain.wait_for('middling', $seq, timeout => '60 s')", 't', 'who waits for a block is told when it is there');
$height = $node->query(q(SELECT height FROM ftchain.status WHERE chain = 'middling'));
$node->gives("SELECT ftchain.wait_for('middling', $seq, 2, '60 s'), ftchain.confirmations('middling', $seq)", 't|2',
	'blocks without entries are made for those who wait for them');
$node->gives(q(SELECT height - ) . $height . q( FROM ftchain.status WHERE chain = 'middling'), '1', 'and no more of them');
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ftchain.blocks');
$seq = $node->query(q(SELECT seq FROM ftchain.append('middling', '7')));
is($reader->query_safe("SELECT ftchain.wait_for('middling', $seq, timeout => '60 s')"), 't', 'an old snapshot does not keep it from being seen');
$reader->quit;

# Without room for miners

$node->stop;
$node->append_conf('postgresql.conf', 'max_worker_processes = 5');
$node->start;
$node->comes_to(q(SELECT workers = 1 AND attempts > 0 FROM ftchain.mining WHERE chain = 'hard'),
	'when no miner can be started the sealer mines');
$node->logs(0, qr/could not start the ftchain miner of database "postgres"/, 'and it is said why');
$node->stop;
$node->append_conf('postgresql.conf', 'max_worker_processes = 16');
$node->start;

# A database that is gone takes its miners along.

$node->query('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION ftchain');
$node->safe_psql('other', 'SELECT ftchain.start()');
$node->comes_to(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ftchain miner'), 'another database has miners of its own', '4');
$node->query('DROP DATABASE other WITH (FORCE)');
$node->comes_to(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ftchain miner'), 'until it is dropped', '2', 20);

# Nine chains, and places for eight: each has its turn.

$node->query("SELECT ftchain.create_chain('hard $_', attempts => 1000000000000000); SELECT ftchain.append('hard $_', '1')") foreach 1 .. 9;
$node->comes_to("SELECT attempts > 0 FROM ftchain.mining WHERE chain = 'hard $_'", "chain $_ of many is mined") foreach 1 .. 9;
$node->append('"among many"');
$node->comes_to(q(SELECT pending = 0 FROM ftchain.status WHERE chain = 'main'), 'and an easy one gets through');

# A search in a session, with a worker of its own

my $helpers = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ftchain mining worker');
my $search = q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%ftchain.mine(%' AND state = 'active' AND pid <> pg_backend_pid()};
my $searcher = $node->background_psql('postgres', on_error_stop => 0);
foreach my $end ('ended by somebody', 'cancelled')
{
	$searcher->query_until(qr/begun/, "\\echo begun\nSELECT found FROM ftchain.mine((SELECT header FROM kept ORDER BY n LIMIT 1), workers => 2);\n");
	$node->comes_to($helpers, "a search has a worker ($end)", '1');
	if ($end eq 'ended by somebody')
	{
		$node->query($helpers =~ s/count\(\*\)/pg_terminate_backend(pid)/r);
		$node->comes_to($helpers, 'a worker can be ended', '0');
		$node->gives($search =~ s/pid FROM/count(*) FROM/r, '1', 'and the search goes on without it');
	}
	$node->query($search =~ s/pid FROM/pg_cancel_backend(pid) FROM/r);
	$searcher->query_until(qr/ended/, "\\echo ended\n");
	$node->comes_to($helpers, "no worker is left ($end)", '0');
}
$searcher->quit;

# Ends

$node->comes_to($miners, 'there are miners', '2');
$node->query('SELECT ftchain.stop()');
$node->comes_to($miners, 'stop() stops them', '0');
$node->gives(q(SELECT workers FROM ftchain.mining WHERE chain = 'hard'), '0', 'and nothing is mined');
$node->query('SELECT ftchain.start()');
$node->comes_to($miners, 'start() starts them', '2');
goes_on('and they mine');
$node->configure('ftchain.enabled' => 'off');
$node->comes_to(q(SELECT workers FROM ftchain.mining WHERE chain = 'hard'), 'nothing is mined while ftchain is off', '0');
$node->configure('ftchain.enabled' => undef);
goes_on('but when it is on again');
$node->query(q(SET lock_timeout = '20s'; DROP EXTENSION ftchain CASCADE));
$node->comes_to(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'ftchain miner' AND wait_event IS NULL),
	'nor after the extension is gone', '0');
$node->query('CREATE EXTENSION ftchain');
$node->query(q(SELECT ftchain.create_chain('hard', attempts => 1000000000000000)));
$node->query(q(SELECT ftchain.append('hard', '6')));
goes_on('it begins anew');

# The postmaster is gone: whoever mines finds that out between two slices

my ($postmaster, @left) = ($node->{_pid});
kill('KILL', $postmaster);
ok( FtchainCluster::wait_until(
		'the end of the miners',
		10,
		sub {
			@left = grep { kill(0, $_) } grep { $_ != $postmaster } $node->processes;
			return !@left;
		}),
	'without a postmaster nobody mines on') or diag("left: @left");
$node->kill9;

done_testing();
