-- receipt() and check_receipt(): what is right is shown to be, and nothing else.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
SET timezone = 'UTC';
\pset null '(null)'

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

-- So much work that no byte can be changed and still meet the target by chance.
SELECT ftchain.create_chain('a', attempts => 1048576, spacing => '1 ms', max_entries => 16) AS genesis \gset
SELECT ftchain.create_chain('b', attempts => 16, spacing => '1 ms') AS other \gset
SELECT seq FROM ftchain.append('a', '{"first": 1}', 'alone');
CALL ftchain.seal('a');
SELECT seqs FROM ftchain.append_many('a', ARRAY(SELECT json_build_object('n', i) FROM generate_series(2, 21) i), 'many');
CALL ftchain.seal('a');
SELECT seqs FROM ftchain.append_many('a', ARRAY['"é 台帳"', '  { "last" :  1.00 } ']::json[], 'Ünïcode');
CALL ftchain.seal('a');
SELECT seq FROM ftchain.append('a', '"waits"');
SELECT seq FROM ftchain.append('b', '"of another chain"');
CALL ftchain.seal('b');

-- What a receipt consists of.
SELECT key, json_typeof(value) FROM json_each(ftchain.receipt('a', 9)) ORDER BY key COLLATE "C";
-- Every sealed entry has one, and it is right; it says whose entry it is.
SELECT count(*) AS receipts, bool_and(c.valid) AS valid, bool_and(c.reason IS NULL) AS no_reason,
       bool_and(c.genesis_id = :'genesis') AS genesis, bool_and(c.block = e.block) AS block, bool_and(c.height = e.height) AS height,
       bool_and(c."time" = e."time") AS "time", bool_and(c.origin = e.origin) AS origin, bool_and(c.incarnation = e.incarnation) AS incarnation,
       bool_and(c.seq = e.seq) AS seq, bool_and(convert_from(decode(r.receipt ->> 'payload', 'base64'), 'UTF8') = e.payload::text) AS payload
  FROM ftchain.entries e, LATERAL (SELECT ftchain.receipt('a', e.seq) AS receipt) r, ftchain.check_receipt(r.receipt) c
 WHERE e.chain = 'a' AND e.height IS NOT NULL;
-- with the origin and the incarnation, with one of them
SELECT (ftchain.check_receipt(ftchain.receipt('a', 9, e.origin, e.incarnation))).seq,
       (ftchain.check_receipt(ftchain.receipt('a', 9, e.origin))).seq,
       (ftchain.check_receipt(ftchain.receipt('a', 9, incarnation => e.incarnation))).seq FROM ftchain.entries e WHERE seq = 9;
-- none yet of one that waits
SELECT ftchain.receipt('a', 24);
SELECT query, pg_temp.refused('SELECT ftchain.' || query) FROM unnest(ARRAY[
    $$receipt('a', 25)$$, -- of the other chain
    $$receipt('a', 100)$$,
    $$receipt('a', 0)$$,
    $$receipt('a', -1)$$,
    $$receipt('a', 9223372036854775807)$$,
    $$receipt('a', 9, sha256('nobody'))$$,
    $$receipt('a', 9, sha256('nobody'), 1)$$,
    $$receipt('a', 9, incarnation => 7)$$,
    $$receipt('a', 9, '\x00')$$,
    $$receipt('nowhere', 9)$$,
    $$receipt(NULL, 9)$$,
    $$receipt('a', NULL)$$]) AS query;
-- nothing needs to be written for one
BEGIN READ ONLY;
SELECT valid FROM ftchain.check_receipt(ftchain.receipt('a', 9));
COMMIT;

-- The genesis id that one knows.
SELECT valid, reason FROM ftchain.check_receipt(ftchain.receipt('a', 9), :'genesis');
SELECT valid, reason, genesis_id, block, height, "time", origin, incarnation, seq FROM ftchain.check_receipt(ftchain.receipt('a', 9), :'other');
SELECT valid, reason FROM ftchain.check_receipt(ftchain.receipt('b', 25), :'genesis');
SELECT valid, reason FROM ftchain.check_receipt(ftchain.receipt('a', 9), NULL);
SELECT pg_temp.refused($$SELECT ftchain.check_receipt(ftchain.receipt('a', 9), '\x00')$$);
SELECT pg_temp.refused($$SELECT ftchain.check_receipt(ftchain.receipt('a', 9), '')$$);
SELECT valid, reason, genesis_id FROM ftchain.check_receipt(NULL);
SELECT valid, reason, genesis_id FROM ftchain.check_receipt(NULL, :'genesis');
SELECT ftchain.check_receipt(NULL) IS NULL AS is_null;

-- The head that one knows.
SELECT c.valid, c.head_height, c.head_id = s.head AS is_head FROM ftchain.status s, ftchain.check_receipt(ftchain.receipt('a', 9), head => s.head) c WHERE s.chain = 'a';
SELECT valid, reason, head_id FROM ftchain.check_receipt(ftchain.receipt('a', 9), head => sha256('x'));
SELECT valid, reason FROM ftchain.check_receipt(ftchain.receipt('a', 9), :'genesis', :'other');
SELECT pg_temp.refused($$SELECT ftchain.check_receipt(ftchain.receipt('a', 9), head => '\x00')$$);

-- Two of them: in a block with others before it, and in the head itself.
CREATE TEMP TABLE receipt AS
SELECT 'below' AS which, ftchain.receipt('a', 9) AS receipt UNION ALL SELECT 'head', ftchain.receipt('a', 22);
SELECT which, json_array_length(receipt -> 'bundle_path') AS bundle_path, json_array_length(receipt -> 'body_path') AS body_path,
       json_array_length(receipt -> 'state_path') AS state_path, json_array_length(receipt -> 'history_path') AS history_path,
       receipt ->> 'leaf_index' AS leaf_index, receipt ->> 'bundle_index' AS bundle_index,
       receipt ->> 'head' = receipt ->> 'header' AS is_head FROM receipt ORDER BY which;
CREATE FUNCTION pg_temp.tampered(receipt json, field text, value text) RETURNS json LANGUAGE sql AS
$$SELECT ('{' || string_agg(to_json(key) || ':' || CASE key WHEN $2 THEN $3 ELSE j.value::text END, ',') || '}')::json FROM json_each($1) j$$;
-- keys in any order and with white space are the same receipt
SELECT which, c.valid FROM receipt, ftchain.check_receipt(receipt::jsonb::json) c ORDER BY which;
SELECT which, c.valid FROM receipt, ftchain.check_receipt(jsonb_pretty(receipt::jsonb)::json) c ORDER BY which;
SELECT which, count(*), bool_and(c.valid) AS untouched FROM receipt, json_each(receipt) j, ftchain.check_receipt(pg_temp.tampered(receipt, j.key, j.value::text)) c
 GROUP BY which ORDER BY which;

-- Each field left out, or of a wrong kind: malformed, and never an error.
CREATE FUNCTION pg_temp.answer(receipt json) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    c record;
BEGIN
    SELECT * INTO c FROM ftchain.check_receipt(receipt);
    IF c.valid THEN RETURN 'VALID'; END IF;
    IF c.genesis_id IS NOT NULL OR c.block IS NOT NULL OR c.height IS NOT NULL OR c."time" IS NOT NULL OR c.origin IS NOT NULL
       OR c.incarnation IS NOT NULL OR c.seq IS NOT NULL THEN RETURN 'SAYS MORE'; END IF;
    RETURN coalesce(c.reason, 'NO REASON');
EXCEPTION WHEN OTHERS THEN
    RETURN 'ERROR ' || SQLSTATE;
END
$$;
SELECT j.key AS left_out, string_agg(DISTINCT pg_temp.answer((receipt::jsonb - j.key)::json), ', ') FROM receipt, json_each(receipt) j GROUP BY j.key ORDER BY j.key COLLATE "C";
CREATE TEMP TABLE junk (n serial, value text);
INSERT INTO junk (value) VALUES ('null'), ('true'), ('0'), ('-1'), ('1e5'), ('18446744073709551616'), ('""'), ('" "'), ('"x"'), ('"===="'), ('"AAAA"'),
    ('"AA=A"'), ('"%%%%"'), ('"é"'), ('{}'), ('{"a": "b"}'), ('[null]'), ('[1]'), ('[[]]'), ('["AAAA"]'), ('["x", {}]'), ('"[]"'), ('"["'),
    ('"\u0000"'), ('"\ud800"'), ('"\""'), ('["\u0000"]');
SELECT field, count(*) AS junk, count(*) FILTER (WHERE answer = 'VALID') AS valid, count(*) FILTER (WHERE answer LIKE 'ERROR%') AS errors,
       count(*) FILTER (WHERE answer IN ('SAYS MORE', 'NO REASON')) AS others
  FROM (SELECT which, j.key AS field, junk.value, pg_temp.answer(pg_temp.tampered(receipt, j.key, junk.value)) AS answer
          FROM receipt, json_each(receipt) j, junk WHERE junk.value <> replace(j.value::text, '"', '')) x
 GROUP BY field ORDER BY field COLLATE "C";
-- a path must be a list of hashes, from the first byte to the last
SELECT f AS field, v AS value, pg_temp.answer(pg_temp.tampered(receipt, f, replace(v, 'PATH', trim('[]' FROM (receipt -> f)::text)))) AS answer
  FROM receipt, unnest(ARRAY['body_path', 'bundle_path', 'genesis_path', 'head_state_path', 'history_path', 'state_path']) f,
       unnest(ARRAY['[PATH]', '[PATH, 1]', '[null, PATH]', '[[PATH]]', '{"a": [PATH]}', '[PATH, ""]', '[PATH, "AAAA"]']) WITH ORDINALITY AS u (v, n)
 WHERE which = 'below' ORDER BY f, n;
-- numbers are decimal digits
SELECT f AS field, v AS value, pg_temp.answer(pg_temp.tampered(receipt, f, replace(v, 'N', receipt ->> f))) AS answer
  FROM receipt, unnest(ARRAY['bundle_index', 'head_member_index', 'head_members', 'leaf_index', 'member_index', 'members']) f,
       unnest(ARRAY['"N"', '"+N"', '" N"', '"N "', '"0xN"', '"N.0"', '"-N"', '"N000"', '"9999999999999999999999"']) WITH ORDINALITY AS u (v, n)
 WHERE which = 'below' ORDER BY f, n;
-- what is json and no receipt at all
SELECT value, pg_temp.answer(value::json) FROM unnest(ARRAY['null', 'true', '1', '""', '[]', '{}', '[{}]', '{"version": 1}', '{"version": 2}',
    '{"version": "1", "version": "1"}', '{"": ""}', '{"\u0000": 1}', '{"version": "\u0000"}']) AS value;
SELECT pg_temp.answer(('{"version":' || repeat('[', 1000) || repeat(']', 1000) || '}')::json) AS deep;
SELECT pg_temp.answer(pg_temp.tampered(receipt, 'payload', to_json(repeat('A', 4000000))::text)) AS long FROM receipt WHERE which = 'below';
SELECT pg_temp.answer(pg_temp.tampered(receipt, 'body_path', (SELECT '[' || repeat((receipt -> 'genesis')::text || ',', 999) || (receipt -> 'genesis')::text || ']'))) AS long_path FROM receipt WHERE which = 'below';
-- another version, another chain
SELECT which, pg_temp.answer(pg_temp.tampered(receipt, 'version', '2')) AS version, pg_temp.answer(pg_temp.tampered(receipt, 'genesis',
       to_json(translate(encode(:'other', 'base64'), E'\n', ''))::text)) AS genesis FROM receipt ORDER BY which;

-- Each byte of each field changed, one at a time: never valid.  Of how many
-- bytes is it not found?
CREATE TEMP TABLE flipped AS
SELECT which, f.key AS field, at, pg_temp.answer(pg_temp.tampered(receipt, f.key, to_json(translate(encode(set_byte(b.bytes, at, get_byte(b.bytes, at) # 1), 'base64'), E'\n', ''))::text)) AS answer
  FROM receipt, json_each_text(receipt) f, LATERAL (SELECT decode(f.value, 'base64') AS bytes) b, generate_series(0, length(b.bytes) - 1) at
 WHERE f.key IN ('genesis', 'header', 'signature', 'leaf', 'salt', 'payload', 'bundle', 'member', 'head', 'head_signature', 'head_member');
SELECT field, string_agg(DISTINCT answer, ', ' ORDER BY answer) AS answers, count(*) FILTER (WHERE answer IN ('VALID', 'NO REASON', 'SAYS MORE') OR answer LIKE 'ERROR%') AS not_found
  FROM flipped GROUP BY field ORDER BY field;
-- and of each hash of each path
SELECT p.field, string_agg(DISTINCT pg_temp.answer(pg_temp.tampered(receipt, p.field, (
           SELECT json_agg(translate(encode(CASE n WHEN i THEN set_byte(decode(h, 'base64'), at, get_byte(decode(h, 'base64'), at) # 128) ELSE decode(h, 'base64') END, 'base64'), E'\n', '') ORDER BY n)
             FROM json_array_elements_text(receipt -> p.field) WITH ORDINALITY AS u (h, n))::text)), ', ') AS answers
  FROM receipt, unnest(ARRAY['body_path', 'bundle_path', 'genesis_path', 'head_state_path', 'history_path', 'state_path']) AS p (field), generate_series(1, json_array_length(receipt -> p.field)) i, unnest(ARRAY[0, 15, 31]) at
 GROUP BY p.field ORDER BY p.field;
-- hashes left out, doubled, in another order
SELECT f AS field, pg_temp.answer(pg_temp.tampered(receipt, f, '[]')) AS none, pg_temp.answer(pg_temp.tampered(receipt, f,
       (SELECT json_agg(h) FROM (SELECT h FROM json_array_elements_text(receipt -> f) h UNION ALL SELECT h FROM json_array_elements_text(receipt -> f) h) x)::text)) AS doubled
  FROM receipt, unnest(ARRAY['body_path', 'bundle_path', 'genesis_path', 'head_state_path', 'history_path', 'state_path']) f WHERE which = 'below' ORDER BY f;
SELECT pg_temp.answer(pg_temp.tampered(receipt, 'body_path', (SELECT json_agg(h ORDER BY n DESC) FROM json_array_elements_text(receipt -> 'body_path') WITH ORDINALITY AS u (h, n))::text)) AS turned
  FROM receipt WHERE which = 'below';
-- numbers that are off
SELECT which, f AS field, v AS off, pg_temp.answer(pg_temp.tampered(receipt, f, to_json((receipt ->> f)::numeric + v)::text)) AS answer
  FROM receipt, unnest(ARRAY['bundle_index', 'head_member_index', 'head_members', 'leaf_index', 'member_index', 'members']) f, unnest(ARRAY[-1, 1, 2, 16, 4294967296, 9223372036854775807]) v ORDER BY which, f, v;
-- Parts of one receipt in another: only what they share may be exchanged.
SELECT j.key AS field, pg_temp.answer(pg_temp.tampered(b.receipt, j.key, j.value::text)) AS answer
  FROM receipt h, receipt b, json_each(h.receipt) j WHERE h.which = 'head' AND b.which = 'below' ORDER BY j.key COLLATE "C";
-- a leaf for another's payload, an entry for another's place
SELECT pg_temp.answer(pg_temp.tampered(pg_temp.tampered(r, 'salt', (o -> 'salt')::text), 'payload', (o -> 'payload')::text)) AS payload,
       pg_temp.answer(pg_temp.tampered(r, 'leaf', (o -> 'leaf')::text)) AS leaf,
       pg_temp.answer(pg_temp.tampered(pg_temp.tampered(r, 'leaf', (o -> 'leaf')::text), 'leaf_index', (o -> 'leaf_index')::text)) AS leaf_and_index,
       pg_temp.answer(pg_temp.tampered(pg_temp.tampered(pg_temp.tampered(r, 'leaf', (o -> 'leaf')::text), 'leaf_index', (o -> 'leaf_index')::text), 'bundle_path', (o -> 'bundle_path')::text)) AS all_but_payload
  FROM (SELECT ftchain.receipt('a', 9) AS r, ftchain.receipt('a', 10) AS o) x;
-- Some fields of another receipt at once: the other entry of a block is as good
-- as the one; an entry with its bundle is in no other block.
CREATE FUNCTION pg_temp.mixed(receipt json, other json, fields text[]) RETURNS json LANGUAGE sql AS
$$SELECT ('{' || string_agg(to_json(key) || ':' || CASE WHEN key = ANY ($3) THEN ($2 -> key)::text ELSE j.value::text END, ',') || '}')::json FROM json_each($1) j$$;
SELECT pg_temp.answer(pg_temp.mixed(r, o, entry)) AS entry, pg_temp.answer(pg_temp.mixed(r, h, entry)) AS of_another_bundle,
       pg_temp.answer(pg_temp.mixed(r, h, entry || '{bundle}')) AS with_its_head, pg_temp.answer(pg_temp.mixed(r, h, entry || '{bundle,bundle_index,body_path}')) AS with_its_path,
       pg_temp.answer(pg_temp.mixed(r, h, '{header,signature,member,member_index,members,state_path,history_path}')) AS in_another_block
  FROM (SELECT ftchain.receipt('a', 9) AS r, ftchain.receipt('a', 10) AS o, ftchain.receipt('a', 22) AS h,
               '{leaf,leaf_index,bundle_path,salt,payload}'::text[] AS entry) x;
-- A leaf is of one kind: no head passes for an entry, no entry for a head.
SELECT pg_temp.answer(pg_temp.tampered(receipt, 'leaf', (receipt -> 'bundle')::text)) AS head_as_entry,
       pg_temp.answer(pg_temp.tampered(receipt, 'bundle', (receipt -> 'leaf')::text)) AS entry_as_head FROM receipt ORDER BY which;
-- The head must name the entry at its place: of a head that says otherwise the
-- hashes may be as right as they like.
CREATE FUNCTION pg_temp.renamed(bundle bytea, at int, "value" bigint) RETURNS bytea LANGUAGE sql AS
$$SELECT substr($1, 1, $2) || int8send($3) || substr($1, $2 + 9)$$;
SELECT at, answer FROM receipt, LATERAL (SELECT decode(receipt ->> 'bundle', 'base64') AS head) d,
       LATERAL (VALUES ('incarnation', pg_temp.renamed(head, 34, 7)), ('number', pg_temp.renamed(head, 42, 7)),
                       ('ranges', pg_temp.renamed(pg_temp.renamed(head, 90, 1003), 98, 1002 + ('x' || encode(substr(head, 51, 4), 'hex'))::bit(32)::int))) AS v (at, changed),
       LATERAL (SELECT pg_temp.answer(pg_temp.tampered(receipt, 'bundle', to_json(translate(encode(changed, 'base64'), E'\n', ''))::text))) AS a (answer)
 WHERE which = 'below' ORDER BY at;

-- Of large bundles as of small ones, in turn.
SELECT count(*) FROM ftchain.append_many('b', ARRAY(SELECT json_build_object('n', i) FROM generate_series(1, 5001) i));
CALL ftchain.seal('b');
SELECT count(*) FROM ftchain.append_many('b', ARRAY(SELECT json_build_object('n', i) FROM generate_series(1, 2048) i));
CALL ftchain.seal('b');
SELECT count(*) FROM ftchain.append_many('b', ARRAY(SELECT json_build_object('n', i) FROM generate_series(1, 2047) i));
CALL ftchain.seal('b');
SELECT count(*), bool_and(c.valid) AS valid, bool_and(c.seq = s) AS seq
  FROM unnest(ARRAY[25, 26, 5026, 5027, 7074, 7075, 9121, 26, 9121, 5027, 3000, 3001, 7074]) s, ftchain.check_receipt(ftchain.receipt('b', s), :'other') c;
SELECT count(*), bool_and(c.valid) AS valid, bool_and(c.seq = s) AS seq FROM generate_series(25, 9121, 13) s, ftchain.check_receipt(ftchain.receipt('b', s), :'other') c;

-- Where rows have been changed, no receipt is made of them.
CREATE FUNCTION pg_temp.damaged(change text, restore text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE change;
    answer := regexp_replace(pg_temp.refused(query), '[0-9a-f]{64}', 'ID', 'g');
    EXECUTE restore;
    RETURN answer;
END
$$;
CREATE TEMP TABLE kept_bundle AS SELECT leaves FROM ftchain.bundle WHERE ids @> 9::bigint;
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
ALTER TABLE ftchain.bundle DISABLE TRIGGER guard;
ALTER TABLE ftchain.block DISABLE TRIGGER guard;
SELECT what, pg_temp.damaged('UPDATE ftchain.' || change, 'UPDATE ftchain.' || undo, $$SELECT ftchain.receipt('a', 9)$$) FROM (VALUES
    ('payload', $$entry SET payload = '{"n": 10}' WHERE id = 9$$, $$entry SET payload = '{"n" : 9}' WHERE id = 9$$),
    ('incarnation', 'entry SET incarnation = incarnation + 1 WHERE id = 9', 'entry SET incarnation = incarnation - 1 WHERE id = 9'),
    ('id', 'entry SET id = 1000000 WHERE id = 9', 'entry SET id = 9 WHERE id = 1000000'),
    ('leaves', 'bundle SET leaves = set_byte(leaves, 100, get_byte(leaves, 100) # 1) WHERE ids @> 9::bigint',
               'bundle SET leaves = set_byte(leaves, 100, get_byte(leaves, 100) # 1) WHERE ids @> 9::bigint'),
    ('fewer leaves', $$bundle SET leaves = substr(leaves, 33) WHERE ids @> 9::bigint$$, $$bundle SET leaves = (SELECT leaves FROM kept_bundle) WHERE ids @> 9::bigint$$),
    ('ids', $$bundle SET ids = ids - '{[12,13)}' WHERE ids @> 9::bigint$$, $$bundle SET ids = ids + '{[12,13)}' WHERE ids @> 9::bigint$$),
    ('head', $$bundle SET head = set_byte(head, 60, get_byte(head, 60) # 1) WHERE ids @> 9::bigint$$,
             $$bundle SET head = set_byte(head, 60, get_byte(head, 60) # 1) WHERE ids @> 9::bigint$$),
    ('proof', 'block SET proof = set_byte(proof, 10, get_byte(proof, 10) # 1) WHERE height = 2', 'block SET proof = set_byte(proof, 10, get_byte(proof, 10) # 1) WHERE height = 2'),
    ('tip', 'block SET tip = set_byte(tip, length(tip) - 1, get_byte(tip, length(tip) - 1) # 1) WHERE height = 1',
            'block SET tip = set_byte(tip, length(tip) - 1, get_byte(tip, length(tip) - 1) # 1) WHERE height = 1')) AS d (what, change, undo);
ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard;
ALTER TABLE ftchain.bundle ENABLE ALWAYS TRIGGER guard;
ALTER TABLE ftchain.block ENABLE ALWAYS TRIGGER guard;
SELECT valid, reason FROM ftchain.check_receipt(ftchain.receipt('a', 9));

-- It is a pure function: in an index, in a constraint, in another database that
-- has no chain, no identity and no table to look at.
CREATE TEMP TABLE kept (r json CHECK ((ftchain.check_receipt(r)).valid));
INSERT INTO kept SELECT receipt FROM receipt;
\set VERBOSITY terse
INSERT INTO kept SELECT pg_temp.tampered(receipt, 'salt', '"AAAAAAAAAAAAAAAAAAAAAA=="') FROM receipt WHERE which = 'head';
\set VERBOSITY default
CREATE INDEX ON kept (((ftchain.check_receipt(r)).seq));
SELECT receipt AS below FROM receipt WHERE which = 'below' \gset
SELECT receipt AS head FROM receipt WHERE which = 'head' \gset
SELECT encode(:'genesis', 'hex') AS genesis \gset
\set origin :DBNAME
CREATE DATABASE regress_ftchain_other ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\c regress_ftchain_other
SET client_min_messages = warning;
CREATE EXTENSION ftchain;
SELECT valid, reason, height, seq FROM ftchain.check_receipt(:'below');
SELECT valid, reason, height, seq FROM ftchain.check_receipt(:'head', decode(:'genesis', 'hex'));
SELECT valid, reason FROM ftchain.check_receipt(:'head', sha256('another'));
SELECT ftchain.receipt('a', 9);
SELECT count(*) AS identities FROM ftchain.identity;
-- Somebody else, with a key of his own, who calls his chain by that genesis id,
-- can make no receipt that is good for it.
SELECT ftchain.create_chain('forged', attempts => 16, spacing => '1 ms') AS own \gset
ALTER TABLE ftchain.chain DISABLE TRIGGER guard;
UPDATE ftchain.chain SET genesis = decode(:'genesis', 'hex');
SELECT seq FROM ftchain.append('forged', '"I was in your chain all the time"');
CALL ftchain.seal('forged');
DO $$
BEGIN
    PERFORM ftchain.receipt('forged', 1);
EXCEPTION WHEN data_corrupted THEN
    RAISE WARNING 'no receipt is made of it';
END
$$;
-- by hand, then: signed for the other's chain, with a genesis block of his own
UPDATE ftchain.chain SET genesis = :'own';
SELECT c.valid, c.reason FROM ftchain.check_receipt(jsonb_set(ftchain.receipt('forged', 1)::jsonb, '{genesis}',
       to_jsonb(translate(encode(decode(:'genesis', 'hex'), 'base64'), E'\n', '')))::json, decode(:'genesis', 'hex')) c;
ALTER TABLE ftchain.chain ENABLE ALWAYS TRIGGER guard;
\c :origin
DROP DATABASE regress_ftchain_other;
