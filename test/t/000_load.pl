# The library loads, the extension can be created, and dropped without a trace.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = FtchainCluster->new_node('load');

is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), 'ftchain', 'the library is loaded');
is($node->safe_psql('postgres', 'SHOW fsync'), 'on', 'fsync is on');

my $objects = q(SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass
	AND refobjid IN (SELECT oid FROM pg_extension WHERE extname = 'ftchain'));
my $everything = q(SELECT (SELECT count(*) FROM pg_class) + (SELECT count(*) FROM pg_proc)
	+ (SELECT count(*) FROM pg_type) + (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_'));
my $before = $node->safe_psql('postgres', $everything);

$node->safe_psql('postgres', 'CREATE EXTENSION ftchain');
cmp_ok($node->safe_psql('postgres', $objects), '>', 0, 'CREATE EXTENSION makes objects');
my ($version) = slurp_file("$FindBin::RealBin/../../ftchain.control") =~ /^default_version *= *'(.*)'/m;
is($node->safe_psql('postgres', q(SELECT extversion FROM pg_extension WHERE extname = 'ftchain')),
	$version, 'in the version of the control file');

$node->safe_psql('postgres', 'DROP EXTENSION ftchain');
is($node->safe_psql('postgres', $everything), $before, 'DROP EXTENSION takes all of them away');

$node->kill9;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION ftchain');
ok(1, 'and it works again after a crash');

done_testing();
