-- The core as SQL functions: published vectors, all other inputs against a
-- second implementation in SQL, and every way to be refused.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS ftchain;
\pset null '(null)'

-- What an error says, on one line.
CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    about text;
BEGIN
    EXECUTE query;
    RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS about = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(about, ''));
END
$$;

-- They can be had in an index, and by parallel workers; NULL gives NULL.
SELECT p.proname, p.provolatile, p.proparallel, p.proisstrict
  FROM pg_proc p WHERE p.pronamespace = 'ftchain'::regnamespace AND p.provolatile <> 'v' ORDER BY p.proname COLLATE "C";
SELECT ftchain.leaf_hash(NULL) IS NULL AND ftchain.merkle_root(NULL) IS NULL AND
       ftchain.inclusion_proof(NULL, 0) IS NULL AND ftchain.inclusion_proof('{}', NULL) IS NULL AND
       ftchain.consistency_proof(NULL, 1) IS NULL AND ftchain.consistency_proof('{}', NULL) IS NULL AND
       ftchain.verify_inclusion(NULL, 0, 1, '{}', '') IS NULL AND ftchain.verify_inclusion('', 0, 1, NULL, '') IS NULL AND
       ftchain.verify_consistency(NULL, 1, '', '', '{}') IS NULL AND ftchain.verify_consistency(1, 1, '', '', NULL) IS NULL AND
       ftchain.verify_signature(NULL, '', '') IS NULL AND ftchain.verify_signature('', NULL, '') IS NULL AND
       ftchain.verify_signature('', '', NULL) IS NULL AND ftchain.block_id(NULL) IS NULL AND
       ftchain.work_to_numeric(NULL) IS NULL AND ftchain.decode_header(NULL) IS NULL AS all_null;

-- RFC 6962 trees: the leaves and roots of the Certificate Transparency code.
CREATE TEMP TABLE leaf AS
SELECT n::int - 1 AS index, decode(hex, 'hex') AS bytes, ftchain.leaf_hash(decode(hex, 'hex')) AS hash
  FROM unnest(ARRAY['', '00', '10', '2021', '3031', '40414243', '5051525354555657',
                    '606162636465666768696a6b6c6d6e6f']) WITH ORDINALITY AS u (hex, n);
SELECT index, hash FROM leaf ORDER BY index;
SELECT n AS leaves, ftchain.merkle_root(ARRAY(SELECT hash FROM leaf WHERE index < n ORDER BY index)) AS root
  FROM generate_series(0, 8) n;
CREATE FUNCTION pg_temp.leaves(n int) RETURNS bytea[] LANGUAGE sql AS
$$SELECT ARRAY(SELECT hash FROM leaf WHERE index < n ORDER BY index)$$;
\set root8 '''\\x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'''
\set root5 '''\\x4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4'''

-- Published proofs of inclusion ...
SELECT unnest(ftchain.inclusion_proof(pg_temp.leaves(8), 0)) AS proof_of_0_in_8;
SELECT unnest(ftchain.inclusion_proof(pg_temp.leaves(8), 5)) AS proof_of_5_in_8;
SELECT unnest(ftchain.inclusion_proof(pg_temp.leaves(3), 2)) AS proof_of_2_in_3;
SELECT unnest(ftchain.inclusion_proof(pg_temp.leaves(5), 1)) AS proof_of_1_in_5;
SELECT ftchain.inclusion_proof(pg_temp.leaves(1), 0) AS proof_of_0_in_1;
-- ... and of consistency.
SELECT ftchain.consistency_proof(pg_temp.leaves(1), 1) AS proof_of_1_in_1;
SELECT unnest(ftchain.consistency_proof(pg_temp.leaves(8), 1)) AS proof_of_1_in_8;
SELECT unnest(ftchain.consistency_proof(pg_temp.leaves(8), 6)) AS proof_of_6_in_8;
SELECT unnest(ftchain.consistency_proof(pg_temp.leaves(5), 2)) AS proof_of_2_in_5;

-- The definition of RFC 6962, section 2.1, in SQL.
CREATE FUNCTION pg_temp.mth(leaves bytea[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    n int := cardinality(leaves);
    k int := 1;
BEGIN
    IF n = 0 THEN RETURN sha256(''); END IF;
    IF n = 1 THEN RETURN leaves[1]; END IF;
    WHILE k * 2 < n LOOP k := k * 2; END LOOP;
    RETURN sha256('\x01'::bytea || pg_temp.mth(leaves[1:k]) || pg_temp.mth(leaves[k + 1:n]));
END
$$;
CREATE TEMP TABLE tree AS
SELECT n, ARRAY(SELECT sha256('\x00'::bytea || int4send(i)) FROM generate_series(1, n) i) AS leaves
  FROM generate_series(0, 40) n;
SELECT bool_and(ftchain.merkle_root(leaves) = pg_temp.mth(leaves)) AS roots_agree FROM tree;
SELECT bool_and(ftchain.leaf_hash(int4send(i)) = sha256('\x00'::bytea || int4send(i))) AS leaves_agree
  FROM generate_series(1, 100) i;
-- Every proof that is made is right, for its leaf and for no other, for its
-- size and, but for sizes that give the same path, for no other.
SELECT count(*) AS proofs,
       bool_and(ftchain.verify_inclusion(leaves[i + 1], i, n, p, ftchain.merkle_root(leaves))) AS right,
       bool_or(ftchain.verify_inclusion(leaves[(i + 1) % n + 1], i, n, p, ftchain.merkle_root(leaves))) AS other_leaf,
       bool_or(ftchain.verify_inclusion(leaves[i + 1], (i + 1) % n, n, p, ftchain.merkle_root(leaves))) AS other_index,
       bool_or(ftchain.verify_inclusion(leaves[i + 1], i, n, p || leaves[1], ftchain.merkle_root(leaves))) AS longer,
       bool_or(ftchain.verify_inclusion(leaves[i + 1], i, n, p[2:], ftchain.merkle_root(leaves))) AS shorter
  FROM tree, generate_series(0, n - 1) i, LATERAL (SELECT ftchain.inclusion_proof(leaves, i) AS p) x WHERE n > 1;
SELECT count(*) AS proofs,
       bool_and(ftchain.verify_consistency(m, n, ftchain.merkle_root(leaves[1:m]), ftchain.merkle_root(leaves), p)) AS right,
       bool_or(ftchain.verify_consistency(m, n, ftchain.merkle_root(leaves[2:m + 1]), ftchain.merkle_root(leaves), p)) AS other_old,
       bool_or(ftchain.verify_consistency(m, n, ftchain.merkle_root(leaves[1:m]), ftchain.merkle_root(leaves[1:n - 1]), p)) AS other_new,
       bool_or(ftchain.verify_consistency(m, n, ftchain.merkle_root(leaves[1:m]), ftchain.merkle_root(leaves), p || leaves[1])) AS longer,
       bool_or(ftchain.verify_consistency(m, n, ftchain.merkle_root(leaves[1:m]), ftchain.merkle_root(leaves), p[2:])) AS shorter
  FROM tree, generate_series(1, n - 1) m, LATERAL (SELECT ftchain.consistency_proof(leaves, m) AS p) x WHERE n > 1;
SELECT bool_and(ftchain.verify_consistency(n, n, r, r, ftchain.consistency_proof(leaves, n))) AS same_size
  FROM tree, LATERAL (SELECT ftchain.merkle_root(leaves) AS r) x WHERE n > 0;

-- A proof that is malformed is simply not right.
\set proof 'ftchain.inclusion_proof(pg_temp.leaves(8), 5)'
SELECT what, answer FROM (VALUES
    (1, 'as it should be', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 5, 8, :proof, :root8)),
    (2, 'short leaf', ftchain.verify_inclusion('\x4041', 5, 8, :proof, :root8)),
    (3, 'empty leaf', ftchain.verify_inclusion('', 5, 8, :proof, :root8)),
    (4, 'short root', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 5, 8, :proof, '\x5dc9')),
    (5, 'empty proof', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 5, 8, '{}', :root8)),
    (6, 'a null in the proof', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 5, 8, :proof || NULL::bytea, :root8)),
    (7, 'a short hash in the proof', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 5, 8, :proof || '\x00'::bytea, :root8)),
    (8, 'negative index', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), -1, 8, :proof, :root8)),
    (9, 'negative size', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 5, -8, :proof, :root8)),
    (10, 'index beyond the size', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 8, 8, :proof, :root8)),
    (11, 'no leaves', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 0, 0, '{}', :root8)),
    (12, 'the greatest numbers', ftchain.verify_inclusion(ftchain.leaf_hash(''), 9223372036854775806, 9223372036854775807,
        array_fill(:root8::bytea, ARRAY[63]), :root8)),
    (13, 'a proof of 1000 hashes', ftchain.verify_inclusion(ftchain.leaf_hash(''), 0, 9223372036854775807,
        array_fill(:root8::bytea, ARRAY[1000]), :root8)),
    (14, 'one leaf, its hash the root', ftchain.verify_inclusion(:root8, 0, 1, '{}', :root8)),
    (15, 'an array of two dimensions', ftchain.verify_inclusion(ftchain.leaf_hash('\x40414243'), 5, 8, ARRAY[:proof], :root8))
  ) AS v (n, what, answer) ORDER BY n;
\set proof 'ftchain.consistency_proof(pg_temp.leaves(8), 5)'
SELECT what, answer FROM (VALUES
    (1, 'as it should be', ftchain.verify_consistency(5, 8, :root5, :root8, :proof)),
    (2, 'swapped roots', ftchain.verify_consistency(5, 8, :root8, :root5, :proof)),
    (3, 'swapped sizes', ftchain.verify_consistency(8, 5, :root5, :root8, :proof)),
    (4, 'short root', ftchain.verify_consistency(5, 8, '\x4e', :root8, :proof)),
    (5, 'empty proof', ftchain.verify_consistency(5, 8, :root5, :root8, '{}')),
    (6, 'a null in the proof', ftchain.verify_consistency(5, 8, :root5, :root8, :proof || NULL::bytea)),
    (7, 'a short hash in the proof', ftchain.verify_consistency(5, 8, :root5, :root8, :proof || '\x00'::bytea)),
    (8, 'negative', ftchain.verify_consistency(-5, 8, :root5, :root8, :proof)),
    (9, 'from nothing', ftchain.verify_consistency(0, 8, sha256(''), :root8, '{}')),
    (10, 'from nothing to nothing', ftchain.verify_consistency(0, 0, sha256(''), sha256(''), '{}')),
    (11, 'equal sizes and roots', ftchain.verify_consistency(8, 8, :root8, :root8, '{}')),
    (12, 'equal sizes, other roots', ftchain.verify_consistency(8, 8, :root5, :root8, '{}')),
    (13, 'equal sizes and a proof', ftchain.verify_consistency(8, 8, :root8, :root8, ARRAY[:root8::bytea])),
    (14, 'the greatest numbers', ftchain.verify_consistency(9223372036854775806, 9223372036854775807, :root5, :root8,
        array_fill(:root8::bytea, ARRAY[65])))
  ) AS v (n, what, answer) ORDER BY n;

-- What cannot be computed is refused.
SELECT query, pg_temp.refused('SELECT ' || query) FROM unnest(ARRAY[
    'ftchain.merkle_root(ARRAY[NULL]::bytea[])',
    'ftchain.merkle_root(ARRAY[sha256(''''), NULL])',
    'ftchain.merkle_root(ARRAY[''\x00''::bytea])',
    'ftchain.merkle_root(ARRAY[sha256('''') || ''\x00''::bytea])',
    'ftchain.inclusion_proof(ARRAY[NULL]::bytea[], 0)',
    'ftchain.inclusion_proof(''{}'', 0)',
    'ftchain.inclusion_proof(ARRAY[sha256('''')], -1)',
    'ftchain.inclusion_proof(ARRAY[sha256('''')], 1)',
    'ftchain.inclusion_proof(ARRAY[sha256('''')], 9223372036854775807)',
    'ftchain.inclusion_proof(ARRAY[sha256('''')], -9223372036854775808)',
    'ftchain.consistency_proof(ARRAY[NULL]::bytea[], 1)',
    'ftchain.consistency_proof(''{}'', 0)',
    'ftchain.consistency_proof(''{}'', 1)',
    'ftchain.consistency_proof(ARRAY[sha256('''')], 0)',
    'ftchain.consistency_proof(ARRAY[sha256('''')], 2)',
    'ftchain.consistency_proof(ARRAY[sha256('''')], -1)']) AS query;

-- Ed25519: tests 1 to 3 of RFC 8032, section 7.1.
CREATE TEMP TABLE signed (n int, key bytea, message bytea, signature bytea);
INSERT INTO signed VALUES
    (1, '\xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
     '\xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'),
    (2, '\x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '\x72',
     '\x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'),
    (3, '\xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', '\xaf82',
     '\x6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a');
SELECT n, ftchain.verify_signature(key, message, signature) AS right,
       ftchain.verify_signature(key, message || '\x00'::bytea, signature) AS other_message,
       ftchain.verify_signature(key, message, set_byte(signature, 0, get_byte(signature, 0) # 1)) AS other_r,
       ftchain.verify_signature(key, message, set_byte(signature, 63, get_byte(signature, 63) # 16)) AS other_s,
       ftchain.verify_signature(set_byte(key, 31, get_byte(key, 31) # 128), message, signature) AS other_key,
       ftchain.verify_signature(key, message, signature || '\x00'::bytea) AS longer,
       ftchain.verify_signature(key, message, substr(signature, 1, 63)) AS shorter,
       ftchain.verify_signature(key, message, '') AS none,
       ftchain.verify_signature(key || '\x00'::bytea, message, signature) AS longer_key,
       ftchain.verify_signature('', message, signature) AS no_key
  FROM signed ORDER BY n;
-- s + L in place of s (wycheproof, tcId 63), and the signature it was made of
SELECT ftchain.verify_signature('\x7d4d0e7f6153a69b6242b522abbee685fda4420f8834b108c3bdae369ef549fa', '\x54657374',
    '\x7c38e026f29e14aabd059a0f2db8b0cd783040609a8be684db12f82a27774ab07a9155711ecfaf7f99f277bad0c6ae7e39d4eef676573336a5c51eb6f946b30d') AS right,
       ftchain.verify_signature('\x7d4d0e7f6153a69b6242b522abbee685fda4420f8834b108c3bdae369ef549fa', '\x54657374',
    '\x7c38e026f29e14aabd059a0f2db8b0cd783040609a8be684db12f82a27774ab067654bce3832c2d76f8f6f5dafc08d9339d4eef676573336a5c51eb6f946b31d') AS malleable;
-- For keys of small order the signature R = identity, s = 0 fits any message:
-- they are refused, and so are keys that are not reduced, as y = 1 + p is.
SELECT key, ftchain.verify_signature(key, 'any', '\x0100000000000000000000000000000000000000000000000000000000000000'::bytea ||
                                     decode(repeat('00', 32), 'hex'))
  FROM unnest(ARRAY[
    '\x0100000000000000000000000000000000000000000000000000000000000000',
    '\x0100000000000000000000000000000000000000000000000000000000000080',
    '\x0000000000000000000000000000000000000000000000000000000000000000',
    '\xecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '\xeeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    '\x26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '\xc7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    '\xc7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa']::bytea[]) AS key;

-- Headers.  This one is well formed, its fields all differ.
CREATE FUNCTION pg_temp.header(version int DEFAULT 1, consensus int DEFAULT 1, height bigint DEFAULT 7,
        "time" bigint DEFAULT 1700000000123456, prev bytea DEFAULT sha256('prev'), history bytea DEFAULT sha256('history'),
        body bytea DEFAULT sha256('body'), leaves int DEFAULT 3, bits int DEFAULT x'1d00ffff'::int,
        justify bytea DEFAULT sha256('justify'), round bigint DEFAULT 11, nonce bytea DEFAULT '\xfffffffffffffffe')
    RETURNS bytea LANGUAGE sql AS $$
SELECT int4send(version) || int4send(consensus) || int8send(height) || int8send("time") || prev || history || body ||
       int4send(leaves) || int4send(bits) || sha256('proposer') || sha256('state') || justify || int8send(round) || nonce
$$;
\x on
SET timezone = 'UTC';
SELECT length(pg_temp.header()), ftchain.block_id(pg_temp.header()) = sha256(pg_temp.header()) AS id_is_its_sha256;
SELECT version, consensus, height, "time", prev = sha256('prev') AS prev, history = sha256('history') AS history,
       body = sha256('body') AS body, leaves, bits = x'1d00ffff'::int AS bits, proposer = sha256('proposer') AS proposer,
       state = sha256('state') AS state, justify = sha256('justify') AS justify, round, nonce
  FROM ftchain.decode_header(pg_temp.header());
-- all at their limits
SELECT height, "time", leaves, bits, round, nonce FROM ftchain.decode_header(pg_temp.header(height => 9223372036854775807,
    "time" => 253402300799999999, leaves => 1048576, bits => x'2100ffff'::int, round => 9223372036854775807, nonce => '\xffffffffffffffff'));
SELECT height, "time", leaves, bits, round, nonce FROM ftchain.decode_header(pg_temp.header(height => 0, "time" => 0,
    prev => decode(repeat('00', 32), 'hex'), history => sha256(''), leaves => 0, body => sha256(''), bits => x'01010000'::int,
    round => 0, nonce => '\x0000000000000000'));
SELECT consensus FROM ftchain.decode_header(pg_temp.header(consensus => 2, bits => 0, nonce => '\x0000000000000000'));
SELECT consensus FROM ftchain.decode_header(pg_temp.header(consensus => 3, bits => 0, nonce => '\x0000000000000000'));
\x off
-- and everything that is not a header
SELECT what, pg_temp.refused(format('SELECT ftchain.decode_header(%s)', header)) AS refused,
       pg_temp.refused(format('SELECT ftchain.decode_header(%s)', header)) =
       pg_temp.refused(format('SELECT ftchain.block_id(%s)', header)) AS id_too
  FROM (VALUES
    ('empty', $$''$$),
    ('a byte short', $$substr(pg_temp.header(), 1, 239)$$),
    ('a byte long', $$pg_temp.header() || '\x00'::bytea$$),
    ('version 0', $$pg_temp.header(version => 0)$$),
    ('version 2', $$pg_temp.header(version => 2)$$),
    ('consensus 0', $$pg_temp.header(consensus => 0)$$),
    ('consensus 4', $$pg_temp.header(consensus => 4)$$),
    ('height 2^63', $$pg_temp.header(height => -9223372036854775808)$$),
    ('the year 10000', $$pg_temp.header("time" => 253402300800000000)$$),
    ('round 2^63', $$pg_temp.header(round => -9223372036854775808)$$),
    ('too many leaves', $$pg_temp.header(leaves => 1048577)$$),
    ('genesis with a parent', $$pg_temp.header(height => 0, history => sha256(''))$$),
    ('genesis with a history', $$pg_temp.header(height => 0, prev => decode(repeat('00', 32), 'hex'))$$),
    ('no parent', $$pg_temp.header(prev => decode(repeat('00', 32), 'hex'))$$),
    ('no history', $$pg_temp.header(history => sha256(''))$$),
    ('no leaves and a body', $$pg_temp.header(leaves => 0)$$),
    ('leaves and no body', $$pg_temp.header(body => sha256(''))$$),
    ('no target', $$pg_temp.header(bits => 0)$$),
    ('negative target', $$pg_temp.header(bits => x'1d80ffff'::int)$$),
    ('target beyond 2^256', $$pg_temp.header(bits => x'22010000'::int)$$),
    ('target not in its shortest form', $$pg_temp.header(bits => x'1e0000ff'::int)$$),
    ('stake with a target', $$pg_temp.header(consensus => 2, nonce => '\x0000000000000000')$$),
    ('stake with a nonce', $$pg_temp.header(consensus => 3, bits => 0)$$)) AS v (what, header);

-- 256-bit numbers
SELECT ftchain.work_to_numeric(decode(lpad(hex, 64, '0'), 'hex'))
  FROM unnest(ARRAY['0', '1', 'ff', 'ffffffffffffffff', '10000000000000000', '100000000000000000000000000000000',
                    '1000000000000000000000000000000000000000000000000', repeat('f', 64)]) AS hex;
SELECT bool_and(ftchain.work_to_numeric(decode(lpad(to_hex(i), 64, '0'), 'hex')) = i) AS small_ones
  FROM generate_series(0, 70000, 7) i;
SELECT ftchain.work_to_numeric(decode(repeat('ff', 32), 'hex')) = 2::numeric ^ 256 - 1 AS greatest;
SELECT bool_and(ftchain.work_to_numeric(set_bit(decode(repeat('00', 32), 'hex'), (31 - i / 8) * 8 + i % 8, 1)) = 2::numeric ^ i)
    AS powers_of_two FROM generate_series(0, 255) i;
SELECT query, pg_temp.refused('SELECT ' || query) FROM unnest(ARRAY[
    'ftchain.work_to_numeric('''')',
    'ftchain.work_to_numeric(''\x01'')',
    'ftchain.work_to_numeric(sha256('''') || ''\x00''::bytea)']) AS query;

-- Values as they are stored: toasted, compressed, of any size.
CREATE TEMP TABLE large AS SELECT repeat('compressible ', 10000)::bytea AS bytes;
INSERT INTO large SELECT decode(string_agg(md5(i::text), ''), 'hex') FROM generate_series(1, 5000) i;
SELECT length(bytes), ftchain.leaf_hash(bytes) = sha256('\x00'::bytea || bytes) AS right FROM large;
