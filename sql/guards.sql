-- The guards: what the ledger holds is changed or removed by nobody, by no
-- statement, whatever session_replication_role says.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
SELECT length(ftchain.create_chain('a', attempts => 16, spacing => '1 ms'));
SELECT seq FROM ftchain.append('a', '1');
CALL ftchain.seal('a');

-- Which tables are guarded, and how: always, for each statement.
SELECT c.relname, t.tgname, t.tgenabled, t.tgtype, t.tgfoid::regproc AS function, t.tgqual IS NULL AND t.tgnargs = 0 AS plain
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'ftchain'::regnamespace AND NOT t.tgisinternal
 ORDER BY c.relname COLLATE "C";
-- and which are not: they say how far something is, or what is to be done
SELECT relname FROM pg_class c WHERE relnamespace = 'ftchain'::regnamespace AND relkind = 'r'
   AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'guard') ORDER BY relname COLLATE "C";

CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' | ' || SQLERRM;
END
$$;
GRANT ALL ON FUNCTION pg_temp.refused TO PUBLIC;
-- Everything that could change or remove a row, of all of them; also where no
-- row would be touched.
CREATE FUNCTION pg_temp.attempts() RETURNS TABLE (attempt text, refused text, tables bigint) LANGUAGE sql AS $$
SELECT a.attempt, replace(pg_temp.refused(format(a.query, g.relname, g.attname)), '"ftchain.' || g.relname || '"', '...'), count(*)
  FROM (SELECT c.relname, a.attname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE t.tgname = 'guard' AND a.attnum > 0 AND a.attidentity = '' AND a.attnum =
               (SELECT max(attnum) FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attidentity = '')) g,
       (VALUES (1, 'update', 'UPDATE ftchain.%1$I SET %2$I = %2$I'),
               (2, 'update of nothing', 'UPDATE ftchain.%1$I SET %2$I = %2$I WHERE false'),
               (3, 'delete', 'DELETE FROM ftchain.%1$I'),
               (4, 'delete of nothing', 'DELETE FROM ONLY ftchain.%1$I WHERE false'),
               (5, 'truncate', 'TRUNCATE ftchain.%1$I'),
               (6, 'truncate, restart, cascade', 'TRUNCATE TABLE ONLY ftchain.%1$I RESTART IDENTITY CASCADE'),
               (7, 'merge, update', 'MERGE INTO ftchain.%1$I t USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET %2$I = t.%2$I'),
               (8, 'merge, delete', 'MERGE INTO ftchain.%1$I t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE'),
               (9, 'update in a WITH', 'WITH u AS (UPDATE ftchain.%1$I SET %2$I = %2$I RETURNING 1) SELECT count(*) FROM u'),
               (10, 'insert on conflict', 'INSERT INTO ftchain.%1$I OVERRIDING SYSTEM VALUE SELECT * FROM ftchain.%1$I ON CONFLICT ON CONSTRAINT %1$I_pkey DO UPDATE SET %2$I = excluded.%2$I'))
           AS a (n, attempt, query)
 GROUP BY a.n, 1, 2 ORDER BY a.n
$$;
-- the superuser, who owns them
SELECT * FROM pg_temp.attempts();
-- as a replica: then ordinary triggers sleep
SET session_replication_role = replica;
SELECT * FROM pg_temp.attempts();
SET session_replication_role = local;
SELECT attempt, tables FROM pg_temp.attempts() WHERE refused = 'NOT REFUSED';
RESET session_replication_role;
-- an owner who is no superuser
CREATE ROLE regress_ftchain_owner;
BEGIN;
DO $$
DECLARE
    t regclass;
BEGIN
    FOR t IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'guard' LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO regress_ftchain_owner', t);
    END LOOP;
END
$$;
SET LOCAL ROLE regress_ftchain_owner;
SELECT * FROM pg_temp.attempts();
ROLLBACK;
-- who was given every right but ownership
BEGIN;
GRANT ALL ON ALL TABLES IN SCHEMA ftchain TO regress_ftchain_owner;
SET LOCAL ROLE regress_ftchain_owner;
SELECT attempt, tables FROM pg_temp.attempts() WHERE refused = 'NOT REFUSED';
SELECT pg_temp.refused('ALTER TABLE ftchain.entry DISABLE TRIGGER guard');
SELECT pg_temp.refused('DROP TRIGGER guard ON ftchain.entry');
SELECT pg_temp.refused('SET session_replication_role = replica');
ROLLBACK;
DROP ROLE regress_ftchain_owner;

-- A statement that the guard has let pass for the extension opens nothing for
-- what runs after it, nor for what runs in between.
CALL ftchain.seal('a');
SELECT pg_temp.refused('DELETE FROM ftchain.main_chain');
SELECT length(ftchain.create_chain('b', attempts => 16, spacing => '1 ms')), pg_temp.refused('DELETE FROM ftchain.main_chain');
-- not even if it fails: here the insert does, after main_chain was cut
CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'failed'; END$$;
CREATE TRIGGER fail BEFORE DELETE ON ftchain.main_chain FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.fail();
SELECT pg_temp.refused($$SELECT ftchain.create_chain('c', attempts => 16, spacing => '1 ms')$$);
DROP TRIGGER fail ON ftchain.main_chain;
SELECT pg_temp.refused('DELETE FROM ftchain.main_chain');
-- Code that somebody put on a table runs with no more rights than it had.
CREATE FUNCTION pg_temp.use() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM ftchain.entry; RETURN NULL; END$$;
CREATE TRIGGER use AFTER INSERT ON ftchain.block FOR EACH ROW EXECUTE FUNCTION pg_temp.use();
SELECT seq FROM ftchain.append('a', '2');
\set VERBOSITY sqlstate
CALL ftchain.seal('a');
\set VERBOSITY default
DROP TRIGGER use ON ftchain.block;
CALL ftchain.seal('a');
-- also while a statement runs that the guard lets pass
CREATE TRIGGER use AFTER DELETE ON ftchain.main_chain FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.use();
SELECT pg_temp.refused($$SELECT ftchain.create_chain('c', attempts => 16, spacing => '1 ms')$$);
DROP TRIGGER use ON ftchain.main_chain;

-- The guard is no function to be called.
SELECT ftchain.refuse_change();
CREATE TEMP TABLE mine (a int);
CREATE TRIGGER guard BEFORE INSERT ON mine EXECUTE FUNCTION ftchain.refuse_change();
\set VERBOSITY sqlstate
INSERT INTO mine VALUES (1);
\set VERBOSITY default

-- Rows may be added by who may write the tables; verify() tells.
SELECT pg_temp.refused($$INSERT INTO ftchain.incident (kind, detail) VALUES ('note', 'by hand')$$);
-- Nothing of all that did anything.
SELECT chain, height, pending FROM ftchain.status ORDER BY chain;
SELECT c.name, v.* FROM ftchain.chain c, ftchain.verify(c.name) v;
SELECT payload, height FROM ftchain.entries ORDER BY seq;
