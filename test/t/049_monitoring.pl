# What an operator sees of links: states and counters in views, what waits and
# where, and notifications of what has changed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my ($alpha, $beta) = map { FtchainCluster->new_node($_, conf => [ "ftchain.databases = 'postgres'", "ftchain.heartbeat = '300ms'" ]) }
  qw(alpha beta);

foreach my $node ($alpha, $beta)
{
	$node->query('CREATE EXTENSION ftchain CASCADE');
	$node->query('SELECT ftchain.create_identity()');
}
$alpha->add_server($beta);
$beta->add_server($alpha);

# Sessions that listen, and all that they have heard
my %listener = map { $_->name => $_->background_psql('postgres') } $alpha, $beta;
my %heard = (alpha => '', beta => '');
$_->query_safe('LISTEN ftchain_event') foreach values %listener;

# A test: a session comes to hear that
sub hears
{
	my ($node, $pattern, $what) = @_;
	my $name = $node->name;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(
		FtchainCluster::wait_until(
			$what, 60,
			sub {
				$heard{$name} .= $listener{$name}->query_safe('SELECT 1');
				return $heard{$name} =~ $pattern;
			}),
		$what) || diag($heard{$name});
}

sub state_of
{
	my ($state, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $alpha->comes_to(q(SELECT state FROM ftchain.streams WHERE topic = 'orders'), $what, $state);
}

$alpha->query(q(CALL ftchain.add_peer('beta')));
$beta->query(q(CALL ftchain.add_peer('alpha')));
hears($alpha, qr/"event": "peer", "server": "beta", "old": null, "new": "connected", "error": null/, 'a peer is connected');

# ---- states of a link

$alpha->query(q(SELECT ftchain.send('beta', 'orders', to_json(g)) FROM generate_series(1, 3) g));
state_of('held', 'a topic that does not exist holds its stream');
hears(
	$alpha,
	qr/"event": "link", "server": "beta", "chain": null, "topic": "orders", "old": [^,]*, "new": "held", "error": "it does not take messages: topic \\"orders\\" does not exist"/,
	'which is told, and why');
$alpha->gives(
	q(SELECT last_error ~ 'does not exist', last_error_at > now() - interval '1 min', waiting, oldest_waiting > '0 s' FROM ftchain.streams),
	't|t|3|t', 'and shown');
$alpha->gives(
	q(SELECT server, chain, topic, sum(messages), min(first), max(last), max(last_seq) - min(first_seq), bool_and(since <= now()) FROM ftchain.gaps() GROUP BY 1, 2, 3),
	'beta||orders|3|1|3|2|t', 'and so is what is not taken');

$beta->query(q(SELECT ftchain.create_topic('orders')));
state_of('open', 'it is open when the topic is there');
hears($alpha, qr/"topic": "orders", "old": "held", "new": "open", "error": null/, 'which is told');
$alpha->comes_to(
	q(SELECT epoch, sent, messages, waiting, oldest_waiting, in_flight, in_flight_bytes FROM ftchain.streams),
	'all is taken', '1|3|3|0||0|0');
$alpha->gives('SELECT count(*) FROM ftchain.gaps()', '0', 'nothing is missing');
$alpha->gives(
	q(SELECT window_bytes >= 65536, srtt > '0 s', rto >= '0.2 s', retransmits > 0, timeouts, bytes > 200, stats_reset IS NULL FROM ftchain.streams),
	't|t|t|t|0|t|t', 'what the courier counts');

# ---- counting anew

$alpha->query('SELECT ftchain.reset_link_stats()');
$alpha->comes_to(
	q(SELECT retransmits, timeouts, bytes, last_error, last_error_at, stats_reset > now() - interval '1 min', sent FROM ftchain.streams),
	'counters are reset, and how far it is stays', '0|0|0|||t|3');
$alpha->query(q(SELECT ftchain.send('beta', 'orders', '4')));
$alpha->comes_to(q(SELECT bytes > 100, retransmits FROM ftchain.streams), 'they count on from there', 't|0');
$alpha->query(q(SELECT ftchain.reset_link_stats('nobody')));
$alpha->gives(q(SELECT bytes > 100 FROM ftchain.streams), 't', 'another peer is another peer');

# ---- a peer that goes and comes back

$beta->stop;
hears($alpha, qr/"event": "peer", "server": "beta", "old": "connected", "new": "(unreachable|refusing)", "error": "/, 'a peer is out of reach');
state_of('closed', 'its links are closed');
$alpha->query(q(SELECT ftchain.send('beta', 'orders', to_json(g)) FROM generate_series(5, 9) g));
$alpha->comes_to(
	q(SELECT state, first, last, messages FROM ftchain.gaps()), 'what waits for it', 'waiting|5|9|5');
$beta->start;
hears($alpha, qr/"event": "peer", "server": "beta", "old": "(unreachable|refusing)", "new": "connected"/, 'it is back');
$alpha->comes_to(q(SELECT waiting FROM ftchain.streams), 'and has all', '0');
unlike($heard{alpha}, qr/"link".*"closed"/, 'of its links nothing else is told');

# The view knows that nobody is there who could send.
$alpha->query('SELECT ftchain.stop()');
state_of('closed', 'without a courier nothing is open');
$alpha->query('SELECT ftchain.start()');
state_of('open', 'and with one it is');
$alpha->gives(q(SELECT bytes > 100 FROM ftchain.streams), 't', 'what another one has counted is not lost');

# ---- dead letters

$listener{beta} = $beta->background_psql('postgres');
$listener{beta}->query_safe('LISTEN ftchain_event');
$beta->query(q(CREATE TABLE t (n int CHECK (n < 2)); SELECT ftchain.create_topic('rows', deliver_to => 't', max_attempts => 1)));
$alpha->query(q(SELECT ftchain.send('beta', 'rows', '{"n": 2}')));
hears($beta, qr/"event": "dead letter", "topic": "rows", "messages": 1/, 'a dead letter is told');
$beta->query(q(SELECT ftchain.create_topic('once', max_attempts => 1)));
$alpha->query(q(SELECT ftchain.send('beta', 'once', '1')));
$beta->comes_to(q(SELECT count(*) FROM ftchain.recv('once', visibility => '0 s')), 'a message is given', '1');
$beta->query(q(SELECT count(*) FROM ftchain.recv('once', visibility => '0 s')));
hears($beta, qr/"topic": "once", "messages": 1/, 'one that was given too often, too');

# ---- a backlog has a limit

$beta->stop;
$alpha->configure('ftchain.message_backlog_limit' => '10');
$alpha->query(q(SELECT ftchain.send('beta', 'orders', to_json(g), 'key ' || g) FROM generate_series(1, 10) g));
my $send = q(SELECT created FROM ftchain.send('beta', 'orders', '11'));
my ($code, undef, $error) = $alpha->psql('postgres', "\\set VERBOSITY verbose\n$send");
like($error, qr/53400: too many messages to topic "orders" of server "beta" wait to be acknowledged/, 'one more is refused');
$alpha->comes_to(q(SELECT waiting FROM ftchain.streams WHERE topic = 'orders'), 'all of them have a position', '10');
isnt($alpha->psql('postgres', $send), 0, 'then too');
$alpha->gives(q(SELECT created FROM ftchain.send('beta', 'orders', '3', 'key 3')), 'f', 'one that was sent before takes no room');
is($alpha->psql('postgres', q(SELECT ftchain.send('beta', 'rows', '{"n": 1}'))), 0, 'another topic has its own limit');

# without anybody who gives positions, and within a transaction
$alpha->query('SELECT ftchain.stop()');
$alpha->comes_to('SELECT count(*) FROM ftchain.worker_status() WHERE pid IS NOT NULL', 'no workers', '0');
isnt($alpha->psql('postgres', q(SELECT ftchain.send('beta', 'rows', '{"n": 0}') FROM generate_series(1, 20))), 0,
	'a transaction that sends more than that is refused');
is($alpha->psql('postgres', q(SELECT ftchain.send('beta', 'rows', '{"n": 0}') FROM generate_series(1, 9))), 0,
	'what was rolled back takes no room');
isnt($alpha->psql('postgres', q(SELECT ftchain.send('beta', 'rows', '{"n": 0}') FROM generate_series(1, 2))), 0,
	'without workers the limit holds, too');
$alpha->configure('ftchain.message_backlog_limit' => '-1');
is($alpha->psql('postgres', $send), 0, '-1 is no limit');
$alpha->query('SELECT ftchain.start()');
$beta->start;
$alpha->comes_to('SELECT sum(waiting) FROM ftchain.streams', 'when it is back all goes', '0');
$alpha->configure('ftchain.message_backlog_limit' => '10');
is($alpha->psql('postgres', $send), 0, 'and there is room again');

$_->quit foreach values %listener;
done_testing();
