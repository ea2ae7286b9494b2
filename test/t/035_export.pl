# A chain as a file: out of one of three members, each of which has not all bodies;
# past a program that needs no server, which notices every change; into a server
# that knows nothing yet, and then catches up as a member; through a crash in the
# midst of an import.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use JSON::PP;
use PostgreSQL::Test::Utils ();
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();

# With two copies of each block nobody has all of them.
my ($alpha, $beta, $gamma) = my @nodes = FtchainCluster->network([qw(alpha beta gamma)], conf => [ "ftchain.scrub_interval = 0", "ftchain.deep_scrub_interval = 0" ]);
my $genesis = $alpha->query('SELECT genesis FROM ftchain.chain');
my %acked;

sub export_to
{
	my ($node, $file, $arguments) = @_;

	$node->query("\\copy (SELECT ftchain.export('main'" . ($arguments // '') . ")) TO '$file' WITH (FORMAT binary)");
	return $file;
}

# The program's verdict: exit status, the lines of its answer, the last one apart.
sub verdict
{
	my @arguments = @_;
	my ($out, $error) = ('', '');

	IPC::Run::run([ $alpha->installed_command('ftchain_verify'), '--json', @arguments ], '>', \$out, '2>', \$error);
	my $status = $? >> 8;
	my @lines = map { decode_json($_) } split(/\n/, $out);
	my $result = pop(@lines) // {};

	diag($error) if $error ne '';
	return ($status, $result, @lines);
}

sub sound
{
	my ($what, @arguments) = @_;
	my ($status, $result, @faults) = verdict(@arguments);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($status == 0 && $result->{ok}, $what) or diag("status $status", explain(\@faults));
	return $result;
}

sub write_bytes
{
	my ($file, $bytes) = @_;

	open(my $out, '>:raw', $file) or die "cannot write $file: $!";
	print $out $bytes;
	close $out;
	return $file;
}

# The records of a plain file: [height, bytes], height undefined for the two ends
sub records
{
	my $bytes = shift;
	my @records;

	while (length $bytes)
	{
		my $len = 12 + unpack('N', substr($bytes, 8, 4));
		my $record = substr($bytes, 0, $len, '');

		push @records, [ ord(substr($record, 5, 1)) == 2 ? unpack('Q>', substr($record, 12, 8)) : undef, $record ];
	}
	return @records;
}

sub joined
{
	return join('', map { $_->[1] } @_);
}

my @loads = map { $_->start_load(size => 200) } @nodes;
FtchainCluster::load_goes_on($_, 60, 'entries are appended at ' . $_->{node}->name) foreach @loads;
$acked{ $_->{node}->name } = [ FtchainCluster::stop_load($_) ] foreach @loads;
FtchainCluster::converge('all agree', 60, @nodes);
$_->holds_its_share foreach @nodes;


# ---- out, and verified

my $entries = $alpha->query(q(SELECT sum(entries) FROM ftchain.blocks));
my $top = $alpha->query('SELECT height FROM ftchain.status');
my $head = $alpha->query('SELECT head FROM ftchain.status');
my %held;

foreach my $node (@nodes)
{
	my $result = sound('what ' . $node->name . ' exports is sound',
		'--genesis', $genesis, '--head', $head, export_to($node, "$dir/" . $node->name));

	$held{ $node->name } = $result->{bodies};
	is($result->{entries}, $node->query('SELECT sum(entries) FROM ftchain.blocks WHERE held'),
		'it has the entries that ' . $node->name . ' has');
	is($result->{bodies} + $result->{bodies_not_held}, $alpha->query('SELECT count(*) FROM ftchain.blocks WHERE entries > 0'),
		'and says which bodies it has not');
}
my ($partial) = grep { $_->query('SELECT count(*) FROM ftchain.blocks WHERE NOT held') > 0 } @nodes;
ok(defined $partial, 'somebody has not all bodies');
$partial->refuses(q(SELECT count(*) FROM ftchain.export('main', bodies => 'all')), qr/is not held here/,
	'who has not all does not say he has');
my ($status, $result, @faults) = verdict('--complete', "$dir/" . $partial->name);
is("$status $faults[0]{what}", '1 bodies are not in the files', 'the program tells, if that is asked for');

# Receipts: of another member, and of an entry that is not on that chain.
my $receipt = write_bytes("$dir/receipt", $beta->query("SELECT ftchain.receipt('main', " . (split(/\|/, $acked{beta}[0]))[2] . ')'));
sound('a receipt of beta is good on the chain that gamma exports', '--receipt', $receipt, "$dir/gamma");
sound('it is good by itself', '--receipt', $receipt);
is((verdict('--receipt', write_bytes("$dir/bad", PostgreSQL::Test::Utils::slurp_file($receipt) =~ s/"leaf_index":"/$&1/r)))[0],
	1, 'another is not');
is((verdict('--receipt', write_bytes("$dir/bad", '{}')))[0], 1, 'nor one that is none');
is((verdict('--receipt', "$dir/nowhere"))[0], 2, 'one that is not there cannot be told of');
is((verdict("$dir/nowhere"))[0], 2, 'nor can a file');
is((verdict('--genesis', '0' x 64, "$dir/alpha"))[0], 1, 'another genesis is not taken');
is((verdict('--head', $genesis, "$dir/alpha"))[0], 1, 'nor another head');
is((verdict('--contains', $head, '--contains', $genesis, "$dir/alpha"))[0], 0, 'blocks are found');
is((verdict('--contains', '0' x 64, "$dir/alpha"))[0], 1, 'and missed');

# In parts.
my $half = int($top / 2);
my @parts = (export_to($alpha, "$dir/part1", ", 0, $half"), export_to($alpha, "$dir/part2", ', ' . ($half + 1)));
$result = sound('two parts are a whole', @parts);
is("$result->{blocks} $result->{from_genesis}", ($top + 1) . ' 1', 'it is all of it');
$result = sound('so is the second by itself', $parts[1]);
ok(!$result->{from_genesis}, 'but that is said');
is((verdict(reverse @parts))[1]{from_genesis}, 1, 'the wrong way round the last one is what counts');

# A plain file has the same pieces.
my $server_file = $alpha->query('SHOW data_directory') . '/plain.ftchain';
$alpha->gives("SELECT blocks - 1, body_count FROM ftchain.export_file('main', '$server_file')", "$top|$held{alpha}",
	'a file is made on the server');
open(my $in, '<:raw', $server_file) or die "cannot read $server_file: $!";
my $plain = do { local $/; <$in> };
close $in;
is((stat($server_file))[2] & 0777, 0600, 'for nobody else to read');


# ---- changed

my @records = records($plain);
is(scalar @records, $top + 3, 'a record for each block and two more');

# One bit, anywhere.
srand(4711);
my @missed;
my @unnamed;
for (1 .. 40)
{
	my $i = int(rand(@records));
	my @changed = @records;
	my $bytes = $records[$i][1];
	my $at = int(rand(length $bytes));

	substr($bytes, $at, 1) ^= chr(1 << int(rand(8)));
	$changed[$i] = [ $records[$i][0], $bytes ];
	($status, $result, @faults) = verdict(write_bytes("$dir/changed", joined(@changed)));
	push @missed, "byte $at of record $i" unless $status == 1;
	push @unnamed, "byte $at of record $i"
	  if defined $records[$i][0] && !grep { defined $_->{height} && $_->{height} == $records[$i][0] } @faults;
}
is("@missed", '', 'a changed bit is noticed wherever it is');
is("@unnamed", '', 'and the block is named');

# In a payload: the entry is named.
my ($body) = grep { defined $records[$_][0] && $records[$_][1] =~ /xxxxxxxx/ } 0 .. $#records;
my @changed = @records;
$changed[$body] = [ $records[$body][0], $records[$body][1] =~ s/xxxxxxxx/xxxxyxxx/r ];
($status, $result, @faults) = verdict(write_bytes("$dir/changed", joined(@changed)));
is("$status $faults[0]{height} $faults[0]{what}", "1 $records[$body][0] entry changed", 'a changed entry is noticed');
like($faults[0]{entry}, qr{^[0-9a-f]{64}/\d+/\d+$}, 'and named');

my %other_order = (
	'two blocks exchanged' => [ @records[ 0 .. 2 ], @records[ 4, 3 ], @records[ 5 .. $#records ] ],
	'a block twice' => [ @records[ 0 .. 3 ], @records[ 3 .. $#records ] ],
	'a block left out' => [ @records[ 0 .. 3 ], @records[ 5 .. $#records ] ],
	'the end left out' => [ @records[ 0 .. $#records - 1 ] ],
	'the last block left out' => [ @records[ 0 .. $#records - 2, $#records ] ],
	'the beginning left out' => [ @records[ 1 .. $#records ] ]);
foreach my $what (sort keys %other_order)
{
	is((verdict(write_bytes("$dir/changed", joined(@{ $other_order{$what} }))))[0], 1, "$what: noticed");
}
my @cuts = grep { (verdict(write_bytes("$dir/changed", substr($plain, 0, int(rand(length $plain))))))[0] != 1 } 1 .. 10;
is(scalar @cuts, 0, 'a file that is cut off is noticed');

# A block of another chain
my $lone = FtchainCluster->new_node('lone', conf => ["ftchain.databases = ''"]);
$lone->query('CREATE EXTENSION ftchain');
$lone->create_chain(spacing => q('1 ms'), attempts => 1, replicas => 1);
$lone->query(q(SELECT ftchain.append('main', '{"n": 1}')));
$lone->query('CALL ftchain.seal()');
($status, $result, @faults) = verdict("$dir/alpha", export_to($lone, "$dir/lone"));
is("$status $faults[0]{what}", '1 another chain', 'another chain is no part of this one');
my @theirs = records($lone->query(q(SELECT string_agg(piece, '') FROM ftchain.export('main') AS piece)) =~ s/^\\x//r =~ s/(..)/chr(hex $1)/ger);
@changed = @records;
$changed[2] = $theirs[2];
is((verdict(write_bytes("$dir/changed", joined(@changed))))[0], 1, 'nor is a block of it');


# ---- damage at home

# of a body that is all here: of others' blocks it may have its own part alone
$beta->tamper(q(UPDATE ftchain.entry SET payload = '{"n": "changed"}'
	WHERE id = (SELECT min(e.id) FROM ftchain.entries e JOIN ftchain.blocks b ON b.id = e.block WHERE b.held)));
my $notices = '';
$beta->psql('postgres', "SET client_min_messages = warning; \\copy (SELECT ftchain.export('main')) TO '$dir/damaged' WITH (FORMAT binary)",
	stderr => \$notices);
like($notices, qr/WARNING:  the body of block [0-9a-f]{64} at height \d+ is damaged/, 'damage is told of');
$result = sound('what is exported is sound', "$dir/damaged");
is("$result->{bodies_damaged} $result->{bodies}", '1 ' . ($held{beta} - 1), 'and says what it is without');


# ---- in

my $delta = FtchainCluster->new_node('delta',
	conf => [ "ftchain.seal_delay = '50ms'", "ftchain.heartbeat = '300ms'", "ftchain.databases = 'postgres'" ]);
$delta->query('CREATE EXTENSION ftchain');
$delta->query("\\copy ftchain.import_piece (piece) FROM '$dir/alpha' WITH (FORMAT binary)");
$delta->refuses(q(CALL ftchain.import('main', genesis => sha256('x'))), qr/is of a chain with genesis/, 'another chain than the pinned one is refused');
$delta->query("CALL ftchain.import('main', genesis => '$genesis')");
$delta->gives('SELECT height, head, pinned, member FROM ftchain.status', "$top|$head|t|f", 'an empty server has the chain');
$delta->is_clean;
$delta->gives('SELECT count(*) FROM ftchain.blocks WHERE held AND entries > 0', $held{alpha}, 'with the bodies of the file');
export_to($delta, "$dir/delta");
is(PostgreSQL::Test::Utils::slurp_file("$dir/delta"), PostgreSQL::Test::Utils::slurp_file("$dir/alpha"), 'and exports the same file again');

# It joins by links.
$delta->query('SELECT ftchain.create_identity()');
foreach my $node ($alpha, $beta, $gamma)
{
	$node->add_server($delta);
	$delta->add_server($node);
}
$alpha->query(q(CALL ftchain.add_member('main', 'delta', zone => 'delta')));
$delta->query("CALL ftchain.add_peer('" . $_->name . "')") foreach $alpha, $beta, $gamma;
$_->query(q(CALL ftchain.add_peer('delta'))) foreach $beta, $gamma;
$_->comes_to('SELECT members FROM ftchain.status', $_->name . ' has four members', '4') foreach @nodes, $delta;
my @theirs_too = ($delta->append('{"n": "of delta"}') =~ s/[|]\{"n": "(.*)"\}$/|$1/r);
$_->has_sealed(\@theirs_too, $_->name . ' has what delta appended') foreach @nodes, $delta;
FtchainCluster::converge('all four agree', 60, @nodes, $delta);
$delta->has_sealed($acked{$_}) foreach sort keys %acked;
$delta->holds_its_share;
$delta->is_clean;


# ---- through a crash

$lone->query(<<'END');
DO $$ BEGIN FOR i IN 1 .. 180 LOOP
    PERFORM ftchain.append('main', json_build_object('i', i)); COMMIT; CALL ftchain.seal();
END LOOP; END $$
END
$top = $lone->query('SELECT height FROM ftchain.status');
cmp_ok($top, '>', 150, 'a chain of more blocks than are taken at once');
export_to($lone, "$dir/lone");
my $empty = FtchainCluster->new_node('empty', conf => ["ftchain.databases = ''"]);
$empty->query('CREATE EXTENSION ftchain');
$empty->query("\\copy ftchain.import_piece (piece) FROM '$dir/lone' WITH (FORMAT binary)");
# It is held up at a block of the second transaction.
$empty->query(<<'END');
CREATE FUNCTION public.hold_up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_catalog.pg_sleep(600); RETURN NEW; END';
CREATE TRIGGER hold_up BEFORE INSERT ON ftchain.block FOR EACH ROW WHEN (NEW.height = 150) EXECUTE FUNCTION public.hold_up();
END
my $import;
{
	local %ENV = $empty->_get_env;
	$import = IPC::Run::start(
		[ $empty->installed_command('psql'), '-XAtq', '-d', $empty->connstr('postgres'), '-c', q(CALL ftchain.import('main')) ],
		'>', \my $out, '2>', \my $error);
}
$empty->comes_to(q(SELECT tuples_processed > 90 AND bytes_processed > 0 AND bytes_processed < bytes_total FROM pg_stat_progress_copy
	WHERE command = 'COPY FROM' AND relid = 'ftchain.block'::regclass), 'its progress is shown');
$empty->comes_to(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'), 'it is in the midst of a transaction', '1');
$empty->kill9;
$import->finish;
$empty->start;
$empty->query('DROP TRIGGER hold_up ON ftchain.block');
my $reached = $empty->query('SELECT height FROM ftchain.status');
ok($reached > 90 && $reached < 150, 'what was committed is there') or diag($reached);
$empty->gives('SELECT count(*) FROM ftchain.import_piece', $top - $reached + 1, 'what was not is still to be imported');
$empty->is_clean('and what is there is sound');
$empty->query(q(CALL ftchain.import('main')));
$empty->gives('SELECT height, head FROM ftchain.status', $lone->query('SELECT height, head FROM ftchain.status'), 'it goes on and comes to its end');
$empty->is_clean;
$empty->gives('SELECT count(*) FROM ftchain.import_piece', '0', 'nothing is left over');
export_to($empty, "$dir/empty");
is(PostgreSQL::Test::Utils::slurp_file("$dir/empty"), PostgreSQL::Test::Utils::slurp_file("$dir/lone"), 'and it is the same file');

done_testing();
