# FtchainCluster: servers for the TAP tests of ftchain
#
#	use FindBin;
#	use lib "$FindBin::RealBin/../perl";
#	use FtchainCluster;
#
#	my $a = FtchainCluster->new_node('a');
#	my $b = FtchainCluster->new_node('b', conf => ["ftchain.seal_delay = '100ms'"]);
#
#	$_->safe_psql('postgres', 'CREATE EXTENSION ftchain') foreach $a, $b;
#	$a->add_server($b);			# a can now reach b as foreign server "b"
#	$b->kill9;
#	$b->start;
#	$a->wait_for('postgres', 'SELECT ...', 'what it is');
#
# They are servers of PostgreSQL::Test::Cluster, with everything that has, but
# with fsync and restart_after_crash on, with the library loaded, and open to
# TCP on 127.0.0.1 for those who have a password.
#
#	my ($a, $b, $c) = FtchainCluster->network([qw(a b c)]);
#
# are three with the chain "main" between them, and workers.
package FtchainCluster;

use strict;
use warnings;

use parent 'PostgreSQL::Test::Cluster';

use Cwd qw(abs_path);
use FtchainSession;
use IPC::Run ();
use PostgreSQL::Test::Utils ();
use Test::More ();
use Time::HiRes qw(sleep time);

# What goes wrong with a server ends the test that made it, not all tests.
{
	no warnings 'redefine';
	*PostgreSQL::Test::Cluster::BAIL_OUT = *PostgreSQL::Test::Utils::BAIL_OUT = sub { die "@_\n" };
}

# A new server of that name.  Parameters: conf => [lines for postgresql.conf],
# start => 0 to leave it stopped, and those of PostgreSQL::Test::Cluster's init.
sub new_node
{
	my ($class, $name, %params) = @_;
	my $conf = delete $params{conf} // [];
	my $init = delete $params{init} // {};
	my $start = delete $params{start} // 1;
	my $node = $class->new($name);

	$node->init(%params, %$init);
	$node->append_conf('postgresql.conf', join("\n", @$conf)) if @$conf;
	$node->start if $start;
	return $node;
}

sub init
{
	my ($self, %params) = @_;

	# a chain is UTF-8, whatever the locale of the tests
	$params{extra} = [ '--encoding=UTF8', '--no-locale', @{ $params{extra} // [] } ];
	$self->SUPER::init(%params);
	$self->append_conf('postgresql.conf', <<'END');
fsync = on
restart_after_crash = on
shared_preload_libraries = 'ftchain'
max_worker_processes = 32
log_statement = 'none'
END
	$self->_open_tcp;
	return;
}

# PostgreSQL::Test::Cluster keeps to a socket that trusts everyone.  Workers go
# the way that real ones go.
sub _open_tcp
{
	my $self = shift;
	my $hba = $self->data_dir . '/pg_hba.conf';

	$self->append_conf('postgresql.conf', <<'END');
listen_addresses = '127.0.0.1'
password_encryption = 'scram-sha-256'
END
	open(my $out, '>', $hba) or die "cannot write $hba: $!";
	print $out <<'END';
local	all			all					trust
local	replication	all					trust
host	all			all	127.0.0.1/32	scram-sha-256
host	replication	all	127.0.0.1/32	scram-sha-256
END
	close $out;
	return;
}

# What is copied by the tests' own copy of a data directory has lost its
# permissions.
sub init_from_backup
{
	my ($self, @parameters) = @_;

	$self->SUPER::init_from_backup(@parameters);
	$self->close_keys;
	return;
}

sub close_keys
{
	my $self = shift;

	chmod(0600, glob($self->data_dir . '/ftchain_keys/*'));
	return;
}

# Make a role that may log in with a password, a member of the roles given.
sub create_login
{
	my ($self, $role, $password, @member_of) = @_;
	my $sql = "CREATE ROLE $role LOGIN PASSWORD '$password'";

	return if $self->safe_psql('postgres', "SELECT 1 FROM pg_roles WHERE rolname = '$role'");
	$sql .= ' IN ROLE ' . join(', ', @member_of) if @member_of;
	$self->safe_psql('postgres', $sql);
	return;
}

# Let a database here reach a database of another node, as an administrator
# would: there a login role that is a peer, here a foreign server and a user
# mapping for the workers.  The extension must be in both databases.
#
# Parameters, with what they are if not given:
#	server => name of the foreign server (the node's name)
#	dbname => database here, and its counterpart there ('postgres')
#	remote_dbname => database there (dbname)
#	role, password => of the login role there ('peer_' and the name of this node)
#	users => [who has a user mapping here] (['ftchain_worker'])
#	host, port => where the server is reached (the node; a proxy, say)
#	options => {more options of the foreign server} (none)
sub add_server
{
	my ($self, $other, %params) = @_;
	my $dbname = $params{dbname} // 'postgres';
	my $server = $params{server} // $other->name;
	my $role = $params{role} // 'peer_' . $self->name;
	my $password = $params{password} // "secret of $role";
	my %options = (
		host => $params{host} // '127.0.0.1',
		port => $params{port} // $other->port,
		dbname => $params{remote_dbname} // $dbname,
		%{ $params{options} // {} });
	my $options = join(', ', map { "$_ '$options{$_}'" } sort keys %options);
	my $sql = "CREATE EXTENSION IF NOT EXISTS postgres_fdw;\n"
	  . "CREATE SERVER \"$server\" FOREIGN DATA WRAPPER postgres_fdw OPTIONS ($options);\n";

	$other->create_login($role, $password, 'ftchain_peer');
	foreach my $user (@{ $params{users} // ['ftchain_worker'] })
	{
		$sql .= "GRANT USAGE ON FOREIGN SERVER \"$server\" TO $user;\n"
		  . "CREATE USER MAPPING FOR $user SERVER \"$server\" OPTIONS (user '$role', password '$password');\n";
	}
	$self->safe_psql($dbname, $sql);
	return $server;
}

# The address by TCP, for clients that log in with a password.
sub tcp_connstr
{
	my ($self, $dbname, $role, $password) = @_;

	return sprintf("host=127.0.0.1 port=%d dbname=%s user=%s password='%s'",
		$self->port, $dbname, $role, $password);
}

# wait_until(description, seconds, code): poll until the code gives a true value
#
# Gives that value; after the time, a false one, and says what it waited for.
sub wait_until
{
	my ($what, $seconds, $code) = @_;
	my $deadline = time() + $seconds;

	for (;;)
	{
		my $value = $code->();

		return $value if $value;
		last if time() >= $deadline;
		sleep(0.1);
	}
	Test::More::diag("waited $seconds s in vain for $what");
	return 0;
}

# The same, while the chain goes on: something is done twice a second meanwhile.
# More often there would be more blocks than what is waited for can bear.
sub wait_while
{
	my ($what, $seconds, $goes_on, $code) = @_;
	my $last = 0;

	return wait_until(
		$what,
		$seconds,
		sub {
			if (time() - $last >= 0.5)
			{
				$goes_on->();
				$last = time();
			}
			return $code->();
		});
}

# $node->wait_for(dbname, query, description [, wanted [, seconds]])
#
# A test: the query gives what is wanted ('t') within some seconds (60).  A
# server that is just recovering is waited for as well.
sub wait_for
{
	my ($self, $dbname, $query, $what, $wanted, $seconds) = @_;
	my $session = FtchainSession->new($self->connstr($dbname));
	my ($got, $error) = ('', '');

	$wanted //= 't';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = wait_until(
		$what,
		$seconds // 60,
		sub {
			if (FtchainSession::is_query($query))
			{
				($got, $error) = $session->ask($query);
			}
			else
			{
				$self->psql($dbname, $query, stdout => \$got, stderr => \$error);
			}
			return $got eq $wanted;
		});
	Test::More::ok($ok, $what)
	  or Test::More::diag("got:    $got $error\nwanted: $wanted\nfrom:   $query");
	return $ok;
}

# The processes of this server: those that live in its data directory.
sub processes
{
	my $self = shift;
	my $data = abs_path($self->data_dir);

	return grep { (readlink("/proc/$_/cwd") // '') eq $data }
	  map { m{^/proc/(\d+)$} ? $1 : () } glob('/proc/[0-9]*');
}

# SIGKILL for the whole server: as if the machine had lost its power, but for
# the system's cache.
#
# Not back before all processes are gone, so that it can be started again.
sub kill9
{
	my $self = shift;
	my $postmaster = $self->{_pid};

	return unless defined $postmaster;
	print '### Killing node "' . $self->name . "\" and its children using signal 9\n";
	# The postmaster first, or it would see its children die and recover.
	kill('KILL', $postmaster);
	wait_until(
		'the end of ' . $self->name,
		30,
		sub {
			my @left = $self->processes;

			kill('KILL', @left) if @left;
			return !@left;
		}) or die 'processes of ' . $self->name . " outlive SIGKILL\n";
	$self->{_pid} = undef;

	# Until init has taken note of its end the postmaster seems to hold its
	# lock files.  In some containers init takes its time, or never does.
	unlink($self->data_dir . '/postmaster.pid', glob($self->host . '/.s.PGSQL.' . $self->port . '*'));
	return;
}


# One query needs no psql: to start that costs far more than what it asks.
sub safe_psql
{
	my ($self, $dbname, $sql, %params) = @_;
	my ($answer, $error);

	return $self->SUPER::safe_psql($dbname, $sql, %params) if %params || !FtchainSession::is_query($sql);
	($answer, $error) = FtchainSession->new($self->connstr($dbname))->ask($sql);
	die "$error\nfrom: $sql\n" if $error ne '';
	return $answer;
}

# psql that cannot connect may end before it has read its input, which
# IPC::Run takes for an error.  Here it is one of the connection: status 2.
sub psql
{
	my ($self, $dbname, $sql, %params) = @_;
	my $list = wantarray;
	my @answer = eval {
		$list ? $self->SUPER::psql($dbname, $sql, %params) : scalar($self->SUPER::psql($dbname, $sql, %params));
	};
	my $error = $@;

	return $list ? @answer : $answer[0] if $error eq '';
	die $error if $params{on_error_die} || $error !~ /Broken pipe/;
	${ $params{stdout} } = '' if $params{stdout};
	${ $params{stderr} } = $error if $params{stderr};
	return $list ? (2, '', $error) : 2;
}


# ---- SQL in database postgres

# The answer, bare; what fails ends the test.
sub query
{
	my ($self, $sql) = @_;

	return $self->safe_psql('postgres', $sql);
}

# The same where it may fail: (answer, message), and one of them is empty.
sub try_query
{
	my ($self, $sql, %params) = @_;
	my ($status, $out, $error);

	return FtchainSession->new($self->connstr('postgres'))->ask($sql) if !%params && FtchainSession::is_query($sql);
	($status, $out, $error) = $self->psql($params{dbname} // 'postgres', $sql, %params);

	return $status == 0 ? ($out, '') : ('', $error =~ s/^psql:<stdin>:\d+: //mgr);
}

# A test: the statement fails, and says why in words that match.
sub refuses
{
	my ($self, $sql, $message, $what, %params) = @_;
	my ($out, $error) = $self->try_query($sql, %params);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::like($error, $message, $what);
}

# A test: the answer of a query, now
sub gives
{
	my ($self, $sql, $wanted, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::is($self->query($sql), $wanted, $what);
}

# wait_for(), in database postgres
sub comes_to
{
	my ($self, $query, $what, $wanted, $seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->wait_for('postgres', $query, $what, $wanted, $seconds);
}

# $node->configure(name => value, ...): as ALTER SYSTEM does it; undef resets
#
# Not back before new sessions see it.
sub configure
{
	my ($self, %settings) = @_;
	my $before = $self->query('SELECT pg_conf_load_time()');

	foreach my $name (sort keys %settings)
	{
		my $value = $settings{$name};

		$self->query(defined $value ? "ALTER SYSTEM SET $name = '$value'" : "ALTER SYSTEM RESET $name");
	}
	$self->query('SELECT pg_reload_conf()');
	wait_until(
		'the settings of ' . $self->name,
		30,
		sub { $self->query('SELECT pg_conf_load_time()') ne $before }) or die "settings are not loaded\n";
	return;
}

# $node->log_since(offset): what was written to the log, and
# $node->log_end: the offset of its end
sub log_end
{
	my $self = shift;

	return -s $self->logfile // 0;
}

sub log_since
{
	my ($self, $offset) = @_;

	return PostgreSQL::Test::Utils::slurp_file($self->logfile, $offset // 0);
}

# A test: the log, from that offset on, comes to match.
sub logs
{
	my ($self, $offset, $pattern, $what, $seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::ok(wait_until($what, $seconds // 60, sub { $self->log_since($offset) =~ $pattern }),
		$what);
}


# ---- crashes

# $node->wait_crash(what): the server is to end by itself; true if it did
#
# Start it again, when the cause is gone.
sub wait_crash
{
	my ($self, $what, $seconds) = @_;
	my $postmaster = $self->{_pid};
	my $ended = wait_until(
		$what,
		$seconds // 60,
		sub { !grep { $_ == $postmaster } $self->processes });

	$self->kill9;
	return $ended;
}

# Take a setting back while the server is down.
sub forget_setting
{
	my ($self, $name) = @_;
	my $file = $self->data_dir . '/postgresql.auto.conf';
	my $kept = join('', grep { !/^\Q$name\E\s*=/ } split(/^/, PostgreSQL::Test::Utils::slurp_file($file)));

	open(my $out, '>', $file) or die "cannot write $file: $!";
	print $out $kept;
	close $out;
	return;
}

# $node->crashes_at(failpoint, cause): a test, the server ends at that step
#
# The cause is called again and again, as workers take note of the setting a
# little later.  Leaves the server down and the setting forgotten.
sub crashes_at
{
	my ($self, $failpoint, $cause) = @_;
	my $postmaster = $self->{_pid};
	my $ended;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$self->query("ALTER SYSTEM SET ftchain.failpoint = '$failpoint'");
	$self->try_query('SELECT pg_reload_conf()');
	$ended = wait_until(
		"a crash at $failpoint",
		30,
		sub {
			$cause->();
			return !grep { $_ == $postmaster } $self->processes;
		});
	$self->kill9;
	$self->forget_setting('ftchain.failpoint');
	return Test::More::ok($ended, "$failpoint: " . $self->name . ' crashes');
}

# Does this build have failpoints?
sub has_failpoints
{
	my $self = shift;

	return $self->query(
		q(LOAD 'ftchain'; SELECT count(*) FROM pg_settings WHERE name = 'ftchain.failpoint')) eq '1';
}


# ---- several members

our $CHAIN = 'main';

# Nodes that share the chain "main".  The first is its founder and governor;
# each reaches every other.
#
# Parameters:
#	conf => [lines for postgresql.conf]
#	workers => 0 to leave them off: then seal() and sync() are for the test
#	chain => {arguments of create_chain(), as SQL, beyond what is needed to be fast}
#	member => {arguments of add_member(), as SQL}
#	init => {parameters of init}
#	reach => code that gives, for one node and another, how the one reaches the
#		other: parameters of add_server (a proxy's port, say)
sub network
{
	my ($class, $names, %params) = @_;
	my $workers = $params{workers} // 1;
	my $reach = $params{reach};
	my @conf = (
		"ftchain.seal_delay = '50ms'", "ftchain.heartbeat = '300ms'", "ftchain.call_timeout = '5s'",
		"ftchain.databases = '" . ($workers ? 'postgres' : '') . "'",
		@{ $params{conf} // [] });
	my @nodes =
	  map { $class->new_node($_, conf => \@conf, init => $params{init}) } @$names;
	my $founder = $nodes[0];
	my $genesis;

	$_->query('CREATE EXTENSION ftchain') foreach @nodes;
	$genesis = $founder->create_chain(%{ $params{chain} // {} });
	foreach my $node (@nodes[ 1 .. $#nodes ])
	{
		$node->query('SELECT ftchain.create_identity()');
	}
	foreach my $node (@nodes)
	{
		$node->add_server($_, $reach ? $reach->($node, $_) : ()) foreach grep { $_ != $node } @nodes;
	}
	$founder->take_in($_, genesis => $genesis, workers => $workers, member => $params{member})
	  foreach @nodes[ 1 .. $#nodes ];
	foreach my $node (@nodes[ 1 .. $#nodes ])
	{
		$node->query("CALL ftchain.add_peer('" . $_->name . "')") foreach grep { $_ != $node && $_ != $founder } @nodes;
	}
	if ($workers)
	{
		my $count = @nodes;

		$_->comes_to('SELECT member AND members = ' . $count . ' FROM ftchain.status',
			$_->name . ' is one of the members') foreach @nodes;
	}
	else
	{
		settle(@nodes);
	}
	return @nodes;
}

# Give this node the chain "main", easy enough for a test; gives the genesis id.
sub create_chain
{
	my ($self, %more) = @_;
	my %arguments = (
		replicas => 2,
		attempts => 1000,
		spacing => q('50 ms'),
		settle_blocks => 2,
		%more);
	my $arguments = join('', map { ", $_ => $arguments{$_}" } sort keys %arguments);

	return $self->query("SELECT ftchain.create_chain('$CHAIN'$arguments)");
}

# The founder takes another node in, which has an identity and joins.
sub take_in
{
	my ($self, $node, %params) = @_;
	my $genesis = $params{genesis} // $self->query("SELECT genesis FROM ftchain.chain WHERE name = '$CHAIN'");
	my %arguments = (zone => "'" . $node->name . "'", %{ $params{member} // {} });
	my $arguments = join('', map { ", $_ => $arguments{$_}" } sort keys %arguments);

	$self->query("CALL ftchain.add_member('$CHAIN', '" . $node->name . "'$arguments)");
	$node->query("CALL ftchain.join_chain('" . $self->name . "', '$CHAIN', '$genesis')");
	$self->query('CALL ftchain.seal()') unless $params{workers} // 1;
	return;
}

# settle(nodes): without workers, seal and exchange until there is nothing left
sub settle
{
	my @nodes = @_;
	my $before = '';

	for (1 .. 20)
	{
		my $now;

		# One after the other: those that all seal before they exchange are
		# as far as before, with another fork.
		foreach my $node (@nodes)
		{
			$node->query('CALL ftchain.seal()');
			$node->query('CALL ftchain.sync()');
		}
		$now = join(' ', map { $_->query('SELECT head, pending, wanted, members FROM ftchain.status') } @nodes);
		return if $now eq $before;
		$before = $now;
	}
	die "nothing settles: $before\n";
}

# Id and member of this node
sub member
{
	my $self = shift;

	return $self->{_member} //= $self->query('SELECT member FROM ftchain.identity');
}

# $node->append(payload [, kind]): gives "origin|incarnation|seq|payload"
sub append
{
	my ($self, $payload, $kind) = @_;

	$kind //= 'entry';
	return $self->query("SELECT *, '$payload' FROM ftchain.append('$CHAIN', '$payload', '$kind')");
}

# A test: the nodes come to the same head, and nothing waits anywhere.
sub converge
{
	my ($what, $seconds, @nodes) = @_;
	my @states;
	my @sessions = map { FtchainSession->new($_->connstr('postgres')) } @nodes;
	my $query = 'SELECT head, pending, wanted FROM ftchain.status';
	my $ok = wait_until(
		$what,
		$seconds,
		sub {
			@states = map { ($_->ask($query))[0] } @sessions;
			return $states[0] =~ /\|0\|0$/ && !grep { $_ ne $states[0] } @states;
		});

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::ok($ok, $what);
	Test::More::diag(join("\n", map { $nodes[$_]->name . ": $states[$_]" } 0 .. $#nodes)) unless $ok;
	return $ok;
}

# A test: verify() finds nothing.
sub is_clean
{
	my ($self, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->gives("SELECT * FROM ftchain.verify('$CHAIN')", '', $what // $self->name . ' is clean');
}

# A test: who owns a body of the main chain has it, by place().
sub holds_its_share
{
	my ($self, $what, $seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->comes_to(<<"END", $what // $self->name . ' holds what is placed here', '0', $seconds);
SELECT count(*) FROM ftchain.blocks b WHERE chain = '$CHAIN' AND NOT held
   AND (SELECT member FROM ftchain.identity) IN (SELECT member FROM ftchain.place('$CHAIN', b.id))
END
}

# $node->tamper(statement, ...): do what the guards would not let pass.  It locks
# whole tables, so it and a worker may wait for each other; then it begins anew.
sub tamper
{
	my ($self, @statements) = @_;
	my @guarded = qw(entry bundle block block_bundle main_chain control epoch_state origin shard);
	my $sql = join(
		";\n",
		'BEGIN',
		(map { "ALTER TABLE ftchain.$_ DISABLE TRIGGER guard" } @guarded),
		@statements,
		(map { "ALTER TABLE ftchain.$_ ENABLE ALWAYS TRIGGER guard" } @guarded),
		'COMMIT');
	my $error;

	foreach (1 .. 10)
	{
		(undef, $error) = $self->try_query($sql);
		return if $error eq '';
		last if $error !~ /deadlock detected/;
	}
	die "tampering failed: $error";
}


# ---- clients

# $node->start_load(%params): a client that appends all the time, and tries
# again when the server is away.
#
# Parameters: size => bytes of payload (50); pause => between two appends, s
# (0.005); sql => more in the same statement list, run in the same transaction.
# $load->{acked} is complete after stop_load.
sub start_load
{
	my ($self, %params) = @_;
	my $number = ++$self->{_loads};
	my $base = $self->basedir . "/load$number";
	my $size = $params{size} // 50;
	my $pause = $params{pause} // 0.005;
	my $statement = 'WITH p AS MATERIALIZED (SELECT gen_random_uuid()::text AS n) '
	  . 'SELECT a.origin, a.incarnation, a.seq, p.n '
	  . "FROM p, ftchain.append('$CHAIN', json_build_object('n', p.n, 'fill', repeat('x', $size))) a;\n"
	  . ($pause > 0 ? "SELECT pg_sleep($pause) \\g /dev/null\n" : '');
	my %load = (acked => "$base.acked", stop => "$base.stop", node => $self);
	# psql prints what is committed.  It ends with the test.
	my $loop = 'while kill -0 "$1" 2>/dev/null && ! [ -e "$2" ]; do "$3" -XAtq -v ON_ERROR_STOP=1 -d "$4" -f "$5" >>"$6" 2>>"$7" || sleep 0.05; done';

	PostgreSQL::Test::Utils::append_to_file("$base.sql", $statement x 50);
	PostgreSQL::Test::Utils::append_to_file($load{acked}, '');
	local %ENV = $self->_get_env;
	$load{run} = IPC::Run::start(
		[ 'sh', '-c', $loop, 'load', $$, $load{stop}, $self->installed_command('psql'),
			$self->connstr('postgres'), "$base.sql", $load{acked}, "$base.errors" ]);
	return \%load;
}

# Acknowledged so far
sub load_count
{
	my $load = shift;

	return scalar(() = PostgreSQL::Test::Utils::slurp_file($load->{acked}) =~ /\n/g);
}

# Wait until a load has had so many more acknowledged; a test.
sub load_goes_on
{
	my ($load, $more, $what) = @_;
	my $before = load_count($load);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::ok(wait_until($what, 60, sub { load_count($load) >= $before + $more }), $what);
}

# Gives the lines "origin|incarnation|seq|tag" of what was acknowledged.
sub stop_load
{
	my $load = shift;

	PostgreSQL::Test::Utils::append_to_file($load->{stop}, '');
	$load->{run}->finish;
	return split(/\n/, PostgreSQL::Test::Utils::slurp_file($load->{acked}));
}

# A test: everything acknowledged is in one block of the main chain here, each
# once; and where its body is held, it is what was appended.
sub has_sealed
{
	my ($self, $acked, $what, $seconds) = @_;
	my $rows = join('', map { "$_\n" } @$acked);
	my $count = @$acked;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->comes_to(<<"END", $what // $self->name . " has all $count entries, each once", '0|0|0', $seconds);
CREATE TEMP TABLE acked (origin bytea, incarnation bigint, seq bigint, tag text);
COPY acked FROM STDIN WITH (FORMAT csv, DELIMITER '|', QUOTE E'\x01');
$rows\\.
ANALYZE acked;
SELECT (SELECT count(*) FROM acked a WHERE
        (SELECT count(*) FROM ftchain.bundle u JOIN ftchain.origin o ON o.id = u.origin
           JOIN ftchain.block_bundle b ON b.bundle = u.id JOIN ftchain.main_chain m ON m.block = b.block
          WHERE u.seqs \@> a.seq AND o.member = a.origin AND u.incarnation = a.incarnation) <> 1),
       (SELECT count(*) FROM acked a
          JOIN ftchain.origin o ON o.member = a.origin
          JOIN ftchain.bundle u ON u.seqs \@> a.seq AND u.origin = o.id AND u.incarnation = a.incarnation
               AND u.ids IS NOT NULL
         WHERE NOT EXISTS (SELECT FROM ftchain.entry e WHERE e.origin = o.id AND e.seq = a.seq
                              AND e.incarnation = a.incarnation AND u.ids \@> e.id AND coalesce(e.payload->>'n', e.payload::text) = a.tag)),
       (SELECT count(*) - count(DISTINCT (origin, incarnation, seq)) FROM acked)
END
}

1;
