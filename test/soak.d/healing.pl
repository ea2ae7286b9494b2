# Six members in three zones: harm of every kind, until the time is over; then
# each server is replaced by a new one, under appends.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use File::Copy;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{FTC_SOAK_SECONDS} // 300;
my $seed = $ENV{FTC_SOAK_SEED} // 1;
my $end = time() + $seconds;

srand($seed);
note("seed $seed, $seconds s");

my @names = qw(alpha beta gamma delta epsilon zeta);
my @conf = (
	"ftchain.scrub_interval = '1s'", "ftchain.deep_scrub_interval = '2s'", 'ftchain.repair_limit = -1',
	"ftchain.compare_interval = '5s'");
my @nodes = FtchainCluster->network(\@names, conf => \@conf, chain => { replicas => 3 });
my %node = map { $names[$_] => $nodes[$_] } 0 .. $#names;
my $genesis = $node{alpha}->query('SELECT genesis FROM ftchain.chain');
my @acked;

sub nodes
{
	return map { $node{$_} } @names;
}

sub append
{
	my ($who, $count) = @_;

	push @acked, $who->append(sprintf('"%d of %s"', scalar(@acked), $who->name)) for 1 .. $count;
	return;
}

append($_, 5) foreach nodes();
FtchainCluster::converge('all begin', 120, nodes());

# ---- harm

my $block = '(SELECT block FROM ftchain.main_chain WHERE height = %1$d)';
my $bundle = qq((SELECT bundle FROM ftchain.block_bundle WHERE block = $block ORDER BY "position" LIMIT 1));
my $ids = "(SELECT ids FROM ftchain.bundle WHERE id = $bundle)";

sub flip
{
	my ($table, $column, $where) = @_;

	return "UPDATE ftchain.$table SET $column = set_byte($column, length($column) / 2, 255 - get_byte($column, length($column) / 2)) WHERE $where";
}

my @harm = (
	qq(UPDATE ftchain.entry SET payload = '"forged"' WHERE id = (SELECT lower($ids))),
	"DELETE FROM ftchain.entry WHERE id = (SELECT lower($ids))",
	"DELETE FROM ftchain.entry WHERE $ids \@> id",
	"UPDATE ftchain.bundle SET ids = '{[1,)}' WHERE id = $bundle AND ids IS NOT NULL",
	"DELETE FROM ftchain.block WHERE id = $block",
	'DELETE FROM ftchain.main_chain WHERE height = %1$d',
	"DELETE FROM ftchain.replica WHERE block = $block",
	flip('block', 'header', "id = $block"),
	flip('block', 'signature', "id = $block"),
	flip('block', 'manifest', "id = $block"),
	flip('block', 'tip', "id = $block"),
	flip('bundle', 'head', "id = $bundle"),
	flip('bundle', 'leaves', "id = $bundle AND leaves IS NOT NULL"),
	flip('epoch_state', 'content', "root = (SELECT substr(header, 161, 32) FROM ftchain.block WHERE id = $block)"),
	'TRUNCATE ftchain.entry', 'TRUNCATE ftchain.main_chain', 'TRUNCATE ftchain.block_bundle', 'TRUNCATE ftchain.epoch_state',
	'TRUNCATE ftchain.control');

sub harm
{
	my $who = shift;
	my $head = $who->query('SELECT max(height) FROM ftchain.main_chain');
	my $sql = sprintf($harm[ rand @harm ], 1 + rand($head - 1));

	$sql = "ALTER TABLE ftchain.replica DISABLE TRIGGER guard; $sql; ALTER TABLE ftchain.replica ENABLE ALWAYS TRIGGER guard"
	  if $sql =~ /replica/;
	$who->tamper($sql);
	return $who->name . ": $sql";
}

my $worst = 0;
my $rounds = 0;

while (time() < $end - $seconds / 3)
{
	my @hurt = map { $node{ $names[ rand @names ] } } 0 .. int(rand(3));
	my $start = time();
	my @done = map { harm($_) } @hurt;
	my $ok;

	append($node{ $names[ rand @names ] }, 1) if rand() < 0.5;
	if (rand() < 0.2)
	{
		my $who = $node{ $names[ rand @names ] };

		$who->kill9;
		$who->start;
		push @done, $who->name . ' was killed';
	}
	$ok = FtchainCluster::wait_until(
		join('; ', @done),
		240,
		sub {
			foreach my $who (@hurt)
			{
				my ($out) = $who->try_query(
					q(SELECT (SELECT count(*) FROM ftchain.verify('main')) + (SELECT count(*) FROM ftchain.damage WHERE repaired IS NULL)));
				return 0 if $out ne '0';
			}
			return 1;
		});
	$worst = time() - $start if time() - $start > $worst;
	$rounds++;
	if (!$ok)
	{
		ok(0, join('; ', @done) . ' heals');
		diag(join("\n", map { ($_->try_query(q(SELECT height, what, expected, found FROM ftchain.verify('main') LIMIT 20)))[0] } @hurt));
		last;
	}
}
ok($rounds > 0, sprintf('%d rounds of harm healed, the slowest in %.1f s', $rounds, $worst));
FtchainCluster::converge('all agree', 240, nodes());

# ---- every server is replaced

my $key = $nodes[0]->basedir . '/saved.pem';

foreach my $name (@names)
{
	my $old = $node{$name};
	my @others = map { $node{$_} } grep { $_ ne $name } @names;
	my $new;

	append($old, 1);
	FtchainCluster::converge("$name has said all it had to say", 240, nodes());
	copy((glob($old->data_dir . '/ftchain_keys/*.pem'))[0], $key) or die "cannot copy: $!";
	$old->stop('immediate');
	append($others[0], 3);
	$new = FtchainCluster->new_node("new_$name", conf => [ @conf, "ftchain.heartbeat = '300ms'", "ftchain.seal_delay = '50ms'" ]);
	$new->query('CREATE EXTENSION ftchain');
	foreach my $other (@names)
	{
		next if $other eq $name;
		$new->add_server($node{$other}, server => $other, role => "peer_$name", password => "secret of peer_$name");
		$new->create_login("peer_$other", "secret of peer_$other", 'ftchain_peer');
		$node{$other}->query("ALTER SERVER $name OPTIONS (SET port '" . $new->port . "')");
	}
	mkdir($new->data_dir . '/ftchain_keys', 0700);
	copy($key, $new->data_dir . '/ftchain_keys/saved.pem') or die "cannot copy: $!";
	$new->close_keys;
	my ($first, @rest) = grep { $_ ne $name } @names;
	$new->query("CALL ftchain.recover_member('$first', 'main', '$genesis', 'saved.pem')");
	$new->query("CALL ftchain.add_peer('$_')") foreach @rest;
	$new->query('SELECT ftchain.start()');
	$node{$name} = $new;
	append($new, 1);
	FtchainCluster::converge("$name is replaced", 240, nodes());
}
foreach my $who (nodes())
{
	$who->has_sealed(\@acked, $who->name . ' has every entry once', 240);
	$who->is_clean;
}
done_testing();
