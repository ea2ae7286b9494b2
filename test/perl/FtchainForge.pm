# FtchainForge: what a member that lies sends
#
#	my $forge = FtchainForge->new($node);	# in the name and with the key of that node
#	my $block = $forge->block($tip, time => $then, bundles => [...]);
#	my $message = $forge->message(seq => 1, attachment => $block->{bytes});
#
# The formats are those of doc/PROTOCOL.md, written down here once more; only
# signatures are made by a program, test/unit/forge.c.  Every part of what is
# built can be changed, before it is signed and mined or after.
package FtchainForge;

use strict;
use warnings;

use Digest::SHA qw(sha256);
use IPC::Open2;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Utils ();
use Time::HiRes ();

my ($signer_in, $signer_out, $signer_pid);

# The program that signs is made by whichever compiler there is.
sub _start_signer
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($source) = grep { -e } map { "$_/../unit/forge.c" } __FILE__ =~ m{^(.*)/}s;
	my @log;

	foreach my $compiler (grep { defined } $ENV{CC}, qw(cc gcc clang))
	{
		push @log, scalar `$compiler -O1 -o $dir/forge $source -lcrypto 2>&1`;
		next if $? != 0;
		$signer_pid = open2($signer_out, $signer_in, "$dir/forge");
		return;
	}
	die "cannot compile $source:\n@log";
}

END
{
	# the exit status of the test is not that of this child
	local $?;
	if (defined $signer_pid)
	{
		close $signer_in;
		close $signer_out;
		waitpid($signer_pid, 0);
	}
}

# (public key, signature)
sub _sign_bytes
{
	my ($seed, $message) = @_;

	_start_signer() unless defined $signer_pid;
	print $signer_in unpack('H*', $seed), ' ', unpack('H*', $message), "\n";
	$signer_in->flush;
	my $answer = <$signer_out> // die "the program that signs has ended\n";
	return map { pack('H*', $_) } split(' ', $answer);
}

sub domain
{
	return pack('a32', 'ftchain ' . shift);
}

# ---- who signs

# Of a node that has an identity, of a secret seed, or of chance.
sub new
{
	my ($class, $from) = @_;
	my $seed = join('', map { chr(int(rand(256))) } 1 .. 32);

	if (ref $from)
	{
		my ($path) = glob($from->data_dir . '/ftchain_keys/*.pem');
		my $der = decode_base64(PostgreSQL::Test::Utils::slurp_file($path) =~ s/-----.*?-----//gr);

		$seed = substr($der, -32);
	}
	my ($public) = _sign_bytes($seed, 'x');
	my $self = {
		seed => $seed,
		public => $public,
		member => sha256(domain('member id v1') . "\x01" . $public),
	};
	return bless($self, $class);
}

sub sign
{
	my ($self, $domain, $genesis, $digest) = @_;

	return (_sign_bytes($self->{seed}, domain($domain) . $genesis . $digest))[1];
}

# ---- trees (RFC 6962)

sub leaf_hash
{
	return sha256("\x00" . shift);
}

sub _split
{
	my $k = 1;

	$k *= 2 while 2 * $k < $_[0];
	return $k;
}

sub root
{
	my @leaves = @_;

	return sha256('') unless @leaves;
	return $leaves[0] if @leaves == 1;
	my $k = _split(scalar @leaves);
	return sha256("\x01" . root(@leaves[ 0 .. $k - 1 ]) . root(@leaves[ $k .. $#leaves ]));
}

sub _path
{
	my ($m, @leaves) = @_;

	return () if @leaves <= 1;
	my $k = _split(scalar @leaves);
	my @left = @leaves[ 0 .. $k - 1 ];
	my @right = @leaves[ $k .. $#leaves ];
	return $m < $k ? (_path($m, @left), root(@right)) : (_path($m - $k, @right), root(@left));
}

sub _consistency
{
	my ($m, $whole, @leaves) = @_;

	return $whole ? () : root(@leaves) if $m == @leaves;
	my $k = _split(scalar @leaves);
	my @left = @leaves[ 0 .. $k - 1 ];
	my @right = @leaves[ $k .. $#leaves ];
	return $m <= $k ? (_consistency($m, $whole, @left), root(@right))
	  : (_consistency($m - $k, 0, @right), root(@left));
}

# ---- entries, bundles, bodies

# {seq => N, payload => json, ...}; more: origin, incarnation, time, author, kind, salt
sub _entry
{
	my ($self, $bundle, $entry) = @_;
	my %e = (
		time => int(Time::HiRes::time() * 1e6),
		author => 'forger',
		kind => 'entry',
		salt => 'S' x 16,
		payload => '"forged"',
		%$entry);

	$e{leaf} = pack('CC a32 Q>Q>Q> a32 C/a C/a',
		1, 1, $bundle->{origin}, $bundle->{incarnation}, $e{seq}, $e{time},
		sha256($e{salt} . $e{payload}), $e{author}, $e{kind});
	$e{body} = pack('C Q> C/a C/a a16 N/a', 0, $e{time}, $e{author}, $e{kind}, $e{salt}, $e{payload});
	return \%e;
}

# Ascending numbers as ranges, as few as can be.
sub _ranges
{
	my @ranges;

	foreach my $seq (@_)
	{
		push @ranges, [ $seq, $seq ] unless @ranges && $ranges[-1][1] + 1 == $seq;
		$ranges[-1][1] = $seq;
	}
	return join("", map { pack("Q>Q>", @$_) } @ranges);
}

# {incarnation, number, entries => [{seq, payload}, ...]}; more: origin, count, root, ranges,
# signature, change => what is done to the head before it is signed
sub _bundle
{
	my ($self, $genesis, $given) = @_;
	my %b = (origin => $self->{member}, incarnation => 1, number => 1, %$given);

	$b{made} = [ map { $self->_entry(\%b, $_) } @{ $b{entries} } ];
	$b{ranges} //= _ranges(map { $_->{seq} } @{ $b{made} });
	$b{head} = pack('CC a32 Q>Q> N a32 N a*',
		1, 3, $b{origin}, $b{incarnation}, $b{number}, $b{count} // scalar @{ $b{made} },
		$b{root} // root(map { leaf_hash($_->{leaf}) } @{ $b{made} }),
		length($b{ranges}) / 16, $b{ranges});
	$b{head} = $b{change}->($b{head}) if $b{change};
	$b{signature} //= $self->sign('bundle v1', $genesis, sha256($b{head}));
	return \%b;
}

# {manifest, proof, body, root, leaves} of controls (leaves as bytes) and bundles
sub contents
{
	my ($self, $genesis, $controls, $bundles) = @_;
	my @bundles = map { $self->_bundle($genesis, $_) } @$bundles;
	my @entries = map { @{ $_->{made} } } @bundles;
	my @first = map { leaf_hash($_) } @$controls, map { $_->{head} } @bundles;
	my @leaves = (@first, map { leaf_hash($_->{leaf}) } @entries);
	my %c = (leaves => scalar @leaves, root => root(@leaves), entries => \@entries, bundles => \@bundles);

	$c{manifest} = pack('CCn NN', 1, 0, 0, scalar @$controls, scalar @bundles)
	  . join('', map { pack('N/a', $_) } @$controls)
	  . join('', map { pack('N/a a64', $_->{head}, $_->{signature}) } @bundles);
	if (@entries)
	{
		my @consistency = _consistency(scalar @first, 1, @leaves);
		my @inclusion = _path(scalar @first, @leaves);

		$c{proof} = pack('N', scalar @consistency) . join('', @consistency)
		  . pack('N/a N', $entries[0]{leaf}, scalar @inclusion) . join('', @inclusion);
		$c{body} = pack('CCn N/a', 1, 1, 0, $c{manifest}) . join('', map { $_->{body} } @entries);
	}
	else
	{
		$c{proof} = pack('NNN', 0, 0, 0);
		$c{body} = '';
	}
	return \%c;
}

# A control that makes somebody a member, signed by these.
sub control_add
{
	my ($self, $genesis, $newcomer, @signers) = @_;
	my $core = pack('CCCC a16 Q> C a32 N C C/a C/a a64',
		1, 2, 2, 0, join('', map { chr(int(rand(256))) } 1 .. 16), '9223372036854775807',
		1, $newcomer->{public}, 1, 1, 'zone', 'intruder',
		$newcomer->sign('possession v1', $genesis, $newcomer->{member}));
	my %signed = map { $_->{member} => $_->sign('control v1', $genesis, sha256($core)) } @signers;

	return $core . pack('C', scalar keys %signed) . join('', map { "$_$signed{$_}" } sort keys %signed);
}

# ---- blocks

# What a block has to build on: the head of a chain at a node.
sub tip
{
	my ($node, $chain) = @_;
	my ($genesis, $history, $header) = map { pack('H*', $_) } split(
		/\|/,
		$node->query(<<"END"));
SELECT encode(c.genesis, 'hex'), (SELECT encode(ftchain.merkle_root(array_agg(id ORDER BY height)), 'hex') FROM ftchain.blocks WHERE chain = c.name),
       (SELECT encode(header, 'hex') FROM ftchain.blocks WHERE chain = c.name ORDER BY height DESC LIMIT 1)
  FROM ftchain.chain c WHERE name = '$chain'
END
	return {
		%{ fields($header) },
		genesis => $genesis,
		id => sha256($header),
		next_history => $history,
	};
}

my @fields = qw(version consensus height time prev history body leaves bits proposer state justify round nonce);
my $layout = 'N N Q> Q> a32 a32 a32 N N a32 a32 a32 Q> Q>';

sub fields
{
	my %header;

	@header{@fields} = unpack($layout, shift);
	return \%header;
}

sub header
{
	my $header = shift;

	return pack($layout, @$header{@fields});
}

sub _target
{
	my $bits = shift;
	my ($size, $mantissa) = ($bits >> 24, substr(pack('N', $bits & 0xffffff), 1));

	return "\x00" x (32 - $size) . $mantissa . "\x00" x ($size - 3);
}

# Set the nonce so that the id meets the target; or does not.
sub mine
{
	my ($header, $fail) = @_;
	my $target = _target($header->{bits});
	my $start = substr(header($header), 0, 232);

	for (my $nonce = int(rand(1 << 30)); ; $nonce++)
	{
		my $meets = sha256($start . pack('Q>', $nonce)) le $target;

		next if $meets == ($fail ? 1 : 0);
		$header->{nonce} = $nonce;
		return;
	}
}

# A block on a tip: {id, header, bytes (without body), full (with it), ...}
#
# controls, bundles: what it holds; any field of the header by its name;
# manifest, proof, body_bytes, signature: instead of the right one;
# unmined: with too little work; signer: another forge; genesis: signed for
# another chain.
sub block
{
	my ($self, $tip, %with) = @_;
	my $genesis = $with{genesis} // $tip->{genesis};
	my $contents = $self->contents($genesis, $with{controls} // [], $with{bundles} // []);
	my %header = (
		version => 1,
		consensus => 1,
		height => $tip->{height} + 1,
		time => int(Time::HiRes::time() * 1e6),
		prev => $tip->{id},
		history => $tip->{next_history},
		body => $contents->{root},
		leaves => $contents->{leaves},
		bits => $tip->{bits},
		proposer => $self->{member},
		state => $tip->{state},
		justify => "\x00" x 32,
		round => 0,
		nonce => 0);
	my %block = (contents => $contents);

	$header{$_} = $with{$_} foreach grep { exists $with{$_} } @fields;
	$header{time} = $tip->{time} + 1000000 if !exists $with{time} && $header{time} < $tip->{time} + 1000000;
	mine(\%header, $with{unmined}) unless exists $with{nonce};
	$block{header} = header(\%header);
	$block{id} = sha256($block{header});
	$block{signature} = $with{signature}
	  // ($with{signer} // $self)->sign('block v1', $genesis, $block{id});
	$block{manifest} = $with{manifest} // $contents->{manifest};
	$block{proof} = $with{proof} // $contents->{proof};
	$block{body} = $with{body_bytes} // $contents->{body};
	$block{bytes} = as_bytes(%block, body => '');
	$block{full} = as_bytes(%block);
	return \%block;
}

# As a block travels
sub as_bytes
{
	my %block = @_;

	return pack('CCn a240 a64 N/a N/a N/a', 1, 0, 0, @block{qw(header signature manifest proof body)});
}

# The parts of a block that travelled
sub parts
{
	my %block;

	@block{qw(header signature manifest proof body)} = unpack('x4 a240 a64 N/a N/a N/a', shift);
	$block{id} = sha256($block{header});
	return \%block;
}

# ---- messages

# kind, epoch, seq, reference, attachment; and id, digest, version, stream, if
# they are not to be right.
sub message
{
	my %m = (version => 1, kind => 1, stream => 0, epoch => 1, seq => 1, reference => '', attachment => '', @_);

	$m{id} //= sha256(domain('message v1') . pack('C', $m{kind}) . $m{reference});
	$m{digest} //= sha256(pack('C', $m{kind}) . $m{reference});
	$m{bytes} = pack('CCn Q>Q> a32 a32 N/a N/a', @m{qw(version kind stream epoch seq id digest reference attachment)});
	return \%m;
}

# Without a stream the one about a chain
sub link_start
{
	my ($self, $genesis, $receiver, $epoch, $stream) = @_;

	return sha256(domain('link v1') . $genesis . $self->{member} . $receiver . pack('n Q>', $stream // 0, $epoch));
}

# Signs for messages from number first on, after the value before: start is the
# value that the epoch begins with.
sub account
{
	my ($self, $genesis, $start, $first, $before, @messages) = @_;
	my $after = $before;

	$after = link_advance($after, $_) foreach @messages;
	return $self->sign('link account v1', $genesis, sha256($start . pack('Q> Q>', $first, $first + @messages) . $before . $after));
}

sub link_advance
{
	my ($value, $message) = @_;

	return sha256($value . $message->{id} . $message->{digest});
}

1;
