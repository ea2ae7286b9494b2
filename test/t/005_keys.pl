# The file of a key: who may have written it, and that none is ever overwritten.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use FtchainCluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = FtchainCluster->new_node('keys');
my $directory = $node->data_dir . '/ftchain_keys';
my $use = q(SELECT (ftchain.append('main', '1')).seq > 0);

$node->query('CREATE EXTENSION ftchain');
$node->create_chain;
my ($file) = glob("$directory/*.pem");

is((stat($directory))[2] & 0777, 0700, 'the directory is for the server alone');
is((stat($file))[2] & 0777, 0600, 'so is the file');
is((stat($file))[3], 1, 'it has one name');
is_deeply([ glob("$directory/*") ], [$file], 'nothing else is left there');

# a refusal is about the file, whatever append() would say
sub is_refused
{
	my ($message, $what) = @_;

	$node->refuses($use, $message, $what);
	return;
}

chmod(0640, $file);
is_refused(qr/key file ".*" has group or world access/, 'a file that others can read is not used');
chmod(0600, $file);
foreach my $mode (0770, 0702, 0777)
{
	chmod($mode, $directory);
	is_refused(qr/key directory ".*" can be written to by group or world/, sprintf('nor one from a directory with mode %o', $mode));
}
chmod(0755, $directory);
$node->gives($use, 't', 'others may see what is in the directory');
chmod(0700, $directory);

rename($file, "$file.away") or die;
symlink("$file.away", $file) or die;
is_refused(qr/could not open key file/, 'a symbolic link is not followed');
unlink($file);
mkdir($file) or die;
is_refused(qr/must be a regular file owned by the server's user/, 'a directory is no key');
rmdir($file);
SKIP:
{
	system('mkfifo', '-m', '600', $file) == 0 or skip('no mkfifo', 1);
	is_refused(qr/must be a regular file owned by the server's user/, 'nor is a pipe, and nobody waits for it');
	unlink($file);
}
is_refused(qr/no identity/, 'without its key a database is nobody');

# Made again, elsewhere

$node->query('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION ftchain');
chmod(0777, $directory);
$node->refuses('SELECT ftchain.create_identity()',
	qr/can be written to by group or world/, 'no key is made where others can put one', dbname => 'other');
chmod(0700, $directory);
is_deeply([ glob("$directory/*") ], ["$file.away"], 'nor anything of it');
my $oid = $node->query(q(SELECT oid FROM pg_database WHERE datname = 'other'));
append_to_file("$directory/$oid.pem.tmp", 'what a crash has left');
$node->safe_psql('other', 'SELECT ftchain.create_identity()');
ok(1, 'what a crash has left is in nobody\'s way');
is_deeply([ sort(glob("$directory/*")) ], [ sort("$file.away", "$directory/$oid.pem") ], 'and gone then');

rename("$file.away", $file) or die;
$node->gives($use, 't', 'with its key the database is who it was');

done_testing();
