# Between members, where it is narrow: slow lines, answers that come in pieces,
# links that fell behind, too many peers, and who knows only one member.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# ---- A line between a member and another: so many bytes a second in each
# direction; or the end of each answer, ReadyForQuery, a little later

my @lines;

sub pass_on
{
	my ($from, $to, $rate, $held) = @_;
	my $n = sysread($from, my $bytes, 16384);

	return 0 unless $n;
	sleep($n / $rate) if $rate;
	if ($held && substr($bytes, -6) eq "Z\0\0\0\5I")
	{
		syswrite($to, substr($bytes, 0, -6, ''));
		sleep($held);
	}
	while ($bytes ne '')
	{
		my $written = syswrite($to, $bytes) or return 0;

		substr($bytes, 0, $written, '');
	}
	return 1;
}

sub carry
{
	my ($client, $port, $test, %line) = @_;
	my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return;
	my $select = IO::Select->new($client, $server);

	while (kill(0, $test))
	{
		foreach my $from ($select->can_read(0.5))
		{
			my $is_server = $from == $server;

			pass_on($from, $is_server ? $client : $server, $line{rate}, $is_server && $line{held}) or return;
		}
	}
	return;
}

# A line to a node: rate => bytes a second, held => seconds; gives its port and
# the name of a file with a byte for each connection.
sub line_to
{
	my ($node, %line) = @_;
	my $listener = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1') or die "cannot listen: $!\n";
	my $count = PostgreSQL::Test::Utils::tempdir() . '/connections';
	my $test = $$;
	my $pid = fork() // die "cannot fork: $!\n";

	append_to_file($count, '');
	if ($pid != 0)
	{
		push @lines, $pid;
		return ($listener->sockport, $count);
	}
	# never into the END blocks of the test
	$SIG{PIPE} = $SIG{CHLD} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	my $ready = IO::Select->new($listener);
	while (kill(0, $test))
	{
		next unless $ready->can_read(0.5);
		my $client = $listener->accept or next;

		append_to_file($count, '.');
		if ((fork() // 1) == 0)
		{
			close $listener;
			carry($client, $node->port, $test, %line);
			POSIX::_exit(0);
		}
		close $client;
	}
	POSIX::_exit(0);
}

END
{
	local $?;
	kill('TERM', @lines) if @lines;
}

# ---- Three members, whose workers are off: what is sent is for the test to say

my @nodes = FtchainCluster->network(
	[qw(alpha beta gamma)],
	workers => 0,
	conf => [ "ftchain.call_timeout = '2s'", 'ftchain.scrub_interval = 0', 'ftchain.deep_scrub_interval = 0' ]);
my ($alpha, $beta, $gamma) = @nodes;
my $head = 'SELECT height, head FROM ftchain.status';

sub seal
{
	my ($node, @payloads) = @_;

	$node->append($_) foreach @payloads;
	$node->query('CALL ftchain.seal()');
	return $node->query($head);
}

sub sync
{
	my ($from, @to) = @_;

	$from->query("CALL ftchain.sync('" . $_->name . "')") foreach @to;
	return;
}

sub all_at
{
	my ($wanted, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join(', ', map { $_->query($head) } @nodes), join(', ', ($wanted) x @nodes), $what);
}

# From now on who reaches a node does so over that line.
sub reach_by
{
	my ($node, $port) = @_;

	$_->query('ALTER SERVER ' . $node->name . " OPTIONS (SET port '$port')") foreach grep { $_ != $node } @nodes;
	return;
}

# A body that takes longer than nothing may move, sent and fetched

my @long = ('"' . 'x' x 1_000_000 . '"') x 3;
reach_by($_, (line_to($_, rate => 1_250_000))[0]) foreach @nodes;
my $start = time();
my $new = seal($alpha, @long);
sync($alpha, $beta, $gamma);
sync($beta, $gamma);
sync($gamma, $beta, $alpha);
sync($beta, $alpha);
all_at($new, 'a large body is sent over a slow line');
cmp_ok(time() - $start, '>', 2, 'slow it is');
$new = seal($beta, @long);
sync($_, $beta) foreach $alpha, $gamma;
all_at($new, 'and fetched over one');
$_->gives('SELECT wanted FROM ftchain.status', '0', $_->name . ' wants nothing more') foreach @nodes;

# The end of each answer comes later than its rows.

reach_by($_, (line_to($_, held => 0.06))[0]) foreach @nodes;
$new = seal($gamma, '"in pieces"');
sync($gamma, $alpha, $beta);
sync($_, $gamma) foreach $alpha, $beta;
sync($alpha, $beta);
sync($beta, $alpha);
all_at($new, 'answers that come in pieces are understood');
reach_by($_, $_->port) foreach @nodes;

# Somebody was away until the outbox forgot what it lacks.

my $received = sprintf(q(SELECT epoch, received, refused FROM ftchain.link_in WHERE member = '%s'), $alpha->member);
my ($epoch, $before) = split(/\|/, $beta->query($received));
$new = seal($alpha, qq("unheard $_")) foreach 1 .. 3;
$alpha->query('DELETE FROM ftchain.outbox WHERE seq < (SELECT max(seq) FROM ftchain.outbox)');
sync($alpha, $beta);
sync($beta, $alpha);
sync($gamma, $alpha);
sync($beta, $alpha);
sync($alpha, $beta);
is($beta->query($head), $new, 'it catches up by itself');
$new = seal($alpha, '"heard again"');
sync($alpha, $beta);
my @now = split(/\|/, $beta->query($received));
is($now[0], $epoch + 1, 'the link starts anew');
cmp_ok($now[1] - $before, '<', 20, 'and the same is not sent again and again');
FtchainCluster::settle(@nodes);
all_at($alpha->query($head), 'all agree again');

# More peers than there are places

$gamma->query(q(INSERT INTO ftchain.peer (server, member, public_key) SELECT 'other ' || n, sha256(n::text::bytea), sha256('key') FROM generate_series(1, 15) n));
$gamma->query(q(DELETE FROM ftchain.peer WHERE server = 'beta'));
$gamma->refuses(q(CALL ftchain.add_peer('beta')), qr/reaches 16 peers at most/, 'a peer without a place is refused');
$gamma->query(q(CALL ftchain.add_peer('alpha')));
$gamma->query(q(DELETE FROM ftchain.peer WHERE server LIKE 'other %'));
$gamma->query(q(CALL ftchain.add_peer('beta')));
$gamma->gives('SELECT count(*) FROM ftchain.peer', '2', 'one that has its place is not');

# Whose word counts about servers

$gamma->query(<<'END');
CREATE ROLE owner;
CREATE FOREIGN DATA WRAPPER simple;
GRANT USAGE ON FOREIGN DATA WRAPPER simple, postgres_fdw TO owner;
SET ROLE owner;
CREATE SERVER lenient FOREIGN DATA WRAPPER simple OPTIONS (host '127.0.0.1');
CREATE SERVER nosy FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', passfile '/etc/passwd');
CREATE USER MAPPING FOR ftchain_worker SERVER lenient OPTIONS (user 'postgres', password_required 'false');
CREATE USER MAPPING FOR ftchain_worker SERVER nosy OPTIONS (user 'postgres', password 'x');
GRANT USAGE ON FOREIGN SERVER lenient, nosy TO ftchain_worker;
END
$gamma->refuses(q(CALL ftchain.add_peer('lenient')), qr/password is required/,
	'that no password is needed is not for everybody to say');
$gamma->refuses(q(CALL ftchain.add_peer('nosy')), qr/"passfile" is for superusers/, 'nor which files are read');

# Whoever comes late and knows one member only, which does not hold some body and
# did not know of its owners when it gave the block

my $elsewhere = 'FROM ftchain.blocks WHERE NOT held ORDER BY height DESC LIMIT 1';
while ($alpha->query("SELECT height $elsewhere") eq '')
{
	seal($beta, '"perhaps not there"');
	sync($beta, $alpha, $gamma);
	sync($gamma, $alpha);
	sync($alpha, $beta, $gamma);
}
my $late = FtchainCluster->new_node('late', conf => [ "ftchain.databases = ''", "ftchain.call_timeout = '2s'" ]);
$late->query('CREATE EXTENSION ftchain; SELECT ftchain.create_identity()');
$late->add_server($alpha);
my $genesis = $alpha->query('SELECT genesis FROM ftchain.chain');
$late->query("CALL ftchain.join_chain('alpha', 'main', '$genesis')");
$alpha->query('CREATE TABLE kept AS SELECT * FROM ftchain.replica WHERE block = (SELECT id ' . $elsewhere . ')');
$alpha->query('ALTER TABLE ftchain.replica DISABLE TRIGGER guard; DELETE FROM ftchain.replica WHERE block IN (SELECT block FROM kept)');
sync($late, $alpha);
$late->gives('SELECT count(*) > 0 FROM ftchain.incomplete_block', 't', 'it cannot build on that block');
$alpha->query('INSERT INTO ftchain.replica SELECT * FROM kept; ALTER TABLE ftchain.replica ENABLE ALWAYS TRIGGER guard');
sync($late, $alpha);
$late->gives($head, $alpha->query($head), 'it can when it hears who stores that');
$late->gives('SELECT count(*) FROM ftchain.wanted', '0', 'and wants nothing more');
$late->is_clean;
$late->stop;

# What is shown of a peer, and how the courier takes to changes

my $error = q(SELECT last_error IS NOT NULL, last_error_at IS NOT NULL FROM ftchain.peer_status() WHERE server = 'beta');
$gamma->query('SELECT ftchain.start()');
$gamma->comes_to($error, 'all is well', 'f|f');
$beta->stop;
$gamma->comes_to($error, 'an error is shown', 't|t');
$beta->start;
$gamma->comes_to($error, 'until it is over', 'f|f');
my ($port, $connections) = line_to($beta);
$gamma->query("ALTER SERVER beta OPTIONS (SET port '$port')");
ok(FtchainCluster::wait_until('a new connection', 20, sub { -s $connections }), 'a server that changes is connected anew');
$gamma->comes_to($error, 'which is no error', 'f|f');

done_testing();
