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
package FtchainCluster;

use strict;
use warnings;

use parent 'PostgreSQL::Test::Cluster';

use Cwd qw(abs_path);
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
	my $start = delete $params{start} // 1;
	my $node = $class->new($name);

	$node->init(%params);
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

# $node->wait_for(dbname, query, description [, wanted [, seconds]])
#
# A test: the query gives what is wanted ('t') within some seconds (60).  A
# server that is just recovering is waited for as well.
sub wait_for
{
	my ($self, $dbname, $query, $what, $wanted, $seconds) = @_;
	my ($got, $error) = ('', '');

	$wanted //= 't';
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = wait_until(
		$what,
		$seconds // 60,
		sub {
			$self->psql($dbname, $query, stdout => \$got, stderr => \$error);
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
	# lock files.  Some containers have an init that never does.
	for (1 .. 50)
	{
		return unless -e "/proc/$postmaster";
		sleep(0.1);
	}
	unlink($self->data_dir . '/postmaster.pid', glob($self->host . '/.s.PGSQL.' . $self->port . '*'));
	return;
}

1;
