# FtchainFaults: what goes wrong between members, at random, and what must hold
# in the end
#
#	my $faults = FtchainFaults->new(names => [...], %params of FtchainCluster->network);
#	$faults->kill_one; ...		# each does one thing; mend() ends what is over
#	$faults->mend(1);			# ends all
#	$faults->all_is_well('round 1', @acked);
#
# The members reach each other through proxies, one for each and direction.
package FtchainFaults;

use strict;
use warnings;

use FtchainCluster;
use FtchainProxy;
use Test::More;
use Time::HiRes qw(sleep time);

sub new
{
	my ($class, %params) = @_;
	my $names = delete $params{names};
	my %proxy;
	my @nodes = FtchainCluster->network(
		$names,
		%params,
		reach => sub {
			my ($from, $to) = @_;

			$proxy{ $from->name }{ $to->name } = FtchainProxy->new($to);
			return (port => $proxy{ $from->name }{ $to->name }->port);
		});

	return bless(
		{
			nodes => \@nodes,
			proxy => \%proxy,
			down => {},		# name of a node that is killed => when it is started again
			bad => {},		# ports of proxies that are not as they should be => [until when, proxy]
			wrong => {},	# name of a node with a wrong clock => until when
			done => {},		# what has happened => how often
		},
		$class);
}

sub nodes
{
	return @{ shift->{nodes} };
}

sub one_of
{
	return $_[ int(rand(@_)) ];
}

sub _one_up
{
	my $self = shift;

	return one_of(grep { !exists $self->{down}{ $_->name } } $self->nodes);
}

# In words
sub done
{
	my $done = shift->{done};

	return join(', ', map { "$done->{$_} $_" } sort keys %$done);
}


# ---- what happens

sub kill_one
{
	my ($self, $node) = @_;

	$node //= $self->_one_up or return;
	$node->kill9;
	$self->{down}{ $node->name } = time() + (rand() < 0.3 ? 0 : rand(6));
	$self->{done}{kills}++;
	return;
}

sub kill_worker
{
	my $self = shift;
	my $node = $self->_one_up or return;
	my ($pids) = $node->try_query(q(SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE backend_type ~ '^ftchain|client backend' AND pid <> pg_backend_pid()));
	my $pid = one_of(split(' ', $pids)) or return;

	# the server sees a crash and starts anew by itself
	kill('KILL', $pid);
	$self->{done}{crashes}++;
	return;
}

sub restart_one
{
	my $self = shift;
	my $node = $self->_one_up or return;

	$node->stop(one_of('fast', 'immediate'), fail_ok => 1);
	$self->{down}{ $node->name } = time() + rand(2);
	$self->{done}{stops}++;
	return;
}

# One from all others
sub cut_one
{
	my $self = shift;
	my $node = one_of($self->nodes);

	return $self->part(rand(6), $node);
}

# Some from the others, or in one direction only
sub part_some
{
	my $self = shift;
	my @some = grep { rand() < 0.4 } $self->nodes;

	return $self->part(1 + rand(8), @some);
}

# part(seconds, nodes): these on one side, the others on the other
sub part
{
	my ($self, $seconds, @side) = @_;
	my %here = map { $_->name => 1 } @side;
	my $one_way = $seconds < 60 && rand() < 0.25;
	my @links;

	foreach my $from (map { $_->name } $self->nodes)
	{
		foreach my $to (keys %{ $self->{proxy}{$from} })
		{
			next if !$here{$from} == !$here{$to} || ($one_way && $here{$from});
			push @links, $self->{proxy}{$from}{$to};
		}
	}
	$self->_set_bad(time() + $seconds, [ mode => one_of('cut', 'hole') ], @links);
	$self->{done}{partitions}++;
	return;
}

sub spoil_links
{
	my $self = shift;
	my @settings = one_of([ mode => 'cut' ], [ mode => 'hole' ], [ delay => rand(0.3) ], [ drop => 500 + int(rand(50000)) ],
		[ drop => 2000, split => 1 ], [ delay => 0.05, split => 1 ]);

	$self->_set_bad(time() + rand(8), $settings[0], grep { rand() < 0.4 } map { values %$_ } values %{ $self->{proxy} });
	$self->{done}{'bad links'}++;
	return;
}

sub _set_bad
{
	my ($self, $until, $settings, @links) = @_;

	foreach my $proxy (@links)
	{
		$proxy->set(@$settings);
		$self->{bad}{ $proxy->port } = [ $until, $proxy ];
	}
	return;
}

# A clock that is wrong by an hour; not of the founder's, which others join by.
sub spoil_clock
{
	my $self = shift;
	my @right = grep { !exists $self->{wrong}{ $_->name } && !exists $self->{down}{ $_->name } } $self->nodes;
	my $node = one_of(@right);

	return if @right * 2 < $self->nodes;
	my (undef, $error) = $node->try_query('ALTER SYSTEM SET ftchain.clock_offset = ' . one_of(-3600000, 3600000));
	$node->try_query('SELECT pg_reload_conf()');
	return if $error;
	$self->{wrong}{ $node->name } = time() + 3 + rand(10);
	$self->{done}{'wrong clocks'}++;
	return;
}


# ---- and what ends it

sub mend
{
	my ($self, $all) = @_;

	foreach my $node ($self->nodes)
	{
		my $name = $node->name;

		if (exists $self->{down}{$name} && ($all || $self->{down}{$name} <= time()))
		{
			$node->start;
			delete $self->{down}{$name};
		}
		if (exists $self->{wrong}{$name} && !exists $self->{down}{$name} && ($all || $self->{wrong}{$name} <= time()))
		{
			my $set = FtchainCluster::wait_until("the clock of $name", $all ? 60 : 1,
				sub {
					return ($node->try_query('ALTER SYSTEM RESET ftchain.clock_offset'))[1] eq ''
					  && ($node->try_query('SELECT pg_reload_conf()'))[1] eq '';
				});

			delete $self->{wrong}{$name} if $set;
		}
	}
	foreach my $port (keys %{ $self->{bad} })
	{
		my ($until, $proxy) = @{ $self->{bad}{$port} };

		next unless $all || $until <= time();
		$proxy->set(mode => 'pass', delay => 0, drop => 0, split => 0);
		delete $self->{bad}{$port};
	}
	return;
}

sub _tell
{
	my $node = shift;

	diag($node->name . ": $_") foreach grep { $_ ne '' } map { ($node->try_query($_))[0] } (
		'SELECT worker, pid, started, progress, last_error, last_error_at FROM ftchain.worker_status()',
		'SELECT pid, backend_type, wait_event_type, wait_event, state, query_start, left(query, 60) FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
		'SELECT server, state, last_error, last_error_at FROM ftchain.peer_status()',
		'SELECT * FROM ftchain.seal_state',
		'SELECT p.bundle, u.origin, u.incarnation, u.number, u.seqs FROM ftchain.pending_bundle p JOIN ftchain.bundle u ON u.id = p.bundle ORDER BY u.number LIMIT 20',
		q(SELECT 'self', * FROM ftchain.self),
		'SELECT * FROM ftchain.incident ORDER BY id DESC LIMIT 10',
		'SELECT now(), * FROM ftchain.mining',
		'SELECT now(), * FROM ftchain.status');
	return;
}

# Tests, after a round: nothing is lost and all agree.
sub all_is_well
{
	my ($self, $what, @acked) = @_;
	my $start = time();

	unless (FtchainCluster::converge("$what: all agree", 180, $self->nodes))
	{
		_tell($_) foreach $self->nodes;
		return 0;
	}
	note(sprintf('soak: %s: agreed after %.1f s, height %d, %d acknowledged so far, %s',
			$what, time() - $start, ($self->nodes)[0]->query('SELECT height FROM ftchain.status'), scalar @acked, $self->done));
	foreach my $node ($self->nodes)
	{
		my $name = $node->name;

		$node->has_sealed(\@acked, "$what: $name has all " . @acked . ' entries, each once', 120);
		$node->is_clean("$what: $name is clean");
		$node->holds_its_share("$what: $name holds its share", 120);
		$node->gives('SELECT count(*) FROM ftchain.damage', '0', "$what: nothing was found damaged at $name");
		unlike($node->log_since, qr/PANIC|TRAP:|terminated by signal (?!9\b)/, "$what: nothing crashed by itself at $name");
	}
	return 1;
}

# Blocks that are not on the main chain of a node, of all that it has; and how
# deep its reorganisations went: "depth 1: 12, depth 2: 3"
sub forks
{
	my ($self, $node) = @_;
	my ($off, $all) = split(/\|/, $node->query(
			'SELECT count(*) FILTER (WHERE m.block IS NULL), count(*) FROM ftchain.block b LEFT JOIN ftchain.main_chain m ON m.block = b.id'));
	my $depths = $node->query(<<'END');
SELECT string_agg('depth ' || depth || ': ' || n, ', ' ORDER BY depth)
  FROM (SELECT substring(detail FROM '^\d+')::integer AS depth, count(*) AS n FROM ftchain.incident WHERE kind = 'reorganisation' GROUP BY 1) d
END

	return ($off, $all, $depths);
}

sub stop
{
	my $self = shift;

	$_->stop foreach map { values %$_ } values %{ $self->{proxy} };
	return;
}

1;
