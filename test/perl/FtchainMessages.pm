# FtchainMessages: databases that send each other messages, and what must hold
# in the end
#
#	FtchainMessages::introduce([$alpha, $beta], reach => code);	# each is a peer of each
#	FtchainMessages::receive($beta, 'orders');			# a topic for recv()
#	FtchainMessages::receive($beta, 'rows', 'landed');	# one into a table
#	my $stream = FtchainMessages->new($alpha, $beta, 'orders');
#	$stream->send(10);						# each in a transaction of its own
#	$stream->start; ... $stream->stop;		# one after another, all the time
#	$stream->all_there('after that');		# tests: all is there, once and in order
#
# What was sent counts when its transaction is known to have committed; what is
# not known may have come, or not.  Each message says where it stands: "n" rises
# with each message of the stream.  No restore sets it back.
package FtchainMessages;

use strict;
use warnings;

use FtchainCluster;
use PostgreSQL::Test::Utils ();
use Test::More;

# Each reaches each; reach => as FtchainCluster->network has it
sub introduce
{
	my ($nodes, %params) = @_;
	my $reach = $params{reach} // sub { return () };

	foreach my $node (@$nodes)
	{
		$node->query('CREATE EXTENSION IF NOT EXISTS ftchain CASCADE');
		$node->query('SELECT ftchain.create_identity() WHERE NOT EXISTS (SELECT FROM ftchain.self)');
	}
	foreach my $node (@$nodes)
	{
		foreach my $other (grep { $_ != $node } @$nodes)
		{
			$node->add_server($other, $reach->($node, $other));
			$node->query("CALL ftchain.add_peer('" . $other->name . "')");
		}
	}
	return;
}

# A topic here, and the table that it delivers to, if any
sub receive
{
	my ($node, $topic, $table) = @_;

	$node->query("CREATE TABLE $table (id bigserial, n bigint, fill text)") if $table;
	$node->query("SELECT ftchain.create_topic('$topic'" . ($table ? ", deliver_to => '$table'" : '') . ')');
	return;
}

# table: that of a topic which delivers
sub new
{
	my ($class, $from, $to, $topic, $table) = @_;

	return bless(
		{ from => $from, to => $to, server => $to->name, topic => $topic, table => $table, n => 0, sent => [], unsure => {} }, $class);
}

# How its messages are read at the receiver: (id, n)
sub _rows
{
	my $self = shift;

	return $self->{table} ? "SELECT id, n FROM $self->{table}"
	  : "SELECT id, (message->>'n')::bigint AS n FROM ftchain.message_in WHERE topic = '$self->{topic}'";
}

# So many bytes, or nearly so, that cannot be compressed
sub _fill
{
	my $bytes = shift;

	return "(SELECT string_agg(md5(random()::text), '') FROM generate_series(0, $bytes / 32))";
}

sub _statement
{
	my ($self, $n, $fill) = @_;
	my $message = $fill ? "json_build_object('n', $n, 'fill', " . _fill($fill) . ')' : qq('{"n": $n}');

	return "SELECT $n FROM ftchain.send('$self->{server}', '$self->{topic}', $message);\n";
}

# send(how many [, bytes])
sub send
{
	my ($self, $count, $fill) = @_;
	my @numbers = map { ++$self->{n} } 1 .. $count;

	$self->{from}->query(join('', map { $self->_statement($_, $fill) } @numbers));
	push @{ $self->{sent} }, @numbers;
	return;
}

# One that may fail: gives the message
sub try_send
{
	my ($self, $fill) = @_;
	my $n = ++$self->{n};
	my ($out, $error) = $self->{from}->try_query($self->_statement($n, $fill));

	if ($out eq $n)
	{
		push @{ $self->{sent} }, $n;
	}
	else
	{
		$self->{unsure}{$n} = 1;
	}
	return $error;
}

# A psql that sends all the time; size => bytes, pause => s between two
sub start
{
	my ($self, %params) = @_;
	my $base = $self->{from}->basedir . "/messages_$self->{topic}_$self->{server}";
	my $pause = $params{pause} // 0.005;
	# the number is printed before it is sent, and again when that is done
	my $loop = <<'END';
n=$3
while kill -0 "$1" 2>/dev/null && ! [ -e "$2" ]; do
	i=0
	while [ $i -lt 20 ]; do
		n=$((n + 1)) i=$((i + 1))
		printf '%s\n' "\\echo try $n"
		printf "$7" $n $n
	done | "$4" -XAtq -v ON_ERROR_STOP=1 -d "$5" >>"$6" 2>>"$6.errors" || sleep 0.05
	n=$((n + 20))
done
echo end $n >>"$6"
END
	my $fill = $params{size} // 50;
	my $statement = "SELECT 'sent %d' FROM ftchain.send('$self->{server}', '$self->{topic}', "
	  . "json_build_object('n', %d, 'fill', " . _fill($fill) . "));\n"
	  . ($pause > 0 ? "SELECT pg_sleep($pause) \\\\g /dev/null\n" : '');

	unlink("$base.stop", "$base.log", "$base.log.errors");
	PostgreSQL::Test::Utils::append_to_file("$base.log", '');
	local %ENV = $self->{from}->_get_env;
	$self->{load} = {
		stop => "$base.stop",
		log => "$base.log",
		run => IPC::Run::start(
			[ 'sh', '-c', $loop, 'messages', $$, "$base.stop", $self->{n}, $self->{from}->installed_command('psql'),
				$self->{from}->connstr('postgres'), "$base.log", $statement ])
	};
	return;
}

# So many more are sent; a test
sub goes_on
{
	my ($self, $more, $what, $seconds) = @_;
	my $count = sub { return scalar(() = PostgreSQL::Test::Utils::slurp_file($self->{load}{log}) =~ /^sent /mg) };
	my $before = $count->();

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(FtchainCluster::wait_until($what, $seconds // 60, sub { $count->() >= $before + $more }), $what);
}

sub stop
{
	my $self = shift;
	my $load = delete $self->{load} or return;
	my (%sent, %tried);

	PostgreSQL::Test::Utils::append_to_file($load->{stop}, '');
	$load->{run}->finish;
	foreach my $line (split(/\n/, PostgreSQL::Test::Utils::slurp_file($load->{log})))
	{
		$sent{$1} = 1 if $line =~ /^sent (\d+)$/;
		$tried{$1} = 1 if $line =~ /^try (\d+)$/;
		# what psql did not get to is not used again
		$self->{n} = $1 if $line =~ /^end (\d+)$/;
	}
	push @{ $self->{sent} }, sort { $a <=> $b } keys %sent;
	$self->{unsure}{$_} = 1 foreach grep { !$sent{$_} } keys %tried;
	return;
}

# What is sent and not yet acknowledged when the sender is set back is forgotten;
# it may have come, or not.  Begin before that: gives what to hand to forget().
sub mark
{
	my $self = shift;

	return scalar(@{ $self->{sent} });
}

sub forget
{
	my ($self, $mark) = @_;

	$self->{unsure}{$_} = 1 foreach splice(@{ $self->{sent} }, $mark);
	return;
}

# All sent so far are done with.
sub clear
{
	my $self = shift;

	$self->{to}->query($self->{table} ? "DELETE FROM $self->{table}" : "DELETE FROM ftchain.message_in WHERE topic = '$self->{topic}'");
	$self->{sent} = [];
	$self->{unsure} = {};
	return;
}

# Tests: nothing is lost, nothing is there twice, nothing out of order, and
# nothing that was never sent.
sub all_there
{
	my ($self, $what, $seconds) = @_;
	my $rows = $self->_rows;
	my $sent = join('', map { "$_\n" } @{ $self->{sent} });
	my $unsure = join('', map { "$_\n" } keys %{ $self->{unsure} });
	my $count = @{ $self->{sent} };
	my $name = $self->{from}->name . ' to ' . $self->{to}->name . " on $self->{topic}";

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $self->{to}->comes_to(<<"END", "$what: $name: all $count are there, each once and in order", '0|0|0|0', $seconds);
CREATE TEMP TABLE sent (n bigint);
COPY sent FROM STDIN;
$sent\\.
CREATE TEMP TABLE unsure (n bigint);
COPY unsure FROM STDIN;
$unsure\\.
CREATE TEMP TABLE came AS $rows;
ANALYZE sent; ANALYZE unsure; ANALYZE came;
SELECT (SELECT count(*) FROM sent WHERE n NOT IN (SELECT n FROM came)),
       (SELECT count(*) - count(DISTINCT n) FROM came),
       (SELECT count(*) FROM (SELECT n, lag(n) OVER (ORDER BY id) AS before FROM came) o WHERE n <= before),
       (SELECT count(*) FROM came WHERE n NOT IN (SELECT n FROM sent UNION ALL SELECT n FROM unsure))
END
}

1;
