# FtchainProxy: a network that loses connections
#
#	my $proxy = FtchainProxy->new($node);	# to a node, or to a port
#	... a client connects to $proxy->port ...
#	$proxy->set(mode => 'pass');		# let all through, as at first
#	$proxy->set(mode => 'cut');			# end every connection, and refuse new ones
#	$proxy->set(mode => 'hole');		# keep them, say nothing: half-open
#	$proxy->set(delay => 0.1);			# in each direction, s
#	$proxy->set(rate => 1024);			# bytes a second, in each direction
#	$proxy->set(drop => 20000);			# end a connection after so many bytes, at random
#	$proxy->set(split => 1);			# pass bytes on in small pieces
#	$proxy->stop;
#
# It is a child of the test, in its process group, and ends with it.
package FtchainProxy;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils ();

my @started;

sub new
{
	my ($class, $to) = @_;
	my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1') or die "cannot listen: $!\n";
	my $self = bless(
		{
			port => $listener->sockport,
			to => ref $to ? $to->port : $to,
			file => PostgreSQL::Test::Utils::tempdir() . '/proxy',
			settings => { mode => 'pass', delay => 0, rate => 0, drop => 0, split => 0 },
			version => 0,
		},
		$class);
	my $test = $$;

	$self->set;
	$self->{pid} = fork() // die "cannot fork: $!\n";
	if ($self->{pid} == 0)
	{
		# never into the END blocks of the test
		eval { $self->run($listener, $test); 1 } or print STDERR "proxy: $@";
		POSIX::_exit(0);
	}
	push @started, $self;
	return $self;
}

sub port
{
	return shift->{port};
}

# Not back before it is so.
sub set
{
	my ($self, %settings) = @_;
	my $s = $self->{settings};

	%$s = (%$s, %settings);
	$self->{version}++;
	open(my $out, '>', "$self->{file}.new") or die "cannot write: $!\n";
	print $out join(' ', $self->{version}, @$s{qw(mode delay drop split rate)}), "\n";
	close $out;
	rename("$self->{file}.new", $self->{file}) or die "cannot rename: $!\n";
	return unless $self->{pid};
	for (1 .. 500)
	{
		return if -e "$self->{file}.$self->{version}";
		sleep(0.01);
	}
	die "the proxy does not listen\n";
}

# How often it has ended a connection so far
sub drops
{
	my $self = shift;

	return -s "$self->{file}.drops" // 0;
}

sub stop
{
	my $self = shift;

	return unless $self->{pid};
	kill('TERM', $self->{pid});
	waitpid($self->{pid}, 0);
	$self->{pid} = undef;
	return;
}

END
{
	local $?;
	$_->stop foreach @started;
}

# ---- in the child

my (%s, $version, %flows, $select);

sub load_settings
{
	my $self = shift;

	open(my $in, '<', $self->{file}) or return 0;
	my ($now, @values) = split(' ', scalar(<$in>) // '');
	close $in;
	return 0 if !defined $now || $now eq ($version // '');
	$version = $now;
	@s{qw(mode delay drop split rate)} = @values;
	if ($s{mode} eq 'cut')
	{
		my @now = values %flows;

		end_connection($_) foreach @now;
	}
	open(my $out, '>', "$self->{file}.$version");
	close $out;
	return 1;
}

# A flow is one direction: {from, to, queue => [[when, bytes], ...], left => bytes until it is dropped}
sub end_connection
{
	my $flow = shift;

	return unless exists $flows{ $flow->{from} };
	foreach my $socket ($flow->{from}, $flow->{to})
	{
		$select->remove($socket);
		delete $flows{$socket};
		close $socket;
	}
	return;
}

sub begin_connection
{
	my ($self, $listener) = @_;
	my $client = $listener->accept or return;
	my $server = $s{mode} eq 'cut' ? undef
	  : IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{to}, Timeout => 2);

	unless ($server)
	{
		close $client;
		return;
	}
	foreach my $pair ([ $client, $server ], [ $server, $client ])
	{
		my ($from, $to) = @$pair;

		$from->blocking(0);
		$flows{$from} = { from => $from, to => $to, queue => [], drop => $s{drop} ? int(rand(2 * $s{drop})) : undef };
		$select->add($from);
	}
	return;
}

# False if the connection is over.
sub take
{
	my ($self, $flow) = @_;
	my $most = $s{split} ? 1 + int(rand(200)) : $s{rate} ? 1 + int($s{rate} / 10) : 65536;
	my $n = sysread($flow->{from}, my $bytes, $most);

	return $!{EAGAIN} || $!{EINTR} unless defined $n;
	return 0 if $n == 0;
	if ($s{drop})
	{
		$flow->{drop} //= int(rand(2 * $s{drop}));
		$flow->{drop} -= $n;
		if ($flow->{drop} < 0)
		{
			# what has come so far may arrive, the rest does not
			my $arrives = substr($bytes, 0, int(rand($n)));

			$flow->{to}->blocking(1);
			syswrite($flow->{to}, $arrives) if $arrives ne '' && !@{ $flow->{queue} };
			open(my $out, '>>', "$self->{file}.drops");
			print $out '.';
			close $out;
			return 0;
		}
	}
	push @{ $flow->{queue} }, [ when($flow, length($bytes)) + $s{delay}, $bytes ];
	return 1;
}

# When bytes that come now are through a line that has what came before to carry
sub when
{
	my ($flow, $n) = @_;
	my $free = $flow->{free} // 0;

	$free = time() if $free < time();
	$free += $n / $s{rate} if $s{rate};
	return $flow->{free} = $free;
}

sub pass_on
{
	my $flow = shift;

	while (@{ $flow->{queue} } && $flow->{queue}[0][0] <= time())
	{
		my $n = syswrite($flow->{to}, $flow->{queue}[0][1]);

		return $!{EAGAIN} || $!{EINTR} unless defined $n;
		substr($flow->{queue}[0][1], 0, $n) = '';
		shift @{ $flow->{queue} } if $flow->{queue}[0][1] eq '';
	}
	return 1;
}

sub run
{
	my ($self, $listener, $test) = @_;
	my $ended = 0;
	my $looked = 0;

	$SIG{TERM} = sub { $ended = 1 };
	$SIG{PIPE} = 'IGNORE';
	srand();
	$select = IO::Select->new($listener);
	while (!$ended && getppid() == $test)
	{
		my $waiting = grep { @{ $_->{queue} } } values %flows;

		if (time() - $looked > 0.02)
		{
			$self->load_settings;
			$looked = time();
		}
		if ($s{mode} eq 'hole')
		{
			sleep(0.02);
			next;
		}
		foreach my $socket ($select->can_read($waiting ? 0.003 : 0.03))
		{
			if ($socket == $listener)
			{
				$self->begin_connection($listener);
			}
			elsif (exists $flows{$socket} && !$self->take($flows{$socket}))
			{
				end_connection($flows{$socket});
			}
		}
		my @now = values %flows;

		foreach my $flow (@now)
		{
			next unless exists $flows{ $flow->{from} };
			end_connection($flow) unless pass_on($flow);
		}
	}
	return;
}

1;
