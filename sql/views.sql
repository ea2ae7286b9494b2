-- The views: blocks, entries, status, links; and what the members of a chain,
-- its ring and its workers look like from SQL.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
SET timezone = 'UTC';
\pset null '(null)'

-- Their columns and types are an interface.
SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'ftchain'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 ORDER BY c.relname COLLATE "C", a.attnum;
-- so are those of functions that return rows
SELECT p.proname, pg_get_function_result(p.oid) FROM pg_proc p
 WHERE p.pronamespace = 'ftchain'::regnamespace AND p.proretset ORDER BY p.proname COLLATE "C";
-- and all signatures
SELECT p.prokind, p.proname, pg_get_function_arguments(p.oid) AS arguments FROM pg_proc p
 WHERE p.pronamespace = 'ftchain'::regnamespace ORDER BY p.prokind, p.proname COLLATE "C", arguments;

-- Nothing there yet.
SELECT count(*) FROM ftchain.blocks;
SELECT count(*) FROM ftchain.entries;
SELECT count(*) FROM ftchain.status;
SELECT count(*) FROM ftchain.links;

SELECT ftchain.create_chain('a', attempts => 16, spacing => '1 ms') AS genesis \gset
SELECT ftchain.create_chain('b', attempts => 16, spacing => '1 ms') AS other \gset
SELECT member, incarnation FROM ftchain.self \gset

-- status: from the genesis block on
SELECT chain, genesis = CASE chain WHEN 'a' THEN :'genesis' ELSE :'other' END::bytea AS genesis, pinned, height, head = genesis AS head,
       head_received <= now() AND head_received > now() - interval '1 min' AS head_received, pending, members, member, wanted, damaged
  FROM ftchain.status ORDER BY chain;
SELECT seq FROM ftchain.append('a', '{"n": 1}', 'first');
SELECT chain, height, pending FROM ftchain.status ORDER BY chain;
-- pending counts what is committed, and what this transaction has appended
BEGIN;
SELECT seq FROM ftchain.append('a', '{"n": 2}', 'second');
SELECT chain, pending FROM ftchain.status WHERE chain = 'a';
ROLLBACK;
SELECT chain, pending FROM ftchain.status WHERE chain = 'a';
CALL ftchain.seal('a');
SELECT seqs FROM ftchain.append_many('a', ARRAY['{"n": 3}', '{"n": 4}']::json[], 'third');
SELECT chain, height, pending FROM ftchain.status ORDER BY chain;
CALL ftchain.seal('a');
SELECT seq FROM ftchain.append('a', '{"n": 5}', 'fourth');
SELECT s.chain, s.height, s.head = (SELECT block FROM ftchain.main_chain m WHERE m.height = s.height) AS head, s.pending
  FROM ftchain.status s WHERE s.chain = 'a';

-- entries: pending or sealed
SELECT chain, origin = :'member' AS origin, incarnation = :incarnation AS incarnation, seq, "time" BETWEEN now() - interval '1 min' AND now() AS "time",
       author = session_user AS author, kind, payload, height, block = (SELECT id FROM ftchain.blocks b WHERE b.chain = e.chain AND b.height = e.height) AS block, id
  FROM ftchain.entries e ORDER BY seq;
-- they can be queried like any other table
SELECT payload ->> 'n' AS n FROM ftchain.entries WHERE kind = 'third' AND (payload ->> 'n')::int > 3;

-- blocks
SELECT chain, height, id = sha256(header) AS id, "time" BETWEEN now() - interval '1 min' AND now() AS "time", proposer = :'member' AS proposer,
       leaves, bits > 0 AS bits, entries, held, work > coalesce(lag(work) OVER (PARTITION BY chain ORDER BY height), 0) AS work,
       received BETWEEN now() - interval '1 min' AND now() AS received, length(header) AS header, length(signature) AS signature
  FROM ftchain.blocks ORDER BY chain, height;
SELECT b.id = s.head AS head FROM ftchain.blocks b JOIN ftchain.status s ON s.chain = b.chain AND s.height = b.height ORDER BY s.chain;
SELECT id = :'genesis' AS genesis FROM ftchain.blocks WHERE chain = 'a' AND height = 0;

-- None of them can be written.
\set VERBOSITY sqlstate
INSERT INTO ftchain.entries (chain, payload) VALUES ('a', '1');
UPDATE ftchain.entries SET payload = '1';
DELETE FROM ftchain.entries;
UPDATE ftchain.blocks SET height = 1;
DELETE FROM ftchain.blocks;
UPDATE ftchain.status SET height = 1;
UPDATE ftchain.links SET epoch = 1;
\set VERBOSITY default

-- chain_status(), which status is made of
SELECT s.* FROM ftchain.chain c, ftchain.chain_status(c.id) s WHERE c.name = 'a';
SELECT * FROM ftchain.chain_status(NULL);
SELECT * FROM ftchain.chain_status(0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ftchain.chain_status(-2147483648);

-- links: one for each other member that something is sent to or came from; m2
-- never sent anything, m3 is sent nothing
INSERT INTO ftchain.link_out (chain, member, epoch, base, acked, value, acked_at) SELECT id, sha256('m1'), 3, 10, 17, sha256('v'), '2024-01-01' FROM ftchain.chain WHERE name = 'a';
INSERT INTO ftchain.link_out (chain, member, epoch, base, acked, value) SELECT id, sha256('m2'), 1, 0, 0, sha256('v') FROM ftchain.chain WHERE name = 'b';
INSERT INTO ftchain.link_in (chain, member, epoch, next, value, received, duplicates, refused, last_reason, received_at)
SELECT id, sha256('m1'), 5, 8, sha256('v'), 20, 2, 1, 'too little work', '2024-01-02' FROM ftchain.chain WHERE name = 'a';
INSERT INTO ftchain.link_in (chain, member, epoch, next, value, received) SELECT id, sha256('m3'), 2, 4, sha256('v'), 3 FROM ftchain.chain WHERE name = 'b';
INSERT INTO ftchain.peer (server, member, public_key) VALUES ('server of m1', sha256('m1'), sha256('k1')), ('server of m3', sha256('m3'), sha256('k3'));
INSERT INTO ftchain.outbox (chain, seq, kind, reference) SELECT c.id, 1000000 + i, 1, sha256('r') FROM ftchain.chain c, generate_series(1, 3) i WHERE name = 'a';
\x on
SELECT chain, CASE member WHEN sha256('m1') THEN 'm1' WHEN sha256('m2') THEN 'm2' WHEN sha256('m3') THEN 'm3' END AS member, server, state, epoch, sent, acked, waiting, oldest_waiting >= '0 s' AS oldest_waiting, in_flight, acked_at,
       epoch_in, taken, received, duplicates, refused, last_reason, behind, received_at, last_error, stats_reset FROM ftchain.links ORDER BY chain, epoch;
\x off
-- what is to be sent and was not taken: of peers alone
SELECT server, chain, topic, state, first, last, messages, first_seq, last_seq, since <= now() AS since FROM ftchain.gaps();
SELECT count(*) FROM ftchain.link_stats();
-- counters of one peer, then of all
SELECT ftchain.reset_link_stats('server of m3');
SELECT sum(duplicates) AS duplicates, sum(refused) AS refused FROM ftchain.links;
SELECT ftchain.reset_link_stats();
SELECT sum(duplicates) AS duplicates, sum(refused) AS refused, sum(received) AS received FROM ftchain.links;

-- members that live twice, until somebody says that it is over
INSERT INTO ftchain.twin (member, reporter, incarnation, other) VALUES (sha256('m1'), sha256('m2'), 1, 2), (sha256('m1'), sha256('m3'), 1, 2), (sha256('m2'), sha256('m3'), 3, 3);
SELECT chain, twins FROM ftchain.status ORDER BY chain;
SELECT ftchain.clear_twins(sha256('m1'));
SELECT ftchain.clear_twins('\x00');
SELECT chain, twins FROM ftchain.status ORDER BY chain;
SELECT ftchain.clear_twins();
SELECT ftchain.clear_twins();
SELECT kind, detail FROM ftchain.incident WHERE kind = 'two copies cleared' ORDER BY id;

-- wanted and damaged are counted, repaired damage is not
INSERT INTO ftchain.wanted (block, chain, height) SELECT sha256('w' || i::text::bytea), c.id, i FROM ftchain.chain c, generate_series(1, 2) i WHERE name = 'a';
INSERT INTO ftchain.damage (chain, height, entry, what, repaired) SELECT c.id, 1, i, 'entry changed', CASE WHEN i > 2 THEN now() END FROM ftchain.chain c, generate_series(1, 5) i WHERE name = 'b';
SELECT chain, wanted, damaged FROM ftchain.status ORDER BY chain;

-- The workers of this database: none until they are started.
SELECT worker, pid, started, attempts, hash_rate, last_error, last_error_at FROM ftchain.worker_status() ORDER BY worker;
SELECT * FROM ftchain.mining ORDER BY chain;
SELECT count(*) FROM ftchain.peer_status();
