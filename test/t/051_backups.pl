# Messages, when either database is set back: to a base backup that was taken
# while messages came and went, to a standby that lacks the newest, or to a dump.
# Nothing that the sender still knows of is lost, and nothing is done twice.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use FtchainMessages;
use PostgreSQL::Test::Utils qw(system_or_bail);
use Test::More;

my @conf = ("ftchain.databases = 'postgres'", "ftchain.heartbeat = '300ms'", 'shared_buffers = 16MB', 'max_connections = 30');
my ($alpha, $beta) = map { FtchainCluster->new_node($_, conf => \@conf, init => { allows_streaming => 1 }) } qw(alpha beta);

FtchainMessages::introduce([ $alpha, $beta ]);
FtchainMessages::receive($beta, 'queue');
FtchainMessages::receive($beta, 'rows', 'landed');
FtchainMessages::receive($alpha, 'rows', 'landed');
my @there = map { FtchainMessages->new($alpha, $beta, @$_) } [qw(queue)], [qw(rows landed)];
my @back = (FtchainMessages->new($beta, $alpha, qw(rows landed)));
my @all = (@there, @back);

sub all_is_well
{
	my $what = shift;

	$_->all_there($what) foreach @all;
	return;
}

# A base backup while messages come and go; what had been sent before is in it.
# Gives what FtchainMessages::forget needs, for each stream from there.
sub back_up
{
	my ($node, $name) = @_;
	my @marks;

	$_->send(20) foreach @all;
	@marks = map { [ $_, $_->mark ] } grep { $_->{from} == $node } @all;
	$_->start foreach @all;
	$all[0]->goes_on(10, 'messages come and go before the backup of ' . $node->name);
	$node->backup($name, backup_options => ['--checkpoint=fast']);
	$_->goes_on(10, 'and after it') foreach $all[0], $all[-1];
	$_->stop foreach @all;
	return @marks;
}

# Put the backup in the place of the node; what it had sent after the mark may
# be gone with it.
sub put_back
{
	my ($node, $name, @marks) = @_;

	$node->kill9;
	system_or_bail('rm', '-rf', $node->data_dir);
	system_or_bail('cp', '-a', $node->backup_dir . "/$name", $node->data_dir);
	$node->start;
	$_->[0]->forget($_->[1]) foreach @marks;
	return;
}

# ---- base backups

foreach my $node ($beta, $alpha)
{
	my $name = $node->name;
	my @marks = back_up($node, 'base');

	all_is_well("before $name is set back");
	put_back($node, 'base', @marks);
	$_->send(20) foreach @all;
	all_is_well("$name was set back to a base backup");
}

# ---- a standby that lacks the newest takes over

{
	my ($standby, @marks);

	$beta->backup('standby', backup_options => ['--checkpoint=fast']);
	$standby = FtchainCluster->new('standby');
	$standby->init_from_backup($beta, 'standby', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'port = ' . $standby->port);
	$standby->start;
	$_->send(20) foreach @all;
	all_is_well('before the standby falls behind');
	$beta->wait_for_catchup($standby);
	@marks = map { [ $_, $_->mark ] } @back;

	# it hears nothing more
	$standby->query('ALTER SYSTEM SET primary_conninfo = \'\'');
	$standby->query('SELECT pg_reload_conf()');
	$standby->comes_to('SELECT count(*) FROM pg_stat_wal_receiver', 'the standby hears nothing more', '0');
	$_->send(30) foreach @all;
	all_is_well('what the standby lacks');
	$beta->kill9;
	$alpha->query('ALTER SERVER beta OPTIONS (SET port \'' . $standby->port . '\')');
	$_->send(10) foreach @there;
	$alpha->comes_to(q(SELECT last_error ~ 'read-only|recovery' FROM ftchain.peer_status()), 'a standby that is not promoted is shown');
	$alpha->gives(q(SELECT count(*) FROM ftchain.incident WHERE kind = 'link stopped'), '0', 'and its links have not stopped');
	$standby->promote;
	$_->[0]->forget($_->[1]) foreach @marks;
	$_->{to} = $standby foreach @there;
	$_->{from} = $standby foreach @back;
	$_->send(10) foreach @all;
	all_is_well('the standby was promoted');
	$beta = $standby;
}

# ---- dumps

# A dump of it in another server: what is needed to be that database again is the
# key, and that its peers are told where it is.
sub move
{
	my ($node, $peer) = @_;
	my $name = $node->name;
	my $file = $node->basedir . '/dump';
	my $oid = q(SELECT oid FROM pg_database WHERE datname = 'postgres');
	my $key = $node->data_dir . '/ftchain_keys/' . $node->query($oid) . '.pem';
	my $copy = FtchainCluster->new_node("${name}_moved", conf => [ @conf, "ftchain.databases = ''" ]);

	$node->command_ok([ 'pg_dump', '-Fc', '-f', "$file.data", 'postgres' ], "$name is dumped");
	$node->command_ok([ 'pg_dumpall', '--globals-only', '-f', "$file.roles" ], 'and its roles');
	$_->send(15) foreach @all;
	all_is_well("$name has more than its dump");
	$node->stop;
	# the superuser is there already
	$copy->psql('postgres', PostgreSQL::Test::Utils::slurp_file("$file.roles"), on_error_stop => 0);
	$copy->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'postgres', "$file.data" ], 'the dump is restored');
	$copy->gives('SELECT count(*) FROM ftchain.self', '0', 'and is nobody');
	system_or_bail('mkdir', '-p', '-m', '0700', $copy->data_dir . '/ftchain_keys');
	system_or_bail('cp', '-a', $key, $copy->data_dir . '/ftchain_keys/' . $copy->query($oid) . '.pem');
	is($copy->query('SELECT member FROM ftchain.create_identity()'), $peer->query('SELECT member FROM ftchain.peer'),
		'with the key it is the same database');
	$peer->query('ALTER SERVER ' . ($peer->query('SELECT server FROM ftchain.peer')) . ' OPTIONS (SET port \'' . $copy->port . '\')');
	$copy->configure('ftchain.databases' => 'postgres');
	return $copy;
}

foreach my $turn (0, 1)
{
	my ($moves, $streams_in, $streams_out) = $turn == 0 ? ($beta, \@there, \@back) : ($alpha, \@back, \@there);
	my @marks = map { [ $_, $_->mark ] } @$streams_out;
	my $copy = move($moves, $turn == 0 ? $alpha : $beta);

	$_->[0]->forget($_->[1]) foreach @marks;
	$_->{to} = $copy foreach @$streams_in;
	$_->{from} = $copy foreach @$streams_out;
	$_->send(10) foreach @all;
	all_is_well($moves->name . ' was restored from a dump');
	($turn == 0 ? $beta : $alpha) = $copy;
}

foreach my $node ($alpha, $beta)
{
	unlike($node->log_since, qr/PANIC|TRAP:/, $node->name . ' has met nothing unforeseen');
}
done_testing();
