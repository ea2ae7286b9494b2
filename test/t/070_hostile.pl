# Peers and bytes that lie: they are refused with a reason, nothing of them is
# stored, nobody waits for them, and what is honest goes on.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainForge;
use FtchainLiar;
use FtchainSession;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# Mallory is a member, with a key; what she sends is made up here.
my @nodes = FtchainCluster->network([qw(alpha beta mallory)], conf => [ "ftchain.scrub_interval = 0", "ftchain.deep_scrub_interval = 0" ]);
my ($alpha, $beta, $mallory) = @nodes;
my @acked = map { $_->append('"honest"') } @nodes;
FtchainCluster::converge('honest members agree', 60, @nodes);

my $forge = FtchainForge->new($mallory);
my $stranger = FtchainForge->new;
my $beta_forge = FtchainForge->new($beta);
my $log = $alpha->log_end;
my $workers = $alpha->query(q(SELECT string_agg(worker || ' ' || pid, ', ' ORDER BY worker) FROM ftchain.worker_status()));
is(unpack('H*', $forge->{member}), $mallory->member =~ s/^\\x//r, 'she has her key');
$mallory->stop;

# All of the ledger, in short
my $ledger = 'SELECT ' . join(" || ' ' || ", map { "coalesce((SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM ftchain.$_ t), '')" }
	  qw(chain origin entry bundle pending_bundle block block_bundle main_chain incomplete_block control pending_control
	  epoch_state replica wanted peer));
my ($state, %seen);

# Do something, as the role given or as ourselves, and look at what is here then:
# (answer, message with its SQLSTATE), and in %seen all of the ledger, the last
# incident, and why Mallory was refused lately.
my $session = FtchainSession->new($alpha->connstr('postgres'));

sub look_after
{
	my ($sql, $as) = @_;
	my $member = unpack('H*', $forge->{member});
	my ($out, $said) = $session->converse(
		"SET statement_timeout = '40s'",
		$as ? "SET SESSION AUTHORIZATION $as" : (),
		split(/;\s+(?=SET |CALL |SELECT )/, $sql));
	my ($seen, $error) = $session->converse('RESET SESSION AUTHORIZATION', 'RESET ALL', <<"END");
SELECT ($ledger), coalesce(max(id), 0),
       string_agg(detail, ';') FILTER (WHERE kind = 'refused' AND member = '\\x$member' AND "time" > now() - interval '2 min')
  FROM ftchain.incident
END

	$seen =~ /^([^|]*)\|(\d+)\|(.*)\z/s or die "no look: $seen $error\n";
	%seen = (ledger => $1, incident => $2, reasons => $3);
	return ($out, $said);
}

# What is here when nothing is under way any more: nothing waits for a block, and
# nothing changes.
sub steady
{
	FtchainCluster::wait_until(
		"rest", 20,
		sub {
			my $before = $state;

			sleep(0.4);
			$state = $alpha->query($ledger);
			return $state eq ($before // "")
			  && $alpha->query('SELECT bool_and(pending = 0) AND NOT EXISTS (SELECT FROM ftchain.pending_bundle) FROM ftchain.status') eq 't';
		});
	return;
}

# A test: nothing was stored, as was seen.
sub unchanged
{
	my $what = shift;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($seen{ledger}, $state, "$what: nothing is stored") or $state = $seen{ledger};
	return;
}

# ---- What is served to others

my $role = 'intruder';
$alpha->create_login($role, 'sesame', 'ftchain_peer');
my $tip = FtchainForge::tip($alpha, 'main');
my $genesis = $tip->{genesis};
my $receiver = pack('H*', $alpha->member =~ s/^\\x//r);

sub hex_of
{
	return q('\x) . unpack('H*', shift) . q('::bytea);
}

# As a role that peers log in with
sub as_peer
{
	my $sql = shift;

	return look_after($sql, $role);
}

my %link = (epoch => 1 << 20, next => 1);
$link{value} = $forge->link_start($genesis, $receiver, $link{epoch});

# Send messages (as made by next_message or as SQL) with their account; gives
# {epoch, next, value, ...} or {error}.
sub deliver
{
	my ($messages, %with) = @_;
	my $before = $with{before} // $link{value};
	my $sender = $with{sender} // $forge->{member};
	my @made = grep { ref } @$messages;
	my @sql = map { ref ? $_->{sql} // hex_of($_->{bytes}) : $_ } @$messages;
	my ($first, $epoch) = @made ? ($made[0]{seq} // $link{next}, $made[0]{epoch} // $link{epoch}) : (1, 1);
	my $account = $with{account}
	  // $forge->account($genesis, $with{start} // $forge->link_start($genesis, $receiver, $epoch), $first, $before, @made);
	my ($out, $error) = as_peer(sprintf('SELECT * FROM ftchain.peer_receive(%s, %s, %s, ARRAY[%s]::bytea[], %s)',
		hex_of($with{genesis} // $genesis), hex_of($sender), hex_of($before), join(', ', @sql), hex_of($account)));
	my %answer = (error => $error);

	return \%answer if $error ne '';
	@answer{qw(epoch next value room_messages room_bytes early taken put_aside duplicates dropped refused reason)} = split(/\|/, $out, -1);
	return \%answer if $with{sender};
	%link = (epoch => $answer{epoch}, next => $answer{next}, value => pack('H*', $answer{value} =~ s/^\\x//r));
	return \%answer;
}

sub next_message
{
	my %with = @_;

	return FtchainForge::message(epoch => $link{epoch}, seq => $link{next}, %with);
}

sub block_message
{
	my ($block, $bytes) = @_;

	return next_message(reference => $block->{id}, attachment => $bytes // $block->{full});
}

# Tests: a message is refused for this reason, its sender is told so, an
# incident shows it, and nothing is stored.
sub refused
{
	my ($what, $reason, $message, %with) = @_;
	my $before = $seen{incident};
	my $next = $link{next};
	my $answer = deliver([$message]);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like("$answer->{error}" || "$answer->{refused} $answer->{reason}", qr{^1 (?:$reason)}, "$what: refused");
	is($link{next}, $next + 1, "$what: taken, so that the link goes on");
	if ($with{quiet})
	{
		is($seen{incident}, $before, "$what: no incident");
	}
	else
	{
		like($seen{reasons}, qr{: (?:$reason)}, "$what: there is an incident of it");
	}
	unchanged($what);
	return;
}

# Tests: the whole call fails.
sub fails
{
	my ($what, $sqlstate, $message, $sql) = @_;
	my $error = ref $sql ? deliver(@$sql)->{error} : (as_peer($sql))[1];

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($error, qr/ERROR:  $sqlstate: .*$message/, "$what: the call fails");
	unchanged($what);
	return;
}

# Calls that are not as they should be

steady();
my @nothing = (hex_of($genesis), hex_of($forge->{member}), hex_of('v' x 32), 'ARRAY[]::bytea[]', q('\x'::bytea));
foreach my $i (0 .. 4)
{
	my @arguments = @nothing;

	$arguments[$i] = 'NULL';
	fails('argument ' . ($i + 1) . ' is null', '22004', 'must not be null',
		'SELECT * FROM ftchain.peer_receive(' . join(', ', @arguments) . ')');
}
fails('a chain that is not here', '42704', 'there is no chain', [ [], genesis => 'x' x 32 ]);
fails('a genesis too short', '22023', 'genesis', [ [], genesis => 'x' x 31 ]);
fails('a sender too long', '22023', 'sender', [ [], sender => 'x' x 33 ]);
fails('too many messages', '54000', 'too many',
	sprintf('SELECT * FROM ftchain.peer_receive(%s, %s, %s, array_fill(%s, ARRAY[1001]), %s)', @nothing[ 0 .. 2 ], q('\x'::bytea), $nothing[4]));
fails('messages in two dimensions', '\w{5}', '',
	sprintf('SELECT * FROM ftchain.peer_receive(%s, %s, %s, array_fill(%s, ARRAY[2,2]), %s)', @nothing[ 0 .. 2 ], q('\x'::bytea), $nothing[4]));
fails('another protocol, to hello', '0A000', 'protocol 0', "SELECT ftchain.peer_hello(0, $nothing[0], $nothing[1])");
fails('another protocol, to identity', '0A000', 'protocol -1', "SELECT ftchain.peer_identity(-1, $nothing[0])");
fails('an identity for no chain', '22023', 'genesis', "SELECT ftchain.peer_identity(1, '')");
fails('too many blocks', '22023', 'out of range', "SELECT ftchain.peer_blocks($nothing[0], '{}', 1001)");
fails('no blocks', '22023', 'out of range', "SELECT ftchain.peer_blocks($nothing[0], '{}', 0)");
fails('a block id too short', '22023', 'id', "SELECT ftchain.peer_block($nothing[0], 'abc')");
fails('a body of a block id too short', '22023', 'id', "SELECT ftchain.peer_body($nothing[0], 'abc', 1, 0, 1)");
fails('a body in an encoding that is none', '22023', 'encoding', "SELECT ftchain.peer_body($nothing[0], $nothing[1], 2, 0, 1)");
fails('a chunk before the first', '22023', 'out of range', "SELECT ftchain.peer_body($nothing[0], $nothing[1], 1, -1, 1)");
fails('a chunk of nothing', '22023', 'out of range', "SELECT ftchain.peer_body($nothing[0], $nothing[1], 1, 0, 0)");
fails('a chunk too large', '22023', 'out of range', "SELECT ftchain.peer_body($nothing[0], $nothing[1], 1, 0, 16777217)");
fails('other functions', '42501', 'permission denied', q(SELECT ftchain.append('main', '1')));
fails('tables', '42501', 'permission denied', 'SELECT * FROM ftchain.entry');
is((as_peer("SELECT count(*) FROM ftchain.peer_blocks($nothing[0], ARRAY[NULL, '', repeat('x', 100000)::bytea, 'x'], 1000)"))[0],
	$tip->{height} + 1, 'ids that are none are passed over');
is((as_peer("SELECT ftchain.peer_block($nothing[0], repeat('x', 32)::bytea) IS NULL"))[0], 't', 'what is not known is null');
is((as_peer(q(SELECT ftchain.peer_genesis('nonsense') IS NULL)))[0], 't', 'so is a chain');

# Bytes that are no messages

my $good = next_message(reference => 'x' x 32);
foreach my $case (
	[ 'nothing', 'wrong length', '' ],
	[ 'garbage', 'wrong length', join('', map { chr(int(rand(256))) } 1 .. 300) ],
	[ 'a message cut short', 'wrong length', substr($good->{bytes}, 0, -1) ],
	[ 'a message extended', 'wrong length', "$good->{bytes}x" ],
	[ 'a reference longer than the message', 'wrong length',
		do { my $m = $good->{bytes}; substr($m, 84, 4) = pack('N', 0xffffffff); $m } ],
	[ 'an unknown version', 'unknown version', next_message(version => 2)->{bytes} ],
	[ 'kind 0', 'unknown kind', next_message(kind => 0)->{bytes} ],
	[ 'kind 7', 'unknown kind', next_message(kind => 7)->{bytes} ],
	[ 'a kind of another stream', 'belongs to another link', next_message(kind => 4)->{bytes} ],
	[ 'another stream', 'belongs to another link', next_message(stream => 1)->{bytes} ],
	[ 'epoch 0', 'value out of range', next_message(epoch => 0)->{bytes} ],
	[ 'an epoch too high', 'value out of range', next_message(epoch => 1 << 63)->{bytes} ],
	[ 'number 0', 'value out of range', next_message(seq => 0)->{bytes} ],
	[ 'a wrong digest', 'wrong digest', next_message(digest => 'x' x 32)->{bytes} ],
	[ 'a reference too long', 'too large', next_message(reference => 'x' x 257)->{bytes} ])
{
	my ($what, $reason, $bytes) = @$case;

	fails($what, '(22P03|22023|22000|54000)', "invalid message: $reason", [ [ { bytes => $bytes, id => 'x', digest => 'y' } ] ]);
}
fails('a null among messages', '22P03', 'wrong length', [ [ $good, 'NULL' ] ]);

# Attachments at the limit and beyond it, made there
my $attachment_max = 65 * 1024 * 1024;
foreach my $size ($attachment_max, $attachment_max + 1)
{
	my $m = next_message(reference => 'x' x 32);

	$m->{sql} = sprintf(q((%s || '\x%08x' || decode(repeat('00', %d), 'hex'))), hex_of(substr($m->{bytes}, 0, -4)), $size, $size);
	if ($size == $attachment_max)
	{
		like(deliver([$m])->{reason} // '', qr/wrong length|unknown version/, 'an attachment as large as may be: refused for what it is');
	}
	else
	{
		fails('an attachment one byte larger', '54000', 'too large', [ [$m] ]);
	}
}
unchanged('large attachments');

# The account

fails('no account', '22000', 'wrong signature', [ [ next_message(reference => 'x' x 32) ], account => '' ]);
fails('a wrong account', '22000', 'wrong signature', [ [ next_message(reference => 'x' x 32) ], account => 'x' x 64 ]);
fails('an account of another value', '22000', 'wrong signature',
	[ [ next_message(reference => 'x' x 32) ], account => $forge->sign('link account v1', $genesis, 'x' x 32) ]);
fails('a chain value of which nothing is told', '22023', 'before', [ [ next_message(reference => 'x' x 32) ], before => 'x' x 31 ]);
fails('a sender that is no member', '42501', 'not a member',
	[ [ next_message(reference => 'x' x 32, epoch => 1, seq => 1) ], sender => $stranger->{member} ]);
fails('another member\'s name', '22000', 'wrong signature',
	[ [ next_message(reference => 'x' x 32, epoch => 1 << 30, seq => 1) ], sender => $beta_forge->{member} ]);

# Order

{
	my %before = %link;
	my $answer = deliver([ FtchainForge::message(epoch => $link{epoch}, seq => $link{next} + 8001, reference => 'x' x 32) ]);

	is("$answer->{next} $answer->{put_aside} $answer->{dropped} $answer->{reason}", "$before{next} 0 1 wrong sequence number",
		'a gap that is too wide: nothing is taken, and it is told');
	$answer = deliver([ FtchainForge::message(epoch => $link{epoch} - 1, seq => $link{next}, reference => 'x' x 32) ]);
	is("$answer->{epoch} $answer->{next} $answer->{dropped} $answer->{reason}", "$before{epoch} $before{next} 1 wrong link epoch",
		'an epoch that is over: nothing is taken');
	$answer = deliver([ FtchainForge::message(epoch => $link{epoch} + 1, seq => 2, reference => 'x' x 32) ]);
	is("$answer->{epoch} $answer->{next}", "$before{epoch} $before{next}", 'an epoch that begins with 2: nothing is taken');
	unchanged('messages out of order');
	$alpha->gives('SELECT count(*) FROM ftchain.early_in', '0', 'and nothing is put aside');
}

# What comes before its turn is put aside, if it is signed for

my $aside = 'SELECT count(*), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM ftchain.early_in WHERE member = ' . hex_of($forge->{member});

sub ahead
{
	my ($by, $n, %with) = @_;

	return map { FtchainForge::message(epoch => $link{epoch}, seq => $link{next} + $by + $_, reference => chr(97 + $_) x 32, %with) } 0 .. $n - 1;
}

{
	my @early = ahead(3, 2);
	my $gap = [ @early, ahead(7, 1) ];

	fails('an early message without an account', '22000', 'wrong signature', [ \@early, account => '' ]);
	fails('with a wrong account', '22000', 'wrong signature', [ \@early, account => 'x' x 64 ]);
	my ($epoch, $next) = split(/\|/, $alpha->query('SELECT epoch, next FROM ftchain.link_in WHERE member = ' . hex_of($beta_forge->{member})));
	fails('in another member\'s name', '22000', 'wrong signature',
		[ [ FtchainForge::message(epoch => $epoch, seq => $next + 3, reference => 'x' x 32) ], sender => $beta_forge->{member} ]);
	is(deliver(\@early, sender => $stranger->{member})->{dropped}, '2', 'of somebody without a link it is dropped');
	fails('with the account of messages after another value', '22000', 'wrong signature',
		[ \@early, account => $forge->account($genesis, $forge->link_start($genesis, $receiver, $link{epoch}), $link{next} + 3, 'v' x 32, @early) ]);
	fails('with the account of the same at another place', '22000', 'wrong signature',
		[ \@early, account => $forge->account($genesis, $forge->link_start($genesis, $receiver, $link{epoch}), $link{next} + 4, $link{value}, @early) ]);
	fails('with the account of the same in another epoch', '22000', 'wrong signature',
		[ \@early, start => $forge->link_start($genesis, $receiver, $link{epoch} - 1) ]);
	fails('with what was sent to another member', '22000', 'wrong signature',
		[ \@early, start => $forge->link_start($genesis, $beta_forge->{member}, $link{epoch}) ]);
	fails('numbers with a gap', '22000', 'wrong sequence number', [$gap]);
	fails('two epochs', '22000', 'wrong link epoch', [ [ next_message(reference => 'x' x 32), FtchainForge::message(epoch => $link{epoch} + 1, seq => 1, reference => 'x' x 32) ] ]);
	$alpha->gives($aside, '0|0|0', 'none of it is put aside');
}
{
	my $next = $link{next};
	my $value = $link{value};
	my @early = ahead(2, 3, kind => 3);
	my $answer = deliver(\@early, before => 'v' x 32);

	is("$answer->{error}$answer->{taken} $answer->{put_aside} $answer->{early}",
		'0 3 \x' . sprintf('%016x%016x', $next + 2, $next + 4), 'a signed one is, and it is told');
	$alpha->gives($aside, '3|' . ($next + 2) . '|' . ($next + 4), 'it is there');
	$answer = deliver(\@early, before => 'v' x 32);
	is("$answer->{put_aside} $answer->{duplicates}", '0 3', 'each once');
	unchanged('early messages');
	like((as_peer(sprintf('SELECT early FROM ftchain.peer_hello(1, %s, %s)', @nothing[ 0, 1 ])))[0], qr{^\\x0.{31}$}, 'a hello tells it as well');
	$answer = deliver([ ahead(0, 2, kind => 3) ]);
	is("$answer->{next} $answer->{taken} $answer->{early} $answer->{refused}", ($next + 2) . ' 2 \x 2',
		'when the gap is filled, what does not follow is given up');
	is($answer->{reason}, 'link chain values differ', 'and it is told');
	$alpha->gives($aside, '0|0|0', 'it is gone');
	@early = ahead(1, 2, kind => 3);
	$value = FtchainForge::link_advance($link{value}, my $first = next_message(kind => 3, reference => 'f' x 32));
	deliver(\@early, before => $value);
	$answer = deliver([$first]);
	is("$answer->{next} $answer->{taken} $answer->{refused}", ($next + 5) . ' 3 3', 'what does follow is taken');
	$alpha->gives($aside, '0|0|0', 'and waits no more');
	$value = FtchainForge::link_advance($link{value}, $first = next_message(kind => 3, reference => 'g' x 32));
	deliver([ ahead(1, 3, kind => 3) ], before => $value);
	$answer = deliver([ $first, map { FtchainForge::message(%$_, kind => 3) } ahead(1, 1, kind => 3) ]);
	is("$answer->{next} $answer->{taken}", ($next + 9) . ' 4', 'also where it overlaps with what fills the gap');
	deliver([ ahead(5, 1) ], before => 'v' x 32);
	my ($epoch, $start) = ($link{epoch} + 1, $forge->link_start($genesis, $receiver, $link{epoch} + 1));
	$answer = deliver([ FtchainForge::message(epoch => $epoch, seq => 1, kind => 3, reference => 'x' x 32) ], before => $start);
	is("$answer->{epoch} $answer->{next}", "$epoch 2", 'a new epoch begins');
	$alpha->gives($aside, '0|0|0', 'with nothing put aside');
	unchanged('early messages and a new epoch');
}

# A block that is right in everything: so what is refused below is refused for
# the one thing that is wrong.

my $valid = $forge->block($tip);
my $message = block_message($valid);
my $answer = deliver([$message]);
is("$answer->{error}$answer->{refused}", '0', 'a valid block made here is taken') or diag($answer->{reason});
$alpha->gives(q(SELECT encode(head, 'hex') FROM ftchain.status), unpack('H*', $valid->{id}), 'and is the head');
$beta->comes_to(q(SELECT encode(head, 'hex') FROM ftchain.status), 'also of others, to whom it is passed on', unpack('H*', $valid->{id}));
steady();
my $received = 'SELECT received, duplicates FROM ftchain.link_in WHERE member = ' . hex_of($forge->{member});
my ($taken, $duplicates) = split(/\|/, $alpha->query($received));
$answer = deliver([$message]);
is("$answer->{next} $answer->{refused}", "$link{next} 0", 'a message that is replayed moves nothing');
$alpha->gives($received, "$taken|$duplicates", 'it is dropped');
unchanged('a replayed message');

# Content that is not right

refused('a bundle message', 'unknown kind', next_message(kind => 3, reference => 'x' x 32), quiet => 1);
refused('a block without an id', 'wrong length', next_message(attachment => $valid->{bytes}), quiet => 1);
refused('a block cut short', 'wrong length', next_message(reference => $valid->{id}, attachment => substr($valid->{bytes}, 0, -1)), quiet => 1);
refused('a block extended', 'wrong length', next_message(reference => $valid->{id}, attachment => "$valid->{bytes}\x00"), quiet => 1);
refused('a block of another version', 'unknown version',
	next_message(reference => $valid->{id}, attachment => "\x02" . substr($valid->{bytes}, 1)), quiet => 1);

$tip = FtchainForge::tip($alpha, 'main');
my $now = int(time() * 1e6);
my $far = $now + 3600 * 1e6;
my $incarnation = 77;

sub bundle
{
	my ($number, $seq, %with) = @_;

	return { incarnation => $incarnation, number => $number, entries => [ { seq => $seq } ], %with };
}

my @headers = (
	[ 'a header of another version', 'unknown version', version => 2 ],
	[ 'an unknown consensus', 'unknown kind', consensus => 9 ],
	[ 'another consensus', 'wrong consensus kind', consensus => 2, bits => 0, nonce => 0 ],
	[ 'another genesis', 'not in canonical form', height => 0, prev => "\x00" x 32 ],
	[ 'a second genesis', 'belongs to another chain', height => 0, prev => "\x00" x 32, history => FtchainForge::root() ],
	[ 'a parent that is too low', 'wrong height', prev => $genesis ],
	[ 'a height too high', 'wrong height', height => $tip->{height} + 2 ],
	[ 'a height too low', 'wrong height', height => $tip->{height} ],
	[ 'a height beyond all', 'value out of range', height => 1 << 63 ],
	[ 'another history', 'wrong history root', history => 'h' x 32 ],
	[ 'another state', 'wrong state root', state => 's' x 32 ],
	[ 'votes', 'justify or round', justify => 'j' x 32 ],
	[ 'a round', 'justify or round', round => 1 ],
	[ 'more leaves than the chain allows', 'too many', leaves => 100000, body => 'b' x 32 ],
	[ 'more leaves than any chain', 'too many', leaves => (1 << 20) + 1, body => 'b' x 32 ],
	[ 'a root over nothing', 'not in canonical form', body => 'b' x 32 ],
	[ 'no root over something', 'not in canonical form', leaves => 1 ],
	[ 'a time before its parent', 'time too close', time => $tip->{time} - 1 ],
	[ 'a time too close to its parent', 'time too close', time => $tip->{time} + 49999 ],
	[ 'a time beyond all', 'value out of range', time => '253402300800000000' ],
	[ 'easier work', 'wrong difficulty', bits => 0x207fffff ],
	[ 'harder work', 'wrong difficulty', bits => $tip->{bits} - 1 ],
	[ 'a target of nothing', '(value out of range|not in canonical form)', bits => 0x20000000, nonce => 1 ],
	[ 'a negative target', '(value out of range|not in canonical form)', bits => 0x20800001, nonce => 1 ],
	[ 'too little work', 'too little work', unmined => 1 ],
	[ 'a wrong signature', 'wrong signature', signature => 'x' x 64 ],
	[ 'the signature of somebody else', 'wrong signature', signer => $beta_forge ],
	[ 'the name of somebody else', 'wrong signature', proposer => $beta_forge->{member} ],
	[ 'a signature for another chain', 'wrong signature', genesis => 'g' x 32 ],
	[ 'a proposer that is no member', 'not a member', proposer => $stranger->{member}, signer => $stranger ]);
foreach my $case (@headers)
{
	my ($what, $reason, @with) = @$case;
	my $block = $forge->block($tip, @with);

	refused($what, $reason, block_message($block));
}
{
	my $next = $link{next};
	my $answer = deliver([ block_message($forge->block($tip, time => $far)) ]);

	is("$answer->{refused} $answer->{reason} $answer->{next}", "0 time too far ahead of the clock $next",
		'a block of the future waits where it is');
	unchanged('a block of the future');
}
{
	my $block = $forge->block($tip, prev => 'p' x 32);
	my $answer = deliver([ block_message($block) ]);

	is("$answer->{refused}", '0', 'an unknown parent is no refusal');
	unchanged('an unknown parent');
	$block = FtchainForge::parts($valid->{bytes});
	substr($block->{header}, 100, 1) ^= "\x01";
	like(deliver([ next_message(reference => $valid->{id}, attachment => FtchainForge::as_bytes(%$block)) ])->{reason},
		qr/not in canonical form|too little work|wrong/, 'one bit of a real block is changed: refused');
	unchanged('one bit of a real block');
}
{
	my $block = $forge->block($tip, bundles => [ bundle(2, 1) ]);

	refused('what can never be right', 'bundle out of order', block_message($block));
	refused('the same again', 'rejected before', block_message($block), quiet => 1);
	refused('its child', 'rejected before', block_message($forge->block($tip, prev => $block->{id})), quiet => 1);
}

# Manifests, proofs, bodies

my $other = FtchainForge->new;
my $real_add = $alpha->query(q(SELECT encode(c.leaf, 'hex') FROM ftchain.control c WHERE height > 0 ORDER BY height LIMIT 1));
my @contents = (
	[ 'a manifest cut short', '(wrong length|wrong)', controls => [], manifest => "\x01\x00\x00" ],
	[ 'a manifest of another version', 'unknown version', manifest => "\x02" . "\x00" x 11 ],
	[ 'a manifest that claims much', '(too many|wrong length)', manifest => "\x01\x00\x00\x00" . "\xff" x 8 ],
	[ 'a manifest extended', 'wrong length', manifest => "\x01" . "\x00" x 12 ],
	[ 'a proof of nothing', 'wrong length', proof => '' ],
	[ 'a proof too long', 'wrong length', proof => pack('N', 0xffffffff) . "\x00" x 8 ],
	[ 'a proof of something else', 'wrong proof', bundles => [ bundle(1, 1) ], proof => pack('NNN', 0, 0, 0) ],
	[ 'another root', 'wrong (proof|root)', bundles => [ bundle(1, 1) ], body => 'b' x 32 ],
	[ 'too few leaves', 'body does not match', bundles => [ bundle(1, 1) ], leaves => 1 ],
	[ 'too many leaves', 'body does not match', bundles => [ bundle(1, 1) ], leaves => 3 ],
	[ 'an empty manifest for a body', 'body does not match', bundles => [ bundle(1, 1) ], manifest => "\x01" . "\x00" x 11 ],
	[ 'a bundle with a wrong signature', 'wrong signature', bundles => [ bundle(1, 1, signature => 'x' x 64) ] ],
	[ 'a bundle in another name', 'wrong signature', bundles => [ bundle(1, 1, origin => $beta_forge->{member}) ] ],
	[ 'a bundle of nobody', 'not a member', bundles => [ bundle(1, 1, origin => $stranger->{member}) ] ],
	[ 'a bundle that is not the next', 'bundle out of order', bundles => [ bundle(2, 1) ] ],
	[ 'bundle 0', 'value out of range', bundles => [ bundle(0, 1) ] ],
	[ 'a bundle twice', '(not in canonical form|bundle out of order)', bundles => [ bundle(1, 1), bundle(1, 2) ] ],
	[ 'an entry twice', 'entry already in this branch', bundles => [ bundle(1, 5), bundle(2, 5) ] ],
	[ 'an entry twice, the other way', 'entry already in this branch', bundles => [ bundle(1, 5), bundle(2, 3), bundle(3, 5) ] ],
	[ 'bundles in disorder', 'not in canonical form', bundles => [ bundle(2, 1), bundle(1, 2) ] ],
	[ 'incarnation 0', 'value out of range', bundles => [ bundle(1, 1, incarnation => 0) ] ],
	[ 'a bundle that claims too many entries', '(too many|value out of range)', bundles => [ bundle(1, 1, count => (1 << 20) + 1) ] ],
	[ 'a bundle of no entries', 'value out of range', bundles => [ bundle(1, 1, count => 0) ] ],
	[ 'a bundle whose ranges are others', 'not in canonical form', bundles => [ bundle(1, 1, ranges => pack('Q>Q>', 1, 2)) ] ],
	[ 'a bundle whose ranges go backwards', 'not in canonical form', bundles => [ bundle(1, 1, ranges => pack('Q>Q>', 2, 1)) ] ],
	[ 'a member made without the governor', 'not authorised', controls => [ $forge->control_add($genesis, $other, $forge) ] ],
	[ 'a member made by nobody', 'not authorised', controls => [ $forge->control_add($genesis, $other) ] ],
	[ 'a member made by a stranger', '(not authorised|not a member)', controls => [ $forge->control_add($genesis, $other, $stranger) ] ],
	[ 'a real control again', 'control entry already in this branch', controls => [ pack('H*', $real_add) ] ],
	[ 'a control of garbage', '(wrong length|unknown)', controls => [ 'garbage' ] ],
);
foreach my $case (@contents)
{
	my ($what, $reason, @with) = @$case;

	refused($what, $reason, block_message($forge->block($tip, @with)));
}

$tip = FtchainForge::tip($alpha, 'main');
$incarnation++;
# What does not belong to the id of a block must not spoil the block: with other
# bytes beside it, it is as good as ever.
{
	my $block = $forge->block($tip, bundles => [ bundle(1, 1) ]);
	my %broken = (
		'a body of another payload' => [ 'body does not match|wrong root', $block->{body} =~ s/forged/FORGED/r ],
		'a body cut short' => [ 'wrong length|body does not match', substr($block->{body}, 0, -1) ],
		'a body extended' => [ 'wrong length|body does not match', "$block->{body}x" ],
		'a body of garbage' => [ 'wrong length|unknown version|too large', 'garbage' ],
		'a skeleton' => [ 'unknown kind|body does not match', "\x01\x02" . substr($block->{body}, 2) ],
		'a body with another manifest' => [ 'body does not match', pack('CCn N/a', 1, 1, 0, "\x01" . "\x00" x 11) ],
	);

	foreach my $what (sort keys %broken)
	{
		my ($reason, $body) = @{ $broken{$what} };

		refused($what, "($reason)", block_message($block, FtchainForge::as_bytes(%$block, body => $body)));
	}
	refused('a wrong signature', 'wrong signature', block_message($block, FtchainForge::as_bytes(%$block, signature => 'x' x 64)));
	refused('a wrong manifest', '.*', block_message($block, FtchainForge::as_bytes(%$block, manifest => '')));
	refused('a wrong proof', 'wrong proof|wrong length', block_message($block, FtchainForge::as_bytes(%$block, proof => pack('NNN', 0, 0, 0))));
	{
		my $large = block_message($block, FtchainForge::as_bytes(%$block, body => ''));
		my $size = 16 * 1024 * 1024 + 1;

		# the last blob is the body; the one before it is the length of all
		substr($large->{bytes}, 84 + 4 + 32, 4) = pack('N', length($block->{bytes}) + $size);
		$large->{sql} = sprintf(q((%s || '\x%08x' || decode(repeat('00', %d), 'hex'))), hex_of(substr($large->{bytes}, 0, -4)), $size, $size);
		refused('a body beyond the chain\'s limit', 'too large', $large);
	}
	my $answer = deliver([ block_message($block) ]);
	is("$answer->{error}$answer->{refused}", '0', 'the block itself is taken then') or diag($answer->{reason});
	$alpha->comes_to(q(SELECT encode(head, 'hex') FROM ftchain.status), 'and is the head', unpack('H*', $block->{id}), 10);
	$alpha->gives("SELECT count(*) FROM ftchain.entries WHERE incarnation = $incarnation AND height IS NOT NULL", '1', 'with its entry');
	steady();
}

# Entries that PostgreSQL could not give back

$tip = FtchainForge::tip($alpha, 'main');
foreach my $case (
	[ 'a payload that is not UTF-8', payload => qq("\xff") ],
	[ 'a payload with a zero byte', payload => qq("\x00") ],
	[ 'a payload that is no json', payload => 'no json' ],
	[ 'an author with a zero byte', author => "a\x00b" ],
	[ 'a kind that is not UTF-8', kind => "\xc3\x28" ],
	[ 'a time beyond all', time => '253402300800000000' ])
{
	my ($what, @with) = @$case;
	my $block = $forge->block($tip, bundles => [ bundle(2, 2, entries => [ { seq => 2, @with } ]) ]);
	my $answer = deliver([ block_message($block) ]);

	like($answer->{error} || "$answer->{refused}", qr{^1$|ERROR:  (22|54|0A)}, "$what: refused");
	unchanged($what);
}
{
	my $block = $forge->block($tip, bundles => [ bundle(2, 2) ]);
	my $e = $block->{contents}{entries}[0];
	my $erased = pack('CCn N/a', 1, 1, 0, $block->{manifest})
	  . pack('C Q> C/a C/a', 1, $e->{time}, $e->{author}, $e->{kind}) . Digest::SHA::sha256($e->{salt} . $e->{payload});
	my $answer = deliver([ block_message($block, FtchainForge::as_bytes(%$block, body => $erased)) ]);

	ok($answer->{error} eq '' && $answer->{refused}, 'a body with an entry erased: refused, and the link goes on')
	  or diag($answer->{error});
	unchanged('a body with an entry erased');
}

# Statements

my $statement = $tip->{id} . $forge->{member};
foreach my $case (
	[ 'a statement too short', 'wrong length', 'x' x 63, $statement ],
	[ 'a statement of nothing', 'wrong length', 'x' x 64, '' ],
	[ 'a wrong statement', 'wrong signature', 'x' x 64, $statement ],
	[ 'a statement in another name', 'wrong signature', $forge->sign('stored v1', $genesis, $tip->{id}), $tip->{id} . $beta_forge->{member} ],
	[ 'a statement of a stranger', 'not a member', $stranger->sign('stored v1', $genesis, $tip->{id}), $tip->{id} . $stranger->{member} ])
{
	my ($what, $reason, $signature, $reference) = @$case;

	refused($what, $reason, next_message(kind => 2, reference => $reference, attachment => $signature), quiet => 1);
}

# A block of another chain

$alpha->query(q(SELECT ftchain.create_chain('second', attempts => 1000, spacing => '50 ms')));
$alpha->query(q(SELECT ftchain.append('second', '2')));
$alpha->comes_to(q(SELECT bool_and(pending = 0) FROM ftchain.status), 'another chain has blocks too');
steady();
my $second = FtchainForge::tip($alpha, 'second');
my $foreign = FtchainForge::parts(pack('H*', (as_peer(sprintf(q(SELECT encode((ftchain.peer_block(%s, %s)).block, 'hex')),
	hex_of($second->{genesis}), hex_of($second->{id}))))[0]));
refused('a real block of another chain', 'belongs to another chain',
	next_message(reference => $foreign->{id}, attachment => FtchainForge::as_bytes(%$foreign)), quiet => 1);
refused('a block on another chain', 'belongs to another chain',
	block_message($forge->block({ %$second, genesis => $genesis })));

# A branch from too far below the head, of a member in good standing: it is not
# taken, and once it is told that somebody has to decide

{
	$alpha->query(q(SELECT ftchain.create_chain('shallow', attempts => 1000, spacing => '50 ms', reorg_limit => 6, settle_blocks => 6)));
	my $start = FtchainForge::tip($alpha, 'shallow');
	my $own = FtchainForge->new($alpha);
	my $deep = $own->block($start);
	my $value = $own->link_start($start->{genesis}, $receiver, 1);

	foreach my $n (1 .. 7)
	{
		$alpha->query("SELECT ftchain.append('shallow', '$n')");
		$alpha->comes_to(q(SELECT pending = 0 FROM ftchain.status WHERE chain = 'shallow'), "a block on the shallow chain: $n");
	}
	foreach my $seq (1, 2)
	{
		my $message = FtchainForge::message(epoch => 1, seq => $seq, reference => $deep->{id}, attachment => $deep->{full});

		my ($out) = as_peer(sprintf('SELECT refused, reason FROM ftchain.peer_receive(%s, %s, %s, ARRAY[%s]::bytea[], %s)',
			hex_of($start->{genesis}), hex_of($own->{member}), hex_of($value), hex_of($message->{bytes}),
			hex_of($own->account($start->{genesis}, $own->link_start($start->{genesis}, $receiver, 1), $seq, $value, $message))));
		$value = FtchainForge::link_advance($value, $message);
		is($out, "1|reorganisation deeper than the chain's limit", "a deep branch is refused: $seq");
	}
	is( $alpha->query(
			sprintf(q(SELECT count(*), max(height), bool_and(member = %s) FROM ftchain.incident
			  WHERE kind = 'deep reorganisation' AND block = %s AND detail LIKE '%% 7 blocks or more %% limit is 6:%%'),
				hex_of($own->{member}), hex_of($deep->{id}))),
		'1|1|t',
		'and there is one incident of it');
	steady();
}

# ---- Whom we call

$alpha->configure('ftchain.call_timeout' => '700ms');
$beta->query(q(CREATE DATABASE liars TEMPLATE template0 ENCODING 'SQL_ASCII'));
$beta->query(q(CREATE DATABASE empty TEMPLATE template0));
$beta->create_login('trusting', 'unused', 'ftchain_peer');
{
	my $hba = slurp_file($beta->data_dir . '/pg_hba.conf');

	unlink($beta->data_dir . '/pg_hba.conf');
	append_to_file($beta->data_dir . '/pg_hba.conf', "host all trusting 127.0.0.1/32 trust\n$hba");
	$beta->reload;
}

# Tests: the statement, here, fails with that SQLSTATE and message, within a
# few seconds.
sub here_fails
{
	my ($what, $sqlstate, $message, $sql) = @_;
	my $start = time();
	my (undef, $error) = look_after($sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($error, qr/ERROR:  $sqlstate: .*$message/s, "$what: an error");
	cmp_ok(time() - $start, '<', 8, "$what: soon");
	unchanged($what);
	return;
}

sub server
{
	my ($name, %params) = @_;

	$alpha->add_server($beta, server => $name, role => 'peer_alpha', password => 'secret of peer_alpha', %params);
	return $name;
}

here_fails('no server of that name', '42704', 'server "nowhere" does not exist', q(CALL ftchain.add_peer('nowhere')));
here_fails('a name too long', '42704', 'does not exist', q(CALL ftchain.add_peer(repeat('x', 100))));
here_fails('no name', '22004', 'must not be null', q(CALL ftchain.add_peer(NULL)));
here_fails('no peer', '42704', 'is not a peer', q(CALL ftchain.sync('nowhere')));
server('no_mapping', users => []);
$alpha->query('GRANT USAGE ON FOREIGN SERVER no_mapping TO ftchain_worker');
here_fails('no user mapping', '42704', 'there is no user mapping', q(CALL ftchain.add_peer('no_mapping')));
server('no_usage');
$alpha->query('REVOKE USAGE ON FOREIGN SERVER no_usage FROM ftchain_worker');
here_fails('no right to use the server', '42501', 'permission denied for foreign server', q(CALL ftchain.add_peer('no_usage')));
server('refused');
$alpha->query(q(ALTER USER MAPPING FOR ftchain_worker SERVER refused OPTIONS (SET password 'wrong')));
here_fails('a wrong password', '08001', 'password authentication failed', q(CALL ftchain.add_peer('refused')));
$alpha->query(q(ALTER USER MAPPING FOR ftchain_worker SERVER refused OPTIONS (DROP password)));
here_fails('no password', '2F003', 'password is required', q(CALL ftchain.add_peer('refused')));
server('trusting', role => 'trusting', password => 'unused');
here_fails('a password that is not asked for', '08001', 'did not ask for a password', q(CALL ftchain.add_peer('trusting')));
server('no_database', remote_dbname => 'nonsense');
here_fails('no such database', '08001', 'database "nonsense" does not exist', q(CALL ftchain.add_peer('no_database')));
server('empty', remote_dbname => 'empty');
here_fails('a database without the extension', '3F000', 'schema "ftchain" does not exist', q(CALL ftchain.add_peer('empty')));
server('itself', port => $alpha->port);
$alpha->create_login('peer_alpha', 'secret of peer_alpha', 'ftchain_peer');
here_fails('this database itself', '22023', 'leads back', q(CALL ftchain.add_peer('itself')));

# Servers that are none, or that do not keep to the protocol

my %liars = map { $_ => FtchainLiar->new($_) } FtchainLiar::names();
my $nobody = FtchainLiar::free_port();
server('gone', port => $nobody);
here_fails('nobody listens', '08001', 'Connection refused', q(CALL ftchain.add_peer('gone')));
foreach my $name (sort keys %liars)
{
	server($name, port => $liars{$name}->port);
	here_fails("a server that $name", $liars{$name}->sqlstate, '', "CALL ftchain.add_peer('$name')");
}

# A database that looks like a peer, with functions of ours

my %answers = (
	identity => sprintf('SELECT 1, %s, 1, %s, %s', map { hex_of($_) } $stranger->{member}, $stranger->{public},
		$stranger->sign('possession v1', "\x00" x 32, $stranger->{member})),
	hello => sprintf(q(SELECT 1, %s, 0::bigint, %s, %s, 0::bigint, 1::bigint, %s, 1000, 8000000::bigint, ''::bytea), map { hex_of($_) } $stranger->{member}, $genesis,
		"\x00" x 32, "\x00" x 32),
	genesis => 'SELECT NULL::bytea',
	receive => sprintf(q(SELECT 0::bigint, 1::bigint, %s, 1000, 8000000::bigint, ''::bytea, 0, 0, 0, 0, 0, NULL::text), hex_of("\x00" x 32)),
	blocks => 'SELECT NULL::bytea, NULL::bytea WHERE false',
	block => 'SELECT NULL::bytea, NULL::bytea',
	body => 'SELECT NULL::bigint, NULL::bytea, NULL::bytea');
my %kinds = (
	identity => [ 'p1 integer, p2 bytea', 'protocol_spoken integer, member bytea, algorithm integer, public_key bytea, possession bytea' ],
	hello => [ 'p1 integer, p2 bytea, p3 bytea',
		'protocol_spoken integer, member bytea, head_height bigint, head bytea, head_work bytea, epoch bigint, next bigint, value bytea, room_messages integer, room_bytes bigint, early bytea' ],
	genesis => [ 'p1 text', 'answer bytea' ],
	receive => [ 'p1 bytea, p2 bytea, p3 bytea, p4 bytea[], p5 bytea',
		'epoch bigint, next bigint, value bytea, room_messages integer, room_bytes bigint, early bytea, taken integer, put_aside integer, duplicates integer, dropped integer, refused integer, reason text' ],
	blocks => [ 'p1 bytea, p2 bytea[], p3 integer', 'block bytea, stored bytea' ],
	block => [ 'p1 bytea, p2 bytea', 'block bytea, stored bytea' ],
	body => [ 'p1 bytea, p2 bytea, p3 integer, p4 bigint, p5 integer', 'total bigint, bytes bytea, stored bytea' ]);

# Each answer is a query, or [result columns, query].
sub lie
{
	my %lies = (%answers, @_);
	my $sql = "SET client_min_messages = error; BEGIN; DROP SCHEMA IF EXISTS ftchain CASCADE; CREATE SCHEMA ftchain; GRANT USAGE ON SCHEMA ftchain TO PUBLIC;\n";

	foreach my $name (sort keys %kinds)
	{
		my ($columns, $query) = ref $lies{$name} ? @{ $lies{$name} } : ($kinds{$name}[1], $lies{$name});
		my $returns = $name eq 'genesis' ? 'SETOF ' . ($columns =~ /(\S+)$/)[0] : "TABLE ($columns)";

		$sql .= "CREATE FUNCTION ftchain.peer_$name($kinds{$name}[0]) RETURNS $returns LANGUAGE plpgsql AS \$f\$\n#variable_conflict use_column\nBEGIN "
		  . ($query =~ /^(SELECT|VALUES|TABLE)/ ? "RETURN QUERY $query" : $query) . "; END \$f\$;\n";
	}
	$beta->safe_psql('liars', $sql . 'COMMIT;');
	return;
}

server('liar', remote_dbname => 'liars');
my @key = map { hex_of($_) } $stranger->{member}, $stranger->{public};
my $possession = $stranger->sign('possession v1', "\x00" x 32, $stranger->{member});
foreach my $case (
	[ 'refuses the protocol', '0A000', 'protocol 1 is not spoken', q(RAISE 'protocol 1 is not spoken here any more' USING ERRCODE = 'feature_not_supported') ],
	[ 'answers in a later protocol', '\w{5}', 'protocol', "SELECT 2, $key[0], 1, $key[1], " . hex_of($possession) ],
	[ 'answers in protocol 0', '\w{5}', 'protocol', "SELECT 0, $key[0], 1, $key[1], " . hex_of($possession) ],
	[ 'is out of order', 'XX001', 'broken', q(RAISE 'broken' USING ERRCODE = 'data_corrupted') ],
	[ 'says nulls', 'HV000', 'does not prove', 'SELECT NULL::integer, NULL::bytea, NULL::integer, NULL::bytea, NULL::bytea' ],
	[ 'says nothing', 'HV000', 'does not prove', "SELECT 1, ''::bytea, 1, ''::bytea, ''::bytea WHERE false" ],
	[ 'says it twice', 'HV000', 'does not prove', "$answers{identity} UNION ALL $answers{identity}" ],
	[ 'says garbage', 'HV000', 'does not prove', q(SELECT 1, 'garbage'::bytea, 1, 'garbage'::bytea, 'garbage'::bytea) ],
	[ 'says much', '(HV000|08001)', '(does not prove|no answer|too long)', "SELECT 1, $key[0], 1, $key[1], repeat('x', 20000000)::bytea" ],
	[ 'has no key', 'HV000', 'does not prove', "SELECT 1, $key[0], 1, $key[1], " . hex_of('x' x 64) ],
	[ 'has a key for another chain', 'HV000', 'does not prove',
		"SELECT 1, $key[0], 1, $key[1], " . hex_of($stranger->sign('possession v1', $genesis, $stranger->{member})) ],
	[ 'has a key of small order', 'HV000', 'does not prove',
		"SELECT 1, $key[0], 1, " . hex_of("\x01" . "\x00" x 31) . ', ' . hex_of("\x01" . "\x00" x 63) ],
	[ 'has the name of another member', 'HV000', 'does not prove',
		'SELECT 1, ' . hex_of($beta_forge->{member}) . ", 1, $key[1], " . hex_of($possession) ],
	[ 'has another algorithm', 'HV000', 'does not prove', "SELECT 1, $key[0], 2, $key[1], " . hex_of($possession) ],
	[ 'answers in other types', 'HV000', 'does not prove',
		[ 'a text, b text, c text, d text, e text', q(SELECT 'a', 'b', 'c', 'd', 'e') ] ],
	[ 'answers in fewer columns', 'HV000', 'does not prove', [ 'a integer, b bytea', "SELECT 1, $key[0]" ] ])
{
	my ($what, $sqlstate, $message, $answer) = @$case;

	lie(identity => $answer);
	here_fails("a peer that $what", $sqlstate, $message, q(CALL ftchain.add_peer('liar')));
}

# The genesis of a chain

my $genesis_bytes = pack('H*', (as_peer(q(SELECT encode(ftchain.peer_genesis('main'), 'hex'))))[0]);
my $wrong_genesis = FtchainForge::parts($genesis_bytes);
$wrong_genesis->{signature} = 'x' x 64;
my $head_bytes = pack('H*', (as_peer("SELECT encode((ftchain.peer_block($nothing[0], " . hex_of($tip->{id}) . ")).block, 'hex')"))[0]);
foreach my $case (
	[ 'no chain', '42704', 'has no chain', 'NULL::bytea' ],
	[ 'nothing', '\w{5}', '', q(''::bytea) ],
	[ 'garbage', '22P03', 'genesis', q('garbage'::bytea) ],
	[ 'a genesis cut short', '22P03', 'genesis', hex_of(substr($genesis_bytes, 0, -1)) ],
	[ 'another genesis than we were told of', '22000', 'has genesis', hex_of($genesis_bytes), 'x' x 32 ],
	[ 'a genesis with a wrong signature', '\w{5}', 'signature', hex_of(FtchainForge::as_bytes(%$wrong_genesis)) ],
	[ 'a block that is no genesis', '\w{5}', '', hex_of($head_bytes) ],
	[ 'a chain that is here', '\w{5}', '', hex_of($genesis_bytes) ])
{
	my ($what, $sqlstate, $message, $answer, $pin) = @$case;

	lie(genesis => "SELECT $answer");
	here_fails("joining where there is $what", $sqlstate, $message,
		q(CALL ftchain.join_chain('liar', 'third') ) =~ s/\) $/$pin ? ', ' . hex_of($pin) . ')' : ')'/er);
}

# From now on it is a peer, of our workers as well.

lie();
$alpha->query(q(CALL ftchain.add_peer('liar')));
steady();
my $more = hex_of("\xff" x 32);
my $unknown = hex_of('u' x 32);
my $ahead = sprintf(q(SELECT 1, %s, 9::bigint, %s, %s, 0::bigint, 1::bigint, %s, 1000, 8000000::bigint, ''::bytea), $key[0], $unknown, $more, hex_of("\x00" x 32));
my $start_tip = FtchainForge::tip($alpha, 'main');
my $unmined = $forge->block($start_tip, unmined => 1);
my $orphan = $forge->block($start_tip, prev => 'o' x 32);

sub hello
{
	my %with = (protocol => 1, member => $key[0], height => '0::bigint', head => hex_of($genesis),
		work => hex_of("\x00" x 32), epoch => '0::bigint', next => '1::bigint', value => hex_of("\x00" x 32),
		room_messages => '1000', room_bytes => '8000000::bigint', early => q(''::bytea), @_);

	return 'SELECT ' . join(', ', @with{qw(protocol member height head work epoch next value room_messages room_bytes early)});
}

# What sync() meets is in the log, or is an error; the session shows both.
sub sync_says
{
	my ($what, $message, $offset) = @_;

	$offset //= $alpha->log_end;
	my (undef, $error) = look_after(q(SET client_min_messages = log; SET statement_timeout = '4s'; CALL ftchain.sync('liar')));

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($error . $alpha->log_since($offset), qr{(LOG|WARNING|ERROR):.* server "liar": .*(?:$message)}, "$what: it is seen");
	unlike($error, qr{statement timeout}, "$what: sync() comes to an end");
	return;
}

foreach my $case (
	[ 'refuses the protocol', 'protocol 1 is not spoken', hello => q(RAISE 'protocol 1 is not spoken here any more' USING ERRCODE = 'feature_not_supported') ],
	[ 'answers in a later protocol', 'protocol', hello => hello(protocol => 2) ],
	[ 'answers in protocol 0', 'protocol', hello => hello(protocol => 0) ],
	[ 'is another member', 'another member answers', hello => hello(member => hex_of($beta_forge->{member})) ],
	[ 'says nulls', 'malformed', hello => hello(map { $_ => 'NULL::bigint' } qw(height epoch next)) ],
	[ 'says nothing', 'malformed', hello => hello() . ' WHERE false' ],
	[ 'says it twice', 'malformed', hello => hello() . ' UNION ALL ' . hello() ],
	[ 'has a head too short', 'malformed', hello => hello(head => q('h'::bytea)) ],
	[ 'has a long head', '(malformed|no answer|too long)', hello => hello(head => q(repeat('x', 20000000)::bytea)) ],
	[ 'has work too short', 'malformed', hello => hello(work => q('w'::bytea)) ],
	[ 'is before epoch 0', 'malformed', hello => hello(epoch => '-1::bigint') ],
	[ 'is before message 1', 'malformed', hello => hello(next => '0::bigint') ],
	[ 'has room for fewer than none', 'malformed', hello => hello(room_messages => '-1') ],
	[ 'does not say what room', 'malformed', hello => hello(room_bytes => 'NULL::bigint') ],
	[ 'has half a message', 'malformed', hello => hello(early => q(repeat('x', 15)::bytea)) ],
	[ 'has too many gaps', 'malformed', hello => hello(early => q(repeat('x', 33 * 16)::bytea)) ],
	[ 'has early what is late', 'malformed', hello => hello(next => '5::bigint', early => q('\x00000000000000040000000000000005'::bytea)) ],
	[ 'has messages backwards', 'malformed', hello => hello(early => q('\x00000000000000050000000000000004'::bytea)) ],
	[ 'answers in other types', 'malformed',
		hello => [ 'a text, b text, c text, d text, e text, f text, g text, h text', q(SELECT '1', 'b', 'c', 'd', 'e', 'f', 'g', 'h') ] ],
	[ 'answers in fewer columns', 'malformed', hello => [ 'a integer, b bytea', "SELECT 1, $key[0]" ] ],
	[ 'has blocks of nulls', 'wrong length', hello => $ahead, blocks => 'SELECT NULL::bytea, NULL::bytea' ],
	[ 'has blocks of garbage', '(wrong length|unknown version)', hello => $ahead, blocks => q(SELECT repeat('g', 500)::bytea, 'garbage'::bytea) ],
	[ 'has half a block', 'wrong length', hello => $ahead, blocks => 'SELECT ' . hex_of(substr($valid->{bytes}, 0, 200)) . ', NULL::bytea' ],
	[ 'has large blocks', '(no answer|wrong length|unknown version)', hello => $ahead, blocks => q(SELECT repeat('g', 20000000)::bytea, NULL::bytea) ],
	[ 'has blocks without work', 'too little work', hello => $ahead, blocks => 'SELECT ' . hex_of($unmined->{bytes}) . ', NULL::bytea' ],
	[ 'has blocks on nothing', 'unknown parent', hello => $ahead, blocks => 'SELECT ' . hex_of($orphan->{bytes}) . ', NULL::bytea' ],
	[ 'has blocks of one column', '.', hello => $ahead, blocks => [ 'block bytea', q(SELECT 'x'::bytea) ] ],
	[ 'has blocks in other types', '(wrong length|unknown version)', hello => $ahead, blocks => [ 'block text, stored integer', q(SELECT 'x', 1) ] ],
	[ 'says errors', 'kaputt', hello => $ahead, blocks => q(RAISE 'kaputt') ])
{
	my ($what, $message, @lies) = @$case;

	lie(@lies);
	sync_says("a peer that $what", $message);
	unchanged("a peer that $what");
}

lie(hello => hello(head => q('h'::bytea)));
{
	my (undef, $error) = look_after(q(SET statement_timeout = '4s'; CALL ftchain.sync('liar')));

	like($error, qr{(WARNING|ERROR): .*malformed}, 'sync() itself says so');
}

# Blocks that are known, for ever, are no progress.
{
	lie(hello => $ahead, blocks => 'SELECT ' . hex_of($genesis_bytes) . q(, repeat('garbage!', 12)::bytea));
	my $start = time();
	my (undef, $error) = look_after(q(SET statement_timeout = '3s'; CALL ftchain.sync('liar')));
	unlike($error, qr{statement timeout}, 'a peer that gives the same block for ever is left');
	unchanged('a peer that gives the same block for ever');
}

# Its end of the link
sub link_survives
{
	my ($what, @with) = @_;

	lie(hello => hello(@with));
	my (undef, $error) = look_after(q(SET statement_timeout = '10s'; CALL ftchain.sync('liar')));
	unlike($error, qr/statement timeout|server closed/, "a peer that $what: it comes to an end");
	$alpha->gives('SELECT bool_and(epoch > 0 AND acked >= base) FROM ftchain.link_out', 't', "a peer that $what: the link is as it should be");
	unchanged("a peer that $what");
	return;
}

foreach my $case (
	[ 'has messages that we never sent', epoch => '1::bigint', next => '1000000::bigint' ],
	[ 'has other messages', epoch => '1::bigint', next => '1::bigint', value => hex_of('v' x 32) ],
	[ 'has early what we never sent', early => q('\x7ffffffffffffff07ffffffffffffff1'::bytea) ],
	[ 'is in an epoch far ahead', epoch => '1000000::bigint' ])
{
	link_survives(@$case);
}

# As many gaps in what it has as it can say
{
	my $main = "member = $key[0] AND chain = (SELECT id FROM ftchain.chain WHERE name = 'main')";
	my $backlog = "SELECT (SELECT max(o.seq) FROM ftchain.outbox o WHERE o.chain = l.chain) - l.acked FROM ftchain.link_out l WHERE $main";

	lie();
	look_after(q(SET statement_timeout = '4s'; CALL ftchain.sync('liar')));
	my ($epoch, $next, $value) = split(/\|/, $alpha->query("SELECT epoch, acked - base + 1, value FROM ftchain.link_out WHERE $main"));
	my @here = (epoch => "$epoch\::bigint", next => "$next\::bigint", value => "'$value'::bytea", room_messages => '0', room_bytes => '0::bigint');
	my $takes_nothing = "SELECT $epoch\::bigint, $next\::bigint, '$value'::bytea, 0, 0::bigint, %s, 0, 0, 0, 0, 0, NULL::text";
	my $gaps = hex_of(join('', map { pack('Q>Q>', ($next + 1 + 2 * $_) x 2) } 0 .. 31));

	lie(hello => hello(@here), receive => sprintf($takes_nothing, q(''::bytea)));
	for (1 .. 100)
	{
		push @acked, $alpha->append('"for the liar to take in pieces"');
		$alpha->comes_to(q(SELECT bool_and(pending = 0) FROM ftchain.status), 'we go on');
		last if $alpha->query($backlog) > 70;
	}
	lie(hello => hello(@here, early => $gaps), receive => sprintf($takes_nothing, $gaps));
	$beta->query(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'liars'));
	$alpha->comes_to(q(SELECT count(*) FROM ftchain.gaps() WHERE server = 'liar' AND state = 'held'), 'what it has in 32 pieces is shown', '32', 60);
	$alpha->gives("SELECT worker || ' ' || pid FROM ftchain.worker_status() WHERE worker = 'courier'",
		($workers =~ /(courier \d+)/)[0], 'and the courier is still the same');
	lie();
	steady();
}

# What others say is text, when it is shown here.
my $readable = q(SELECT count(convert_from(convert_to(last_error, 'UTF8'), 'UTF8')) FROM ftchain.peer_status());

# What it says to what we send.  At first it is where we are, or we would start
# anew, with nothing to send.
foreach my $case (
	[ 'is silent about it', 'malformed',
		'SELECT NULL::bigint, NULL::bigint, NULL::bytea, 1, 1::bigint, NULL::bytea, 0, 0, 0, 0, NULL::integer, NULL::text' ],
	[ 'gives no row', 'malformed', $answers{receive} . ' WHERE false' ],
	[ 'gives a value too short', 'malformed', q(SELECT 1::bigint, 1::bigint, 'v'::bytea, 1, 1::bigint, ''::bytea, 0, 0, 0, 0, 0, NULL::text) ],
	[ 'took fewer than none', 'malformed',
		q(SELECT 1::bigint, 1::bigint, repeat('v', 32)::bytea, 1, 1::bigint, ''::bytea, -1, 0, 0, 0, 0, NULL::text) ],
	[ 'refuses all, in bytes that are no text', 'messages refused',
		[ 'a bigint, b bigint, c bytea, d integer, e bigint, f bytea, g integer, h integer, i integer, j integer, k integer, l bytea',
			q(SELECT 1::bigint, 1::bigint, repeat('v', 32)::bytea, 1, 1::bigint, ''::bytea, 0, 0, 0, 0, 7, '\xfffe80'::bytea) ] ],
	[ 'says errors that are no text', '(kaputt|invalid byte sequence)', q(RAISE E'\xff\xfe kaputt') ])
{
	my ($what, $message, $answer) = @$case;
	my $offset = $alpha->log_end;

	lie();
	look_after(q(SET statement_timeout = '4s'; CALL ftchain.sync('liar')));
	my ($epoch, $next, $value) = split(/\|/, $alpha->query(
		"SELECT epoch, acked - base + 1, value FROM ftchain.link_out WHERE member = $key[0] AND chain = (SELECT id FROM ftchain.chain WHERE name = 'main')"));
	lie(hello => hello(epoch => "$epoch\::bigint", next => "$next\::bigint", value => "'$value'::bytea"), receive => $answer);
	push @acked, $alpha->append('"to the liar"');
	$alpha->comes_to(q(SELECT bool_and(pending = 0) FROM ftchain.status), "a peer that $what: we go on");
	sync_says("a peer that $what", $message, $offset);
	my (undef, $problem) = $alpha->try_query($readable);
	is($problem, '', "a peer that $what: the status can be read");
}

# The part of a body that travels when it is asked for
sub entries_of
{
	my ($block) = @_;

	return substr($block->{body}, length(pack('CCn N/a', 1, 1, 0, $block->{manifest})));
}

# An answer that has all of these bytes
sub gives_body
{
	return sprintf('SELECT %d::bigint, %s, NULL::bytea', length($_[0]), hex_of($_[0]));
}

# What it says when it is asked for a body: a block of Mallory's, sent without
{
	my $tip = FtchainForge::tip($alpha, 'main');
	my $block = $forge->block($tip, bundles => [ bundle(9, 9, incarnation => 99, number => 1) ]);
	my $held = q(SELECT count(*) FROM ftchain.entry WHERE incarnation = 99);
	my $e = $block->{contents}{entries}[0];
	my $erased = pack('C Q> C/a C/a', 1, $e->{time}, $e->{author}, $e->{kind}) . Digest::SHA::sha256($e->{salt} . $e->{payload});
	my $entries = entries_of($block);
	my $taken = deliver([ block_message($block, $block->{bytes}) ]);

	is("$taken->{error}$taken->{refused}", '0', 'a block comes without its body');
	sleep(0.6);		# then anybody may fetch it
	steady();
	foreach my $case (
		[ 'has no body', '', $answers{body} ],
		[ 'says nothing of a body', 'malformed', "$answers{body} WHERE false" ],
		[ 'says two things of a body', 'malformed', "$answers{body} UNION ALL " . gives_body($entries) ],
		[ 'gives garbage for a body', 'body refused', gives_body('garbage') ],
		[ 'gives nothing for a body', 'body refused', gives_body('') ],
		[ 'gives nothing of a body', 'body refused', 'SELECT 100::bigint, NULL::bytea, NULL::bytea' ],
		[ 'gives more than there is', 'body refused', q(SELECT 1::bigint, 'xx'::bytea, NULL::bytea) ],
		[ 'gives a body that is too large', 'body refused', q(SELECT 1000000000000, 'x'::bytea, NULL::bytea) ],
		[ 'gives a block for a body', 'body refused', gives_body($block->{full}) ],
		[ 'gives a body with its manifest', 'body refused', gives_body($block->{body}) ],
		[ 'gives the body of another block', 'body refused', gives_body(entries_of($valid)) ],
		[ 'gives another payload', 'body refused', gives_body($entries =~ s/forged/FORGED/r) ],
		[ 'gives half a body', 'body refused', gives_body(substr($entries, 0, -3)) ],
		[ 'gives another kind of entry', 'body refused', gives_body("\x02" . substr($entries, 1)) ],
		[ 'gives an erased body', '(body refused|erased|could not be taken)', gives_body($erased) ])
	{
		my ($what, $message, $answer) = @$case;

		lie(body => $answer);
		$message eq '' ? look_after(q(CALL ftchain.sync('liar'))) : sync_says("a peer that $what", $message);
		$alpha->gives($held, '0', "a peer that $what: nothing of it is stored");
	}
	lie(body => gives_body($entries));
	look_after(q(SET statement_timeout = '10s'; CALL ftchain.sync('liar')));
	$alpha->comes_to($held, 'the right body is taken, also from it', '1', 20);
	lie();
	$alpha->comes_to(q(SELECT bool_and(wanted = 0) FROM ftchain.status), 'and nothing is wanted any more', 't', 20);
	steady();
}

link_survives('is in the last epoch', epoch => '9223372036854775807::bigint', next => '9223372036854775807::bigint');

# ---- Nobody waits for them: all at once, as peers of the courier

lie();
delete @liars{qw(says_http answers_half asks_for_much)};	# sixteen peers at most
$alpha->query(q(SELECT ftchain.remove_peer('liar')));
foreach my $name ('gone', sort keys %liars)
{
	$alpha->query("ALTER SERVER $name OPTIONS (SET port '" . $beta->port . "', SET dbname 'liars')");
	$alpha->query("CALL ftchain.add_peer('$name')");
	$alpha->query("ALTER SERVER $name OPTIONS (SET port '" . ($name eq 'gone' ? $nobody : $liars{$name}->port) . "')");
}
# whoever is connected to the liar that is left connects anew, to them
$beta->query(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'liars'));
my $bad = join(", ", map { "'$_'" } "gone", sort keys %liars);
$alpha->comes_to("SELECT count(*) FROM ftchain.peer_status() WHERE last_error IS NOT NULL AND last_error !~ 'administrator command' AND server IN ($bad)",
	"each of them is a peer, and its error is seen", 1 + keys %liars, 30);
(undef, my $problem) = $alpha->try_query($readable);
is($problem, '', 'the status of all of them can be read');
my $slowest = 0;
foreach my $round (1 .. 10)
{
	my $entry = $alpha->append("\"round $round\"");
	my (undef, $round_incarnation, $seq) = split(/\|/, $entry);
	my $start = time();

	push @acked, $entry;
	FtchainCluster::wait_until('an entry at beta', 30,
		sub { $beta->query("SELECT count(*) FROM ftchain.bundle u JOIN ftchain.block_bundle b ON b.bundle = u.id JOIN ftchain.main_chain m ON m.block = b.block WHERE u.incarnation = $round_incarnation AND u.seqs \@> $seq\::bigint") eq '1' });
	$slowest = time() - $start if time() - $start > $slowest;
}
cmp_ok($slowest, '<', 5, 'what is appended is sealed and at an honest peer soon, all the while');
note("slowest of ten: $slowest s");
$alpha->query("SELECT ftchain.remove_peer('$_')") foreach 'gone', sort keys %liars;
$_->stop foreach values %liars;

# ---- And she comes back, honest

$mallory->start;
push @acked, $mallory->append('"honest again"');
push @acked, $beta->append('"honest still"');
$alpha->query('SELECT ftchain.append(\'second\', \'3\')');
my @heads;
ok( FtchainCluster::wait_until(
		"all to agree", 60,
		sub {
			@heads = map { $_->query("SELECT head, pending, wanted FROM ftchain.status WHERE chain = 'main'") } @nodes;
			return $heads[0] =~ m{\|0\|0$} && !grep { $_ ne $heads[0] } @heads;
		}),
	"all agree in the end") or diag(join("\n", @heads));
foreach my $node (@nodes)
{
	$node->has_sealed(\@acked, undef, 20);
	$node->is_clean;
}
$alpha->gives(q(SELECT * FROM ftchain.verify('second')), '', 'so is the other chain');
unlike($alpha->log_since($log), qr/PANIC|was terminated by signal|TRAP:|server process .* exited/, 'nothing has crashed');
$alpha->gives(q(SELECT string_agg(worker || ' ' || pid, ', ' ORDER BY worker) FROM ftchain.worker_status() WHERE worker <> 'courier'),
	join(', ', grep { !/courier/ } split(/, /, $workers)), 'the workers are the same');

done_testing();
