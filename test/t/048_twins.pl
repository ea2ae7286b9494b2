# Two databases that claim one identity: a data directory is copied, and both copies
# are started.  Each member that both speak with finds out, and so do both copies;
# an ordinary restart is no copy.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use PostgreSQL::Test::Utils qw(system_or_bail);
use Test::More;

my @conf = (conf => [ "ftchain.heartbeat = '300ms'", 'ftchain.scrub_interval = 0', 'ftchain.deep_scrub_interval = 0' ]);
my ($alpha, $beta, $gamma) = FtchainCluster->network([qw(alpha beta gamma)], @conf);
my $member = $alpha->query(q(SELECT encode(member, 'hex') FROM ftchain.self));
my $alarms = "SELECT count(*) FROM ftchain.twin WHERE member = '\\x$member'";

# ---- what is no copy

# It was spoken with, and more often than once, since its workers started.
sub is_present
{
	my $node = shift;
	my $calls = "SELECT coalesce(min(calls), 0) FROM ftchain.peer_status() WHERE state IN ('idle', 'calling')";

	$node->comes_to("SELECT ($calls) > 12", $node->name . ' is in touch');
	return;
}

foreach my $how ('restart', 'kill', 'workers', 'cut', 'back')
{
	if ($how eq 'restart')
	{
		$alpha->restart;
	}
	elsif ($how eq 'kill')
	{
		$alpha->kill9;
		$alpha->start;
	}
	elsif ($how eq 'workers')
	{
		$alpha->query('SELECT ftchain.stop()');
		$alpha->comes_to('SELECT count(*) FROM ftchain.worker_status() WHERE pid IS NOT NULL', 'its workers have left', '0');
		$alpha->query('SELECT ftchain.start()');
	}
	elsif ($how eq 'cut')
	{
		$_->query(q(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'peer_alpha')) foreach $beta, $gamma;
		$alpha->query('CALL ftchain.sync()');
	}
	else
	{
		# its clock was wrong: its run begins before the one that went before
		$alpha->configure('ftchain.clock_offset' => '-7200000') if $alpha->has_failpoints;
		$alpha->restart;
		$alpha->configure('ftchain.clock_offset' => undef) if $alpha->has_failpoints;
	}
	is_present($alpha);
	$_->gives('SELECT count(*) FROM ftchain.twin', '0', "$how: no copy, says " . $_->name) foreach $alpha, $beta, $gamma;
}

# ---- what is

my $copy = FtchainCluster->new_node('copy', start => 0);
my $data = $copy->data_dir;

$alpha->stop;
system_or_bail('rm', '-rf', $data);
system_or_bail('cp', '-a', $alpha->data_dir, $data);
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port . "\nunix_socket_directories = '" . $copy->host . "'");
$copy->start;
is_present($copy);
$_->gives('SELECT count(*) FROM ftchain.twin', '0', 'a copy alone is the member, says ' . $_->name) foreach $beta, $gamma;

my $listener = $beta->background_psql('postgres');
$listener->query_safe('LISTEN ftchain_event');
$alpha->start;
$_->comes_to($alarms, 'both of them: ' . $_->name . ' finds out', '1', 15) foreach $beta, $gamma;
$_->comes_to($alarms, $_->name . ' is told by each', '2', 15) foreach $alpha, $copy;
like(
	$listener->query_safe('SELECT 1'), qr/"event": "incident", "id": \d+, "kind": "two copies", "chain": null, "member": "$member"/,
	'who listens at beta hears of it');
$listener->quit;

my $incarnations = join('|', sort { $a <=> $b } map { $_->query('SELECT incarnation FROM ftchain.self') } $alpha, $copy);
foreach my $node ($alpha, $beta, $gamma, $copy)
{
	$node->gives(
		q(SELECT DISTINCT least(incarnation, other), greatest(incarnation, other) FROM ftchain.twin), $incarnations,
		$node->name . ' knows both incarnations');
	$node->gives('SELECT twins FROM ftchain.status', '1', $node->name . ' shows it');
	$node->gives(
		q(SELECT count(*) FROM ftchain.incident WHERE kind = 'two copies'),
		$node->query('SELECT count(*) FROM ftchain.twin'),
		$node->name . ' has it on record, and not again and again');
	like($node->log_since, qr/there are two live copies of member $member/, $node->name . ' has logged it');
}

# Whatever either takes is kept apart: nothing is lost, nothing is twice.  The
# others cannot reach the copy, so it has to tell them.
my @entries = map { $_->append('"in two places"') } $alpha, $copy;
$_->has_sealed(\@entries, 'what both took is in the chain, says ' . $_->name, 60) foreach $beta, $alpha, $copy;

# ---- one of them ends

$copy->stop;
my $seen = 'SELECT max(seen) FROM ftchain.twin';
foreach my $node ($alpha, $beta, $gamma)
{
	my $before = $node->query("SELECT clock_timestamp()");

	$node->comes_to("SELECT clock_timestamp() - max(seen) > interval '2 s' FROM ftchain.twin", $node->name . ' sees it no more');
	isnt($node->query("SELECT ftchain.clear_twins('\\x$member')"), '0', $node->name . ' is told that it is over');
}
$alpha->restart;
is_present($alpha);
$_->gives('SELECT (SELECT count(*) FROM ftchain.twin), twins FROM ftchain.status', '0|0', 'it is over, for ' . $_->name)
  foreach $alpha, $beta, $gamma;
$beta->gives(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'two copies cleared'), '1', 'which is on record');

# and a new one is found out again
$copy->start;
$beta->comes_to($alarms, 'when both live again that is found out again', '1', 15);

done_testing();
