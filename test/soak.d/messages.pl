# Two databases that send each other messages all the time, on a topic that is
# received from and on one that puts them into a table.  Connections are cut at
# random bytes; either database, or both, is killed at a named step or at any,
# and set back to a base backup that was taken under load.  After some of that
# all is left in peace, and then each message is there, once and in order.
# Then it gets large, and slow.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainMessages;
use FtchainProxy;
use List::Util qw(max min sum);
use PostgreSQL::Test::Utils qw(slurp_file system_or_bail);
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{FTC_SOAK_SECONDS} // 300;
my $seed = $ENV{FTC_SOAK_SEED} // int(time());
my $start = time();
my %phases = map { $_ => 1 } split(/,/, $ENV{FTC_PHASES} || 'cuts,rounds,slow,large');

srand($seed);
note("soak: seed $seed, $seconds s");

my (%proxy, %done);
my @conf = (
	"ftchain.databases = 'postgres'", "ftchain.heartbeat = '300ms'", "ftchain.call_timeout = '2s'", "ftchain.message_retention = '1h'",
	"recovery_init_sync_method = 'syncfs'", 'shared_buffers = 32MB', 'max_connections = 50', 'max_wal_size = 256MB');
my @nodes = map { FtchainCluster->new_node($_, conf => \@conf, init => { allows_streaming => 1 }) } qw(alpha beta gamma);
my ($alpha, $beta, $gamma) = @nodes;

FtchainMessages::introduce(\@nodes,
	reach => sub {
		my ($from, $to) = @_;

		$proxy{ $from->name }{ $to->name } = FtchainProxy->new($to);
		return (port => $proxy{ $from->name }{ $to->name }->port);
	});
foreach my $node (@nodes)
{
	FtchainMessages::receive($node, 'queue');
	FtchainMessages::receive($node, 'rows', 'landed');
}
my @all = map { my ($from, $to) = @$_; (FtchainMessages->new($from, $to, 'queue'), FtchainMessages->new($from, $to, 'rows', 'landed')) }
  [ $alpha, $beta ], [ $beta, $alpha ];
my @between = ($proxy{alpha}{beta}, $proxy{beta}{alpha});
my ($good, $messages, $unsure) = (1, 0, 0);

sub one_of
{
	return $_[ int(rand(@_)) ];
}

sub done
{
	return join(', ', map { "$done{$_} $_" } sort keys %done);
}

# Loads end; all that they sent is there, and done with.
sub all_is_well
{
	my $what = shift;

	$_->stop foreach @all;
	foreach my $stream (@all)
	{
		$good = $stream->all_there($what, 120) && $good;
		$messages += @{ $stream->{sent} };
		$unsure += keys %{ $stream->{unsure} };
	}
	foreach my $node (@nodes)
	{
		$good = unlike($node->log_since, qr/PANIC|TRAP:|terminated by signal (?!9\b)/, "$what: nothing crashed by itself at " . $node->name) && $good;
		is($node->query('SELECT count(*) FROM ftchain.dead_letter'), '0', "$what: nothing was put aside at " . $node->name);
	}
	$_->clear foreach @all;
	return $good;
}

sub start_loads
{
	$_->start(pause => one_of(0, 0.002, 0.01), size => one_of(20, 20, 200, 3000)) foreach @all;
	return;
}


# ---- connections that end at a random byte

sub cuts
{
	my $until = time() + shift;
	my $drops = sub { return sum(map { $_->drops } @between) };
	my $round = 0;

	# that many take a while, however little time there is
	while ($good && ($drops->() < 1000 || time() < $until) && time() < $until + 600)
	{
		my $round_end = time() + 60;

		start_loads();
		while (time() < $round_end && ($drops->() < 1000 || time() < $until))
		{
			# who is cut off while it logs in takes its time before it tries again
			$_->set(drop => one_of(3000, 5000, 10000), split => one_of(0, 1)) foreach @between;
			sleep(1);
		}
		$_->set(drop => 0, split => 0) foreach @between;
		all_is_well('cuts, round ' . ++$round);
	}
	$done{cuts} = $drops->();
	cmp_ok($done{cuts}, '>=', 1000, "a thousand connections were cut ($done{cuts})");
	return;
}


# ---- rounds: killed at a step, at any moment, or set back

my @points = grep { !/^(seal|repair|receive-(body|switched))/ }
  map { slurp_file($_) =~ /\bFTC_FAILPOINT\("([^"]+)"\)/g } glob("$FindBin::RealBin/../../src/*.c");
my %crashes;

# When a process was killed the whole server begins anew.
sub back
{
	my $node = shift;

	return FtchainCluster::wait_until($node->name . ' to be back', 60, sub { ($node->try_query('SELECT 1'))[0] eq '1' });
}

sub crash_at
{
	my ($node, $point) = @_;
	my $postmaster = $node->{_pid};

	back($node);
	$node->query("ALTER SYSTEM SET ftchain.failpoint = '$point'");
	$node->query('SELECT pg_reload_conf()');
	# what makes a link begin anew; and what looks for old messages when it starts
	$node->try_query(q(SELECT pg_terminate_backend(pid) FROM ftchain.worker_status() WHERE worker = 'keeper'));
	$node->try_query(q(SELECT ftchain.resend(server, topic) FROM ftchain.streams WHERE direction = 'out'));
	my $crashed = FtchainCluster::wait_until("a crash at $point", 10, sub { !grep { $_ == $postmaster } $node->processes });

	if ($crashed)
	{
		$crashes{$point}{ $node->name }++;
		$done{'crashes at steps'}++;
	}
	$node->kill9;
	$node->forget_setting('ftchain.failpoint');
	sleep(rand(1));
	$node->start;
	return;
}

sub kill_some
{
	my @which = one_of([$alpha], [$beta], [ $alpha, $beta ]);

	$_->kill9 foreach @{ $which[0] };
	sleep(rand(2)) if rand() < 0.5;
	$_->start foreach @{ $which[0] };
	$done{ @{ $which[0] } == 2 ? 'kills of both' : 'kills' }++;
	return;
}

sub kill_process
{
	my $node = one_of($alpha, $beta);
	my ($pids) = $node->try_query(q(SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE (backend_type ~ '^ftchain' OR usename ~ '^peer_') AND pid <> pg_backend_pid()));
	my @pids = split(' ', $pids);

	if (@pids && rand() < 0.5)
	{
		kill('KILL', one_of(@pids));
		$done{'kills of a process'}++;
	}
	elsif (@pids)
	{
		$node->try_query('SELECT pg_terminate_backend(' . one_of(@pids) . ')');
		$done{'terminations'}++;
	}
	sleep(rand(1));
	return;
}

sub stop_one
{
	my $node = one_of($alpha, $beta);

	$node->stop(one_of('fast', 'immediate'), fail_ok => 1);
	sleep(rand(1));
	$node->start;
	$done{stops}++;
	return;
}

# What either has sent since the mark it may have forgotten when it is set back.
sub set_back
{
	my @which = @{ one_of([$alpha], [$beta], [ $alpha, $beta ]) };
	my @marks;

	back($_) foreach @which;
	return unless all_is_well('before a backup');
	@marks = map { [ $_, $_->mark ] } grep { my $from = $_->{from}; grep { $_ == $from } @which } @all;
	start_loads();
	sleep(rand(2));
	foreach my $node (@which)
	{
		system_or_bail('rm', '-rf', $node->backup_dir . '/soak');
		$node->backup('soak', backup_options => ['--checkpoint=fast']);
		sleep(rand(2));
	}
	sleep(1 + rand(5));
	foreach my $node (@which)
	{
		$node->kill9;
		system_or_bail('rm', '-rf', $node->data_dir);
		system_or_bail('cp', '-a', $node->backup_dir . '/soak', $node->data_dir);
		$node->start;
		$done{'set back'}++;
	}
	$_->stop foreach @all;
	$_->[0]->forget($_->[1]) foreach @marks;
	$done{'both set back'}++ if @which == 2;
	$_->send(5) foreach @all;
	all_is_well('set back: ' . join(' and ', map { $_->name } @which));
	start_loads();
	return;
}

sub rounds
{
	my $until = time() + shift;
	my $round = 0;
	my @order;

	start_loads();
	while ($good && time() < $until)
	{
		if (!@order)
		{
			@order = map { my $point = $_; map { [ $_, $point ] } $alpha, $beta } @points;
			@order = sort { rand() < 0.5 ? -1 : 1 } @order;
		}
		sleep(rand(1));
		my $kind = rand();

		if ($kind < 0.5) { crash_at(@{ pop @order }); }
		elsif ($kind < 0.7) { kill_some(); }
		elsif ($kind < 0.85) { kill_process(); }
		elsif ($kind < 0.9) { stop_one(); }
		elsif ($kind < 0.95) { set_back(); }
		else
		{
			$_->set(drop => 3000, split => 1) foreach @between;
			sleep(rand(3));
			$_->set(drop => 0, split => 0) foreach @between;
		}
		$done{rounds}++;
		next if ++$round % 8;
		all_is_well("round $round");
		start_loads();
	}
	all_is_well('the last round');
	foreach my $point (@points)
	{
		note("soak: crashes at $point: " . join(', ', map { ($crashes{$point}{$_} // 0) . " of $_" } qw(alpha beta)));
	}
	return;
}


# ---- one peer is slow: the others are not

# Messages that alpha's peer has taken in so many seconds
sub taken
{
	my $window = shift;
	my $count = q(SELECT messages FROM ftchain.streams WHERE direction = 'out' AND server = 'beta' AND topic = 'queue');
	my ($before, $from) = ($alpha->query($count), time());

	sleep($window);
	return ($alpha->query($count) - $before) / (time() - $from);
}

sub slow
{
	my $to_gamma = FtchainMessages->new($alpha, $gamma, 'queue');
	my $line = $proxy{alpha}{gamma};
	my (%rate, @kinds);

	@kinds = ([ 'well', rate => 0, delay => 0 ], [ '1 kB/s', rate => 1024, delay => 0 ], [ '30 s of latency', rate => 0, delay => 30 ], [ 'hole', mode => 'hole' ]);
	$all[0]->start(pause => 0);
	$to_gamma->start(pause => 0.05, size => 2000);
	sleep(2);
	foreach my $turn (1 .. 3)
	{
		foreach my $kind (@kinds)
		{
			my ($name, %set) = @$kind;

			$line->set(mode => 'pass', delay => 0, rate => 0, %set);
			sleep(2);
			push @{ $rate{$name} }, taken(5);
		}
	}
	$line->set(mode => 'cut', rate => 0, delay => 0);
	$line->set(mode => 'pass');
	$to_gamma->stop;
	all_is_well('beside a slow peer');
	$good = $to_gamma->all_there('a slow peer gets all in the end', 120) && $good;
	foreach my $name (map { $_->[0] } @kinds)
	{
		my @sorted = sort { $a <=> $b } @{ $rate{$name} };
		my $median = $sorted[1];
		my $well = (sort { $a <=> $b } @{ $rate{well} })[1];

		note(sprintf('soak: line to another peer: %s: %.0f messages a second, %.0f %%', $name, $median, 100 * $median / $well));
		cmp_ok($median, '>', 0.7 * $well, "the others keep their throughput: $name");
	}
	return;
}


# ---- large messages, many in a transaction, many topics, many that wait

# kB of memory that are a process's own: the courier's, and the greatest of the
# sessions that serve peers
sub memory
{
	my $node = shift;
	my $pids = $node->query(q(SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE backend_type = 'ftchain courier' OR usename ~ '^peer_'));

	return max(map { slurp_file("/proc/$_/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0 } grep { -e "/proc/$_/status" } split(' ', $pids));
}

# Wait until beta has so many, and take note of the greatest memory meanwhile.
sub comes
{
	my ($what, $sql, $wanted, $limit) = @_;
	my $begun = time();
	my %most = (alpha => 0, beta => 0);
	my $ok = FtchainCluster::wait_until(
		$what, 300,
		sub {
			foreach my $node ($alpha, $beta)
			{
				$most{ $node->name } = max($most{ $node->name }, memory($node));
			}
			return $beta->query($sql) == $wanted;
		});

	$good = ok($ok, "$what: all come") && $good;
	note(sprintf('soak: %s: %.1f s, memory %d kB at the sender, %d kB at the receiver', $what, time() - $begun, @most{qw(alpha beta)}));
	cmp_ok($most{$_}, '<', $limit * 1024, "$what: memory of $_") foreach qw(alpha beta);
	return;
}

sub large
{
	my $count = q(SELECT count(*) FROM ftchain.message_in WHERE topic = '%s');

	# what a process has had before, it keeps
	$_->restart foreach $alpha, $beta;
	$alpha->query(q(SELECT ftchain.send('beta', 'queue', json_build_object('n', g, 'fill', (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 32000))))
		FROM generate_series(1, 60) g));
	comes('60 messages of 1 MB', sprintf($count, 'queue'), 60, 200);
	$beta->query('DELETE FROM ftchain.message_in');

	$alpha->query(q(SELECT count(ftchain.send('beta', 'queue', json_build_object('n', g))) FROM generate_series(1, 100000) g));
	comes('100000 messages in a transaction', sprintf($count, 'queue'), 100000, 200);
	is($beta->query(q(SELECT count(DISTINCT message->>'n') FROM ftchain.message_in)), '100000', 'each once');
	$beta->query('DELETE FROM ftchain.message_in');

	$beta->query(q(SELECT ftchain.create_topic('topic ' || g) FROM generate_series(1, 1000) g));
	$alpha->query(q(SELECT count(ftchain.send('beta', 'topic ' || (1 + g % 1000), json_build_object('n', g))) FROM generate_series(1, 10000) g));
	comes('10000 messages on 1000 topics', 'SELECT count(*) FROM ftchain.message_in', 10000, 200);
	is($beta->query(q(SELECT count(DISTINCT message->>'n') FROM ftchain.message_in)), '10000', 'each once');
	my $begun = time();
	$all[0]->send(20);
	$good = $all[0]->all_there('beside 1000 topics') && $good;
	note(sprintf('soak: a message beside 1000 topics that rest: %.2f s', time() - $begun));
	$beta->query('DELETE FROM ftchain.message_in');
	$all[0]->clear;

	# nobody takes these, for a while
	$alpha->query(q(SELECT count(ftchain.send('beta', 'nobody', json_build_object('n', g))) FROM generate_series(1, 50000) g));
	$alpha->comes_to(q(SELECT waiting FROM ftchain.streams WHERE topic = 'nobody'), 'they wait', '50000');
	$all[0]->send(20);
	$good = $all[0]->all_there('beside 50000 that wait') && $good;
	$beta->query(q(SELECT ftchain.create_topic('nobody')));
	comes('50000 that have waited', sprintf($count, 'nobody'), 50000, 200);
	is($beta->query(q(SELECT count(DISTINCT message->>'n') FROM ftchain.message_in WHERE topic = 'nobody')), '50000', 'each once');
	return;
}


cuts($seconds * 0.2) if $phases{cuts};
rounds(max(30, $seconds - (time() - $start) - ($phases{slow} ? 120 : 0) - ($phases{large} ? 120 : 0))) if $phases{rounds} && $good;
slow() if $phases{slow} && $good;
large() if $phases{large} && $good;
note(sprintf('soak: %d messages sent and each there once (%d more of which nobody knew), %s', $messages, $unsure, done()));
$_->stop foreach map { values %$_ } values %proxy;

done_testing();
