# Users' messages between two databases: in order and each once, whatever is cut,
# killed, or set back to an older state.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainProxy;
use PostgreSQL::Test::Utils qw(slurp_file system_or_bail);
use Test::More;
use Time::HiRes qw(sleep);

my ($alpha, $beta) = map { FtchainCluster->new_node($_, conf => [ "ftchain.databases = 'postgres'", "ftchain.heartbeat = '300ms'", "recovery_init_sync_method = 'syncfs'" ]) }
  qw(alpha beta);
my $to_beta = FtchainProxy->new($beta);

foreach my $node ($alpha, $beta)
{
	$node->query('CREATE EXTENSION ftchain CASCADE');
	$node->query('SELECT ftchain.create_identity()');
}
$alpha->add_server($beta, port => $to_beta->port);
$beta->add_server($alpha);
$alpha->query(q(CALL ftchain.add_peer('beta')));
$beta->query(q(CALL ftchain.add_peer('alpha')));

my $sent = 0;

# So many messages, each in a transaction of its own, to topics in turn
sub send_some
{
	my ($n, @topics) = @_;
	my $script = '';

	foreach (1 .. $n)
	{
		my $topic = $topics[ $_ % @topics ];

		$sent++;
		$script .= "SELECT seq FROM ftchain.send('beta', '$topic', '{\"n\": $sent}');\n";
	}
	$alpha->query($script);
	return;
}

# A test: all of a topic has come, each once and in order
sub has_all
{
	my ($topic, $n, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$beta->comes_to("SELECT count(*) FROM ftchain.message_in WHERE topic = '$topic'", "$what: all has come on $topic", $n, 30);
	$beta->gives(<<"END", '0|0', "$what: each once and in order on $topic");
SELECT count(*) - count(DISTINCT n), count(*) FILTER (WHERE n <= before)
  FROM (SELECT (message->>'n')::int AS n, lag((message->>'n')::int) OVER (ORDER BY id) AS before
          FROM ftchain.message_in WHERE topic = '$topic') x
END
	return;
}

# All of a topic is acknowledged, and then not kept any more.  The keeper looks
# soon after it has started.
sub no_longer_kept
{
	my ($topic) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$alpha->comes_to("SELECT waiting FROM ftchain.streams WHERE topic = '$topic'", 'all is acknowledged', '0');
	$alpha->configure('ftchain.message_retention' => '0');
	$alpha->restart;
	$alpha->comes_to("SELECT count(*) FROM ftchain.message_out WHERE stream = (SELECT id FROM ftchain.stream_out WHERE topic = '$topic')",
		'and is not kept any more', '0', 60);
	$alpha->configure('ftchain.message_retention' => undef);
	return;
}

sub forget
{
	$beta->query('DELETE FROM ftchain.message_in');
	return;
}

# ---- the everyday way

send_some(3, 'orders');
$alpha->comes_to(q(SELECT last_error ~ 'topic "orders" does not exist' FROM ftchain.peer_status()),
	'a topic that is not there is told to the sender');
$beta->query(q(SELECT ftchain.create_topic('orders'), ftchain.create_topic('jobs')));
has_all('orders', 3, 'created later');
$alpha->comes_to('SELECT sum(waiting) FROM ftchain.streams', 'all is acknowledged', '0');
$beta->gives(
	q(SELECT string_agg(message->>'n', ' ' ORDER BY id) FROM ftchain.recv('orders', 10)),
	'1 2 3', 'they are received');
$beta->gives(q(SELECT ftchain.ack('orders', ARRAY(SELECT id FROM ftchain.message_in))), '3', 'and acknowledged');
$alpha->query('BEGIN; SELECT ftchain.send(\'beta\', \'orders\', \'{"n": 0}\'); ROLLBACK;');

# One transaction is open for long: the others go on, and it comes when it ends.
my $open = $alpha->background_psql('postgres');
$open->query_safe(q(BEGIN; SELECT ftchain.send('beta', 'orders', '"late"')));
send_some(2, 'orders');
has_all('orders', 2, 'beside an open transaction');
$open->query_safe('COMMIT');
$open->quit;
$beta->comes_to(q(SELECT message FROM ftchain.message_in ORDER BY id DESC LIMIT 1), 'what commits late comes late', '"late"');
forget();

sub sent_again
{
	my $topic = shift;

	return $beta->query("SELECT duplicates FROM ftchain.streams WHERE direction = 'in' AND topic = '$topic'");
}

# ---- into a table

$beta->query(<<'END');
CREATE TABLE target (n int CHECK (n <> 13), note text DEFAULT 'none');
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM * FROM pg_catalog.pg_class; RETURN NEW; END';
CREATE TRIGGER looks BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION elsewhere();
SELECT ftchain.create_topic('rows', deliver_to => 'target', max_attempts => 3);
END
$alpha->query("SELECT ftchain.send('beta', 'rows', json_build_object('n', g)) FROM generate_series(11, 15) g");
$beta->comes_to('SELECT string_agg(n::text, \' \' ORDER BY n) FROM target', 'what the table refuses does not stop the rest for ever', '11 12 14 15', 30);
$beta->comes_to(q(SELECT attempts FROM ftchain.streams WHERE direction = 'in' AND topic = 'rows'), 'and is tried no more', '0');
$beta->gives(
	q(SELECT topic, attempts, error ~ 'violates check constraint', message->>'n' FROM ftchain.dead_letter),
	'rows|3|t|13', 'it is a dead letter');
$beta->gives('SELECT DISTINCT note FROM target', 'none', 'what a message does not have is the default');
$beta->query('ALTER TABLE target RENAME TO moved');
$alpha->query(q(SELECT ftchain.send('beta', 'rows', '{"n": 16}')));
$beta->comes_to('SELECT count(*) FROM moved WHERE n = 16', 'a table may be renamed', '1');
$beta->query('DROP TABLE moved');
$alpha->query(q(SELECT ftchain.send('beta', 'rows', '{"n": 17}')));
$beta->comes_to(q(SELECT message->>'n' FROM ftchain.dead_letter WHERE error ~ 'is gone'), 'or be gone', '17', 30);

# ---- connections that end anywhere

$to_beta->set(drop => 3000, split => 1);
foreach (1 .. 6)
{
	send_some(50, 'orders', 'jobs');
	sleep(0.5);
}
$to_beta->set(drop => 0, split => 0);
cmp_ok($to_beta->drops, '>', 0, 'connections were ended in their middle (' . $to_beta->drops . ')');
has_all($_, 150, 'cut connections') foreach 'orders', 'jobs';
forget();

# ---- a crash at each step, at either end

SKIP:
{
	skip 'the server was built without failpoints', 1 unless $alpha->has_failpoints;
	my $n = 0;
	my $send = sub { $alpha->try_query(q(SELECT ftchain.send('beta', 'jobs', '{"n": 0}'))) };
	my %causes = (
		'send-before-call' => $send,
		'send-after-call' => $send,
		'send-before-ack-commit' => $send,
		'message-put' => $send,
		'message-before-number-commit' => $send,
		'message-numbered' => $send,
		# the keeper looks when it starts
		'message-pruning' => sub { $alpha->try_query(q(SELECT pg_terminate_backend(pid) FROM ftchain.worker_status() WHERE worker = 'keeper')) },
		'message-link-restarted' => sub { $alpha->try_query(q(SELECT ftchain.resend('beta', 'orders'))) },
		'message-taken' => undef);
	my @points = map { slurp_file($_) =~ /\bFTC_FAILPOINT\("(message-[^"]+)"\)/g } glob("$FindBin::RealBin/../../src/*.c");

	is_deeply([ sort grep { /^message-/ } keys %causes ], [ sort @points ], 'each step with messages is one to crash at');
	foreach my $point (sort grep { $causes{$_} } keys %causes)
	{
		my $again = sent_again('jobs');

		$alpha->crashes_at($point, $causes{$point});
		$alpha->start;
		send_some(5, 'orders');
		$n += 5;
		has_all('orders', $n, "$point at the sender");
		# positions may be lost, but not those of what was acknowledged
		$alpha->comes_to('SELECT sum(waiting) FROM ftchain.streams', "$point: all is acknowledged", '0');
		cmp_ok(sent_again('jobs') - $again, '<=', 1, "$point: what had come is not sent again");
	}
	# While it runs it is told to let nobody wait for the disk: what leaves is there all the same.
	$alpha->configure(synchronous_commit => 'off', wal_writer_delay => '10s');
	$alpha->crashes_at('send-after-call', sub { $alpha->try_query(q(SELECT ftchain.send('beta', 'jobs', '"hasty"'))) });
	$alpha->start;
	$alpha->comes_to('SELECT sum(waiting) FROM ftchain.streams', 'what is left of it is acknowledged', '0');
	is( $alpha->query(q(SELECT count(*) FROM ftchain.message_out WHERE message::text = '"hasty"')),
		$beta->query(q(SELECT count(*) FROM ftchain.message_in WHERE message::text = '"hasty"')),
		'who was not to wait: nothing has left that is not here');
	$alpha->configure(synchronous_commit => undef, wal_writer_delay => undef);
	foreach my $point ('message-taken', 'receive-before-commit')
	{
		$beta->crashes_at($point, sub { send_some(1, 'orders'); $n++; sleep(0.1) });
		$beta->start;
		has_all('orders', $n, "$point at the receiver");
	}
	forget();
}

# ---- killed in the middle, both in turn

{
	my $n = 0;

	foreach my $node ($beta, $alpha, $beta)
	{
		send_some(100, 'orders');
		$node->kill9;
		$node->start;
		send_some(100, 'orders');
		$n += 200;
	}
	has_all('orders', $n, 'killed');
	forget();
}

# ---- set back to an older state

sub set_aside
{
	my $node = shift;

	$node->stop;
	system_or_bail('rm', '-rf', $node->basedir . '/aside');
	system_or_bail('cp', '-a', $node->data_dir, $node->basedir . '/aside');
	$node->start;
	return;
}

sub set_back
{
	my $node = shift;

	$node->kill9;
	system_or_bail('rm', '-rf', $node->data_dir);
	system_or_bail('cp', '-a', $node->basedir . '/aside', $node->data_dir);
	$node->start;
	return;
}

send_some(20, 'orders');
has_all('orders', 20, 'before the receiver is set back');
set_aside($beta);
send_some(20, 'orders');
has_all('orders', 40, 'after its backup');
set_back($beta);
has_all('orders', 40, 'the receiver was set back');
send_some(5, 'orders');
has_all('orders', 45, 'and it goes on');

# What the sender has forgotten the receiver keeps; what is sent then comes too.
set_aside($alpha);
send_some(20, 'orders');
has_all('orders', 65, 'after the backup of the sender');
set_back($alpha);
send_some(30, 'orders');
has_all('orders', 95, 'the sender was set back');
$alpha->comes_to(q(SELECT count(*) > 0 FROM ftchain.incident WHERE kind = 'link restarted'), 'which is on record', 't');

# Both, to different times
set_aside($beta);
send_some(10, 'orders');
has_all('orders', 105, 'after the second backup of the receiver');
set_back($alpha);
set_back($beta);
send_some(10, 'orders');
$beta->comes_to(
	"SELECT count(*) FROM ftchain.message_in WHERE (message->>'n')::int > $sent - 10",
	'both were set back: what is sent now comes', '10', 30);
$beta->gives(
	q(SELECT count(*) - count(DISTINCT message->>'n') FROM ftchain.message_in WHERE topic = 'orders'), '0',
	'and nothing is there twice');

# ---- what is not kept cannot be sent again: the stream stops, and says so

forget();
send_some(10, 'orders');
has_all('orders', 10, 'before the last backup');
set_aside($beta);
send_some(10, 'orders');
has_all('orders', 20, 'after it');
no_longer_kept('orders');
set_back($beta);
send_some(5, 'orders');
$alpha->comes_to(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'link stopped'), 'the stream has stopped', '1', 30);
$beta->gives(q(SELECT count(*) FROM ftchain.message_in WHERE topic = 'orders'), '10', 'nothing is left out silently');
$alpha->gives(q(SELECT ftchain.resend('beta', 'orders')), '5', 'what is there can be sent');
has_all('orders', 15, 'sent again');
send_some(5, 'orders');
has_all('orders', 20, 'and it goes on after that');

# what was given up is what was gone then, and not what goes later
set_aside($beta);
send_some(5, 'orders');
has_all('orders', 25, 'after another backup');
no_longer_kept('orders');
set_back($beta);
send_some(5, 'orders');
$alpha->comes_to(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'link stopped'), 'the stream has stopped again', '2', 30);
$beta->gives(q(SELECT count(*) FROM ftchain.message_in WHERE topic = 'orders'), '20', 'again nothing is left out silently');

$alpha->query(q(SELECT ftchain.resend('beta', 'orders')));
$alpha->comes_to(q(SELECT sum(waiting) FROM ftchain.streams), 'it goes on once more', '0', 30);
forget();

# ---- what is forgotten, and when

# The keeper has looked for what need not be kept, after its start: it does away
# with this, too.
sub has_tidied
{
	my ($node, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->query('SELECT ftchain.stop()');
	$node->comes_to('SELECT count(*) FROM ftchain.worker_status() WHERE pid IS NOT NULL', "$what: the workers have left", '0');
	$node->query(q(INSERT INTO ftchain.early_in (member, chain, stream, epoch, seq, before, message, received)
		VALUES (sha256('nobody'), 0, 1, 1, 1, '', '', '2000-01-01')));
	$node->query('SELECT ftchain.start()');
	$node->comes_to('SELECT count(*) FROM ftchain.early_in', "$what: the keeper has looked", '0');
	return;
}

# A sender that has just begun may have been set back, and the receiver as well:
# it keeps all until it has heard how far that is.
my $kept = q(SELECT count(*) FROM ftchain.message_out WHERE stream = (SELECT id FROM ftchain.stream_out WHERE topic = 'orders'));

send_some(5, 'orders');
has_all('orders', 5, 'before the sender begins anew');
$alpha->comes_to(q(SELECT sum(waiting) FROM ftchain.streams), 'all is acknowledged', '0');
$to_beta->set(mode => 'cut');
$alpha->configure('ftchain.message_retention' => '0');
$alpha->restart;
has_tidied($alpha, 'out of touch');
$alpha->gives("SELECT ($kept) >= 5", 't', 'a sender that has not heard of its receiver forgets nothing');
$to_beta->set(mode => 'pass');
$alpha->comes_to($kept, 'and does when it has', '0', 60);

# Of a range of messages that is taken in part, that part is forgotten, too.
$beta->query(q(CREATE TABLE few (n int CHECK (n < 3)); SELECT ftchain.create_topic('few', deliver_to => 'few', max_attempts => 1000000)));
$alpha->query(q(SELECT ftchain.send('beta', 'few', json_build_object('n', g)) FROM generate_series(1, 6) g));
$alpha->comes_to(q(SELECT waiting FROM ftchain.streams WHERE topic = 'few'), 'some of a range are taken', '4', 30);
has_tidied($alpha, 'a range taken in part');
$alpha->comes_to(q(SELECT string_agg(message->>'n', ' ' ORDER BY seq) FROM ftchain.message_out), 'the rest is kept', '3 4 5 6', 30);
$beta->query('ALTER TABLE few DROP CONSTRAINT few_n_check');
$beta->comes_to(q(SELECT string_agg(n::text, ' ') FROM few), 'and comes', '1 2 3 4 5 6', 60);
$alpha->configure('ftchain.message_retention' => undef);

# A receiver remembers ids for twice the time that messages are kept, from when the
# sender knew that they were taken, as far as it goes on sending.
my $known = 'SELECT count(*) FROM ftchain.applied';
my $age = sub {
	my ($taken, $heard, $came) = @_;

	$beta->query("UPDATE ftchain.applied SET received = now() - interval '$taken'");
	$beta->query("UPDATE ftchain.stream_in SET heard = now() - interval '$heard', received_at = now() - interval '$came'");
	return;
};
my $ids = $beta->query($known);

cmp_ok($ids, '>', 0, 'ids are remembered');
$age->('30 days', '13 days', '1 day');
has_tidied($beta, 'not long enough');
$beta->gives($known, $ids, 'what a sender may have in a backup is remembered');
$age->('31 days', '30 days', '29 days');
has_tidied($beta, 'silent');
$beta->gives($known, $ids, 'and what a sender that is silent may not know to be taken');
$age->('30 days', '16 days', '1 day');
has_tidied($beta, 'long ago');
$beta->gives($known, '0', 'what no sender can send again is forgotten');
$beta->gives(q(SELECT count(*) FROM ftchain.stream_in WHERE heard > now() - interval '2 days'),
	$beta->query('SELECT count(*) FROM ftchain.stream_in'), 'and the next time is counted from what came last');
send_some(5, 'orders');
has_all('orders', 10, 'after that');

foreach my $node ($alpha, $beta)
{
	unlike($node->log_since, qr/PANIC|TRAP:/, $node->name . ' has met nothing unforeseen');
}
$to_beta->stop;
done_testing();
