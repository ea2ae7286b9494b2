# What bench/partition measures: rows that go from alpha to beta, two hosts of the
# network laboratory, by ftchain and by its rivals, while the network is bad.
#
# From the environment:
#	FTC_ROUNDS, FTC_SECONDS		rounds, and length of a window in s
#	FTC_PARTITION				length of a partition in s
#	FTC_PARTS					what to measure: recovery, throughput
#	FTC_LANES					which of them, if not all
#	FTC_SAMPLES					where results go: "SUBJECT\tSIDE\tVALUE"
#
# A lane is one way for rows to go:
#	name
#	from, to	nodes; look_from, look_to are sessions there
#	prepare		once, before the first round
#	row			SQL, for pgbench: commit one more row at alpha
#	rows		SQL: commit so many transactions of 100
#	written		SQL at alpha: rows that are committed there
#	arrived		SQL at beta: rows that can be seen there
#	twice		SQL at beta: rows beyond the first of each
#	carry		what a client does over and over, if there has to be one: a
#				session and the last row that arrived; gives that of now, or undef
#				after an error
#	begin		what a client does at first and after an error
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainLab;
use POSIX ();
use PostgreSQL::Test::Utils ();
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{FTC_ROUNDS} // 1;
my $seconds = $ENV{FTC_SECONDS} // 15;
my $partition = $ENV{FTC_PARTITION} // 30;
my @parts = split(/,/, $ENV{FTC_PARTS} // 'recovery,throughput');
my $samples = $ENV{FTC_SAMPLES};

my $RATE = 200;		# rows a second around a partition
my $BATCH = 100;		# rows of a transaction elsewhere
my $BACKLOG = 40000;	# rows that wait at alpha at most, in a window
my $PATIENCE = 300;	# s

my $payload = qq(repeat('x', 100));

die "this needs network namespaces\n" unless FtchainLab::is_ours();
my $lab = FtchainLab->new(qw(alpha beta));

sub sample
{
	my ($subject, $side, $value) = @_;

	note(sprintf('%s, %s: %s', $subject, $side, $value));
	PostgreSQL::Test::Utils::append_to_file($samples, "$subject\t$side\t$value\n") if $samples;
	return;
}


# ---- Ours.  All of it is in this function.

sub ftchain_lane
{
	# The test module's settings are for tests; these are the extension's own.
	my ($from, $to) = $lab->network(
		conf => [ "ftchain.seal_delay = '1s'", "ftchain.heartbeat = '2s'", "ftchain.call_timeout = '10s'", "shared_buffers = '128MB'", "max_wal_size = '1GB'" ],
		chain => { spacing => q('50 ms'), attempts => 16 });

	return {
		name => 'ftchain',
		from => $from,
		to => $to,
		row => "SELECT ftchain.append('main', json_build_object('fill', $payload))",
		rows => "PERFORM ftchain.append_many('main', (SELECT array_agg(json_build_object('fill', $payload)) FROM generate_series(1, $BATCH)))",
		written => q(SELECT count(*) FROM ftchain.entry),
		arrived => <<'END',
SELECT coalesce(sum(u.count), 0) FROM ftchain.main_chain m JOIN ftchain.block_bundle b ON b.block = m.block
  JOIN ftchain.bundle u ON u.id = b.bundle WHERE u.ids IS NOT NULL
END
		twice => <<'END',
SELECT count(*) - count(DISTINCT (origin, incarnation, seq)) + (SELECT count(*) FROM ftchain.verify('main')) FROM ftchain.entry
END
	};
}


# ---- The rivals

my @default = (
	"shared_preload_libraries = ''",
	"wal_level = 'logical'",
	'max_wal_senders = 10',
	'max_replication_slots = 10',
	"wal_retrieve_retry_interval = '5s'",
	"shared_buffers = '128MB'",
	"max_wal_size = '1GB'",
	'max_connections = 50');
my @tuned = (
	@default,
	"wal_retrieve_retry_interval = '200ms'",
	"wal_receiver_status_interval = '1s'",
	"wal_receiver_timeout = '3s'",
	"wal_sender_timeout = '3s'",
	"tcp_user_timeout = '3s'",
	'tcp_keepalives_idle = 1',
	'tcp_keepalives_interval = 1',
	'tcp_keepalives_count = 3');
my %client = (
	connect_timeout => 2,
	tcp_user_timeout => 3000,
	keepalives_idle => 1,
	keepalives_interval => 1,
	keepalives_count => 3);

sub rival_lanes
{
	my ($kind, $conf, $options) = @_;
	my ($from, $to) = map { $lab->node("${_}_$kind", conf => $conf) } qw(alpha beta);
	my $words = join(' ', map { "$_=$options->{$_}" } sort keys %$options);
	my $place = $to->tcp_connstr('postgres', 'rival', 'secret') . " $words";
	my $back = $from->tcp_connstr('postgres', 'rival', 'secret') . " $words";

	$_->query(q(CREATE ROLE rival SUPERUSER LOGIN PASSWORD 'secret')) foreach $from, $to;
	foreach my $table (qw(logical fdw dblink))
	{
		$from->query("CREATE TABLE $table (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text NOT NULL)");
		# a key would refuse what comes twice; it is to be counted
		$to->query("CREATE TABLE $table (id bigint NOT NULL, payload text NOT NULL)");
		$to->query("CREATE INDEX ON $table (id)");
	}
	$from->query('CREATE PUBLICATION rival FOR TABLE logical');
	$to->query('CREATE SUBSCRIPTION rival CONNECTION ' . quote($back) . ' PUBLICATION rival WITH (copy_data = false)');

	my ($host, $port) = ($to->lab_address, $to->port);
	my $more = join('', map { ", $_ '$options->{$_}'" } sort keys %$options);
	$more .= ", batch_size '$BATCH'" if %$options;
	$from->query(<<"END");
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION dblink;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres'$more);
CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'rival', password 'secret');
CREATE FOREIGN TABLE fdw_far (id bigint NOT NULL, payload text NOT NULL) SERVER far OPTIONS (table_name 'fdw');
END

	my %carry = (
		fdw => sub { "INSERT INTO fdw_far SELECT id, payload FROM fdw WHERE id > $_[0] AND id <= $_[1]" },
		dblink => sub {
			"SELECT dblink_exec('far', (SELECT 'INSERT INTO dblink VALUES ' || string_agg(format('(%s, %L)', id, payload), ', ')"
			  . " FROM dblink WHERE id > $_[0] AND id <= $_[1]))";
		});
	my %begin = (
		fdw => sub { },
		dblink => sub {
			my $session = shift;

			$session->ask(q(SELECT dblink_disconnect('far')));
			$session->ask("SELECT dblink_connect('far', " . quote($place) . ')');
		});
	my %names = (logical => 'logical replication', fdw => 'postgres_fdw', dblink => 'dblink');

	return map {
		my $table = $_;
		+{
			name => "$names{$table}, $kind",
			from => $from,
			to => $to,
			row => "INSERT INTO $table (payload) VALUES ($payload)",
			rows => "INSERT INTO $table (payload) SELECT $payload FROM generate_series(1, $BATCH)",
			written => "SELECT count(*) FROM $table",
			arrived => "SELECT count(*) FROM $table",
			twice => "SELECT count(*) - count(DISTINCT id) FROM $table",
			begin => $begin{$table},
			carry => $carry{$table} && sub { carry($table, $carry{$table}, $begin{$table}, @_) },
		}
	} qw(logical fdw dblink);
}

sub quote
{
	my $text = shift;

	return "'" . $text =~ s/'/''/gr . "'";
}

# One step of a client that carries rows from a table at alpha to beta, in order,
# and begins again where it was after an error.  So do people.
sub carry
{
	my ($table, $statement, $begin, $session, $last) = @_;
	my ($next) = $session->ask("SELECT max(id) FROM (SELECT id FROM $table WHERE id > $last ORDER BY id LIMIT $BATCH) t");

	unless ($next)
	{
		sleep(0.005);
		return $last;
	}
	my ($answer, $error) = $session->ask($statement->($last, $next));

	return $next if $error eq '';
	sleep(0.1);
	$begin->($session);
	return;
}

# A process for a lane's client, which goes on until its file is there
sub start_client
{
	my $lane = shift;

	return unless $lane->{carry};
	my ($last) = $lane->{look_from}->query($lane->{written} =~ s/count\(\*\)/coalesce(max(id), 0)/r);
	my $stop = PostgreSQL::Test::Utils::tempdir() . '/stop';
	my $test = $$;
	my $pid = fork() // die "cannot fork: $!\n";

	$lane->{client} = { pid => $pid, stop => $stop };
	return if $pid != 0;
	# never into the END blocks of the test
	eval {
		my $session = FtchainLab::Session->new($lane->{from});
		my $errors = 0;

		$lane->{begin}->($session);
		until (-e $stop || getppid() != $test)
		{
			my $now = $lane->{carry}->($session, $last);

			$errors++ unless defined $now;
			$last = $now // $last;
		}
		PostgreSQL::Test::Utils::append_to_file("$stop.errors", $errors);
		$session->end;
		1;
	} or print STDERR "client: $@";
	POSIX::_exit(0);
}

sub stop_client
{
	my $lane = shift;
	my $client = delete $lane->{client} or return;

	PostgreSQL::Test::Utils::append_to_file($client->{stop}, '');
	waitpid($client->{pid}, 0);
	note("$lane->{name}: the client has had " . PostgreSQL::Test::Utils::slurp_file("$client->{stop}.errors") . ' errors');
	return;
}


# ---- What is measured

sub written
{
	my $lane = shift;

	return $lane->{look_from}->query($lane->{written});
}

sub arrived
{
	my $lane = shift;

	return $lane->{look_to}->query($lane->{arrived});
}

# wait_arrived(lane, rows, from when on): seconds until so many have, or undef
sub wait_arrived
{
	my ($lane, $rows, $start) = @_;

	for (;;)
	{
		my $now = arrived($lane);
		my $took = time() - $start;

		return $took if $now >= $rows;
		return if $took > $PATIENCE;
		sleep(0.01);
	}
}

# Commit transactions of a lane's rows.
sub write_rows
{
	my ($lane, $transactions) = @_;

	$lane->{look_from}->query("DO \$\$ BEGIN FOR i IN 1 .. $transactions LOOP $lane->{rows}; COMMIT; END LOOP; END \$\$");
	return;
}

# All that is written has arrived, as before a measurement and after it.
sub drain
{
	my ($lane, $what) = @_;
	my $rows = written($lane);
	my $took = wait_arrived($lane, $rows, time());

	ok(defined $took, "$lane->{name}: all has arrived $what") or diag(arrived($lane) . " of $rows");
	return;
}

# The lane works: what was before, other lanes' partitions too, is over.
sub begin_turn
{
	my $lane = shift;

	$lab->heal;
	start_client($lane);
	write_rows($lane, 1);
	drain($lane, 'at first');
	return;
}

sub end_turn
{
	my $lane = shift;

	$lab->heal;
	drain($lane, 'in the end');
	stop_client($lane);
	my $twice = $lane->{look_to}->query($lane->{twice});
	my $lost = written($lane) - (arrived($lane) - $twice);
	my $is_new = $twice - ($lane->{seen_twice} // 0);

	$lane->{seen_twice} = $twice;
	$_->query('VACUUM ANALYZE') foreach @$lane{qw(look_from look_to)};
	return ($lost, $is_new);
}

sub start_writer
{
	my $lane = shift;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/row.sql';
	my $log = PostgreSQL::Test::Utils::tempdir() . '/pgbench';

	PostgreSQL::Test::Utils::append_to_file($file, "$lane->{row};\n");
	my $pid = fork() // die "cannot fork: $!\n";
	if ($pid == 0)
	{
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>', $log);
		open(STDERR, '>&', \*STDOUT);
		%ENV = $lane->{from}->_get_env(PGAPPNAME => 'writer');
		exec('pgbench', '-n', '-c', 1, '-R', $RATE, '-T', 100000, '-f', $file, 'postgres') or POSIX::_exit(1);
	}
	return $pid;
}

sub stop_writer
{
	my ($lane, $pid) = @_;

	kill('TERM', $pid);
	waitpid($pid, 0);
	FtchainCluster::wait_until(
		'the end of the writer',
		30,
		sub { $lane->{look_from}->query(q(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'writer')) == 0 })
	  or die "the writer does not end\n";
	return;
}

sub measure_recovery
{
	my $lane = shift;
	my $about = "after a partition of $partition s";

	begin_turn($lane);
	my $writer = start_writer($lane);
	sleep(3);
	my $before = arrived($lane);
	$lab->part(['alpha'], ['beta']);
	sleep($partition);

	my ($had, $rows) = (arrived($lane), written($lane));
	my $start = time();
	$lab->heal;
	my $first = wait_arrived($lane, $had + 1, $start);
	my $all = wait_arrived($lane, $rows, $start);
	stop_writer($lane, $writer);
	note(sprintf('%s: %d rows were missing at the end of the partition', $lane->{name}, $rows - $had));
	sample("s until the first row $about", $lane->{name}, sprintf('%.3f', $first // $PATIENCE));
	sample("s until all rows $about", $lane->{name}, sprintf('%.3f', $all // $PATIENCE));
	my ($lost, $twice) = end_turn($lane);
	sample("rows lost $about", $lane->{name}, $lost);
	sample("rows twice $about", $lane->{name}, $twice);
	return;
}

my @weathers = (
	[ 'no loss', {} ],
	[ '5 % loss', { loss => 5 } ],
	[ '20 % loss', { loss => 20 } ],
	[ '200 ms delay', { delay => 200 } ]);

# As many as get through: there is always something to send, and not too much.
sub write_until
{
	my ($lane, $end) = @_;
	my $written = written($lane);

	while (time() < $end)
	{
		if ($written - arrived($lane) < $BACKLOG)
		{
			write_rows($lane, 20);
			$written += 20 * $BATCH;
		}
		else
		{
			sleep(0.02);
		}
	}
	return;
}

sub measure_throughput
{
	my ($lane, $weather) = @_;
	my ($name, $settings) = @$weather;

	begin_turn($lane);
	$lab->set('*', '*', %$settings) if %$settings;
	write_until($lane, time() + 3);
	my $start = time();
	my $before = arrived($lane);
	write_until($lane, $start + $seconds);
	my $rows = arrived($lane) - $before;

	# a rate of nothing has no ratio
	sample("rows/s with $name", $lane->{name}, sprintf('%.1f', ($rows || 1) / (time() - $start)));
	my ($lost, $twice) = end_turn($lane);
	sample('rows lost in windows', $lane->{name}, $lost);
	sample('rows twice in windows', $lane->{name}, $twice);
	return;
}

my $wanted = $ENV{FTC_LANES} // '';
my @lanes = grep { $wanted eq '' || $_->{name} =~ /$wanted/ } (
	ftchain_lane(),
	rival_lanes('default', \@default, {}),
	rival_lanes('tuned', \@tuned, \%client));

foreach my $lane (@lanes)
{
	$lane->{look_from} = FtchainLab::Session->new($lane->{from});
	$lane->{look_to} = FtchainLab::Session->new($lane->{to});
}
note($lanes[0]{look_from}->query('SELECT version()'));
my %shown;
foreach my $node (grep { !$shown{ $_->name }++ } map { $_->{from} } @lanes)
{
	note($node->name . ': ' . $node->query(<<'END'));
SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) FROM pg_file_settings
 WHERE applied AND name !~ '^log_|^lc_|directories|port|addresses|text_search|timezone|datestyle'
END
}
note('TCP by ' . $lab->run('alpha', qw(cat /proc/sys/net/ipv4/tcp_congestion_control)) . ', the default of this machine');
note('connections of the tuned rivals: ' . join(' ', map { "$_ $client{$_}" } sort keys %client) . ", batch_size $BATCH");

foreach my $round (1 .. $rounds)
{
	note("round $round of $rounds");
	if (grep { $_ eq 'recovery' } @parts)
	{
		measure_recovery($_) foreach @lanes;
	}
	if (grep { $_ eq 'throughput' } @parts)
	{
		foreach my $weather (@weathers)
		{
			measure_throughput($_, $weather) foreach @lanes;
		}
	}
	note('packets so far: ' . $lab->counters);
}
$_->{from}->stop foreach grep { $_->{from}->{_pid} } @lanes;
$_->{to}->stop foreach grep { $_->{to}->{_pid} } @lanes;
done_testing();
