# Versions of the protocol: a newer sender and an older receiver agree on what both
# speak, or refuse clearly; what one sends that the other does not know is refused,
# and nothing is lost.  And a connection that outlives the server behind it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use Test::More;

my ($alpha, $beta) = FtchainCluster->network([qw(alpha beta)]);
my $n = 0;

if (!$alpha->has_failpoints)
{
	plan skip_all => 'the server was built without failpoints, so it cannot play another version';
}
$_->query(q(SELECT ftchain.create_topic('orders'))) foreach $alpha, $beta;

# Which version(s) a node speaks from now on, also to whom it spoke before
sub speaks
{
	my ($node, $most, $least) = @_;

	$node->configure('ftchain.protocol' => $most, 'ftchain.protocol_min' => $least);
	foreach my $other ($alpha, $beta)
	{
		$other->query(q(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename ~ '^peer_'));
	}
	return;
}

sub agree
{
	my ($version, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$_->comes_to('SELECT protocol FROM ftchain.peer_status()', "$what, says " . $_->name, $version) foreach $alpha, $beta;
	return;
}

# A message and an entry each way
sub exchange
{
	my $what = shift;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$n++;
	foreach my $pair ([ $alpha, $beta ], [ $beta, $alpha ])
	{
		my ($from, $to) = @$pair;

		$from->query("SELECT ftchain.send('" . $to->name . "', 'orders', '$n')");
		$to->comes_to("SELECT count(*) FROM ftchain.message_in WHERE message::text = '$n'", "$what: a message to " . $to->name, '1');
		$to->has_sealed([ $from->append(qq("$n")) ], "$what: an entry to " . $to->name, 30);
	}
	return;
}

agree(1, 'both speak 1');
exchange('both speak 1');

# ---- a newer sender and an older receiver

speaks($alpha, 2, 1);
agree(1, 'the newer one speaks what the other understands');
exchange('a newer and an older one');

# ---- a newer one that has forgotten what the older one speaks

speaks($alpha, 2, 2);
$alpha->comes_to(
	q(SELECT last_error ~ 'it speaks protocol 1, and this server 2 to 2' FROM ftchain.streams WHERE direction = 'out'),
	'the newer one says why it does not go on');
$beta->comes_to(
	q(SELECT last_error ~ 'protocol 1 is not spoken here any more' FROM ftchain.streams WHERE direction = 'out'),
	'and so does the older one');
$beta->refuses(q(CALL ftchain.add_peer('alpha')), qr/protocol 1 is not spoken here any more.*This server speaks 2 to 2/s,
	'a peer is not added that way');
$alpha->refuses(q(CALL ftchain.add_peer('beta')), qr/speaks protocol 1.*This server speaks 2 to 2/s, 'at either end');
$_->query(qq(SELECT ftchain.send('@{[ $_ == $alpha ? 'beta' : 'alpha' ]}', 'orders', '"meanwhile"'))) foreach $alpha, $beta;
my @entries = map { $_->append('"meanwhile"') } $alpha, $beta;
$_->comes_to(q(SELECT state FROM ftchain.streams WHERE direction = 'out'), $_->name . ': the stream says that it fails', 'failing')
  foreach $alpha, $beta;
$_->gives(q(SELECT count(*) FROM ftchain.message_in WHERE message::text = '"meanwhile"'), '0', $_->name . ' was given nothing')
  foreach $alpha, $beta;

speaks($alpha, 1, 1);
agree(1, 'they agree again');
$_->comes_to(q(SELECT count(*) FROM ftchain.message_in WHERE message::text = '"meanwhile"'), 'what waited comes to ' . $_->name, '1', 30)
  foreach $alpha, $beta;
$_->has_sealed(\@entries, 'and what was appended, says ' . $_->name, 30) foreach $alpha, $beta;

# ---- one that says that it speaks what it does not know

# What is sent to it then is of version 2.
speaks($_, 2, 1) foreach $alpha, $beta;
agree(2, 'both say 2');
$alpha->query(q(SELECT ftchain.send('beta', 'orders', '"of version 2"')));
$alpha->comes_to(q(SELECT last_error = 'invalid message: unknown version' FROM ftchain.streams WHERE direction = 'out'),
	'a message of a version that it does not know is refused, and the sender shows why');
$alpha->comes_to(q(SELECT waiting FROM ftchain.streams WHERE direction = 'out'), 'the message waits', '1');
@entries = ($alpha->append('"of version 2"'));
$alpha->comes_to(q(SELECT last_error = 'invalid message: unknown version' FROM ftchain.links), 'and so is an announcement');
$beta->has_sealed(\@entries, 'the block is asked for all the same', 30);
speaks($beta, 1, 1);
$beta->comes_to(q(SELECT count(*) FROM ftchain.message_in WHERE message::text = '"of version 2"'), 'it comes once they agree', '1', 30);
speaks($alpha, 1, 1);
exchange('at last');
$_->is_clean foreach $alpha, $beta;

# ---- another run of the server behind a connection, as a pooler would have it

my $offset = $alpha->log_end;
my $sessions = q(SELECT pid FROM pg_stat_activity WHERE usename = 'peer_alpha');
my $before = $beta->query($sessions);

$beta->query(<<'END');
BEGIN;
ALTER TABLE ftchain.identity DISABLE TRIGGER guard;
UPDATE ftchain.identity SET set_back = incarnation + 1, run = incarnation FROM ftchain.self;
ALTER TABLE ftchain.identity ENABLE ALWAYS TRIGGER guard;
COMMIT;
END
$beta->comes_to("SELECT pid <> $before FROM pg_stat_activity WHERE usename = 'peer_alpha'",
	'a peer that is another run than before is spoken with on a new connection');
exchange('after that');
$alpha->logs($offset, qr/its server has been started anew behind the connection/, 'and why is logged, if later');

done_testing();
