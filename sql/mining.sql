-- Proof of work as SQL functions: published vectors, and the search.
\getenv abs_srcdir PG_ABS_SRCDIR
\set asert :abs_srcdir '/test/vectors/aserti3-2d_vectors.csv'
\set compact :abs_srcdir '/test/vectors/setcompact.csv'
SET bytea_output = 'hex';
CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE query;
    RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', sqlstate, sqlerrm, nullif(detail, ''));
END
$$;
CREATE FUNCTION pg_temp.bits(hex text) RETURNS bigint LANGUAGE sql AS $$ SELECT ('x' || lpad(hex, 16, '0'))::bit(64)::bigint $$;

-- Compact bits: Bitcoin's vectors.
CREATE TEMP TABLE compact (compact text, target text, roundtrip text, negative boolean, overflow boolean);
COPY compact FROM :'compact' (FORMAT csv, HEADER);
SELECT count(*) AS vectors,
       bool_and(encode(ftchain.bits_to_target(pg_temp.bits(compact)), 'hex') = target) FILTER (WHERE valid) AS targets,
       bool_and(ftchain.target_to_bits(decode(target, 'hex')) = pg_temp.bits(roundtrip)) FILTER (WHERE valid) AS bits,
       bool_and(pg_temp.refused(format('SELECT ftchain.bits_to_target(%s)', pg_temp.bits(compact))) LIKE '22003 |%') FILTER (WHERE NOT valid) AS refused
  FROM (SELECT *, NOT (negative OR overflow OR target ~ '^0+$') AS valid FROM compact) c;
SELECT bits, ftchain.bits_to_target(bits), ftchain.target_to_bits(ftchain.bits_to_target(bits)) = bits AS same,
       ftchain.block_work(bits), round(ftchain.difficulty(bits)::numeric, 6) AS difficulty
  FROM (VALUES (pg_temp.bits('1d00ffff')), (pg_temp.bits('1e0fffff')), (pg_temp.bits('207fffff')),
               (pg_temp.bits('1b0404cb')), (pg_temp.bits('01010000'))) AS v (bits);
-- work is 2^256 / (target + 1)
SELECT bool_and(ftchain.block_work(bits) = div(2::numeric ^ 256, ftchain.work_to_numeric(ftchain.bits_to_target(bits)) + 1)) AS right
  FROM (SELECT (exponent::bigint << 24) + mantissa AS bits FROM generate_series(4, 32) exponent,
               unnest(ARRAY[1, 32768, 65535, 1193046, 8388607]) mantissa WHERE exponent < 32 OR mantissa > 0) b;
SELECT bits, pg_temp.refused(format('SELECT ftchain.bits_to_target(%s)', bits)) AS refused,
       pg_temp.refused(format('SELECT ftchain.block_work(%s)', bits)) =
       ALL (ARRAY[pg_temp.refused(format('SELECT ftchain.bits_to_target(%s)', bits)),
                  pg_temp.refused(format('SELECT ftchain.difficulty(%s)', bits))]) AS others_too
  FROM unnest(ARRAY[0, -1, pg_temp.bits('1d800001'), pg_temp.bits('21010000'), pg_temp.bits('ff00ffff'), 4294967296,
                    9223372036854775807]) AS bits;
SELECT pg_temp.refused(format('SELECT ftchain.target_to_bits(%s)', target)) AS refused
  FROM unnest(ARRAY[$$''$$, $$'\x01'$$, $$decode(repeat('00', 32), 'hex')$$, $$decode(repeat('00', 33), 'hex')$$]) AS target;

-- Retarget: the published vectors of aserti3-2d.
CREATE TEMP TABLE asert (run int, anchor_height bigint, anchor_parent_time bigint, anchor_bits text, height bigint, "time" bigint, expected text);
COPY asert FROM :'asert' (FORMAT csv, HEADER);
SELECT count(DISTINCT run) AS runs, count(*) AS vectors,
       count(*) FILTER (WHERE ftchain.next_bits(anchor_height, anchor_parent_time, pg_temp.bits(anchor_bits), height, "time",
                                                600, 172800, pg_temp.bits('1d00ffff')) <> pg_temp.bits(expected)) AS wrong
  FROM asert;
SELECT pg_temp.refused(format('SELECT ftchain.next_bits(%s)', arguments)) AS refused
  FROM unnest(ARRAY['-1, 0, 486604799, 1, 0, 600, 172800, 486604799', '0, 0, 0, 1, 0, 600, 172800, 486604799',
                    '0, 0, 486604799, -1, 0, 600, 172800, 486604799', '0, 0, 486604799, 1, 0, 0, 172800, 486604799',
                    '0, 0, 486604799, 1, 0, 600, 0, 486604799', '0, 0, 486604799, 1, 0, 31557600000001, 1, 486604799',
                    '0, 0, 486604799, 1, 0, 1, 31557600000001, 486604799', '0, 0, 486604799, 1, 0, 600, 172800, -5']) AS arguments;
-- extremes: nothing overflows
SELECT ftchain.next_bits(0, -9223372036854775808, 486604799, 9223372036854775807, -9223372036854775808, 31557600000000, 1, 486604799) AS hardest,
       ftchain.next_bits(9223372036854775807, -9223372036854775808, 486604799, 0, 9223372036854775807, 31557600000000, 1, 486604799) AS easiest;

-- The search: each kernel that this processor has finds the same nonce.
CREATE FUNCTION pg_temp.header(nonce bigint, bits text) RETURNS bytea LANGUAGE sql AS $$
SELECT int4send(1) || int4send(1) || int8send(7) || int8send(1700000000123456) || sha256('prev') || sha256('history') || sha256('body') ||
       int4send(3) || decode(bits, 'hex') || sha256('proposer') || sha256('state') || decode(repeat('00', 40), 'hex') || int8send(nonce)
$$;
CREATE FUNCTION pg_temp.mined(kernel text) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('ftchain.mining_kernel', kernel, true);
    RETURN (ftchain.mine(pg_temp.header(0, '1e7fffff'))).mined;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN NULL;                -- not with this processor
END
$$;
SELECT count(DISTINCT pg_temp.mined(kernel)) AS answers, bool_and(pg_temp.mined(kernel) IS NOT NULL) FILTER (WHERE kernel IN ('auto', 'portable')) AS always
  FROM unnest(ARRAY['auto', 'avx512', 'sha_ni', 'avx2', 'portable']) AS kernel;
SELECT found, attempts > 1 AS tried, ftchain.meets_target(mined) AS meets, ftchain.meets_target(pg_temp.header(0, '1e7fffff')) AS met_before,
       substr(mined, 1, 232) = substr(pg_temp.header(0, '1e7fffff'), 1, 232) AS only_the_nonce,
       (ftchain.decode_header(mined)).nonce = attempts - 1 AS counted
  FROM ftchain.mine(pg_temp.header(0, '1e7fffff')) \gset first_
SELECT :'first_found' AS found, :'first_tried' AS tried, :'first_meets' AS meets, :'first_met_before' AS met_before,
       :'first_only_the_nonce' AS only_the_nonce, :'first_counted' AS counted;
-- limits: it goes on where it stopped
SELECT found, attempts, (ftchain.decode_header(mined)).nonce FROM ftchain.mine(pg_temp.header(5, '01010000'), max_attempts => 1000);
SELECT found, attempts, (ftchain.decode_header(mined)).nonce FROM ftchain.mine(pg_temp.header(5, '01010000'), max_attempts => 0);
SELECT found, attempts > 0 AS tried, elapsed BETWEEN '50 ms' AND '10 s' AS in_time FROM ftchain.mine(pg_temp.header(5, '01010000'), timeout => '50 ms');
SELECT found, attempts FROM ftchain.mine(pg_temp.header(5, '01010000'), timeout => '0');
SELECT ftchain.mine(NULL) IS NULL AS nothing;
-- after the last nonce comes the first
SELECT found, attempts, (ftchain.decode_header(mined)).nonce FROM ftchain.mine(pg_temp.header(-3, '01010000'), max_attempts => 10);
SELECT ftchain.hash_rate(0.05) > 1000 AS fast;
-- with more processes, if they are to be had
SELECT found, attempts, (ftchain.decode_header(mined)).nonce FROM ftchain.mine(pg_temp.header(5, '01010000'), max_attempts => 1000000, workers => 3);
SELECT found, ftchain.meets_target(mined) AS meets, substr(mined, 1, 232) = substr(pg_temp.header(0, '1e0fffff'), 1, 232) AS only_the_nonce
  FROM ftchain.mine(pg_temp.header(0, '1e0fffff'), workers => 3);
SELECT ftchain.hash_rate(0.05, workers => 2) > 1000 AS fast;
SELECT ftchain.hash_rate(0.05, NULL) IS NULL AS nothing;
SET client_min_messages = error;
SET max_parallel_workers = 0;
SELECT found, attempts FROM ftchain.mine(pg_temp.header(5, '01010000'), max_attempts => 1000, workers => 2);
RESET client_min_messages;
SELECT found, attempts FROM ftchain.mine(pg_temp.header(5, '01010000'), max_attempts => 1000, workers => 2);
RESET max_parallel_workers;
SELECT pg_temp.refused(query) AS refused
  FROM unnest(ARRAY[$$SELECT ftchain.mine('')$$, $$SELECT ftchain.mine(pg_temp.header(0, '00000000'))$$,
                    $$SELECT ftchain.mine(pg_temp.header(0, '1e7fffff'), -1)$$,
                    $$SELECT ftchain.mine(pg_temp.header(0, '1e7fffff'), timeout => '-1 s')$$,
                    $$SELECT ftchain.mine(pg_temp.header(0, '1e7fffff'), workers => 0)$$, $$SELECT ftchain.hash_rate(1, 1025)$$,
                    $$SELECT ftchain.hash_rate(0)$$, $$SELECT ftchain.hash_rate('NaN')$$, $$SELECT ftchain.hash_rate(3601)$$,
                    $$SELECT ftchain.meets_target('')$$, $$SET ftchain.mining_kernel = 'gpu'$$]) AS query;
-- a statement that is cancelled stops
SET statement_timeout = '100 ms';
SELECT ftchain.mine(pg_temp.header(0, '01010000'));
SELECT ftchain.hash_rate(3000);
SELECT ftchain.hash_rate(3000, 2);
RESET statement_timeout;
