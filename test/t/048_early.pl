# Several calls are under way on a connection, and one of them fails alone: what
# was behind it is put aside and not sent again.  And a receiver that can take
# nothing is shown a single message now and then.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my ($alpha, $beta) = map {
	FtchainCluster->new_node($_, conf => [ "ftchain.databases = 'postgres'", "ftchain.heartbeat = '300ms'", "ftchain.call_timeout = '5s'" ])
} qw(alpha beta);

foreach my $node ($alpha, $beta)
{
	$node->query('CREATE EXTENSION ftchain CASCADE');
	$node->query('SELECT ftchain.create_identity()');
}
$alpha->add_server($beta);
$beta->add_server($alpha);
$alpha->query(q(CALL ftchain.add_peer('beta')));
$beta->query(q(CALL ftchain.add_peer('alpha')));

# What beta takes goes into a table whose trigger can be told at which row to
# fail, once: a sequence does not forget with the transaction.
$beta->query(<<'END');
CREATE TABLE target (id int GENERATED ALWAYS AS IDENTITY, n int);
CREATE SEQUENCE tried;
CREATE TABLE fails_at (at bigint, state text);
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
DECLARE
    this bigint := nextval('tried');
    f fails_at;
BEGIN
    SELECT * INTO f FROM fails_at WHERE at = this;
    IF FOUND THEN
        RAISE 'by chance' USING ERRCODE = f.state;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER fail BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION fail();
SELECT ftchain.create_topic('rows', deliver_to => 'target');
END

my $link = q(SELECT received, early, duplicates FROM ftchain.stream_in WHERE topic = 'rows');
my $sent = 0;

# All of them in one transaction, so that they are there at once
sub send_rows
{
	my $n = shift;

	$alpha->query("SELECT count(ftchain.send('beta', 'rows', json_build_object('n', g))) FROM generate_series($sent + 1, $sent + $n) g");
	$sent += $n;
	return;
}

# A test: all of it has come, once and in order
sub has_all
{
	my $what = shift;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$beta->comes_to('SELECT count(*), count(DISTINCT n), max(n) FROM target', "$what: all has come, each once", "$sent|$sent|$sent", 60);
	$beta->gives('SELECT count(*) FROM (SELECT n, lag(n) OVER (ORDER BY id) AS before FROM target) x WHERE n <= before', '0', "$what: in order");
	$alpha->comes_to('SELECT sum(waiting) FROM ftchain.streams', "$what: all is acknowledged", '0');
	return;
}

send_rows(1);
has_all('the first');

# Large ones open the window, so that what follows is not bounded by it.
$alpha->query(qq(SELECT count(ftchain.send('beta', 'rows', json_build_object('n', $sent + g, 'pad', repeat('x', 100000)))) FROM generate_series(1, 100) g));
$sent += 100;
has_all('large ones');

# A call takes 1000 messages, so the second of three fails.

foreach my $case ([ '40001', 'a serialization failure' ], [ '40P01', 'a deadlock' ], [ '55P03', 'a lock that was waited for too long' ])
{
	my ($state, $what) = @$case;
	my ($received, $early, $duplicates) = split(/\|/, $beta->query($link));
	my $tried = $beta->query("INSERT INTO fails_at SELECT last_value + 1250, '$state' FROM tried; SELECT last_value FROM tried");

	send_rows(2700);
	has_all($what);
	my @now = split(/\|/, $beta->query($link));
	is($now[0] - $received, 2700, "$what: each was taken once");
	is($now[1] - $early, 700, "$what: what was behind it was put aside");
	is($now[2] - $duplicates, 0, "$what: nothing came twice");
	# 249 of the call that failed were tried before the one that failed
	is($beta->query('SELECT last_value FROM tried') - $tried, 2700 + 250, "$what: only the call that failed was repeated");
	$beta->gives('SELECT count(*) FROM ftchain.early_in', '0', "$what: nothing waits any more");
}

$beta->gives(q(SELECT early, gaps, dropped, duplicates, refused FROM ftchain.streams WHERE direction = 'in' AND topic = 'rows'),
	'2100|3|0|0|0', 'the receiver shows what it put aside, and how often something was missing');
$alpha->comes_to(
	q(SELECT failed, early, dropped, duplicates, refused, timeouts FROM ftchain.streams WHERE direction = 'out' AND topic = 'rows'),
	'and the sender what it was told, and the calls that failed', '3|2100|0|0|0|0');

# One that fails for good ends what is under way: after a hello the rest need not
# be sent, either.
{
	my ($received, $early, $duplicates) = split(/\|/, $beta->query($link));

	$beta->query("INSERT INTO fails_at SELECT last_value + 1250, '57014' FROM tried");
	send_rows(2700);
	has_all('a call that was cancelled');
	my @now = split(/\|/, $beta->query($link));
	is(join(' ', map { $now[$_] - ($received, $early, $duplicates)[$_] } 0 .. 2), '2700 700 0',
		'a call that was cancelled: what was behind it is not sent again');
}

# What waits here for a gap outlives a crash, and goes with the sender.
SKIP:
{
	skip 'the server was built without failpoints', 1 unless $beta->has_failpoints;
	$beta->query("INSERT INTO fails_at SELECT last_value + 1250, '40001' FROM tried");
	$beta->crashes_at('receive-early', sub { send_rows(2700) });
	$beta->start;
	has_all('a crash when a gap is filled');
	$beta->gives('SELECT count(*) FROM ftchain.early_in', '0', 'a crash when a gap is filled: nothing waits any more');
}

# Nobody receives on that topic: its messages are put aside as far as there is
# room, and then there are probes.
{
	$alpha->query(q(SELECT count(ftchain.send('beta', 'nobody', json_build_object('n', g))) FROM generate_series(1, 12000) g));
	$alpha->comes_to(q(SELECT last_error ~ 'topic "nobody" does not exist' FROM ftchain.peer_status()), 'a topic that is not there is told');
	$beta->comes_to('SELECT count(*) BETWEEN 100 AND 8000 FROM ftchain.early_in', 'its messages are put aside, in bounds');
	$beta->query(q(SELECT ftchain.create_topic('nobody')));
	$beta->comes_to(q(SELECT count(*) FROM ftchain.message_in WHERE topic = 'nobody'), 'it is created: all comes', '12000', 60);
	$beta->gives(<<'END', '0', 'in order');
SELECT count(*) FROM (SELECT (message->>'n')::int AS n, lag((message->>'n')::int) OVER (ORDER BY id) AS before FROM ftchain.message_in) x WHERE n <= before
END
	$beta->gives('SELECT count(*) FROM ftchain.early_in', '0', 'and nothing waits any more');
}

done_testing();
