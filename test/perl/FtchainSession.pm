# FtchainSession: a session of a test that asks one query after the other
#
#	my $session = FtchainSession->new('port=5432 host=/tmp dbname=postgres');
#	my ($answer, $error) = $session->ask('SELECT 1');
#
# The answer is what psql -XAtq would print.  To start psql costs more than most
# queries do, and tests that poll ask a thousand times.
package FtchainSession;

use strict;
use warnings;

use DBI;

# Is it one statement that gives rows?  All others are for psql, which runs one
# after the other, each in a transaction of its own, and knows \commands (which
# \x with digits is not).
sub is_query
{
	my $sql = shift;

	return $sql =~ /^\s*(?:SELECT|CALL|WITH|TABLE|VALUES)\b(?:[^;\\]|\\x[0-9a-f])*$/;
}

sub new
{
	my ($class, $connstr) = @_;

	return bless { connstr => $connstr, database => undef }, $class;
}

# (answer, message of the error): one of them is empty.  What could not connect,
# or has lost its connection, connects the next time.
sub ask
{
	my ($self, $sql) = @_;
	my ($answer, $error);

	$self->{database} //= $self->_connect or return ('', $DBI::errstr);
	$answer = eval { _rows($self->{database}, $sql) };
	return ($answer, '') if defined $answer;
	$error = $self->{database}->errstr // $@;
	$self->{database} = undef unless $self->{database}->ping;
	return ('', $error);
}

# converse(statement, ...): one after the other, each in a transaction of its own,
# whatever fails: (answers, what psql with verbose messages would say of them)
sub converse
{
	my ($self, @statements) = @_;
	my ($said, @answers) = '';
	local $SIG{__WARN__} = sub { $said .= shift };

	foreach my $sql (@statements)
	{
		$self->{database} //= $self->_connect or return ('', $said . $DBI::errstr);
		local $self->{database}{pg_errorlevel} = 2;
		local $self->{database}{PrintWarn} = 1;
		my ($answer, $error) = $self->ask($sql);

		push @answers, $answer if $answer ne '';
		$said .= "$error\n" if $error ne '';
	}
	return (join("\n", @answers), $said);
}

sub _connect
{
	my $self = shift;

	# The server's own text of each value, not Perl's idea of it.
	return DBI->connect(
		'dbi:Pg:' . $self->{connstr} =~ tr/ /;/r,
		undef, undef,
		{
			AutoCommit => 1,
			AutoInactiveDestroy => 1,
			PrintError => 0,
			PrintWarn => 0,
			RaiseError => 0,
			pg_bool_tf => 1,
			pg_enable_utf8 => 0,
			pg_expand_array => 0
		});
}

sub _rows
{
	my ($database, $sql) = @_;
	my $statement = $database->prepare($sql, { pg_direct => 1 });
	my @lines;

	$statement->execute or die;
	return '' unless $statement->{NUM_OF_FIELDS};
	while (my @row = $statement->fetchrow_array)
	{
		foreach my $i (0 .. $#row)
		{
			$row[$i] = '\x' . unpack('H*', $row[$i]) if $statement->{pg_type}[$i] eq 'bytea' && defined $row[$i];
			$row[$i] //= '';
		}
		push @lines, join('|', @row);
	}
	die if $statement->err;
	return join("\n", @lines);
}

1;
