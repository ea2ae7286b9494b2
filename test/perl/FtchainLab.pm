# FtchainLab: hosts with a network between them that is as bad as a test wants
#
#	use FtchainLab;							# first of all: the test begins again in it
#
#	plan(skip_all => 'no network namespaces') unless FtchainLab::is_ours();
#	my $lab = FtchainLab->new(qw(alpha beta));
#	my ($alpha, $beta) = $lab->network(%params);	# members, as FtchainCluster->network
#	my $server = $lab->node('beta_2', %params);		# one more server on beta
#
#	$lab->set('alpha', 'beta', loss => 5, delay => 20);	# that way; see test/lab/forwarder.c
#	$lab->set('*', '*', loss => 5);
#	$lab->part([qw(alpha)], [qw(beta)]);	# both ways
#	$lab->heal;								# all is well again
#	my %counters = $lab->show('alpha', 'beta');
#
#	my $cutter = $lab->cutter('alpha', $beta);	# see test/lab/cutter.c
#	$alpha->add_server($beta, $cutter->place);
#	$cutter->plan('up', 100, 'reset');
#
#	my $session = FtchainLab::Session->new($alpha);		# a psql that stays
#
# Each host is a network namespace with one interface.  What leaves it is read
# by a program in the test's own namespace, which passes it on, or does not.  The
# test talks to servers by their Unix sockets, which know of no namespaces, and
# so with no loss or delay.
#
# Nothing here takes effect later: a call is back when it is so.
#
# Whatever is started ends when the test does, in whatever way: hosts, forwarder
# and cutters live until their standard input, a pipe from the test, is closed;
# servers are stopped as those of any test.
package FtchainLab;

use strict;
use warnings;

use FtchainNet;
use FtchainCluster;

use File::Basename qw(dirname);
use IPC::Open2 qw(open2);
use PostgreSQL::Test::Utils ();

# The one laboratory of this test
our $lab;

sub is_ours
{
	return FtchainNet::is_ours();
}

# The administrator's commands are not in everybody's path.
sub _run
{
	my ($input, @command) = @_;

	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
	open(my $out, '|-', @command) or die "cannot run $command[0]: $!\n";
	print $out $input;
	close($out) or die "failed: @command\n";
	return;
}

# A program that ends when we do: {pid, in, out}.  It must say that it is there.
sub _start
{
	my @command = @_;
	my %program;

	$program{pid} = open2($program{out}, $program{in}, @command);
	my $first = readline($program{out}) // '';
	die "cannot start: @command\n" unless $first =~ /^ok/;
	$program{first} = $first;
	return \%program;
}

# Have a command obeyed, and give the answer.
sub _command
{
	my ($program, @words) = @_;

	print { $program->{in} } "@words\n";
	$program->{in}->flush;
	my $answer = readline($program->{out}) // 'the program has ended';
	die "$answer from: @words\n" unless $answer =~ /^ok ?(.*)/;
	return $1;
}

sub _pairs
{
	my %values = @_;

	return map { "$_=$values{$_}" } sort keys %values;
}

sub _program
{
	my ($self, $name) = @_;

	return "$self->{programs}/$name";
}

sub _build
{
	my $self = shift;

	$self->{programs} = PostgreSQL::Test::Utils::tempdir() . '/lab';
	_run('', 'make', '-s', '-C', dirname(__FILE__) . '/../lab', "BUILD=$self->{programs}", 'CC=' . ($ENV{CC} // 'gcc'), 'programs');
	return;
}

# new(names): at most 15 hosts, with names of at most 15 letters and digits
sub new
{
	my ($class, @names) = @_;
	my $self = bless({ names => [@names], hosts => {} }, $class);

	die "there is a laboratory already\n" if $lab;
	$self->_build;
	foreach my $number (1 .. @names)
	{
		my $holder = _start(qw(unshare --net sh -c), 'echo ok; exec cat');
		my $name = $names[ $number - 1 ];

		$self->{hosts}{$name} = {
			holder => $holder,
			address => "198.18.0.$number",
			mac => sprintf('02:00:00:00:00:%02x', $number)
		};
		_run(<<"END", qw(ip -batch -));
link add $name type veth peer name lab0
link set lab0 netns $holder->{pid}
link set $name addrgenmode none
link set $name up
END
	}
	$self->_prepare($_) foreach @names;
	$self->{forwarder} = _start($self->_program('forwarder'), map { "$_=" . $self->address($_) } @names);
	return $lab = $self;
}

# Within a host: an address, and where the others are
sub _prepare
{
	my ($self, $name) = @_;
	my $host = $self->{hosts}{$name};
	my $neighbours = join('',
		map { "neigh replace $_->{address} lladdr $_->{mac} dev lab0 nud permanent\n" }
		  grep { $_ != $host } values %{ $self->{hosts} });

	_run(<<"END", $self->within($name, qw(ip -batch -)));
link set lo up
link set lab0 address $host->{mac}
link set lab0 addrgenmode none
addr add $host->{address}/24 dev lab0
link set lab0 up
$neighbours
END
	_run('', $self->within($name, $self->_program('forwarder'), '--plain', 'lab0'));
	# TCP is not to remember how bad the network was; where the file cannot be
	# written, as in some containers, it does
	_run('', $self->within($name, 'sh', '-c', 'exec 2>/dev/null; echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save || :'));

	# servers are started there
	$host->{path} = "$self->{programs}/$name";
	mkdir($host->{path}) or die "cannot make $host->{path}: $!\n";
	my $pg_ctl = "$host->{path}/pg_ctl";
	my ($real) = grep { -x } map { "$_/pg_ctl" } split(/:/, $ENV{PATH});
	open(my $out, '>', $pg_ctl) or die "cannot write $pg_ctl: $!\n";
	print $out "#!/bin/sh\nexec ", join(' ', $self->within($name, $real)), ' "$@"', "\n";
	close($out);
	chmod(0755, $pg_ctl);
	return;
}

sub address
{
	my ($self, $name) = @_;

	return $self->{hosts}{$name}{address} // die "no host $name\n";
}

# The words of a command that runs on a host
sub within
{
	my ($self, $name, @command) = @_;

	return ('nsenter', "--net=/proc/$self->{hosts}{$name}{holder}{pid}/ns/net", @command);
}

# What a command on a host prints, without the last line's end
sub run
{
	my ($self, $name, @command) = @_;

	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin:/sbin";
	open(my $in, '-|', $self->within($name, @command)) or die "cannot run $command[0]: $!\n";
	my $text = join('', readline($in));
	close($in);
	chomp $text;
	return $text;
}


# ---- the network

# set(from, to, name => value, ...): one way; "*" is all hosts
sub set
{
	my ($self, $from, $to, %settings) = @_;

	_command($self->{forwarder}, 'set', $from, $to, _pairs(%settings));
	return;
}

# The same for both ways between two
sub set_both
{
	my ($self, $one, $other, %settings) = @_;

	$self->set($one, $other, %settings);
	$self->set($other, $one, %settings);
	return;
}

# part([names], [names]): nothing passes between them; the other settings stay.
sub part
{
	my ($self, $some, $others) = @_;

	foreach my $one (@$some)
	{
		$self->set_both($one, $_, down => 1) foreach @$others;
	}
	return;
}

# All partitions end; the other settings stay.
sub join_all
{
	my $self = shift;

	$self->set('*', '*', down => 0);
	return;
}

# Everything passes, at once.
sub heal
{
	my $self = shift;

	_command($self->{forwarder}, 'clear', '*', '*');
	return;
}

# What has become of packets so far: name => number
sub show
{
	my ($self, $from, $to) = @_;

	return map { split(/=/) } split(' ', _command($self->{forwarder}, 'show', $from // '*', $to // '*'));
}

# A test may look at what was sent before when nothing is on the way.
sub wait_quiet
{
	my ($self, $seconds) = @_;

	return FtchainCluster::wait_until(
		'nothing to be on the way',
		$seconds // 30,
		sub {
			my %c = $self->show;

			return $c{sent} + $c{duplicated} == $c{passed} + $c{lost} + $c{stopped} + $c{overflowed};
		});
}

# In words
sub counters
{
	my ($self, @way) = @_;
	my %counters = $self->show(@way);

	return join(', ', map { "$counters{$_} $_" } qw(sent passed lost duplicated delayed corrupted stopped overflowed missed));
}

sub seed
{
	my ($self, $seed) = @_;

	_command($self->{forwarder}, 'seed', $seed);
	return;
}


# ---- probes: datagrams, to measure the network itself

# What takes datagrams; and, told to, prints of each its number, how many ms it
# has taken, and whether it is as it was
my $SINK = <<'END';
use strict;
use warnings;
use Digest::MD5 qw(md5);
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(time);
my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => $ARGV[0]) or die "no socket: $!\n";
setsockopt($socket, SOL_SOCKET, SO_RCVBUF, 4 << 20);
my $ready = IO::Select->new($socket, \*STDIN);
my @came;
my $ended;
$| = 1;
print 'ok ', $socket->sockport, "\n";
for (;;)
{
	my @now = $ready->can_read($ended ? 0 : undef);
	last if !@now && $ended;
	if (grep { $_ != $socket } @now)
	{
		$ended = 1;
		$ready->remove(\*STDIN);
	}
	next unless grep { $_ == $socket } @now;
	$socket->recv(my $datagram, 2000);
	my ($sum, $body) = unpack('a16 a*', $datagram);
	my ($number, $sent) = unpack('N d', $body);
	push @came, sprintf('%d:%.3f:%d', $number, (time() - $sent) * 1000, $sum eq md5($body));
}
print "ok @came\n";
END

my $SOURCE = <<'END';
use strict;
use warnings;
use Digest::MD5 qw(md5);
use IO::Socket::INET;
use Time::HiRes qw(sleep time);
my ($address, $port, $count, $pause) = @ARGV;
my $socket = IO::Socket::INET->new(Proto => 'udp', PeerAddr => $address, PeerPort => $port) or die "no socket: $!\n";
foreach my $number (1 .. $count)
{
	my $body = pack('N d', $number, time()) . 'x' x 100;

	$socket->send(md5($body) . $body);
	sleep($pause);
}
END

# probe(from, to, count [, pause]): gives what came, in the order in which it
# did: {number, ms, whole}
sub probe
{
	my ($self, $from, $to, $count, $pause) = @_;
	my $sink = _start($self->within($to, $^X, '-e', $SINK, $self->address($to)));
	my ($port) = $sink->{first} =~ /^ok (\d+)/;

	$self->run($from, $^X, '-e', $SOURCE, $self->address($to), $port, $count, $pause // 0.0005);
	$self->wait_quiet or die "datagrams do not come to an end\n";
	my @came = split(' ', _command($sink, 'end'));
	waitpid($sink->{pid}, 0);
	return map { my ($number, $ms, $whole) = split(/:/); { number => $number, ms => $ms, whole => $whole } } @came;
}


# ---- on the hosts

# A server, on the host that has the first part of its name: beta_2 is on beta.
sub node
{
	my ($self, $name, %params) = @_;

	return FtchainLab::Node->new_node($name, %params);
}

# A member on each host; parameters as those of FtchainCluster->network
sub network
{
	my ($self, %params) = @_;

	return FtchainLab::Node->network($self->{names}, %params);
}

# cutter(host, node): on that host, in front of a node
sub cutter
{
	my ($self, $name, $node) = @_;
	my $address = $self->address($name);
	my $program =
	  _start($self->within($name, $self->_program('cutter'), $address, 0, $self->address($node->lab_host), $node->port));

	my ($port) = $program->{first} =~ /^ok (\d+)/;
	return bless({ program => $program, address => $address, port => $port }, 'FtchainLab::Cutter');
}


package FtchainLab::Cutter;

use strict;
use warnings;

# Parameters of add_server()
sub place
{
	my $self = shift;

	return (host => $self->{address}, port => $self->{port});
}

# plan(way, bytes, how [, connections]), or plan('pass')
sub plan
{
	my ($self, @words) = @_;

	FtchainLab::_command($self->{program}, 'plan', @words);
	return;
}

# end('reset'), end('silent'): all connections that there are
sub end
{
	my ($self, $how) = @_;

	FtchainLab::_command($self->{program}, 'end', $how);
	return;
}

# name => number
sub show
{
	my $self = shift;

	return map { split(/=/) } split(' ', FtchainLab::_command($self->{program}, 'show'));
}


package FtchainLab::Session;

use strict;
use warnings;

# A psql that stays, in database postgres of a node, for one that asks often
#
#	my $session = FtchainLab::Session->new($node);
#	my ($answer, $error) = $session->ask('SELECT 1');		# one of them is empty
sub new
{
	my ($class, $node) = @_;
	my %self;

	local %ENV = $node->_get_env;
	$self{pid} = IPC::Open2::open2($self{out}, $self{in}, 'sh', '-c', 'exec "$@" 2>&1', 'session', qw(psql -XAtq -d), $node->connstr('postgres'));
	return bless(\%self, $class);
}

sub ask
{
	my ($self, $sql) = @_;
	my $text = '';

	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } "$sql;\n\\echo ==== :ERROR\n";
	$self->{in}->flush;
	while (defined(my $line = readline($self->{out})))
	{
		if ($line =~ /^==== (true|false)$/)
		{
			chomp $text;
			return $1 eq 'true' ? ('', $text) : ($text, '');
		}
		$text .= $line;
	}
	return ('', $text || 'the session has ended');
}

# The answer; what fails ends the test.
sub query
{
	my ($self, $sql) = @_;
	my ($answer, $error) = $self->ask($sql);

	die "$error\nfrom: $sql\n" if $error ne '';
	return $answer;
}

sub end
{
	my $self = shift;

	close($self->{in});
	kill('TERM', $self->{pid});
	waitpid($self->{pid}, 0);
	return;
}


package FtchainLab::Node;

use strict;
use warnings;

use parent -norequire, 'FtchainCluster';

sub lab_host
{
	my $self = shift;
	my ($host) = $self->name =~ /^([^_]+)/;

	return $host;
}

sub lab_address
{
	my $self = shift;

	return $FtchainLab::lab->address($self->lab_host);
}

# Others reach it by the network only.
sub _open_tcp
{
	my $self = shift;
	my $hba = $self->data_dir . '/pg_hba.conf';
	my $address = $self->lab_address;

	$self->append_conf('postgresql.conf', <<"END");
listen_addresses = '$address'
password_encryption = 'scram-sha-256'
END
	open(my $out, '>', $hba) or die "cannot write $hba: $!";
	print $out <<'END';
local	all			all					trust
local	replication	all					trust
host	all			all	198.18.0.0/24	scram-sha-256
host	replication	all	198.18.0.0/24	scram-sha-256
END
	close $out;
	return;
}

# pg_ctl is the one that goes to the host first.
sub _get_env
{
	my ($self, @settings) = @_;
	my %env = $self->SUPER::_get_env(@settings);

	$env{PATH} = "$FtchainLab::lab->{hosts}{$self->lab_host}{path}:$env{PATH}";
	return %env;
}

sub add_server
{
	my ($self, $other, %params) = @_;

	return $self->SUPER::add_server($other, host => $other->lab_address, %params);
}

sub tcp_connstr
{
	my ($self, $dbname, $role, $password) = @_;

	return sprintf("host=%s port=%d dbname=%s user=%s password='%s'", $self->lab_address, $self->port, $dbname, $role, $password);
}

1;
