-- append() and append_many(): what is taken, what is refused, what is kept.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
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

SELECT length(ftchain.create_chain('a', attempts => 16, spacing => '1 ms'));
SELECT length(ftchain.create_chain('small', attempts => 16, spacing => '1 ms', max_payload => 10));

-- The identity of an entry: this database, its incarnation, and a number.
SELECT a.origin = i.member AS origin, a.incarnation = i.incarnation AS incarnation, a.seq
  FROM ftchain.append('a', '{"n": 1}') a, ftchain.self i;
SELECT a.origin = i.member AS origin, a.incarnation = i.incarnation AS incarnation, a.seqs
  FROM ftchain.append_many('a', ARRAY['{"n": 2}', '{"n": 3}']::json[], 'bulk') a, ftchain.self i;
SELECT e.id, e.seq, e.xid IS NOT NULL AS xid, abs(extract(epoch FROM now() - e."time")) < 60 AS "time", c.name AS chain,
       o.member = i.member AND e.incarnation = i.incarnation AS origin, length(e.salt) AS salt, e.author = session_user AS author, e.kind, e.payload
  FROM ftchain.entry e JOIN ftchain.chain c ON c.id = e.chain JOIN ftchain.origin o ON o.id = e.origin, ftchain.self i ORDER BY e.id;
SELECT count(DISTINCT salt) = count(*) AS salts_differ, count(DISTINCT xid) AS transactions FROM ftchain.entry;

-- Unknown chains, NULLs, kinds.
SELECT query, pg_temp.refused('SELECT ftchain.' || query) FROM unnest(ARRAY[
    $$append('nowhere', '1')$$,
    $$append('', '1')$$,
    $$append('A', '1')$$,
    $$append('a ', '1')$$,
    $$append(repeat('a', 63), '1')$$,
    $$append(repeat('a', 64), '1')$$,
    $$append(NULL, '1')$$,
    $$append('a', NULL)$$,
    $$append('a', '1', NULL)$$,
    $$append('nowhere', NULL)$$,
    $$append('a', '1', '')$$,
    $$append('a', '1', repeat('k', 64))$$,
    $$append('a', '1', repeat('é', 32))$$,
    $$append_many('nowhere', ARRAY['1']::json[])$$,
    $$append_many('nowhere', '{}')$$,
    $$append_many(NULL, ARRAY['1']::json[])$$,
    $$append_many('a', NULL)$$,
    $$append_many('a', ARRAY['1']::json[], NULL)$$,
    $$append_many('a', ARRAY['1']::json[], '')$$,
    $$append_many('a', ARRAY['1']::json[], repeat('k', 64))$$,
    $$append_many('a', ARRAY[NULL]::json[])$$,
    $$append_many('a', ARRAY['1', '2', NULL, '4']::json[])$$,
    $$append_many('a', ARRAY[['1', '2'], ['3', NULL]]::json[])$$]) AS query;
-- Kinds of 1 and of 63 bytes, of any letters.
SELECT octet_length(kind) AS bytes, (ftchain.append('a', '1', kind)).seq IS NOT NULL AS appended
  FROM unnest(ARRAY['k', repeat('k', 63), repeat('é', 31), '台帳 "1"', ' ', E'\n']) AS kind;
SELECT octet_length(kind) AS bytes, kind = ANY (ARRAY['k', repeat('k', 63), repeat('é', 31), '台帳 "1"', ' ', E'\n']) AS kept
  FROM ftchain.entry WHERE seq > 3 ORDER BY seq;

-- What is not json never arrives.
SELECT payload, left(pg_temp.refused(format('SELECT ftchain.append(''a'', %L)', payload)), 5) AS sqlstate FROM unnest(ARRAY[
    '', '{', '{"a":}', '{a: 1}', '[1,]', '''x''', '01', 'NaN', '{"a": 1} x', E'"\t"', E'"\\x"']) AS payload;
SELECT left(pg_temp.refused($$SELECT ftchain.append_many('a', ARRAY['1', '{']::json[])$$), 5) AS sqlstate;

-- What is json is kept byte for byte.
CREATE TEMP TABLE payload (n serial, payload text);
INSERT INTO payload (payload) VALUES ('null'), ('true'), ('""'), ('[]'), ('{}'), ('  { "b" : 1 ,  "a":2,"b" :3 }  '), ('1.000e+00'), ('-0'),
    ('123456789012345678901234567890.123456789012345678901234567890'), ('"\u0000"'), ('"\u00e9 \ud83d\udd17 \ud800"'), ('"é 台帳 🔗"'), ('"\/\\\""'),
    (E'{\n\t"line": 1\r\n}'), ('[' || repeat('[', 500) || repeat(']', 500) || ']');
SELECT n, (ftchain.append('a', payload::json, 'one ' || n)).seq IS NOT NULL AS appended FROM payload ORDER BY n;
SELECT (SELECT count(*) FROM ftchain.entry e WHERE e.kind = 'one ' || p.n AND e.payload::text = p.payload) AS kept, count(*) FROM payload p GROUP BY 1;
SELECT range_agg(int8range(s.lower, s.upper)) <> '{}' AS appended, count(*) AS ranges
  FROM (SELECT lower(r) AS lower, upper(r) AS upper
          FROM ftchain.append_many('a', ARRAY(SELECT payload::json FROM payload ORDER BY n), 'many') m, unnest(m.seqs) r) s;
SELECT count(*) AS kept FROM (SELECT row_number() OVER (ORDER BY seq) AS n, payload::text FROM ftchain.entry WHERE kind = 'many') e
  JOIN payload p ON p.n = e.n AND p.payload = e.payload;

-- An empty array is no entry; of an array of two dimensions each element is one.
SELECT seqs, lower(seqs) FROM ftchain.append_many('a', '{}');
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY[['1', '2'], ['3', '4']]::json[], 'square');
SELECT string_agg(payload::text, ' ' ORDER BY seq) AS in_order FROM ftchain.entry WHERE kind = 'square';
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY(SELECT to_json(i) FROM generate_series(1, 5000) i), 'thousands');
SELECT bool_and(payload::text::int = rank) AS in_order, count(*)
  FROM (SELECT payload, row_number() OVER (ORDER BY seq) AS rank FROM ftchain.entry WHERE kind = 'thousands') x;

-- Payloads at the chain's limit and a byte past it, in bytes, not letters.
SELECT what, pg_temp.refused(format('SELECT ftchain.append(''small'', %L)', payload)) AS one,
       pg_temp.refused(format('SELECT ftchain.append_many(''small'', ARRAY[%L]::json[])', payload)) AS many
  FROM (VALUES (1, '10 bytes', '"12345678"'), (2, '11 bytes', '"123456789"'), (3, '10 bytes, 6 letters', '"éééé"'),
               (4, '11 bytes, 7 letters', '"1éééé"'), (5, '10 bytes, 8 of them spaces', '        12'),
               (6, '11 bytes, 9 of them spaces', '         12')) AS v (n, what, payload) ORDER BY n;
SELECT pg_temp.refused($$SELECT ftchain.append_many('small', ARRAY['1', '2', '"123456789"', '4']::json[])$$);
SELECT count(*) FROM ftchain.entries WHERE chain = 'small';
-- by default a mebibyte, however well it compresses
SELECT (ftchain.append('a', ('"' || repeat('x', 1048574) || '"')::json, 'large')).seq IS NOT NULL AS appended;
SELECT pg_temp.refused($$SELECT ftchain.append('a', ('"' || repeat('x', 1048575) || '"')::json)$$);
-- values from a table: in line, compressed, out of line
CREATE TEMP TABLE source (n int, payload json);
ALTER TABLE source ALTER payload SET STORAGE EXTERNAL;
INSERT INTO source VALUES (1, '1'), (2, ('"' || repeat('x', 100000) || '"')::json);
ALTER TABLE source ALTER payload SET STORAGE EXTENDED;
INSERT INTO source VALUES (3, ('"' || repeat('y', 100000) || '"')::json);
INSERT INTO source SELECT 4, ('"' || string_agg(md5(i::text), '') || '"')::json FROM generate_series(1, 1000) i;
SELECT n, (ftchain.append('a', payload, 'source')).seq IS NOT NULL AS appended FROM source ORDER BY n;
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY(SELECT payload FROM source ORDER BY n), 'source');
SELECT s.n, count(*) FROM source s JOIN ftchain.entry e ON e.kind = 'source' AND e.payload::text = s.payload::text GROUP BY s.n ORDER BY s.n;
SELECT n, pg_temp.refused(format('SELECT ftchain.append(''small'', payload) FROM source WHERE n = %s', n)) FROM source ORDER BY n;

-- What is rolled back leaves nothing, and its number is not given again.
SELECT count(*) AS before FROM ftchain.entry \gset
BEGIN;
SELECT seq AS lost FROM ftchain.append('a', '"lost"') \gset
SELECT count(*) - :before AS within FROM ftchain.entry;
ROLLBACK;
SELECT count(*) - :before AS after FROM ftchain.entry;
SELECT seq > :lost AS later FROM ftchain.append('a', '"kept"', 'kept');
BEGIN;
SELECT seq AS first FROM ftchain.append('a', '"first"', 'savepoint') \gset
SAVEPOINT one;
SELECT seq AS second FROM ftchain.append('a', '"second"', 'savepoint') \gset
ROLLBACK TO one;
SELECT seq AS third FROM ftchain.append('a', '"third"', 'savepoint') \gset
SAVEPOINT two;
SELECT seq AS fourth FROM ftchain.append('a', '"fourth"', 'savepoint') \gset
RELEASE two;
SAVEPOINT three;
SELECT ftchain.append('a', '"too long a payload"', '');
ROLLBACK TO three;
SELECT seq AS fifth FROM ftchain.append('a', '"fifth"', 'savepoint') \gset
COMMIT;
SELECT payload, seq IN (:first, :third, :fourth, :fifth) AS as_told, count(*) OVER (PARTITION BY xid) AS of_one_transaction
  FROM ftchain.entry WHERE kind = 'savepoint' ORDER BY seq;
SELECT :first < :second AND :second < :third AND :third < :fourth AND :fourth < :fifth AS ascending;
-- a statement that fails takes its entries with it
SELECT ftchain.append('a', '"gone"', 'failed'), 1 / (i - 3) FROM generate_series(1, 5) i;
SELECT count(*) FROM ftchain.entry WHERE kind = 'failed';

-- Wherever SQL runs: in functions, triggers, WITH, and prepared transactions.
CREATE TEMP TABLE account (id int, balance int);
CREATE FUNCTION pg_temp.audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ftchain.append('a', json_build_object('op', TG_OP, 'id', coalesce(NEW.id, OLD.id)), 'audit');
    RETURN coalesce(NEW, OLD);
END
$$;
CREATE TRIGGER audit BEFORE INSERT OR UPDATE OR DELETE ON account FOR EACH ROW EXECUTE FUNCTION pg_temp.audit();
INSERT INTO account VALUES (1, 10), (2, 20);
UPDATE account SET balance = 0 WHERE id = 2;
DELETE FROM account WHERE id = 1;
SELECT payload FROM ftchain.entry WHERE kind = 'audit' ORDER BY seq;
WITH a AS (SELECT seq FROM ftchain.append('a', '"with"', 'with')) SELECT count(*) FROM a;
DO $$
BEGIN
    PERFORM ftchain.append('a', '"do"', 'do');
    BEGIN
        PERFORM ftchain.append('a', '"undone"', 'do');
        RAISE EXCEPTION 'no';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    PERFORM ftchain.append('a', '"done"', 'do');
END
$$;
SELECT payload FROM ftchain.entry WHERE kind = 'do' ORDER BY seq;
DROP TABLE source, payload, account;
DROP FUNCTION pg_temp.audit, pg_temp.refused;
\c -
SET client_min_messages = warning;
BEGIN;
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '"prepared"', 'prepared');
PREPARE TRANSACTION 'regress_ftchain_1';
BEGIN;
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '"dropped"', 'prepared');
PREPARE TRANSACTION 'regress_ftchain_2';
CALL ftchain.seal('a');
SELECT count(*) AS pending FROM ftchain.entries WHERE height IS NULL AND chain = 'a';
COMMIT PREPARED 'regress_ftchain_1';
ROLLBACK PREPARED 'regress_ftchain_2';
SELECT payload, height IS NULL AS pending FROM ftchain.entries WHERE kind = 'prepared';
CALL ftchain.seal('a');
SELECT payload, height IS NULL AS pending FROM ftchain.entries WHERE kind = 'prepared';

-- Constraints and triggers that somebody adds to the table hold as for a statement.
\set VERBOSITY sqlstate
CREATE TABLE seen (what text, entries bigint);
CREATE FUNCTION regress_ftchain_see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO seen SELECT tg_when || ' ' || tg_level, count(*) FROM ftchain.entry WHERE kind = 'watched';
    RETURN NEW;
END
$$;
GRANT EXECUTE ON FUNCTION regress_ftchain_see() TO PUBLIC;
ALTER TABLE ftchain.entry ADD CONSTRAINT regress_ftchain_short CHECK (kind <> 'watched' OR length(payload::text) < 10);
SELECT ftchain.append('a', '"far too long"', 'watched');
SELECT ftchain.append_many('a', ARRAY['1', '"far too long"']::json[], 'watched');
SELECT count(*) FROM ftchain.entry WHERE kind = 'watched';
CREATE TRIGGER before_statement BEFORE INSERT ON ftchain.entry FOR EACH STATEMENT EXECUTE FUNCTION regress_ftchain_see();
CREATE TRIGGER after_statement AFTER INSERT ON ftchain.entry FOR EACH STATEMENT EXECUTE FUNCTION regress_ftchain_see();
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY['1', '2']::json[], 'watched');
SELECT * FROM seen ORDER BY entries;
TRUNCATE seen;
CREATE TRIGGER before_row BEFORE INSERT ON ftchain.entry FOR EACH ROW EXECUTE FUNCTION regress_ftchain_see();
CREATE TRIGGER after_row AFTER INSERT ON ftchain.entry FOR EACH ROW EXECUTE FUNCTION regress_ftchain_see();
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY['3', '4']::json[], 'watched');
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '5', 'watched');
SELECT * FROM seen ORDER BY entries, what DESC;
CREATE FUNCTION regress_ftchain_see_new() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO seen SELECT 'NEW ' || tg_level, count(*) FROM new_rows;
    RETURN NULL;
END
$$;
GRANT EXECUTE ON FUNCTION regress_ftchain_see_new() TO PUBLIC;
CREATE TRIGGER new_statement AFTER INSERT ON ftchain.entry REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION regress_ftchain_see_new();
TRUNCATE seen;
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY['6', '7']::json[], 'watched');
DROP TRIGGER before_row ON ftchain.entry;
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY['8', '9', '10']::json[], 'watched');
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '11', 'watched');
SELECT what, count(*), min(entries), max(entries) FROM seen GROUP BY what ORDER BY what DESC;
CREATE TRIGGER before_row BEFORE INSERT ON ftchain.entry FOR EACH ROW EXECUTE FUNCTION regress_ftchain_see_new();
ALTER TABLE ftchain.entry DISABLE TRIGGER new_statement;
CREATE OR REPLACE FUNCTION regress_ftchain_see_new() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT ftchain.append('a', '12', 'watched');
SELECT ftchain.append_many('a', ARRAY['12', '13']::json[], 'watched');
DROP TRIGGER new_statement ON ftchain.entry;
DROP TRIGGER before_statement ON ftchain.entry;
DROP TRIGGER after_statement ON ftchain.entry;
DROP TRIGGER before_row ON ftchain.entry;
DROP TRIGGER after_row ON ftchain.entry;
CREATE TABLE kind (kind text PRIMARY KEY);
INSERT INTO kind SELECT DISTINCT kind FROM ftchain.entry;
ALTER TABLE ftchain.entry ADD CONSTRAINT regress_ftchain_kind FOREIGN KEY (kind) REFERENCES kind;
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '14', 'watched');
SELECT ftchain.append('a', '7', 'unheard of');
SELECT ftchain.append_many('a', ARRAY['7', '8']::json[], 'unheard of');
ALTER TABLE ftchain.entry DROP CONSTRAINT regress_ftchain_kind, DROP CONSTRAINT regress_ftchain_short;
DROP TABLE seen, kind;
DROP FUNCTION regress_ftchain_see(), regress_ftchain_see_new();
\set VERBOSITY default
SELECT payload FROM ftchain.entry WHERE kind = 'watched' ORDER BY seq;

-- The author is who logged in, whatever role is set, whoever owns the function.
CREATE ROLE regress_ftchain_author IN ROLE ftchain_writer;
CREATE ROLE "regress_ftchain_Ä ""b""" IN ROLE ftchain_writer;
SELECT session_user AS login \gset
SET ROLE regress_ftchain_author;
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '1', 'author');
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY['2']::json[], 'author');
RESET ROLE;
CREATE FUNCTION regress_ftchain_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$SELECT (ftchain.append('a', '3', 'author')).seq$$;
ALTER FUNCTION regress_ftchain_definer() OWNER TO regress_ftchain_author;
SELECT regress_ftchain_definer() IS NOT NULL AS appended;
SET SESSION AUTHORIZATION "regress_ftchain_Ä ""b""";
SELECT seq IS NOT NULL AS appended FROM ftchain.append('a', '4', 'author');
SELECT upper(seqs) - lower(seqs) AS entries FROM ftchain.append_many('a', ARRAY['5']::json[], 'author');
SELECT current_user = session_user AND current_user LIKE 'regress%' AS still_oneself;
RESET SESSION AUTHORIZATION;
SELECT payload, CASE author WHEN :'login' THEN 'who logged in' ELSE author END AS author FROM ftchain.entry WHERE kind = 'author' ORDER BY seq;
DROP FUNCTION regress_ftchain_definer();
DROP ROLE regress_ftchain_author, "regress_ftchain_Ä ""b""";

-- All of that is sealed, and found to be in order.
CALL ftchain.seal();
SELECT chain, count(*) FILTER (WHERE height IS NULL) AS pending, count(*) > 0 AS any FROM ftchain.entries GROUP BY chain ORDER BY chain;
SELECT c.name, v.* FROM ftchain.chain c, ftchain.verify(c.name) v;
