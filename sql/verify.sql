-- verify(): all is well; then each thing damaged in turn, by a superuser who
-- disables the guards, must give the rows that name it, and no others.

SET client_min_messages = warning;
SET statement_timeout = '60s';
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
\pset null '(null)'
\pset format unaligned
\pset footer off

-- Blocks 1 and 2 hold one and two entries, block 3 a control (the last governor
-- cannot leave, so it changes nothing but the state's bytes), block 4 two
-- bundles, block 5 one entry; one more waits.
SELECT length(ftchain.create_chain('a', attempts => 16, spacing => '1 ms', max_entries => 16));
SELECT seq FROM ftchain.append('a', '{"n": 1}', 'first');
CALL ftchain.seal('a');
SELECT seqs FROM ftchain.append_many('a', ARRAY['{"n": 2}', '{"n": 3}']::json[]);
CALL ftchain.seal('a');
SELECT length(ftchain.remove_member('a', (SELECT member FROM ftchain.identity)));
CALL ftchain.seal('a');
SELECT seqs FROM ftchain.append_many('a', ARRAY(SELECT to_json(i) FROM generate_series(4, 23) i));
CALL ftchain.seal('a');
SELECT seq FROM ftchain.append('a', '24');
CALL ftchain.seal('a');
SELECT seq FROM ftchain.append('a', '25');
SELECT length(ftchain.create_chain('b', attempts => 16, spacing => '1 ms'));
SELECT seq FROM ftchain.append('b', '26');
CALL ftchain.seal('b');
SELECT chain, height, leaves, entries FROM ftchain.blocks ORDER BY chain, height;
SELECT count(*) AS states FROM ftchain.epoch_state;
SELECT b.height, bb."position", u.id, u.number, u.ids FROM ftchain.block_bundle bb JOIN ftchain.bundle u ON u.id = bb.bundle
  JOIN ftchain.block b ON b.id = bb.block ORDER BY u.id;

-- All is well, of any part.
SELECT * FROM ftchain.verify('a');
SELECT * FROM ftchain.verify('b');
SELECT f AS "from", t AS "to", (SELECT count(*) FROM ftchain.verify('a', f, t)) AS faults
  FROM (VALUES (1, 0, NULL), (2, 0, 0), (3, 2, NULL), (4, 1, 3), (5, 5, 5), (6, 5, 100), (7, 6, NULL), (8, 100, 200),
               (9, 9223372036854775807, NULL), (10, 0, 9223372036854775807), (11, 9223372036854775807, 9223372036854775807),
               (12, NULL, NULL), (13, NULL, 3)) AS v (n, f, t) ORDER BY n;
-- what is no range, no chain
\set VERBOSITY terse
SELECT * FROM ftchain.verify('a', -1);
SELECT * FROM ftchain.verify('a', 3, 2);
SELECT * FROM ftchain.verify('a', 0, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ftchain.verify('a', -9223372036854775808, 9223372036854775807);
SELECT * FROM ftchain.verify('nowhere');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ftchain.verify(NULL);
\echo :LAST_ERROR_SQLSTATE

-- Names for the hashes that faults speak of.
CREATE TEMP TABLE known AS
SELECT encode(block, 'hex') AS hex, format('block %s', height) AS name FROM ftchain.main_chain WHERE chain = 1
UNION ALL
SELECT encode(h.state, 'hex'), format('state %s', dense_rank() OVER (ORDER BY min(b.arrival)))
  FROM ftchain.block b, ftchain.decode_header(b.header) h WHERE b.chain = 1 GROUP BY h.state
UNION ALL
SELECT encode(substr(u.leaves, (32 * (i - lower(u.ids)) + 1)::int, 32), 'hex'), format('leaf %s', i)
  FROM ftchain.bundle u, generate_series(lower(u.ids), upper(u.ids) - 1) i;
CREATE FUNCTION pg_temp.name(text) RETURNS text LANGUAGE sql AS
$$SELECT coalesce((SELECT name FROM known WHERE hex = $1), CASE WHEN $1 ~ '^[0-9a-f]{64}$' THEN 'another hash' ELSE coalesce($1, '-') END)$$;
CREATE FUNCTION pg_temp.faults(chain text, from_height bigint DEFAULT 0, to_height bigint DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
SELECT format('%s | %s | entry %s | %s | %s | %s', coalesce('height ' || height, 'no height'), pg_temp.name(encode(block, 'hex')),
              coalesce(entry::text, '-'), what, pg_temp.name(expected), pg_temp.name(found)) FROM ftchain.verify($1, $2, $3)
$$;
-- What is found after some statements, each of which must touch a row; then
-- they are undone, and all must be well again.
CREATE FUNCTION pg_temp.after(VARIADIC damage text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    t regclass;
    n bigint;
    found text[];
BEGIN
    BEGIN
        FOR t IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'guard' LOOP
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER guard', t);
        END LOOP;
        FOREACH statement IN ARRAY damage LOOP
            EXECUTE statement;
            GET DIAGNOSTICS n = ROW_COUNT;
            IF n = 0 THEN
                RAISE EXCEPTION 'no row was touched by: %', statement;
            END IF;
        END LOOP;
        BEGIN
            found := ARRAY(SELECT pg_temp.faults('a')) || ARRAY(SELECT 'b: ' || x FROM pg_temp.faults('b') x);
        EXCEPTION WHEN OTHERS THEN
            found := ARRAY['ERROR ' || SQLSTATE || ': ' || regexp_replace(SQLERRM, '[0-9a-f]{64}', '...')];
        END;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'FT000';
    EXCEPTION WHEN SQLSTATE 'FT000' THEN
        NULL;
    END;
    FOR statement IN SELECT pg_temp.faults('a') LOOP
        found := found || ('STILL THERE: ' || statement);
    END LOOP;
    RETURN QUERY SELECT unnest(CASE WHEN found = '{}' THEN '{none}' ELSE found END);
END
$$;
CREATE FUNCTION pg_temp.flip(bytes bytea, at int DEFAULT 0) RETURNS bytea LANGUAGE sql AS
$$SELECT set_byte($1, $2, get_byte($1, $2) # 1)$$;
\pset tuples_only on
\t on

--
-- Entries: every byte that the leaf commits to.
--
SELECT pg_temp.after($$UPDATE ftchain.entry SET payload = '{"n": 7}' WHERE id = 1$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET payload = '{"n":1}' WHERE id = 1$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET salt = pg_temp.flip(salt) WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET salt = '' WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET author = 'somebody else' WHERE id = 3$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET author = repeat('x', 1000) WHERE id = 3$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET kind = 'other' WHERE id = 4$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET "time" = "time" + interval '1 us' WHERE id = 5$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET "time" = 'infinity' WHERE id = 5$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET "time" = '1960-01-01' WHERE id = 5$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET seq = 100 WHERE id = 6$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET incarnation = incarnation + 1 WHERE id = 7$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET kind = '', payload = 'null', salt = salt || '\x00' WHERE id = 24$$);
SELECT pg_temp.after($$UPDATE ftchain.entry SET payload = '0' WHERE id IN (4, 19, 20, 23)$$);
-- of an origin that exists, and of one that does not
SELECT pg_temp.after($$INSERT INTO ftchain.origin (member) VALUES (sha256('x'))$$,
                     $$UPDATE ftchain.entry SET origin = (SELECT id FROM ftchain.origin WHERE member = sha256('x')) WHERE id = 1$$);
SELECT regexp_replace(x, '[^|]*$', '') FROM pg_temp.after($$UPDATE ftchain.entry SET origin = 1000 WHERE id = 1$$) x;
-- gone: one, a run across two bundles, all
SELECT pg_temp.after($$DELETE FROM ftchain.entry WHERE id = 1$$);
SELECT pg_temp.after($$DELETE FROM ftchain.entry WHERE id BETWEEN 18 AND 21$$);
SELECT pg_temp.after($$DELETE FROM ftchain.entry WHERE id = 24$$);
SELECT pg_temp.after($$DELETE FROM ftchain.entry WHERE id < 4 AND chain = 1$$, $$UPDATE ftchain.entry SET payload = '0' WHERE id = 4$$);
SELECT count(*), count(*) FILTER (WHERE x LIKE '%| entry missing |%') AS missing FROM pg_temp.after($$DELETE FROM ftchain.entry WHERE chain = 1$$) x;
-- all gone, and what they would be compared with is not what was signed
SELECT regexp_replace(x, '[^|]*$', '') FROM pg_temp.after($$DELETE FROM ftchain.entry WHERE chain = 1 AND id < 25$$,
                     $$UPDATE ftchain.bundle SET leaves = pg_temp.flip(leaves) WHERE id = 2$$) x
 WHERE x NOT LIKE '%| entry missing |%';
-- under numbers that no sequence gives
SELECT pg_temp.after($$INSERT INTO ftchain.entry SELECT n, n, xid, "time", incarnation, chain, origin, salt, author, kind, payload
                          FROM ftchain.entry, unnest(ARRAY[-9223372036854775808, -5, 9223372036854775806, 9223372036854775807]) n
                         WHERE id = 1$$);
-- an entry that waits may go: nothing has been said of it yet
SELECT pg_temp.after($$DELETE FROM ftchain.entry WHERE id = 25$$);
-- given another number, to another chain; where it is now it is one too many
SELECT x FROM pg_temp.after($$UPDATE ftchain.entry SET id = 1000, seq = 1000 WHERE id = 1$$) x WHERE x NOT LIKE '%extra entry%';
SELECT x FROM pg_temp.after($$UPDATE ftchain.entry SET chain = 2 WHERE id = 1$$) x WHERE x NOT LIKE '%extra entry%';
-- Entries that nobody appended: a copy of no block, of another member, and one
-- that claims a transaction which the sealer has looked at long ago.
SELECT pg_temp.after($$INSERT INTO ftchain.entry (id, seq, xid, "time", incarnation, chain, origin, salt, author, kind, payload) SELECT 1000, 1000, NULL, "time", incarnation, chain, origin, salt, author, kind, payload FROM ftchain.entry WHERE id = 1$$);
SELECT pg_temp.after($$INSERT INTO ftchain.origin (member) VALUES (sha256('x'))$$,
                     $$INSERT INTO ftchain.entry (id, seq, xid, "time", incarnation, chain, origin, salt, author, kind, payload) SELECT 1000, 1000, e.xid, e."time", e.incarnation, e.chain, o.id, e.salt, e.author, e.kind, e.payload
                         FROM ftchain.entry e, ftchain.origin o WHERE e.id = 25 AND o.member = sha256('x')$$);
SELECT pg_temp.after($$INSERT INTO ftchain.entry (id, seq, xid, "time", incarnation, chain, origin, salt, author, kind, payload) SELECT 1000, 1000, xid, "time", incarnation, chain, origin, salt, author, kind, payload FROM ftchain.entry WHERE id = 1$$);
-- a waiting one that forgot its transaction would wait forever
SELECT pg_temp.after($$UPDATE ftchain.entry SET xid = NULL WHERE id = 25$$);
-- of a sealed one it says nothing any more
SELECT pg_temp.after($$UPDATE ftchain.entry SET xid = NULL WHERE id = 1$$);

--
-- Blocks.
--
SELECT pg_temp.after($$UPDATE ftchain.block SET header = pg_temp.flip(header, 239) WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET header = pg_temp.flip(header) WHERE chain = 1 AND height = 0$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET header = substr(header, 1, 239) WHERE chain = 1 AND height = 5$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET header = '' WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block b SET header = o.header FROM ftchain.block o WHERE b.chain = 1 AND b.height = 2 AND o.chain = 1 AND o.height = 3$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET signature = pg_temp.flip(signature, 63) WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET signature = pg_temp.flip(signature) WHERE chain = 1 AND height = 0$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET signature = substr(signature, 1, 63) WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET manifest = pg_temp.flip(manifest, length(manifest) - 1) WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET manifest = pg_temp.flip(manifest, 20) WHERE chain = 1 AND height = 0$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET manifest = manifest || '\x00'::bytea WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET manifest = '' WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block b SET manifest = o.manifest FROM ftchain.block o WHERE b.chain = 1 AND b.height = 1 AND o.chain = 1 AND o.height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET proof = pg_temp.flip(proof, length(proof) - 1) WHERE chain = 1 AND height = 4$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET proof = '' WHERE chain = 1 AND height = 4$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET proof = proof || '\x00'::bytea WHERE chain = 1 AND height = 0$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET tip = pg_temp.flip(tip) WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET tip = '' WHERE chain = 1 AND height = 5$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET work = pg_temp.flip(work, 31) WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET work = '' WHERE chain = 1 AND height = 0$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET height = 7 WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET chain = 2 WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.block SET id = sha256('x') WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$DELETE FROM ftchain.block WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$DELETE FROM ftchain.block WHERE chain = 1 AND height = 0$$);
SELECT pg_temp.after($$DELETE FROM ftchain.block WHERE chain = 1 AND height IN (1, 2, 5)$$);
-- two things at once
SELECT pg_temp.after($$UPDATE ftchain.block SET signature = pg_temp.flip(signature), work = '' WHERE chain = 1 AND height = 2$$,
                     $$UPDATE ftchain.entry SET payload = '0' WHERE id = 2$$);

--
-- The main chain.
--
SELECT pg_temp.after($$DELETE FROM ftchain.main_chain WHERE chain = 1 AND height = 2$$);
SELECT pg_temp.after($$DELETE FROM ftchain.main_chain WHERE chain = 1 AND height < 2$$);
SELECT pg_temp.after($$DELETE FROM ftchain.main_chain WHERE chain = 1$$);
SELECT pg_temp.after($$UPDATE ftchain.main_chain SET block = sha256('x') WHERE chain = 1 AND height = 2$$);
SELECT count(*) > 0 AS found FROM pg_temp.after($$UPDATE ftchain.main_chain SET block = '\x00' WHERE chain = 1 AND height = 2$$) x WHERE x LIKE 'height 2 |%';
SELECT pg_temp.after($$UPDATE ftchain.main_chain SET height = 8 WHERE chain = 1 AND height = 5$$);
SELECT pg_temp.after($$DELETE FROM ftchain.main_chain WHERE chain = 1 AND height = 1$$,
                     $$UPDATE ftchain.main_chain SET height = 1 WHERE chain = 1 AND height = 2$$);
-- the head cut off, though its block is still there, with more work than any
SELECT count(*) > 0 AS found FROM pg_temp.after($$DELETE FROM ftchain.main_chain WHERE chain = 1 AND height = 5$$) x WHERE x <> 'none';

--
-- Bundles: head, signature, and what other columns repeat of the head.
--
SELECT pg_temp.after($$UPDATE ftchain.bundle SET head = pg_temp.flip(head, 60) WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET head = '' WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET signature = pg_temp.flip(signature) WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET signature = '' WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET number = 77 WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET count = 3 WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET digest = sha256('x') WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET seqs = '{[2,3)}' WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET chain = 2 WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET origin = 1000 WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET leaves = pg_temp.flip(leaves, 40) WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET leaves = substr(leaves, 1, 32) WHERE id = 2$$);
SELECT pg_temp.after($$UPDATE ftchain.bundle SET leaves = NULL WHERE id = 2$$);
-- a list of entries that is not as long as the head says is no list; what it
-- leaves out belongs nowhere
SELECT x FROM pg_temp.after($$UPDATE ftchain.bundle SET ids = '{[2,3)}' WHERE id = 2$$) x WHERE x NOT LIKE '%extra entry%';
SELECT x FROM pg_temp.after($$UPDATE ftchain.bundle SET ids = '{[2,5)}' WHERE id = 2$$) x WHERE x NOT LIKE '%extra entry%';
SELECT x FROM pg_temp.after($$UPDATE ftchain.bundle SET ids = '{}' WHERE id = 2$$) x WHERE x NOT LIKE '%extra entry%';
SELECT x FROM pg_temp.after($$UPDATE ftchain.bundle SET ids = '{[100,102)}' WHERE id = 2$$) x WHERE x NOT LIKE '%extra entry%';
SELECT regexp_replace(x, '[^|]*$', '') FROM pg_temp.after($$UPDATE ftchain.bundle SET ids = '{[2,)}' WHERE id = 2$$) x WHERE x NOT LIKE '%extra entry%';
-- however long it is, few rows are enough to say so
SELECT count(*) < 100 AS few FROM pg_temp.after($$UPDATE ftchain.bundle SET ids = '{[1000,20000)}' WHERE id = 2$$) x;
-- Entries of our own are never "not held here": saying so hides nothing.
SELECT count(*) > 0 AS found FROM pg_temp.after($$UPDATE ftchain.bundle SET ids = NULL, leaves = NULL WHERE id = 2$$,
                                                $$UPDATE ftchain.entry SET payload = '0' WHERE id = 2$$) x WHERE x <> 'none';
SELECT pg_temp.after($$DELETE FROM ftchain.bundle WHERE id = 2$$);
SELECT pg_temp.after($$DELETE FROM ftchain.block_bundle WHERE bundle = 2$$);
SELECT pg_temp.after($$INSERT INTO ftchain.block_bundle SELECT block, 1, 1 FROM ftchain.block_bundle WHERE bundle = 2$$);
SELECT count(*) > 0 AS found FROM pg_temp.after($$UPDATE ftchain.block_bundle SET "position" = 1 WHERE bundle = 2$$) x WHERE x LIKE 'height 2 |%';
SELECT pg_temp.after($$UPDATE ftchain.block_bundle SET "position" = 2 - "position" WHERE bundle IN (3, 4)$$);
SELECT pg_temp.after($$UPDATE ftchain.block_bundle SET bundle = 1 WHERE bundle = 2$$);

--
-- States, controls, and what all of it stands on.
--
SELECT pg_temp.after($$UPDATE ftchain.epoch_state SET content = pg_temp.flip(content, 20) WHERE encode(root, 'hex') IN (SELECT hex FROM known WHERE name = 'state 1')$$);
SELECT pg_temp.after($$UPDATE ftchain.epoch_state SET content = '' WHERE encode(root, 'hex') IN (SELECT hex FROM known WHERE name = 'state 2')$$);
SELECT pg_temp.after($$DELETE FROM ftchain.epoch_state WHERE encode(root, 'hex') IN (SELECT hex FROM known WHERE name = 'state 2')$$);
SELECT pg_temp.after($$UPDATE ftchain.control SET leaf = pg_temp.flip(leaf, 50) WHERE chain = 1 AND height = 3$$);
SELECT pg_temp.after($$UPDATE ftchain.control SET leaf = '' WHERE chain = 1 AND height = 0 AND "position" = 0$$);
SELECT pg_temp.after($$UPDATE ftchain.control SET height = 2 WHERE chain = 1 AND height = 3$$);
SELECT pg_temp.after($$UPDATE ftchain.control SET chain = 2 WHERE chain = 1 AND height = 3$$);
SELECT pg_temp.after($$UPDATE ftchain.control SET id = sha256('x') WHERE chain = 1 AND height = 3$$);
SELECT pg_temp.after($$UPDATE ftchain.control SET "position" = 1 WHERE chain = 1 AND height = 3$$);
SELECT pg_temp.after($$DELETE FROM ftchain.control WHERE chain = 1 AND height = 3$$);
SELECT pg_temp.after($$INSERT INTO ftchain.control SELECT block, 1, chain, height, id, leaf FROM ftchain.control WHERE chain = 1 AND height = 3$$);
-- the name of a chain is local, its genesis is not
\t off
SELECT split_part(x, ' | ', 4) AS what, count(*) FROM pg_temp.after($$UPDATE ftchain.bundle SET incarnation = incarnation + 1$$) x GROUP BY 1 ORDER BY 1;
SELECT split_part(x, ' | ', 4) AS what, count(*) FROM pg_temp.after($$UPDATE ftchain.origin SET member = sha256('x')$$) x GROUP BY 1 ORDER BY 1;
SELECT count(*) FILTER (WHERE x LIKE '%| bundle changed |%') AS bundles FROM pg_temp.after($$DELETE FROM ftchain.origin$$) x;
SELECT DISTINCT split_part(x, ' | ', 4) AS what FROM pg_temp.after($$UPDATE ftchain.chain SET genesis = sha256('x') WHERE id = 1$$) x ORDER BY 1;
-- what is kept for information alone
SELECT pg_temp.after($$UPDATE ftchain.block SET received = now(), source = sha256('x'), arrival = DEFAULT WHERE chain = 1$$,
                     $$UPDATE ftchain.bundle SET bytes = bytes + 1 WHERE id = 2$$,
                     $$UPDATE ftchain.chain SET name = name, pinned = false, created = now() - interval '1 day'$$);

-- Parts: only what is in them is found.
\t on
\pset format aligned
BEGIN;
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
ALTER TABLE ftchain.block DISABLE TRIGGER guard;
UPDATE ftchain.entry SET payload = '0' WHERE id IN (1, 2, 24);
UPDATE ftchain.block SET signature = pg_temp.flip(signature) WHERE chain = 1 AND height IN (2, 3);
INSERT INTO ftchain.entry (id, seq, xid, "time", incarnation, chain, origin, salt, author, kind, payload) SELECT 1000, 1000, NULL, "time", incarnation, chain, origin, salt, author, kind, payload FROM ftchain.entry WHERE id = 1;
SELECT pg_temp.faults('a');
SELECT pg_temp.faults('a', 1, 1);
SELECT pg_temp.faults('a', 2, 2);
SELECT pg_temp.faults('a', 3, 4);
SELECT pg_temp.faults('a', 5);
SELECT pg_temp.faults('a', 4, 4);
ROLLBACK;
-- a part that begins after a block that is damaged, or gone
BEGIN;
ALTER TABLE ftchain.block DISABLE TRIGGER guard;
ALTER TABLE ftchain.main_chain DISABLE TRIGGER guard;
UPDATE ftchain.block SET header = pg_temp.flip(header), tip = '' WHERE chain = 1 AND height = 2;
SELECT pg_temp.faults('a', 3);
DELETE FROM ftchain.block WHERE chain = 1 AND height = 2;
SELECT pg_temp.faults('a', 3);
DELETE FROM ftchain.main_chain WHERE chain = 1 AND height = 2;
SELECT pg_temp.faults('a', 3);
ROLLBACK;
SELECT pg_temp.faults('a');

-- Damage that is committed, found by others, and undone by hand.
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
UPDATE ftchain.entry SET payload = '{"n": 2 }' WHERE id = 2;
ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard;
SELECT pg_temp.faults('a');
-- it does not stop the chain
CALL ftchain.seal('a');
SELECT pg_temp.faults('a');
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
UPDATE ftchain.entry SET payload = '{"n": 2}' WHERE id = 2;
ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard;
SELECT pg_temp.faults('a');

-- scrub() records what verify() finds, once; and what is gone is marked so.
\t off
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
UPDATE ftchain.entry SET payload = '0' WHERE id IN (2, 3);
ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard;
CALL ftchain.scrub('a');
CALL ftchain.scrub();
SELECT height, entry, what, repaired IS NULL AS open FROM ftchain.damage ORDER BY entry;
SELECT kind, height, detail FROM ftchain.incident ORDER BY id;
SELECT damaged FROM ftchain.status WHERE chain = 'a';
-- with no peer there is no copy to repair it from
SELECT chain_name, height, what, action FROM ftchain.repair('a', dry_run => true);
SELECT chain_name, height, what, action FROM ftchain.repair('a');
SELECT count(*) FROM ftchain.quarantine;
-- an entry that belongs nowhere goes into quarantine
INSERT INTO ftchain.entry (id, seq, xid, "time", incarnation, chain, origin, salt, author, kind, payload) SELECT 1000, 1000, NULL, "time", incarnation, chain, origin, salt, author, kind, '"stray"' FROM ftchain.entry WHERE id = 1;
CALL ftchain.scrub('a');
SELECT height, what, action FROM ftchain.repair('a', dry_run => true);
SELECT height, what, action FROM ftchain.repair('a');
SELECT entry, content::json ->> 'payload' AS payload FROM ftchain.quarantine;
SELECT count(*) FROM ftchain.entry WHERE id = 1000;
SELECT height, entry, what, repaired IS NULL AS open FROM ftchain.damage ORDER BY entry;
