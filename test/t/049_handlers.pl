# What a topic's table does with messages, and what is done to it, to its owner,
# and to what the courier needs, while messages come: what passes is waited for
# and never counts; what does not is put aside; nothing is lost or done twice.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainMessages;
use FtchainProxy;
use Test::More;

my ($alpha, $beta) = map {
	FtchainCluster->new_node($_,
		conf => [ "ftchain.databases = 'postgres'", "ftchain.heartbeat = '300ms'", "ftchain.call_timeout = '1s'", "max_connections = 20",
			"superuser_reserved_connections = 3" ])
} qw(alpha beta);
my $to_beta = FtchainProxy->new($beta);

FtchainMessages::introduce([ $alpha, $beta ], reach => sub { return $_[1] == $beta ? (port => $to_beta->port) : () });
$beta->query('CREATE ROLE owner; GRANT ftchain_admin TO owner; GRANT CREATE ON SCHEMA public TO owner');

# A topic of that name with a table of that name, and a trigger on it; all are
# the owner's.  Gives the stream.
sub handler
{
	my ($name, $body, $kind) = @_;

	$kind //= "CREATE TRIGGER handler BEFORE INSERT ON $name FOR EACH ROW";
	$beta->query(<<"END");
SET ROLE owner;
CREATE TABLE $name (id bigserial, n bigint, fill text);
CREATE FUNCTION handle_$name() RETURNS trigger LANGUAGE plpgsql AS \$\$ $body \$\$;
$kind EXECUTE FUNCTION handle_$name();
SELECT ftchain.create_topic('$name', deliver_to => '$name', max_attempts => 3);
END
	return FtchainMessages->new($alpha, $beta, $name, $name);
}

sub attempts
{
	my $stream = shift;

	return $beta->query("SELECT coalesce(sum(attempts), 0) FROM ftchain.streams WHERE direction = 'in' AND topic = '$stream->{topic}'") .
	  '|' . $beta->query("SELECT count(*) FROM ftchain.dead_letter WHERE topic = '$stream->{topic}'");
}

# What the sender shows of a peer, or of a stream to it
sub complains
{
	my ($error, $what, $topic) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $alpha->comes_to(
		$topic ? "SELECT last_error ~ '$error' FROM ftchain.streams WHERE direction = 'out' AND topic = '$topic'"
		: "SELECT last_error ~ '$error' FROM ftchain.peer_status()", $what);
}

sub dead
{
	my ($topic, $wanted, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $beta->comes_to(
		"SELECT string_agg((message->>'n') || ' ' || attempts || ' ' || error, '; ' ORDER BY id) FROM ftchain.dead_letter WHERE topic = '$topic'",
		$what, $wanted);
}

# ---- handlers that never take a message: each is put aside after some attempts

my $always = handler('always', q(BEGIN RAISE 'never'; END));
my $commits = handler('commits', q(BEGIN COMMIT; RETURN NEW; END));
my $later = handler('later', q(BEGIN RAISE 'at commit'; END),
	'CREATE CONSTRAINT TRIGGER handler AFTER INSERT ON later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW');
my $escapes = handler('escapes', q(BEGIN RESET ROLE; RETURN NEW; END));

$_->send(2) foreach $always, $commits, $later, $escapes;
dead('always', '1 3 never; 2 3 never', 'a handler that always fails');
dead('commits', '1 3 invalid transaction termination; 2 3 invalid transaction termination', 'one that commits');
dead('later', join('; ', map { "$_ 3 cannot fire deferred trigger within security-restricted operation" } 1, 2),
	'one that would fail when all is over, as somebody else');
dead('escapes', join('; ', map { qq($_ 3 cannot set parameter "role" within security-definer function) } 1, 2),
	'one that would be somebody else');

# ---- a handler that fails the second time only, and one that fails now and then

my $second = handler('second', q(BEGIN IF NEW.n = 2 THEN RAISE 'second'; END IF; RETURN NEW; END));
my $moody = handler('moody', q(BEGIN IF random() < 0.3 THEN RAISE 'in a bad mood'; END IF; RETURN NEW; END));

$second->send(4);
dead('second', '2 3 second', 'what fails in the second transaction is put aside');
$beta->comes_to(q(SELECT string_agg(n::text, ' ' ORDER BY id) FROM second), 'the others come in order', '1 3 4');
$moody->send(20);
$beta->comes_to(q(SELECT (SELECT count(*) FROM moody) + (SELECT count(*) FROM dead_letter WHERE topic = 'moody') = 20
	AND (SELECT count(DISTINCT n) = count(*) FROM moody) AND NOT EXISTS (SELECT FROM (SELECT n, lag(n) OVER (ORDER BY id) AS b FROM moody) x WHERE n <= b))
	=~ s/dead_letter/ftchain.dead_letter/r, 'one that fails now and then takes each once, in order, or it is put aside');

# ---- what passes is not counted, however long it takes

my %passing = (
	serialization => [ q(RAISE 'try again' USING ERRCODE = 'serialization_failure';), 'try again' ],
	deadlock => [ q(RAISE 'deadlock' USING ERRCODE = 'deadlock_detected';), 'deadlock' ],
	full => [ q(RAISE 'the disk is full' USING ERRCODE = 'disk_full';), 'the disk is full' ],
	shutdown => [ q(RAISE 'shutting down' USING ERRCODE = 'admin_shutdown';), 'shutting down' ],
	lock => [ q(RAISE 'somebody has it' USING ERRCODE = 'lock_not_available';), 'somebody has it' ],
	memory => [ q(RAISE 'out of memory' USING ERRCODE = 'out_of_memory';), 'out of memory' ]);
my %stream;

$beta->query('CREATE TABLE switch (broken boolean); INSERT INTO switch VALUES (true); GRANT SELECT ON switch TO owner; CREATE SEQUENCE tried; GRANT ALL ON SEQUENCE tried TO owner');
foreach my $kind (sort keys %passing)
{
	$stream{$kind} = handler("p_$kind", <<"END");
BEGIN IF (SELECT broken FROM public.switch) THEN PERFORM nextval('public.tried'); $passing{$kind}[0] END IF; RETURN NEW; END
END
	$stream{$kind}->send(3);
}
complains($passing{$_}[1], "$_: the sender shows it", "p_$_") foreach sort keys %passing;
my $tried = $beta->query('SELECT last_value FROM tried');
$beta->comes_to("SELECT last_value > $tried + 6 FROM tried", 'all are tried again and again');
is(attempts($stream{$_}), '0|0', "$_: no attempt is counted, nothing put aside") foreach sort keys %passing;
$beta->query('UPDATE switch SET broken = false');
$stream{$_}->all_there("$_ is over", 40) foreach sort keys %passing;

# A real deadlock, of the handler's transaction with another that gives up later
my $locks = handler('locks', q(BEGIN PERFORM * FROM public.first FOR UPDATE; PERFORM * FROM public.second_row FOR UPDATE; RETURN NEW; END));
my $holder = $beta->background_psql('postgres');

$beta->query('CREATE TABLE first AS SELECT 1 AS a; CREATE TABLE second_row AS SELECT 1 AS a; GRANT ALL ON first, second_row TO owner');
$holder->query_safe(q(SET deadlock_timeout = '60s'; BEGIN; SELECT * FROM second_row FOR UPDATE));
$locks->send(3);
$beta->comes_to(q(SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'peer_alpha' AND wait_event_type = 'Lock'), 'a handler waits for a row');
$holder->query_until(qr/waits/, "\\echo waits\nSELECT * FROM first FOR UPDATE;\nCOMMIT;\n");
$locks->all_there('after a deadlock', 40);
$holder->quit;
is(attempts($locks), '0|0', 'a deadlock is not counted');

# ---- one that is slow: all of a call together take longer than the sender waits

my $slow = handler('slow', q(BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END));
$alpha->query(q(BEGIN; SELECT ftchain.send('beta', 'slow', json_build_object('n', g)) FROM generate_series(1, 200) g; COMMIT));
push @{ $slow->{sent} }, 1 .. 200;
$slow->all_there('a slow handler', 60);

# ---- what is done to the table, its owner and their rights

my $table = handler('altered', q(BEGIN RETURN NEW; END));
$table->start(pause => 0);
$table->goes_on(20, 'messages come');
$beta->query($_) foreach 'ALTER TABLE altered ADD COLUMN more int DEFAULT 1', 'ALTER TABLE altered ALTER COLUMN n TYPE numeric',
  'ALTER TABLE altered RENAME TO other', 'CREATE SCHEMA elsewhere AUTHORIZATION owner; ALTER TABLE other SET SCHEMA elsewhere', 'ALTER TABLE elsewhere.other DROP COLUMN fill',
  'ALTER TABLE elsewhere.other SET SCHEMA public; ALTER TABLE other RENAME TO altered', 'ALTER TABLE altered DISABLE TRIGGER handler';
$table->goes_on(20, 'while their table is changed');
$table->stop;
$table->all_there('the table was changed');
is(attempts($table), '0|0', 'and nothing was counted');


# A right that is taken away, a table or an owner that is gone: the messages are
# put aside, and the sender goes on.
my $revoked = handler('revoked', q(BEGIN RETURN NEW; END));
my $dropped = handler('dropped', q(BEGIN RETURN NEW; END));

$beta->query('REVOKE INSERT ON revoked FROM owner; DROP TABLE dropped');
$_->send(2) foreach $revoked, $dropped;
dead('revoked', '1 3 permission denied for table revoked; 2 3 permission denied for table revoked', 'the owner may not insert');
dead('dropped', join('; ', map { "$_ 3 the table that the topic delivers to is gone" } 1, 2), 'the table is gone');
$beta->query('GRANT INSERT ON revoked TO owner');
$revoked->clear;
$revoked->send(3);
$revoked->all_there('the owner may insert again');

my $orphan = FtchainMessages->new($alpha, $beta, 'orphan', 'orphan');
$beta->query(<<'END');
CREATE ROLE passing; GRANT ftchain_admin TO passing; GRANT CREATE ON SCHEMA public TO passing;
CREATE TABLE orphan (id bigserial, n bigint, fill text); GRANT INSERT ON orphan TO passing; GRANT ALL ON orphan_id_seq TO passing;
SET ROLE passing; SELECT ftchain.create_topic('orphan', deliver_to => 'orphan', max_attempts => 2); RESET ROLE;
END
$orphan->send(2);
$orphan->all_there('the owner is there');
$beta->query('DROP OWNED BY passing; DROP ROLE passing');
$orphan->send(2);
dead('orphan', join('; ', map { "$_ 2 the owner of the topic is gone" } 3, 4), 'the owner is gone');
$beta->gives(q(SELECT ftchain.drop_topic('orphan')), '0', 'and a superuser can do away with the topic');

# ---- what the courier needs is taken away while messages go

my $load = FtchainMessages->new($alpha, $beta, 'load', 'load');
FtchainMessages::receive($beta, 'load', 'load');
$load->start(pause => 0);
$load->goes_on(20, 'messages go');
my $mapping = $alpha->query(q(SELECT format('CREATE USER MAPPING FOR ftchain_worker SERVER beta OPTIONS (user %L, password %L)',
	(SELECT option_value FROM pg_options_to_table(umoptions) WHERE option_name = 'user'),
	(SELECT option_value FROM pg_options_to_table(umoptions) WHERE option_name = 'password')) FROM pg_user_mappings WHERE srvname = 'beta'));
my $moved = q(SELECT messages FROM ftchain.streams WHERE topic = 'load' AND direction = 'out');

$alpha->query('DROP USER MAPPING FOR ftchain_worker SERVER beta');
$alpha->comes_to(q(SELECT last_error ~ 'there is no user mapping' FROM ftchain.worker_status() WHERE worker = 'courier'), 'a dropped mapping is noticed under load');
$beta->comes_to(q(SELECT count(*) FROM pg_stat_activity WHERE usename = 'peer_alpha'), 'and ends the connection', '0');
$load->goes_on(20, 'messages are sent all the same');
$alpha->query($mapping);
$alpha->comes_to("SELECT messages > " . $alpha->query($moved) . " FROM ftchain.streams WHERE topic = 'load' AND direction = 'out'", 'and go when there is one again');
$alpha->query('DROP SERVER beta CASCADE');
$alpha->comes_to(q(SELECT last_error ~ 'server "beta" does not exist' FROM ftchain.worker_status() WHERE worker = 'courier'), 'a dropped server is noticed');
$beta->comes_to(q(SELECT count(*) FROM pg_stat_activity WHERE usename = 'peer_alpha'), 'and ends the connection', '0');
$alpha->add_server($beta, port => $to_beta->port);
$load->goes_on(20, 'messages go again');

# Somebody who may end sessions, and no superuser, ends all that he can.
$_->query('CREATE ROLE killer; GRANT pg_signal_backend TO killer') foreach $alpha, $beta;
foreach my $turn (1, 2)
{
	$_->query(q(SET ROLE killer; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename IN ('ftchain_worker', 'peer_alpha', 'peer_beta')))
	  foreach $alpha, $beta;
	$load->goes_on(10, "workers and sessions are ended, $turn");
}
$_->comes_to('SELECT count(pid) FROM ftchain.worker_status()', 'workers of ' . $_->name . ' are back', '3') foreach $alpha, $beta;
$load->stop;
$load->all_there('in spite of all that', 40);

# The peer has no place for one more session.
$alpha->query('ALTER SERVER beta OPTIONS (ADD application_name \'again\')');
$beta->query('ALTER ROLE peer_alpha CONNECTION LIMIT 0');
$beta->query(q(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'peer_alpha'));
$load->send(5);
complains('too many connections', 'a peer without a place for us is shown');
$beta->query('ALTER ROLE peer_alpha CONNECTION LIMIT -1');
$load->all_there('there is a place again', 40);

# The extension is dropped at the receiver, and made again: it is somebody else's
# topic then, and a link that begins anew.
my $key = $beta->query('SELECT member FROM ftchain.self');
$load->start(pause => 0.01);
$load->goes_on(20, 'messages go');
$beta->query('DROP EXTENSION ftchain');
$load->goes_on(20, 'while the extension is dropped');
complains('does not exist', 'a receiver without the extension is shown');
$beta->query('CREATE EXTENSION ftchain');
is($beta->query('SELECT member FROM ftchain.create_identity()'), $key, 'it is the same database again');
$beta->query(q(CALL ftchain.add_peer('alpha')));
$beta->query('TRUNCATE load');
$beta->query(q(SELECT ftchain.create_topic('load', deliver_to => 'load')));
$load->goes_on(20, 'and messages go on');
$load->stop;
$load->all_there('the extension was dropped and made again: all that is kept comes', 40);

foreach my $node ($alpha, $beta)
{
	unlike($node->log_since, qr/PANIC|TRAP:|terminated by signal/, $node->name . ' has met nothing unforeseen');
}
$to_beta->stop;
done_testing();
