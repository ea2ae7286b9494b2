# The network laboratory: it does what it is told to, by its own measure; and two
# members in it, with packets lost, late, twice and out of order, parted both ways
# and one way, and with connections that end at any byte.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainLab;
use Test::More;
use Time::HiRes qw(time);

plan(skip_all => 'no network namespaces') unless FtchainLab::is_ours();

my $lab = FtchainLab->new(qw(alpha beta));

# ---- The network itself

# (datagrams that came, of them whole, different ones, median ms, in order?)
sub measure
{
	my ($from, $to, $count) = @_;
	my @came = $lab->probe($from, $to, $count);
	my @ms = sort { $a <=> $b } map { $_->{ms} } @came;
	my %different = map { $_->{number} => 1 } @came;
	my $swapped = grep { $came[$_]{number} < $came[ $_ - 1 ]{number} } 1 .. $#came;

	return (
		came => scalar @came,
		whole => scalar(grep { $_->{whole} } @came),
		different => scalar keys %different,
		ms => $ms[ @ms / 2 ] // 0,
		swapped => $swapped);
}

# A test: a number is near what it should be.
sub near
{
	my ($got, $least, $most, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($got >= $least && $got <= $most, "$what: $got of $least to $most");
}

$lab->seed(1);
my %m = measure('alpha', 'beta', 300);
is("$m{came} $m{whole} $m{different} $m{swapped}", '300 300 300 0', 'as it is, nothing happens to packets');
cmp_ok($m{ms}, '<', 25, "and they take $m{ms} ms");

$lab->set('alpha', 'beta', loss => 20);
%m = measure('alpha', 'beta', 1000);
near($m{came}, 740, 860, 'four of five arrive');
%m = measure('beta', 'alpha', 300);
is($m{came}, 300, 'all of them on the way back');
$lab->heal;

$lab->set('alpha', 'beta', delay => 50);
%m = measure('alpha', 'beta', 200);
is("$m{came} $m{swapped}", '200 0', 'late ones all arrive, and in order');
near($m{ms}, 50, 150, 'ms for a delay of 50');
$lab->set('alpha', 'beta', jitter => 20);
%m = measure('alpha', 'beta', 200);
is("$m{came} $m{swapped}", '200 0', 'jitter keeps the order');
near($m{ms}, 55, 150, 'ms with a jitter of 20');
$lab->heal;

$lab->set('alpha', 'beta', duplicate => 30);
%m = measure('alpha', 'beta', 500);
is("$m{different} $m{swapped}", '500 0', 'with duplicates none is lost');
near($m{came}, 590, 710, 'arrive');
$lab->heal;

$lab->set('alpha', 'beta', late => 10, lateness => 5);
%m = measure('alpha', 'beta', 500);
is("$m{came} $m{different}", '500 500', 'those out of order are all there');
near($m{swapped}, 15, 80, 'come after one that was sent later');
$lab->heal;

$lab->set('alpha', 'beta', corrupt => 20);
%m = measure('alpha', 'beta', 500);
is($m{whole}, $m{came}, 'corrupted packets are not for applications');
near($m{came}, 350, 450, 'the others arrive');
$lab->set('alpha', 'beta', repair => 1);
%m = measure('alpha', 'beta', 500);
is($m{came}, 500, 'with checksums that fit they are');
near($m{whole}, 350, 450, 'are whole');
$lab->heal;

# 158 bytes with headers
$lab->set('alpha', 'beta', rate => 1000);
my $start = time();
%m = measure('alpha', 'beta', 500);
is($m{came}, 500, 'a narrow line loses nothing');
near(time() - $start, 0.6, 5, 's for 79 kB at 1 Mbit/s');
# so narrow that no sender, however slow it is, keeps within it
$lab->set('alpha', 'beta', rate => 100, limit => 10);
my %earlier = $lab->show('alpha', 'beta');
%m = measure('alpha', 'beta', 500);
near($m{came}, 10, 450, 'arrive if no more than 10 may wait');
{
	my %after = $lab->show('alpha', 'beta');

	near($after{overflowed} - $earlier{overflowed}, 500 - $m{came}, 510 - $m{came}, 'had no place');
}
$lab->heal;

$lab->part(['alpha'], ['beta']);
%m = measure('alpha', 'beta', 50);
is($m{came}, 0, 'nothing comes through a partition');
$lab->set('beta', 'alpha', down => 0);
%m = measure('beta', 'alpha', 50);
is($m{came}, 50, 'one way it does');
$lab->heal;
my %c = $lab->show('alpha', 'beta');
note('alpha to beta: ', $lab->counters('alpha', 'beta'));
is($c{sent} + $c{duplicated}, $c{passed} + $c{lost} + $c{stopped} + $c{overflowed}, 'all packets are accounted for');

# ---- Two members

my ($alpha, $beta) = $lab->network(conf => [ "ftchain.call_timeout = '2s'" ]);
my @loads = map { $_->start_load(pause => 0.02) } $alpha, $beta;

# A test: what is appended here comes to be in a block there.
sub arrives
{
	my ($from, $to, $what) = @_;
	my (undef, undef, $seq) = split(/\|/, $from->append('"news"'));
	my $member = $from->member;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $to->comes_to(<<"END", $what);
SELECT count(*) = 1 FROM ftchain.bundle u JOIN ftchain.origin o ON o.id = u.origin
  JOIN ftchain.block_bundle b ON b.bundle = u.id JOIN ftchain.main_chain m ON m.block = b.block
 WHERE u.seqs \@> $seq\::bigint AND o.member = '$member'
END
}

$lab->set('*', '*', loss => 5, delay => 20, duplicate => 5, late => 5);
arrives($alpha, $beta, 'where the network is bad entries arrive');
arrives($beta, $alpha, 'in the other direction, too');
$lab->part(['alpha'], ['beta']);
FtchainCluster::load_goes_on($_, 20, 'each goes on in a partition') foreach @loads;
$lab->join_all;
arrives($alpha, $beta, 'they meet again');
$lab->set('beta', 'alpha', down => 1);
FtchainCluster::load_goes_on($_, 20, 'each goes on when packets pass one way only') foreach @loads;
$lab->join_all;
arrives($beta, $alpha, 'and again');
%c = $lab->show;
foreach my $what (qw(lost duplicated delayed stopped))
{
	cmp_ok($c{$what}, '>', 0, "packets were $what");
}
note('with two members: ', $lab->counters);
$lab->heal;

# ---- Connections that end at any byte

my $cutter = $lab->cutter('alpha', $beta);
my %place = $cutter->place;
$alpha->query("ALTER SERVER beta OPTIONS (SET host '$place{host}', SET port '$place{port}')");
ok(FtchainCluster::wait_until('the cutter to be used', 20, sub { my %s = $cutter->show; $s{came} && $s{down} > 500 }),
	'the other way is taken');
my $bytes = 300;
foreach my $way (qw(up down))
{
	my %before = $cutter->show;

	# the first bytes are of the login, those after them of messages
	foreach my $n (1 .. 4)
	{
		$bytes += 37 + int(rand(40));
		$cutter->plan($way, $bytes, 'reset', 1);
		$cutter->end('reset');
		my %now = $cutter->show;
		FtchainCluster::wait_until('a connection to be cut', 10, sub { my %s = $cutter->show; $s{reset} > $now{reset} });
	}
	my %after = $cutter->show;
	cmp_ok($after{reset} - $before{reset}, '>=', 4, "connections end at some byte $way");
}
$cutter->plan('pass');
$cutter->end('silent');
arrives($alpha, $beta, 'a half-open connection is given up');

my @acked = map { FtchainCluster::stop_load($_) } @loads;
FtchainCluster::converge('in the end all agree', 60, $alpha, $beta);
foreach my $node ($alpha, $beta)
{
	$node->has_sealed(\@acked);
	$node->is_clean;
}

done_testing();
