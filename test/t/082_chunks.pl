# Large bodies, in chunks: what is small passes between them, and cuts and crashes take
# back little of them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainBodies;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $bodies = FtchainBodies->new;
my ($alpha, $beta, $gamma) = $bodies->nodes;

# ---- On a narrow line what is small does not wait for what is large

my $rate = 2_000_000;
my $megabytes = 16;
my %longest;
my %times;

# How long something takes
sub takes
{
	my ($what, $code) = @_;
	my $begun = time();
	my $took = FtchainCluster::wait_until($what, 20, $code) ? time() - $begun : 1000;

	$times{$what}++;
	$longest{$what} = $took if $took > ($longest{$what} // 0);
	return;
}

sub is_acknowledged
{
	my ($node, $topic) = @_;

	return sub { $node->query("SELECT waiting FROM ftchain.streams WHERE direction = 'out' AND topic = '$topic'") eq '0' };
}

sub none_waits_longer
{
	my ($seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $what (sort keys %longest)
	{
		note(sprintf('%s: %d, %.2f s at most', $what, $times{$what}, $longest{$what}));
		cmp_ok($longest{$what}, '<', $seconds, "$what does not wait for what is large");
	}
	%longest = %times = ();
	return;
}

$_->query(q(SELECT ftchain.create_topic('small'), ftchain.create_topic('large'))) foreach $alpha, $gamma;
$bodies->set_all(rate => $rate);
$bodies->line('gamma', 'beta')->set(mode => 'cut');

my $start = time();
my $large = $bodies->append($alpha, $megabytes);
FtchainBodies::under_way($gamma, 1_000_000, 'a large body is under way');
$gamma->gives(q(SELECT chain, bytes < total, members = ARRAY[(SELECT member FROM ftchain.peer WHERE server = 'alpha')], servers, alone, doubted, whole IS NULL, refused FROM ftchain.fetches ORDER BY bytes DESC LIMIT 1),
	'main|t|t|{alpha}|f|0|t|{}', 'it is seen how far it is');
while ($gamma->query('SELECT count(*) FROM ftchain.fetches') > 0)
{
	$gamma->query(q(SELECT ftchain.send('alpha', 'small', '1')));
	takes('a message from here', is_acknowledged($gamma, 'small'));
	$alpha->query(q(SELECT ftchain.send('gamma', 'small', '1')));
	takes('a message to here', is_acknowledged($alpha, 'small'));
	my (undef, $incarnation, $seq) = split(/\|/, $alpha->append('"small"'));
	takes('an entry', sub { $gamma->query("SELECT count(height) FROM ftchain.entries WHERE incarnation = $incarnation AND seq = $seq") eq '1' });
}
my $took = time() - $start;
$bodies->comes($gamma, $large, 'it comes');
note(sprintf('%d MB took %.1f s at %d bytes/s', $megabytes, $took, $rate));
cmp_ok($took, '>', $megabytes * 1e6 / $rate * 0.9, 'the line was as narrow as it should be');
cmp_ok($took, '<', $megabytes * 1e6 / $rate * 2 + 6, 'and it was used well');
none_waits_longer(2.5);
FtchainBodies::nothing_left($gamma, 'nothing of it is left');

# What one session gives in chunks, one after the other and from the last to the first, is
# what it gives at once.
foreach my $order (qw(ASC DESC))
{
	$alpha->gives(<<"END", 't', "chunks are parts of the body, $order");
SELECT (SELECT string_agg(c.bytes, '' ORDER BY g.at)
          FROM (SELECT at FROM generate_series(0, w.total - 1, 100000) at ORDER BY at $order OFFSET 0) g,
               ftchain.peer_body(x.genesis, x.id, 1, g.at, 100000) c) = w.bytes
  FROM (SELECT genesis, (SELECT block FROM ftchain.entries WHERE kind = '$large' LIMIT 1) AS id FROM ftchain.chain) x,
       ftchain.peer_body(x.genesis, x.id, 1, 0, 16777216) w
END
}

# A message is not cut in pieces: the largest takes half a second here.

$gamma->query(q(SELECT ftchain.send('alpha', 'large', ('"' || repeat('x', 1048000) || '"')::json) FROM generate_series(1, 6)));
while ($gamma->query(q(SELECT waiting FROM ftchain.streams WHERE direction = 'out' AND topic = 'large')) > 0)
{
	$gamma->query(q(SELECT ftchain.send('alpha', 'small', '1')));
	takes('a small message', is_acknowledged($gamma, 'small'));
}
none_waits_longer(2.5);
$gamma->refuses(q(SELECT ftchain.send('alpha', 'large', ('"' || repeat('x', 1048576) || '"')::json)), qr/up to 1048576/,
	'there is a limit to one');

# ---- Cut, killed: what has come stays, and the rest comes from whoever has it

$bodies->set_all(rate => 3_000_000);
$large = $bodies->append_and_wait($alpha, $beta, 9);
FtchainBodies::under_way($gamma, 3_000_000, 'another one is under way');
$bodies->line('gamma', 'alpha')->set(mode => 'cut');
my $had = FtchainBodies::held($gamma);
$gamma->kill9;
$bodies->line('gamma', 'beta')->set(mode => 'pass');
$gamma->start;
my $has = $gamma->query('SELECT coalesce(sum(size), 0) FROM ftchain.chunk');
note("$had bytes had come before it was killed, $has are there after");
cmp_ok($has, '>=', 1_000_000, 'what has come is there after a crash');
ok(FtchainCluster::wait_until('chunks of beta', 30, sub { $gamma->query('SELECT count(DISTINCT s) FROM ftchain.fetches f, unnest(f.servers) s') eq '2' }),
	'the rest comes from somebody else');
$bodies->comes($gamma, $large, 'it comes, of two members');
FtchainBodies::nothing_left($gamma, 'nothing is left of that');
$gamma->is_clean('and it is right');

# ---- A chunk that has come cannot be read any more: all of it is asked for again

my $toast = q((SELECT reltoastrelid FROM pg_class WHERE oid = 'ftchain.chunk'::regclass));
$gamma->query('CREATE EXTENSION pg_surgery');
# so slowly that it is still under way when it is damaged
$bodies->set_all(mode => 'pass', rate => 500_000);
$large = $bodies->append_and_wait($alpha, $beta, 9);
FtchainBodies::under_way($gamma, 1_000_000, 'yet another one is under way');
$gamma->tamper("DO \$\$ DECLARE t regclass = $toast; ids tid[]; BEGIN
	EXECUTE format('SELECT array_agg(ctid) FROM (SELECT ctid FROM %s ORDER BY ctid LIMIT 1) x', t) INTO ids;
	PERFORM heap_force_kill(t, ids); END \$\$");
$bodies->set_all(mode => 'pass', rate => 3_000_000);
$bodies->comes($gamma, $large, 'damaged on its way, it comes all the same');
like($gamma->log_since, qr/missing chunk number|unexpected chunk number/, 'the damage was met');
FtchainBodies::nothing_left($gamma, 'nothing is left of that either');
$gamma->is_clean('and all is right');
$bodies->set_all(mode => 'pass', rate => 8_000_000);

# ---- A crash at each step

SKIP:
{
	skip 'this build has no failpoints', 1 unless $gamma->has_failpoints;

	my $sources = join('', map { slurp_file($_) } glob("$FindBin::RealBin/../../src/*.c"));
	my @failpoints = $sources =~ /\bFTC_FAILPOINT\("(fetch-[^"]+)"\)/g;

	cmp_ok(scalar(@failpoints), '>=', 4, 'there are steps');
	foreach my $failpoint (@failpoints)
	{
		$gamma->crashes_at($failpoint, sub { $large = $bodies->append_and_wait($alpha, $beta, 2) });
		$gamma->start;
		$bodies->comes($gamma, $large, "$failpoint: the body comes");
	}
}
FtchainCluster::converge('all agree in the end', 60, $bodies->nodes);
FtchainBodies::nothing_left($gamma, 'nothing is left');
$gamma->gives(q(SELECT DISTINCT detail FROM ftchain.incident WHERE kind = 'refused' AND detail LIKE '%body%'), '', 'nobody is blamed');
$_->is_clean foreach $bodies->nodes;

done_testing();
