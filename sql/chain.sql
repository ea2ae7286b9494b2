-- create_chain(): every argument at its limits and past them, names, NULLs.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
SET timezone = 'UTC';

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

-- The parameters that a chain was founded with, from the bytes of its first control.
CREATE FUNCTION pg_temp.params(chain text, OUT consensus bigint, OUT spacing interval, OUT min_spacing interval,
        OUT half_life interval, OUT future_bound interval, OUT limit_bits text, OUT max_leaves bigint, OUT max_body bigint,
        OUT max_payload bigint, OUT reorg_limit bigint, OUT epoch_blocks bigint, OUT settle_blocks bigint,
        OUT replicas bigint, OUT stored_quorum bigint, OUT governors bigint, OUT flags bigint, OUT durability bigint,
        OUT shard_data bigint, OUT shard_parity bigint, OUT name text)
    LANGUAGE plpgsql AS $$
DECLARE
    leaf bytea := (SELECT k.leaf FROM ftchain.control k JOIN ftchain.chain c ON c.genesis = k.block
                    WHERE c.name = params.chain AND k."position" = 0);
    n bigint[];
    at int := 29;
    len int;
BEGIN
    FOREACH len IN ARRAY ARRAY[4, 8, 8, 8, 8, 4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 1, 1] LOOP
        n := n || ('x' || lpad(encode(substr(leaf, at, len), 'hex'), 16, '0'))::bit(64)::bigint;
        at := at + len;
    END LOOP;
    consensus := n[1];
    spacing := n[2] * interval '1 us'; min_spacing := n[3] * interval '1 us';
    half_life := n[4] * interval '1 us'; future_bound := n[5] * interval '1 us';
    limit_bits := to_hex(n[6]);
    max_leaves := n[7]; max_body := n[8]; max_payload := n[9]; reorg_limit := n[10]; epoch_blocks := n[11];
    settle_blocks := n[12]; replicas := n[13]; stored_quorum := n[14]; governors := n[15]; flags := n[16];
    durability := n[17]; shard_data := n[18]; shard_parity := n[19];
    name := convert_from(substr(leaf, at + 1, get_byte(leaf, at - 1)), 'UTF8');
END
$$;

-- A chain with everything left to the defaults, and what is stored of it.
SELECT ftchain.create_chain('plain') AS genesis \gset
\x on
SELECT * FROM pg_temp.params('plain');
SELECT c.id, c.name, c.genesis = :'genesis' AS genesis, c.pinned, abs(extract(epoch FROM now() - c.created)) < 60 AS created
  FROM ftchain.chain c;
SELECT b.id = :'genesis' AS id, b.id = sha256(b.header) AS sha256, b.height, length(b.header) AS header, length(b.signature) AS signature,
       b.source IS NULL AS own, h.version, h.consensus, h.height, h.prev = decode(repeat('00', 32), 'hex') AS no_parent,
       h.history = sha256('') AS no_history, h.leaves, to_hex(h.bits) AS bits, h.round, h.nonce,
       h.justify = decode(repeat('00', 32), 'hex') AS no_justify,
       h.proposer = (SELECT member FROM ftchain.identity) AS proposer,
       h.body = ftchain.merkle_root(ARRAY(SELECT ftchain.leaf_hash(leaf) FROM ftchain.control k WHERE k.block = b.id ORDER BY "position")) AS body,
       EXISTS (SELECT FROM ftchain.epoch_state s WHERE s.root = h.state) AS state
  FROM ftchain.block b, ftchain.decode_header(b.header) h;
\x off
SELECT height, block = :'genesis' AS genesis FROM ftchain.main_chain;
SELECT "position", height, id = sha256(substr(leaf, 1, length(leaf) - 1)) AS id, length(leaf) > 100 AS leaf FROM ftchain.control ORDER BY "position";
SELECT * FROM ftchain.verify('plain');
-- the founder: a governor, named after the database
SELECT m.member = i.member AS self, m.name = current_database() AS named, m.zone, m.weight, m.governor, m.full_copy, m.public_key = i.public_key AS key
  FROM ftchain.members('plain') m, ftchain.identity i;

-- One name, one chain; names differ by any byte.
SELECT pg_temp.refused($$SELECT ftchain.create_chain('plain')$$);
SELECT pg_temp.refused($$SELECT ftchain.create_chain('plain', attempts => 16, spacing => '2 s')$$);
SELECT length(ftchain.create_chain('Plain')), length(ftchain.create_chain('plain '));

-- Any text of 1 to 63 bytes is a name; it is never an identifier.
CREATE TEMP TABLE name (n serial, name text);
INSERT INTO name (name) VALUES ('a.b'), ('"quoted"'), (''''), ('''; DROP TABLE ftchain.entry; --'), ('%s%n'), (E'\\'), (E'two\nlines'), (' '),
    ('$1'), ('NULL'), ('Ελληνικά'), ('台帳'), ('🔗'), (repeat('x', 63)), (repeat('é', 31) || 'x');
SELECT n, octet_length(name) AS bytes, length(ftchain.create_chain(name, attempts => 16, spacing => '1 ms')) AS genesis,
       (SELECT p.name = name.name FROM pg_temp.params(name.name) p) AS in_genesis
  FROM name ORDER BY n;
SELECT n, (ftchain.append(name, '1')).seq IS NOT NULL AS appended FROM name ORDER BY n;
CALL ftchain.seal('''; DROP TABLE ftchain.entry; --');
CALL ftchain.seal(E'two\nlines');
CALL ftchain.seal('🔗');
SELECT count(*) FROM name n JOIN ftchain.status s ON s.chain = n.name WHERE s.height = 1;
SELECT count(*) FROM name n, ftchain.verify(n.name);
SELECT what, right(pg_temp.refused(format('SELECT ftchain.create_chain(%L)', name)), 50) AS refused FROM (VALUES
    (1, 'empty', ''), (2, '64 bytes', repeat('x', 64)), (3, '32 letters, 64 bytes', repeat('é', 32)), (4, '1000 bytes', repeat('x', 1000))) AS v (n, what, name)
 ORDER BY n;

-- Zones likewise, but may be empty.
SELECT what, length(ftchain.create_chain('zone ' || n, zone => zone)), (SELECT octet_length(m.zone) FROM ftchain.members('zone ' || n) m)
  FROM (VALUES (1, 'empty', ''), (2, '63 bytes', repeat('x', 63)), (3, 'Unicode', repeat('é', 31))) AS v (n, what, zone) ORDER BY n;
SELECT pg_temp.refused(format('SELECT ftchain.create_chain(''z'', zone => %L)', repeat('x', 64)));

-- Consensus.
SELECT consensus, pg_temp.refused(format('SELECT ftchain.create_chain(''c'', %L)', consensus))
  FROM unnest(ARRAY['pos', 'dpos', 'POW', '', 'pow ', 'paxos']) AS consensus;

-- No argument may be NULL, but for two.
SELECT arg, pg_temp.refused(format('SELECT ftchain.create_chain(%s)',
           CASE arg WHEN 'name' THEN 'NULL' ELSE format('%L, %I => NULL', 'null ' || arg, arg) END))
  FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY AS u (arg, n) WHERE p.oid = 'ftchain.create_chain'::regproc ORDER BY n;
SELECT spacing, min_spacing, replicas, stored_quorum FROM pg_temp.params('null stored_quorum');
SELECT spacing, min_spacing, replicas, stored_quorum FROM pg_temp.params('null min_spacing');

-- Numbers: the least and the greatest are taken, the ones past them are not.
CREATE TEMP TABLE range (arg text, least bigint, greatest bigint, others text);
INSERT INTO range VALUES
    ('weight', 0, 1000, ''),
    ('replicas', 1, 100, ''),
    ('stored_quorum', 1, 3, ''),
    ('stored_quorum', 1, 100, ', replicas => 100'),
    ('attempts', 1, 4611686018427387904, ''),
    ('max_entries', 16, 524288, ''),
    ('max_body', 65536, 67108864, ', max_payload => 1'),
    ('max_payload', 1, 8388608, ''),
    ('max_payload', 1, 16777216, ', max_body => 67108864'),
    ('max_payload', 1, 32768, ', max_body => 65536'),
    ('reorg_limit', 6, 1000000, ''),
    ('reorg_limit', 1, 1000000, ', settle_blocks => 1'),
    ('settle_blocks', 1, 10000, ''),
    ('settle_blocks', 1, 1000000, ', reorg_limit => 1000000');
SELECT arg || others AS arg, value, pg_temp.refused(format('SELECT ftchain.create_chain(''%s'', %I => %s%s)', arg || value || others, arg, value, others))
  FROM range, unnest(ARRAY[least, greatest, least - 1, greatest + 1]) WITH ORDINALITY AS v (value, n)
 ORDER BY arg COLLATE "C", others COLLATE "C", n;
-- also the farthest that the types allow
SELECT arg, pg_temp.refused(format('SELECT ftchain.create_chain(''far'', %I => %s)', arg, value))
  FROM (SELECT DISTINCT arg FROM range) r, unnest(CASE arg WHEN 'attempts' THEN ARRAY['-9223372036854775808', '9223372036854775807']
                                    ELSE ARRAY['-2147483648', '2147483647'] END) AS value ORDER BY arg COLLATE "C", value COLLATE "C";
SELECT count(*) FROM ftchain.chain WHERE name = 'far';
-- what was taken is what the genesis says
SELECT max_body, max_payload FROM pg_temp.params('max_payload16777216, max_body => 67108864');
SELECT max_leaves FROM pg_temp.params('max_entries524288');
SELECT reorg_limit, settle_blocks FROM pg_temp.params('settle_blocks1000000, reorg_limit => 1000000');
SELECT replicas, stored_quorum FROM pg_temp.params('stored_quorum100, replicas => 100');
-- max_body alone may be too little for the default of max_payload
SELECT pg_temp.refused($$SELECT ftchain.create_chain('far', max_body => 65536)$$);

-- A majority of the replicas is the default of stored_quorum.
SELECT n, (SELECT stored_quorum FROM pg_temp.params('q' || n)) AS stored_quorum
  FROM (SELECT n, ftchain.create_chain('q' || n, replicas => n) FROM unnest(ARRAY[1, 2, 3, 4, 5, 100]) n OFFSET 0) x ORDER BY n;

-- The target never stands for fewer attempts than asked for, nor for many more.
CREATE TEMP TABLE target AS
SELECT attempts, ftchain.create_chain('a' || attempts, attempts => attempts) AS genesis
  FROM unnest(ARRAY[1, 2, 3, 16, 255, 256, 257, 65535, 65536, 65537, 1000000007, 1099511627776, 4611686018427387903]) attempts;
SELECT attempts, to_hex(h.bits) AS bits, w.work >= attempts AS enough, w.work <= attempts * 1.01 AS fair
  FROM target t JOIN ftchain.block b ON b.id = t.genesis, ftchain.decode_header(b.header) h,
       LATERAL (SELECT ftchain.work_to_numeric(b.work) AS work) w
 ORDER BY attempts;

-- Intervals: from a microsecond to a year, without months.
SELECT arg, value, pg_temp.refused(format('SELECT ftchain.create_chain(%L, %I => %L)', arg || value, arg, value))
  FROM unnest(ARRAY['spacing', 'half_life']) arg,
       unnest(ARRAY['1 us', '365 days', '1 day', '0', '-1 us', '365 days 1 us', '366 days', '1 month', '1 year', '1 month -29 days',
                    '2147483647 days', '-2147483648 days', '9223372036854775807 us',
                    '213503983 days']) WITH ORDINALITY AS v (value, n) -- 2^64 us and 16 hours
 ORDER BY arg COLLATE "C", n;
SELECT spacing, min_spacing, half_life, future_bound FROM pg_temp.params('half_life365 days');
SELECT spacing, min_spacing, half_life, future_bound FROM pg_temp.params('half_life1 us');
SELECT spacing, min_spacing, half_life, future_bound FROM pg_temp.params('spacing365 days');
-- min_spacing is at most spacing
SELECT value, pg_temp.refused(format('SELECT ftchain.create_chain(%L, spacing => ''10 s'', min_spacing => %L)', 'min ' || value, value))
  FROM unnest(ARRAY['1 us', '10 s', '10.000001 s', '0', '-1 s', '1 month']) WITH ORDINALITY AS v (value, n) ORDER BY n;
SELECT spacing, min_spacing FROM pg_temp.params('min 1 us');

-- A rolled back chain is gone, for append()'s memory of chains too.
BEGIN;
SELECT length(ftchain.create_chain('undone', attempts => 16, spacing => '1 ms'));
SELECT seq IS NOT NULL AS appended FROM ftchain.append('undone', '1');
ROLLBACK;
SELECT pg_temp.refused($$SELECT ftchain.append('undone', '1')$$);
BEGIN;
SAVEPOINT a;
SELECT length(ftchain.create_chain('undone', attempts => 16, spacing => '1 ms'));
SELECT seq IS NOT NULL AS appended FROM ftchain.append('undone', '1');
ROLLBACK TO a;
SELECT pg_temp.refused($$SELECT ftchain.append('undone', '1')$$);
SELECT length(ftchain.create_chain('undone', attempts => 16, spacing => '1 ms'));
SELECT seq IS NOT NULL AS appended FROM ftchain.append('undone', '1');
COMMIT;
CALL ftchain.seal('undone');
SELECT chain, height, pending FROM ftchain.status WHERE chain = 'undone';
SELECT count(*) FROM ftchain.entries WHERE chain = 'undone';

-- Not where nothing may be written.
BEGIN READ ONLY;
SELECT pg_temp.refused($$SELECT ftchain.create_chain('read only')$$);
SELECT pg_temp.refused($$SELECT ftchain.append('undone', '1')$$);
COMMIT;

-- A chain whose only member has no weight seals and verifies as well.
SELECT seq IS NOT NULL AS appended FROM ftchain.append('weight0', '1');
CALL ftchain.seal('weight0');
SELECT height, pending FROM ftchain.status WHERE chain = 'weight0';
SELECT * FROM ftchain.verify('weight0');
-- The easiest there are, and the shortest intervals.
SELECT seq IS NOT NULL AS appended FROM ftchain.append('attempts1', '1');
CALL ftchain.seal('attempts1');
SELECT length(ftchain.create_chain('quick', attempts => 1, spacing => '1 us', half_life => '1 us'));
SELECT seq IS NOT NULL AS appended FROM ftchain.append('quick', '1');
CALL ftchain.seal('quick');
SELECT seq IS NOT NULL AS appended FROM ftchain.append('quick', '2');
CALL ftchain.seal('quick');
SELECT chain, height, pending FROM ftchain.status WHERE chain IN ('attempts1', 'quick') ORDER BY chain COLLATE "C";

-- All of them, together.
SELECT count(*) = (SELECT count(*) FROM ftchain.status) AS all_in_status, bool_and(s.genesis = c.genesis AND s.pinned AND s.member AND s.members = 1) AS right
  FROM ftchain.chain c JOIN ftchain.status s ON s.chain = c.name;
SELECT c.name, v.* FROM ftchain.chain c, ftchain.verify(c.name) v;
