-- seal(): where it may run, what it seals, in what order, into how many blocks.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
SELECT length(ftchain.create_chain('a', attempts => 16, spacing => '1 ms'));

-- It commits as it goes: not where somebody else is to commit.
BEGIN;
CALL ftchain.seal('a');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
CREATE FUNCTION regress_ftchain_seal() RETURNS void LANGUAGE plpgsql AS $$BEGIN CALL ftchain.seal('a'); END$$;
CREATE PROCEDURE regress_ftchain_set() LANGUAGE plpgsql SET work_mem = '1MB' AS $$BEGIN CALL ftchain.seal('a'); END$$;
CREATE PROCEDURE regress_ftchain_plain() LANGUAGE plpgsql AS $$BEGIN CALL ftchain.seal('a'); END$$;
\set SHOW_CONTEXT never
SELECT regress_ftchain_seal();
CALL regress_ftchain_set();
DO $$BEGIN BEGIN CALL ftchain.seal('a'); EXCEPTION WHEN division_by_zero THEN NULL; END; END$$;
SELECT ftchain.seal('a');
-- Not with a snapshot that does not move, nor read-only.
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL ftchain.seal('a');
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL ftchain.seal('a');
\echo :LAST_ERROR_SQLSTATE
SET default_transaction_isolation = 'serializable';
CALL ftchain.seal('a');
RESET default_transaction_isolation;
SET default_transaction_read_only = on;
CALL ftchain.seal('a');
\echo :LAST_ERROR_SQLSTATE
RESET default_transaction_read_only;
CALL ftchain.seal('nowhere');
\echo :LAST_ERROR_SQLSTATE
-- None of that did anything, or broke anything.
SELECT height, pending FROM ftchain.status WHERE chain = 'a';

-- Nothing to seal: no block.
CALL ftchain.seal('a');
CALL ftchain.seal();
CALL ftchain.seal(NULL);
SELECT height, pending FROM ftchain.status WHERE chain = 'a';

-- One entry, one block.  In procedures and DO blocks that may commit, too.
SELECT seq FROM ftchain.append('a', '1');
SELECT height, pending FROM ftchain.status WHERE chain = 'a';
CALL ftchain.seal('a');
SELECT height, pending FROM ftchain.status WHERE chain = 'a';
SELECT seq FROM ftchain.append('a', '2');
DO $$BEGIN CALL ftchain.seal('a'); END$$;
SELECT height, pending FROM ftchain.status WHERE chain = 'a';
SELECT seq FROM ftchain.append('a', '3');
CALL regress_ftchain_plain();
SELECT height, pending FROM ftchain.status WHERE chain = 'a';
DO $$
BEGIN
    FOR i IN 4 .. 6 LOOP
        PERFORM ftchain.append('a', to_json(i));
        COMMIT;
        CALL ftchain.seal('a');
    END LOOP;
END
$$;
SELECT height, pending FROM ftchain.status WHERE chain = 'a';
SELECT seq, payload, height FROM ftchain.entries ORDER BY seq;
SELECT * FROM ftchain.verify('a');
DROP FUNCTION regress_ftchain_seal;
DROP PROCEDURE regress_ftchain_set, regress_ftchain_plain;

-- A block names its parent, and the history before it; its time rises by
-- min_spacing at least, its work by what its target stands for.
SELECT * FROM (
    SELECT b.height, h.prev = lag(b.id) OVER w AS prev,
           h.history = ftchain.merkle_root(ARRAY(SELECT m.block FROM ftchain.main_chain m WHERE m.height < b.height ORDER BY m.height)) AS history,
           h."time" >= lag(h."time") OVER w + interval '1 ms' AS "time",
           b.work > lag(b.work) OVER w AS work, h.leaves, h.proposer = i.member AS proposer,
           b.id < '\x1000000000000000000000000000000000000000000000000000000000000000' AS meets_target
      FROM ftchain.blocks b, ftchain.decode_header(b.header) h, ftchain.identity i
    WINDOW w AS (ORDER BY b.height)) x
 WHERE height > 0 ORDER BY height;
-- Entries are leaves, bundle heads too; all of them by the documented bytes.
CREATE FUNCTION pg_temp.leaf(e ftchain.entry) RETURNS bytea LANGUAGE sql AS $$
SELECT '\x0101'::bytea || o.member || int8send(e.incarnation) || int8send(e.seq) ||
       int8send((extract(epoch FROM e."time") * 1000000)::bigint) || sha256(e.salt || convert_to(e.payload::text, 'UTF8')) ||
       set_byte('\x00', 0, octet_length(e.author)) || convert_to(e.author, 'UTF8') ||
       set_byte('\x00', 0, octet_length(e.kind)) || convert_to(e.kind, 'UTF8')
  FROM ftchain.origin o WHERE o.id = e.origin
$$;
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '{"Ä": "台帳"}', 'Ünïcode');
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('a', ARRAY(SELECT to_json(i) FROM generate_series(1, 100) i), 'many');
CALL ftchain.seal('a');
SELECT m.height, u.number, u.count, length(u.leaves) / 32 AS leaves, u.seqs = u.ids AS seqs, u.digest = sha256(u.head) AS digest,
       h.body = ftchain.merkle_root(ftchain.leaf_hash(u.head) || l.leaves) AS body,
       l.leaves = ARRAY(SELECT substr(u.leaves, 32 * i + 1, 32) FROM generate_series(0, u.count - 1) i) AS as_stored,
       -- head: version, class, origin, incarnation, number, count, root, ranges
       u.head = '\x0103'::bytea || o.member || int8send(u.incarnation) || int8send(u.number) || int4send(u.count) ||
                ftchain.merkle_root(l.leaves) || int4send(1) || int8send(lower(u.seqs)) || int8send(upper(u.seqs) - 1) AS head,
       -- what the origin signs: domain (32 bytes), genesis id, digest
       ftchain.verify_signature(i.public_key, rpad('ftchain bundle v1', 17)::bytea || decode(repeat('00', 15), 'hex') || c.genesis || u.digest, u.signature) AS signed,
       ftchain.verify_signature(i.public_key, 'ftchain block v1'::bytea || decode(repeat('00', 16), 'hex') || c.genesis || b.id, b.signature) AS block_signed
  FROM ftchain.main_chain m JOIN ftchain.block b ON b.id = m.block JOIN ftchain.block_bundle bb ON bb.block = m.block
  JOIN ftchain.bundle u ON u.id = bb.bundle JOIN ftchain.origin o ON o.id = u.origin JOIN ftchain.chain c ON c.id = m.chain,
       ftchain.decode_header(b.header) h, ftchain.identity i,
       LATERAL (SELECT ARRAY(SELECT ftchain.leaf_hash(pg_temp.leaf(e)) FROM ftchain.entry e WHERE u.ids @> e.id ORDER BY e.id) AS leaves) l
 ORDER BY m.height;

-- Entries of rolled back transactions leave gaps in the seqs of a bundle.
BEGIN; SELECT seq IS NULL AS never FROM ftchain.append('a', '"out"') \gset
ROLLBACK;
SELECT seq AS one FROM ftchain.append('a', '"in"') \gset
BEGIN; SELECT seq IS NULL AS never FROM ftchain.append('a', '"out"') \gset
ROLLBACK;
SELECT seq AS two FROM ftchain.append('a', '"in"') \gset
SELECT seq AS three FROM ftchain.append('a', '"in"') \gset
CALL ftchain.seal('a');
SELECT u.count, u.seqs = int8multirange(int8range(:one, :one + 1), int8range(:two, :three + 1)) AS seqs
  FROM ftchain.bundle u ORDER BY u.number DESC LIMIT 1;

-- Several chains at once; entries of one stand in no other.
SELECT length(ftchain.create_chain('b', attempts => 16, spacing => '1 ms')), length(ftchain.create_chain('c', attempts => 16, spacing => '1 ms'));
SELECT count((ftchain.append(chain, to_json(i))).seq) FROM generate_series(1, 10) i, unnest(ARRAY['a', 'b', 'c']) chain;
CALL ftchain.seal('b');
SELECT chain, pending FROM ftchain.status ORDER BY chain;
CALL ftchain.seal();
SELECT chain, height, pending FROM ftchain.status ORDER BY chain;
SELECT chain, height, count(*) FROM ftchain.entries WHERE chain <> 'a' GROUP BY chain, height ORDER BY chain;
SELECT c.name, v.* FROM ftchain.chain c, ftchain.verify(c.name) v;
-- in a loop over a query
SELECT count((ftchain.append(chain, to_json(i))).seq) FROM generate_series(1, 10) i, unnest(ARRAY['b', 'c']) chain;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT chain FROM ftchain.status WHERE pending > 0 ORDER BY chain LOOP
        CALL ftchain.seal(name);
    END LOOP;
END
$$;
SELECT chain, height, pending FROM ftchain.status ORDER BY chain;
-- what is appended in the same transaction as the chain is sealed as well
BEGIN;
SELECT length(ftchain.create_chain('d', attempts => 16, spacing => '1 ms'));
SELECT count((ftchain.append('d', to_json(i))).seq) FROM generate_series(1, 3) i;
COMMIT;
CALL ftchain.seal();
SELECT chain, height, pending FROM ftchain.status WHERE chain = 'd';

-- Limits: max_entries to a bundle, in the order in which they were appended.
SELECT length(ftchain.create_chain('few', attempts => 16, spacing => '1 ms', max_entries => 16));
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('few', ARRAY(SELECT to_json(i) FROM generate_series(1, 50) i));
CALL ftchain.seal('few');
SELECT u.number, u.count, lower(u.seqs) > lag(upper(u.seqs) - 1) OVER (ORDER BY u.number) AS after_the_last
  FROM ftchain.bundle u JOIN ftchain.chain c ON c.id = u.chain WHERE c.name = 'few' ORDER BY u.number;
SELECT height, entries, leaves, held FROM ftchain.blocks WHERE chain = 'few' ORDER BY height;
SELECT bool_and(payload::text::int = rank) AS in_order FROM
    (SELECT payload, row_number() OVER (ORDER BY height, seq) AS rank FROM ftchain.entries WHERE chain = 'few') x;
-- exactly full, and one more
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('few', ARRAY(SELECT to_json(i) FROM generate_series(1, 16) i));
CALL ftchain.seal('few');
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('few', ARRAY(SELECT to_json(i) FROM generate_series(1, 17) i));
CALL ftchain.seal('few');
SELECT u.number, u.count FROM ftchain.bundle u JOIN ftchain.chain c ON c.id = u.chain WHERE c.name = 'few' AND u.number > 4 ORDER BY u.number;
SELECT * FROM ftchain.verify('few');

-- max_leaves (max_entries and room for 1024 heads and controls) to a block.
SELECT length(ftchain.create_chain('many', attempts => 16, spacing => '1 ms', max_entries => 512));
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('many', ARRAY(SELECT to_json(i) FROM generate_series(1, 4000) i));
CALL ftchain.seal('many');
SELECT height, entries, leaves FROM ftchain.blocks WHERE chain = 'many' ORDER BY height;
SELECT max(leaves) <= 512 + 1024 AS within_limit FROM ftchain.blocks WHERE chain = 'many';

-- max_body: payloads of half of it, so one to a block; then small ones.
SELECT length(ftchain.create_chain('body', attempts => 16, spacing => '1 ms', max_body => 65536, max_payload => 32768));
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('body', ARRAY(SELECT to_json(repeat('x', 32766)) FROM generate_series(1, 3)));
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('body', ARRAY(SELECT to_json(i) FROM generate_series(1, 5) i));
CALL ftchain.seal('body');
SELECT height, entries FROM ftchain.blocks WHERE chain = 'body' AND height > 0 ORDER BY height;
SELECT chain, pending FROM ftchain.status WHERE chain = 'body';
SELECT count(*) AS entries, count(DISTINCT e.id) AS each_once, count(e.height) AS sealed FROM ftchain.entries e WHERE chain = 'body';
SELECT bool_and(sum <= 65536) AS within_limit FROM
    (SELECT sum(u.bytes + length(u.head) + 68) FROM ftchain.bundle u JOIN ftchain.block_bundle b ON b.bundle = u.id
       JOIN ftchain.chain c ON c.id = u.chain WHERE c.name = 'body' GROUP BY b.block) x;
SELECT * FROM ftchain.verify('body');
-- in a body of the usual size small entries share a bundle
SELECT length(ftchain.create_chain('larger', attempts => 16, spacing => '1 ms', max_body => 200000, max_payload => 40000));
SELECT seqs IS NOT NULL AS appended FROM ftchain.append_many('larger', ARRAY(SELECT to_json(repeat('x', 39998)) FROM generate_series(1, 6)));
CALL ftchain.seal('larger');
SELECT u.number, u.count FROM ftchain.bundle u JOIN ftchain.chain c ON c.id = u.chain WHERE c.name = 'larger' ORDER BY u.number;
SELECT height, entries FROM ftchain.blocks WHERE chain = 'larger' AND height > 0 ORDER BY height;
SELECT * FROM ftchain.verify('larger');

-- A bundle holds 4096 ranges of seqs at most; what every other transaction
-- that is rolled back tears apart goes into more of them.
SELECT length(ftchain.create_chain('torn', attempts => 16, spacing => '1 ms'));
DO $$
BEGIN
    FOR i IN 1 .. 4200 LOOP
        PERFORM ftchain.append('torn', to_json(i));
        PERFORM nextval('ftchain.entry_id');
    END LOOP;
END
$$;
CALL ftchain.seal('torn');
SELECT u.number, u.count, (SELECT count(*) FROM unnest(u.seqs)) AS ranges FROM ftchain.bundle u JOIN ftchain.chain c ON c.id = u.chain
 WHERE c.name = 'torn' ORDER BY u.number;
SELECT chain, pending FROM ftchain.status WHERE chain = 'torn';
SELECT * FROM ftchain.verify('torn');

-- Blocks are not made faster than min_spacing allows: seal() waits.
SELECT length(ftchain.create_chain('slow', attempts => 16, spacing => '200 ms'));
SELECT seq IS NOT NULL AS appended FROM ftchain.append('slow', '1');
CALL ftchain.seal('slow');
SELECT seq IS NOT NULL AS appended FROM ftchain.append('slow', '2');
CALL ftchain.seal('slow');
SELECT height, "time" - lag("time") OVER (ORDER BY height) >= interval '200 ms' AS spaced FROM ftchain.blocks WHERE chain = 'slow' ORDER BY height;
-- and can be interrupted while it does
SELECT length(ftchain.create_chain('glacial', attempts => 16, spacing => '1 day'));
SELECT seq IS NOT NULL AS appended FROM ftchain.append('glacial', '1');
SET statement_timeout = '200ms';
CALL ftchain.seal('glacial');
RESET statement_timeout;
SELECT chain, height, pending FROM ftchain.status WHERE chain = 'glacial';
-- as well as while it works in vain
SELECT length(ftchain.create_chain('hard', attempts => 4611686018427387904, spacing => '1 ms'));
SELECT seq IS NOT NULL AS appended FROM ftchain.append('hard', '1');
SET statement_timeout = '200ms';
CALL ftchain.seal('hard');
RESET statement_timeout;
SELECT chain, height, pending FROM ftchain.status WHERE chain = 'hard';
SELECT * FROM ftchain.verify('hard');
-- an interrupted one leaves nothing behind that would trouble the next
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '"after"');
CALL ftchain.seal('a');
SELECT payload, height IS NOT NULL AS sealed FROM ftchain.entries WHERE payload::text = '"after"';

-- What the surrounding transaction has done is committed first, and then
-- sealed: once, and not again by the next.
SELECT length(ftchain.create_chain('own', attempts => 16, spacing => '1 ms'));
DO $$
BEGIN
    PERFORM ftchain.append('own', '1');
    CALL ftchain.seal('own');
    ROLLBACK;
END
$$;
SELECT payload, height FROM ftchain.entries WHERE chain = 'own' ORDER BY seq;
CALL ftchain.seal('own');
SELECT seq IS NOT NULL AS appended FROM ftchain.append('own', '2');
CALL ftchain.seal('own');
SELECT chain, height, pending FROM ftchain.status WHERE chain = 'own';
SELECT count(*) FROM ftchain.bundle u JOIN ftchain.chain c ON c.id = u.chain WHERE c.name = 'own';

-- Everything once, nothing twice, nowhere a fork.
SELECT count(*) FROM (SELECT e.id FROM ftchain.entries e GROUP BY e.id HAVING count(*) > 1) x;
SELECT count(*) FROM ftchain.block b WHERE NOT EXISTS (SELECT FROM ftchain.main_chain m WHERE m.block = b.id);
SELECT count(*) FROM ftchain.incident;
SELECT count(*) FROM ftchain.rejected;
