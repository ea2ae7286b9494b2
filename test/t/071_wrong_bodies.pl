# Bodies in chunks that are wrong: they are never taken, it is found out whose they
# are, nobody else is blamed, and the body comes from somebody else.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainBodies;
use Test::More;

my $bodies = FtchainBodies->new;
my ($alpha, $beta, $gamma) = $bodies->nodes;
my $to_alpha = $bodies->line('gamma', 'alpha');
my $to_beta = $bodies->line('gamma', 'beta');
my $started = 'SELECT pg_postmaster_start_time()';
my $since = $gamma->query($started);

# beta answers other bytes and another length, as these expressions give them from
# the true answer b.
sub beta_lies
{
	my ($bytes, $total) = @_;

	$beta->query(<<"END");
ALTER FUNCTION ftchain.peer_body RENAME TO true_body;
CREATE FUNCTION ftchain.peer_body(genesis bytea, id bytea, encoding integer, "at" bigint, most integer,
        OUT total bigint, OUT bytes bytea, OUT stored bytea) LANGUAGE sql
    AS 'SELECT $total, $bytes, b.stored FROM ftchain.true_body(\$1, \$2, \$3, \$4, \$5) b';
GRANT EXECUTE ON FUNCTION ftchain.peer_body TO ftchain_peer;
END
	return;
}

sub beta_is_honest
{
	$beta->query('DROP FUNCTION ftchain.peer_body; ALTER FUNCTION ftchain.true_body RENAME TO peer_body');
	return;
}

sub blamed
{
	my ($node, $detail) = @_;

	return "SELECT count(*) FROM ftchain.incident WHERE kind = 'refused' AND detail LIKE '$detail' AND member = '" . $node->member . q(');
}

my $flipped = 'set_byte(b.bytes, octet_length(b.bytes) / 2, get_byte(b.bytes, octet_length(b.bytes) / 2) # 1)';

# ---- All of it from one who is wrong

beta_lies($flipped, 'b.total');
$to_alpha->set(mode => 'cut', rate => 4_000_000);
$to_beta->set(rate => 4_000_000);
my $large = $bodies->append_and_wait($alpha, $beta, 3);
$gamma->comes_to(blamed($beta, 'body: %'), 'who gives a body that is wrong is blamed', '1');
$gamma->comes_to('SELECT DISTINCT member FROM ftchain.wrong_body', 'and is not asked for it again', $beta->member);
FtchainBodies::nothing_left($gamma, 'nothing of it is kept');
$to_alpha->set(mode => 'pass');
$bodies->comes($gamma, $large, 'it comes of somebody else');

# ---- Some of it

$_->set(rate => 2_000_000) foreach $to_alpha, $to_beta;
$large = $bodies->append_and_wait($alpha, $beta, 7);
$gamma->comes_to(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'refused' AND member IS NULL AND detail LIKE 'body, of 2 members: %'),
	'of what is wrong and of several nobody is blamed yet', '1');
$bodies->comes($gamma, $large, 'it comes of one');
$gamma->comes_to(blamed($beta, 'body: a chunk of it was wrong'), 'and then it is known whose chunks were wrong', '1');
$gamma->gives(blamed($alpha, '%'), '0', 'who gave what was right is not blamed');
beta_is_honest();

# ---- Another length

beta_lies('substr(b.bytes, 1, $5)', 'b.total + 1');
$to_alpha->set(mode => 'cut', rate => 4_000_000);
$to_beta->set(rate => 4_000_000);
$large = $bodies->append_and_wait($alpha, $beta, 4);
FtchainBodies::under_way($gamma, 300_000, 'a body that is said to be longer');
$to_alpha->set(mode => 'pass');
$bodies->comes($gamma, $large, 'it comes of somebody else in its own length');
$gamma->comes_to(blamed($beta, 'body: its length was wrong'), 'and who was wrong is blamed', '1');
FtchainBodies::nothing_left($gamma, 'nothing is left of the other one');
beta_is_honest();

# All that there is, and then it never ends: who says where it does is asked for what
# lies beyond.
beta_lies(q(CASE WHEN $4 < b.total THEN b.bytes || decode(repeat(''00'', $5 - octet_length(b.bytes)), ''hex'') END), 'b.total + 2000000');
$to_alpha->set(mode => 'cut');
$large = $bodies->append_and_wait($alpha, $beta, 4);
$gamma->comes_to('SELECT bytes >= total - 2000000 FROM ftchain.fetches', 'a body that is said to be longer lacks nothing but that');
$to_alpha->set(mode => 'pass');
$bodies->comes($gamma, $large, 'it comes of somebody else, though it ends before');
$gamma->gives(blamed($alpha, '%'), '0', 'who said so is not blamed');
beta_is_honest();

# Two lengths of one body
beta_lies('b.bytes', 'b.total + ($4 = 0)::integer');
$to_alpha->set(mode => 'cut');
$large = $bodies->append_and_wait($alpha, $beta, 4);
$gamma->comes_to(blamed($beta, 'body: it says two lengths'), 'who says two lengths is blamed', '1');
$to_alpha->set(mode => 'pass');
$bodies->comes($gamma, $large, 'it comes of somebody else');
beta_is_honest();

# Who is asked alone for what others said
$beta->query('ALTER FUNCTION ftchain.peer_body RENAME TO true_body');
$to_alpha->set(mode => 'cut');
$large = $bodies->append_and_wait($alpha, $beta, 4);
$gamma->comes_to('SELECT count(*) FROM ftchain.wanted', 'a body is wanted', '1');
$gamma->query(q(INSERT INTO ftchain.fetch (block, total, chain, encoding, leader, alone) SELECT block, 5000000, chain, 1, '', true FROM ftchain.wanted));
$to_alpha->set(mode => 'pass');
$bodies->comes($gamma, $large, 'it comes in its own length of who leads a wrong one');
FtchainBodies::nothing_left($gamma, 'nothing is left of the wrong one');
$gamma->gives(blamed($alpha, '%'), '0', 'who leads what others said is not blamed');
$beta->query('ALTER FUNCTION ftchain.true_body RENAME TO peer_body');

# ---- Nonsense

$to_alpha->set(mode => 'cut');
foreach my $lie (
	[ 'b.bytes', '-1' ],
	[ 'b.bytes', '9223372036854775807' ],
	[ 'b.bytes', '0' ],
	[ 'NULL::bytea', 'b.total' ],
	[ q(''''::bytea), 'b.total' ],
	[ 'b.bytes || b.bytes', 'b.total' ])
{
	my $error = q(SELECT coalesce(last_error LIKE 'body refused: %', false) FROM ftchain.peer_status() WHERE server = 'beta');

	$gamma->comes_to($error, 'all is well', 'f');
	beta_lies(@$lie);
	$large = $bodies->append_and_wait($alpha, $beta, 1);
	$gamma->comes_to($error, "@$lie: it is refused");
	beta_is_honest();
	$bodies->comes($gamma, $large, 'and taken when it is right');
}
$gamma->gives(blamed($beta, 'chunk of a body: %') =~ s/count\(\*\)/count(DISTINCT detail)/r, '3', 'and recorded, by reason');
$bodies->set_all(mode => 'pass', rate => 0);
FtchainCluster::converge('all agree in the end', 60, $bodies->nodes);
FtchainBodies::nothing_left($gamma, 'nothing is left');
$gamma->gives($started, $since, 'nothing made a server fall');
$_->is_clean foreach $bodies->nodes;

done_testing();
