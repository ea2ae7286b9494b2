# FtchainLiar: servers that are no PostgreSQL, or one that does not keep to the
# protocol
#
#	my $liar = FtchainLiar->new('hangs up');
#	... $liar->port ...
#	$liar->stop;
#
# Each is a child of the test, with a child for each connection; all of them
# end with the test.
package FtchainLiar;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep);

my @started;

sub garbage
{
	return join('', map { chr(int(rand(256))) } 1 .. shift);
}

# name => [SQLSTATE that a call to it ends with, what it does with a connection]
my %behaviours = (
	says_nothing => [ '08001', sub { wait_for_end(shift) } ],
	hangs_up => [ '08001', sub { } ],
	says_garbage => [ '08001', sub { my $s = shift; say($s, garbage(50000)); wait_for_end($s) } ],
	says_http => [ '08001', sub { my $s = shift; say($s, "HTTP/1.1 400 Bad Request\r\n\r\n"); wait_for_end($s) } ],
	asks_for_much => [ '08001', sub { my $s = shift; say($s, message('R', pack('N', 12) . garbage(100))); wait_for_end($s) } ],
	logs_in_only => [ '08001', sub { my $s = shift; log_in($s); wait_for_end($s) } ],
	hangs_up_on_a_call => [ '08001', sub { my $s = shift; log_in($s); read_call($s) } ],
	answers_half => [ '08001', sub {
		my $s = shift;

		log_in($s);
		read_call($s);
		say($s, message('1') . message('2') . substr(message('T', pack('n', 5) . 'x' x 100), 0, 40));
	} ],
	answers_garbage => [ '08001', sub { my $s = shift; log_in($s); read_call($s); say($s, garbage(5000)); wait_for_end($s) } ],
	promises_much => [ '08001', sub {
		my $s = shift;

		log_in($s);
		read_call($s);
		say($s, message('1') . message('2') . row_description() . 'D' . pack('N', 0x3fffffff) . 'x' x 1000);
		wait_for_end($s);
	} ],
	never_ends => [ '08001', sub {
		my $s = shift;

		log_in($s);
		read_call($s);
		say($s, message('1') . message('2') . row_description());
		for (1 .. 3000)
		{
			say($s, message('D', pack('n N/a', 1, 'x' x 1000)) x 10) or return;
			sleep(0.02);
		}
	} ],
	errs_without_a_state => [ '08006', sub { my $s = shift; log_in($s); read_call($s); say($s, message('E', "Mkaputt\0\0") . ready()); wait_for_end($s) } ],
	errs_in_no_text => [ '\w{5}', sub {
		my $s = shift;

		log_in($s);
		read_call($s);
		say($s, message('E', "SERROR\0CXX000\0M\xff\xfe\x80kaputt\0D\xff\0\0") . ready());
		wait_for_end($s);
	} ],
	notifies => [ '\w{5}', sub {
		my $s = shift;

		log_in($s);
		for (1 .. 500)
		{
			say($s, message('N', "SNOTICE\0C00000\0M\xffhear me\0\0") x 10 . message('A', pack('N', 1) . "x\0y\0")) or return;
			sleep(0.02);
		}
	} ],
);

sub names
{
	return sort keys %behaviours;
}

sub sqlstate
{
	return $behaviours{ shift->{name} }[0];
}

sub port
{
	return shift->{port};
}

# Of nobody, a moment ago
sub free_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "cannot listen: $!\n";

	return $socket->sockport;
}

sub new
{
	my ($class, $name) = @_;
	my $behaviour = $behaviours{$name} or die "no behaviour $name\n";
	my $listener = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1') or die "cannot listen: $!\n";
	my $self = bless({ name => $name, port => $listener->sockport }, $class);
	my $test = $$;

	$self->{pid} = fork() // die "cannot fork: $!\n";
	if ($self->{pid} == 0)
	{
		# never into the END blocks of the test
		eval { serve($listener, $behaviour->[1], $test); 1 };
		POSIX::_exit(0);
	}
	push @started, $self;
	return $self;
}

# In the child.  Whatever it does it ends with the test, and its children with it.
sub serve
{
	my ($listener, $do, $test) = @_;
	my $ready = IO::Select->new($listener);
	my $ended = 0;

	$SIG{TERM} = sub { $ended = 1 };
	$SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
	while (!$ended && getppid() == $test)
	{
		next unless $ready->can_read(0.5);
		my $socket = $listener->accept or next;

		if ((fork() // 1) == 0)
		{
			close $listener;
			srand();
			alarm(120);
			$SIG{ALRM} = $SIG{TERM} = 'DEFAULT';
			$socket->autoflush(1);
			eval { $do->($socket); 1 };
			POSIX::_exit(0);
		}
		close $socket;
	}
	return;
}

# ---- the protocol of PostgreSQL, as little of it as it takes

sub say
{
	my ($socket, $bytes) = @_;

	return print $socket $bytes;
}

sub message
{
	my ($type, $content) = @_;

	$content //= '';
	return $type . pack('N', 4 + length($content)) . $content;
}

sub ready
{
	return message('Z', 'I');
}

sub row_description
{
	return message('T', pack('n Z* NnNnNn', 1, 'x', 0, 0, 17, 0xffff, 0xffffffff, 1));
}

sub read_bytes
{
	my ($socket, $n) = @_;
	my $bytes = '';

	while (length($bytes) < $n)
	{
		sysread($socket, $bytes, $n - length($bytes), length($bytes)) or die "it has hung up\n";
	}
	return $bytes;
}

# Ask for a password, take any.
sub log_in
{
	my $socket = shift;

	for (;;)
	{
		my ($length, $code) = unpack('NN', read_bytes($socket, 8));

		read_bytes($socket, $length - 8) if $length > 8;
		last if $code == 196608;
		say($socket, 'N');	# neither TLS nor GSSAPI
	}
	say($socket, message('R', pack('N', 3)));
	read_bytes($socket, unpack('x N', read_bytes($socket, 5)) - 4);
	say($socket, message('R', pack('N', 0)) . message('S', "server_version\0" . "15.0\0") . ready());
	return;
}

# Until the Sync at the end of a call
sub read_call
{
	my $socket = shift;

	for (;;)
	{
		my ($type, $length) = unpack('a N', read_bytes($socket, 5));

		read_bytes($socket, $length - 4) if $length > 4;
		return if $type eq 'S';
	}
}

sub wait_for_end
{
	my $socket = shift;

	1 while sysread($socket, my $bytes, 4096);
	return;
}

# ---- the end

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

1;
