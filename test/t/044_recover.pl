# A member whose database is lost is rebuilt from the others, with its key; also
# after a crash in the middle of it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use File::Copy;
use Test::More;

my @nodes = FtchainCluster->network([qw(alpha beta gamma)], chain => { replicas => 2 });
my ($alpha, $beta, $gamma) = @nodes;
my $genesis = $alpha->query('SELECT genesis FROM ftchain.chain');
my $member = $gamma->member;
my @acked;

foreach my $round (1 .. 8)
{
	push @acked, $_->append(qq("round $round")) foreach @nodes;
	$_->query('CALL ftchain.seal()') foreach @nodes;
}
FtchainCluster::converge('all have their share', 60, @nodes);
$_->holds_its_share foreach @nodes;
# As the others know it: what gamma alone knows is lost with it.
my $signed = "SELECT encode(r.block, 'hex') FROM ftchain.replica r JOIN ftchain.main_chain m ON m.block = r.block WHERE r.member = '$member' ORDER BY 1";
my @promises = split(/\n/, $alpha->query($signed));
cmp_ok(scalar @promises, '>', 0, 'gamma has signed that it stores bodies');

# The key is all that is left of it.
my ($key) = glob($gamma->data_dir . '/ftchain_keys/*.pem');
my $saved = $gamma->basedir . '/saved.pem';
copy($key, $saved) or die "cannot copy the key: $!";
$gamma->stop('immediate');
push @acked, $alpha->append('"while it is away"');

my $new = FtchainCluster->new_node('new', conf => [ "ftchain.heartbeat = '300ms'", "ftchain.seal_delay = '50ms'" ]);
$new->query('CREATE EXTENSION ftchain');
$new->add_server($_) foreach $alpha, $beta;
# the others reach it where it is now
foreach my $node ($alpha, $beta)
{
	$new->create_login('peer_' . $node->name, 'secret of peer_' . $node->name, 'ftchain_peer');
	$node->query('ALTER SERVER gamma OPTIONS (SET port ' . "'" . $new->port . "')");
}

$new->refuses("CALL ftchain.recover_member('alpha', 'main', '$genesis')", qr/this database has no key/, 'without the key it is nobody');
$new->gives('SELECT count(*) FROM ftchain.identity', '0', 'and is made nobody else');
mkdir($new->data_dir . '/ftchain_keys', 0700);
copy($saved, $new->data_dir . '/ftchain_keys/saved.pem') or die "cannot copy the key: $!";
$new->refuses("CALL ftchain.recover_member('alpha', 'main', '$genesis', 'saved.pem')", qr/has group or world access/, 'a key that others can read is none');
$new->close_keys;
$new->query('CREATE DATABASE other');
my $other = $new->query(q(SELECT oid FROM pg_database WHERE datname = 'other'));
$new->refuses("CALL ftchain.recover_member('alpha', 'main', '$genesis', '$other.pem')", qr/key file "$other.pem" is that of database "other"/,
	'nor with the key of another database here');
$new->refuses("CALL ftchain.recover_member('alpha', 'main', '$genesis', '../saved.pem')", qr/is no name of a file in the key directory/,
	'nor one that lies elsewhere');
$new->refuses("CALL ftchain.recover_member('alpha', 'main', '\\x" . '00' x 32 . "', 'saved.pem')", qr/has genesis/, 'not from another chain');

if ($new->has_failpoints)
{
	$new->query("CALL ftchain.add_peer('beta')");
	foreach my $phase (qw(blocks bodies))
	{
		$new->crashes_at("recover-$phase",
			sub { $new->try_query("CALL ftchain.recover_member('alpha', 'main', '$genesis', 'saved.pem')") });
		$new->start;
		$new->gives('SELECT phase, finished IS NULL FROM ftchain.recovery', "$phase|t", "$phase: how far it was is not lost");
	}
	$new->refuses(q(SELECT ftchain.append('main', '1')), qr/nothing is written to chain "main"/, 'until it is done nothing is written');
}
my ($out, $error) = $new->try_query("CALL ftchain.recover_member('alpha', 'main', '$genesis', 'saved.pem')");
unlike($error, qr/ERROR/, 'it is rebuilt') or diag($error);
$new->query("CALL ftchain.add_peer('beta')");
$new->gives('SELECT phase, wanted, finished IS NOT NULL FROM ftchain.recovery', 'done|0|t', 'to its end');
$new->gives('SELECT count(*) FROM ftchain.alarms', '0', 'it may write again');
is($new->member, $member, 'it is the same member');
$new->is_clean;
$new->holds_its_share;
$new->gives("SELECT count(*) FROM ftchain.blocks WHERE held AND encode(id, 'hex') IN (" . join(', ', map { "'$_'" } @promises) . ')',
	scalar @promises, 'it holds what it signed for');
is_deeply([ grep { my $promise = $_; !grep { $_ eq $promise } split(/\n/, $new->query($signed)) } @promises ], [], 'and knows that it did');

$new->query('SELECT ftchain.start()');
push @acked, $new->append('"it is back"');
FtchainCluster::converge('it takes part again', 60, $alpha, $beta, $new);
foreach my $node ($alpha, $beta, $new)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
}
# Called once more it finds nothing to do.
$new->query('SELECT ftchain.stop()');
$new->refuses(q(CALL ftchain.recover_member('nowhere', 'main')), qr/server "nowhere" does not exist/, 'not from a server that is not there');
$new->gives('SELECT count(*) FROM ftchain.alarms', '0', 'and nothing is stopped for it');
($out, $error) = $new->try_query("CALL ftchain.recover_member('alpha', 'main', '$genesis')");
is($error, '', 'once more does no harm');
$new->is_clean;
done_testing();
