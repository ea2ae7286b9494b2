-- export() and import(): a chain as a file, and back; nothing that is damaged
-- leaves, and nothing that is not verified comes in.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
SET client_min_messages = notice;
\pset null '(null)'

CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    about text;
BEGIN
    EXECUTE query;
    RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS about = PG_EXCEPTION_DETAIL;
    RETURN regexp_replace(concat_ws(' | ', SQLSTATE, SQLERRM, nullif(about, '')), '[0-9a-f]{64}', '...', 'g');
END
$$;

SELECT ftchain.create_chain('a', attempts => 16, spacing => '1 ms', max_entries => 16) AS genesis \gset
SELECT seq FROM ftchain.append('a', '{"first": 1}', 'alone');
CALL ftchain.seal('a');
SELECT seqs FROM ftchain.append_many('a', ARRAY(SELECT json_build_object('n', i) FROM generate_series(2, 21) i), 'many');
CALL ftchain.seal('a');
SELECT seqs FROM ftchain.append_many('a', ARRAY['"é 台帳"', '  { "last" :  1.00 } ']::json[], 'Ünïcode');
CALL ftchain.seal('a');
SELECT height AS top, head FROM ftchain.status \gset
SELECT ftchain.receipt('a', 9) AS receipt \gset

--
-- Pieces.
--

-- one for the beginning, one a block, one for the end; each says what it is
CREATE TABLE public.piece AS SELECT n, piece FROM ftchain.export('a') WITH ORDINALITY AS x (piece, n);
SELECT count(*) = :top + 3 AS count, string_agg(DISTINCT convert_from(substr(piece, 1, 4), 'UTF8'), ' ') AS magic,
       string_agg(get_byte(piece, 5)::text, '' ORDER BY n) AS kinds FROM public.piece;
-- the length that each says it has
SELECT count(*) AS wrong FROM public.piece WHERE length(piece) <> 12 + ('x' || encode(substr(piece, 9, 4), 'hex'))::bit(32)::int;
-- the ids of the blocks, and that of the head at the end
SELECT count(*) AS blocks, bool_and(b.height = p.n - 2) AS order FROM public.piece p JOIN ftchain.blocks b ON b.id = substr(p.piece, 21, 32);
SELECT substr(piece, 29, 32) = :'head' AS head FROM public.piece ORDER BY n DESC LIMIT 1;
-- always the same bytes, also in a list of results
SELECT count(*) AS differ FROM public.piece p FULL JOIN (SELECT ftchain.export('a') AS piece) x USING (piece) WHERE x.piece IS NULL OR p.piece IS NULL;
SELECT ftchain.export('a') IS NOT NULL AS some LIMIT 2;
-- some heights, and without bodies
SELECT count(*), string_agg(get_byte(piece, 5)::text, '') AS kinds FROM ftchain.export('a', 2, 3) AS piece;
SELECT count(*) FROM ftchain.export('a', 3) AS piece;
SELECT bodies, count(*), sum(length(piece)) < (SELECT sum(length(piece)) FROM public.piece) AS shorter
  FROM unnest(ARRAY['all', 'held', 'none']) WITH ORDINALITY AS b (bodies, n), ftchain.export('a', bodies => bodies) AS piece GROUP BY bodies, b.n ORDER BY b.n;

SELECT query, pg_temp.refused('SELECT ftchain.export(' || query || ')') FROM unnest(ARRAY[
    $$NULL$$, $$'nowhere'$$, $$'a', -1$$, $$'a', 2, 1$$, $$'a', 0, 1000000$$, $$'a', 0, -1$$, $$'a', bodies => 'some'$$, $$'a', bodies => NULL$$]) query;

--
-- A file of the server.
--
SELECT current_setting('data_directory') || '/a.ftchain' AS path \gset
SELECT blocks = :top + 1 AS blocks, body_count, bytes = (SELECT sum(length(piece)) FROM public.piece) AS bytes, head = :'head' AS head
  FROM ftchain.export_file('a', :'path');
SELECT pg_read_binary_file(:'path') = (SELECT string_agg(piece, '' ORDER BY n) FROM public.piece) AS pieces;
SELECT count(*) AS left_over FROM pg_ls_dir(current_setting('data_directory')) AS f WHERE f LIKE '%.part';
SELECT replace(pg_temp.refused(format('SELECT ftchain.export_file(%L, %L)', 'a', :'path')), :'path', 'PATH');
SELECT query, pg_temp.refused('SELECT ftchain.export_file(' || query || ')') FROM unnest(ARRAY[
    $$'a', NULL$$, $$'a', 'a.ftchain'$$, $$'a', '/nowhere/a.ftchain'$$, $$'nowhere', '/tmp/a.ftchain'$$]) query;

--
-- Damage at home.
--

-- An entry: its body is left out, with a warning; or there is no file.
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
UPDATE ftchain.entry SET payload = '{"first": 2}' WHERE seq = 1;
SELECT regexp_replace(pg_temp.refused($$SELECT ftchain.export('a', bodies => 'all')$$), '[0-9a-f]{64}', '...');
\set VERBOSITY terse
SET client_min_messages = error;
SELECT string_agg(get_byte(piece, 52)::text, '' ORDER BY n) AS presence FROM ftchain.export('a') WITH ORDINALITY AS x (piece, n) WHERE get_byte(piece, 5) = 2;
SET client_min_messages = notice;
\set VERBOSITY default
UPDATE ftchain.entry SET payload = '{"first": 1}' WHERE seq = 1;
ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard;
SELECT count(*) AS differ FROM public.piece p FULL JOIN ftchain.export('a') AS x (piece) USING (piece) WHERE x.piece IS NULL OR p.n IS NULL;

-- Anything else of a block: no file.
ALTER TABLE ftchain.block DISABLE TRIGGER guard;
CREATE FUNCTION pg_temp.with_damage(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('UPDATE ftchain.block SET %1$I = set_byte(%1$I, length(%1$I) - 1, get_byte(%1$I, length(%1$I) - 1) # 1) WHERE height = 2', what);
    answer := pg_temp.refused($q$SELECT ftchain.export('a')$q$);
    EXECUTE format('UPDATE ftchain.block SET %1$I = set_byte(%1$I, length(%1$I) - 1, get_byte(%1$I, length(%1$I) - 1) # 1) WHERE height = 2', what);
    RETURN answer;
END
$$;
SELECT what, pg_temp.with_damage(what) FROM unnest(ARRAY['header', 'signature', 'manifest', 'proof']) what;
ALTER TABLE ftchain.block ENABLE ALWAYS TRIGGER guard;
-- A statement with a wrong signature is none.
ALTER TABLE ftchain.replica DISABLE TRIGGER guard;
UPDATE ftchain.replica SET signature = set_byte(signature, 0, get_byte(signature, 0) # 1) WHERE block = (SELECT block FROM ftchain.main_chain WHERE height = 1);
SELECT sum(length(p.piece)) - sum(length(x.piece)) AS shorter FROM public.piece p JOIN ftchain.export('a') WITH ORDINALITY AS x (piece, n) USING (n);
UPDATE ftchain.replica SET signature = set_byte(signature, 0, get_byte(signature, 0) # 1) WHERE block = (SELECT block FROM ftchain.main_chain WHERE height = 1);
ALTER TABLE ftchain.replica ENABLE ALWAYS TRIGGER guard;
-- A height that is not there.
ALTER TABLE ftchain.main_chain DISABLE TRIGGER guard;
BEGIN;
DELETE FROM ftchain.main_chain WHERE height = 2;
SELECT pg_temp.refused($$SELECT ftchain.export('a')$$);
ROLLBACK;
ALTER TABLE ftchain.main_chain ENABLE ALWAYS TRIGGER guard;

--
-- Into an empty database.
--
CREATE TABLE public.part AS SELECT n, piece FROM ftchain.export('a', 2) WITH ORDINALITY AS x (piece, n);
SET client_min_messages = warning;
DROP EXTENSION ftchain;
CREATE EXTENSION ftchain;
SET client_min_messages = notice;
\set SHOW_CONTEXT never
\set VERBOSITY terse

-- what is not there cannot be imported, and what is not right is not
CALL ftchain.import('a');
CALL ftchain.import(NULL);
CALL ftchain.import('a', bodies => 'some');
CALL ftchain.import('a', genesis => '\x00');
INSERT INTO ftchain.import_piece (piece) VALUES ('\x');
CALL ftchain.import('a');
TRUNCATE ftchain.import_piece;
INSERT INTO ftchain.import_piece (piece) SELECT piece || '\x00' FROM public.piece WHERE n = 1;
CALL ftchain.import('a');
TRUNCATE ftchain.import_piece;
INSERT INTO ftchain.import_piece (piece) SELECT piece FROM public.part ORDER BY n;
CALL ftchain.import('a');
TRUNCATE ftchain.import_piece;
INSERT INTO ftchain.import_piece (piece) SELECT piece FROM public.piece ORDER BY n;
\set VERBOSITY sqlstate
CALL ftchain.import('a', genesis => sha256('x'));
\set VERBOSITY terse
BEGIN;
CALL ftchain.import('a');
ROLLBACK;
SELECT count(*) AS chains FROM ftchain.chain;
SELECT count(*) = :top + 3 AS all_there FROM ftchain.import_piece;
TRUNCATE ftchain.import_piece;

-- some of it; a change of one bit is refused and what was before it stays
INSERT INTO ftchain.import_piece (piece) SELECT piece FROM public.piece WHERE n <= 3 ORDER BY n;
CALL ftchain.import('a', genesis => :'genesis');
SELECT height, member, pinned FROM ftchain.status;
INSERT INTO ftchain.import_piece (piece) SELECT set_byte(piece, length(piece) - 3, get_byte(piece, length(piece) - 3) # 1) FROM public.piece WHERE n = 4;
CALL ftchain.import('a');
TRUNCATE ftchain.import_piece;
INSERT INTO ftchain.import_piece (piece) SELECT piece FROM public.piece WHERE n = 5;
CALL ftchain.import('a');
TRUNCATE ftchain.import_piece;
SELECT height FROM ftchain.status;
-- the rest; twice; and what is taken is removed
INSERT INTO ftchain.import_piece (piece) SELECT piece FROM public.part ORDER BY n;
CALL ftchain.import('a', genesis => :'genesis');
INSERT INTO ftchain.import_piece (piece) SELECT piece FROM public.piece ORDER BY n DESC;
CALL ftchain.import('a');
SELECT count(*) FROM ftchain.import_piece;
SELECT height = :top AS height, head = :'head' AS head, member, wanted FROM ftchain.status;
SELECT count(*) AS faults FROM ftchain.verify('a');
SELECT count(*) AS differ FROM public.piece p FULL JOIN ftchain.export('a') AS x (piece) USING (piece) WHERE x.piece IS NULL OR p.n IS NULL;
SELECT valid FROM ftchain.check_receipt(:'receipt', :'genesis', (SELECT head FROM ftchain.status));
-- a chain of another name, or another chain of this name
\set VERBOSITY default
CALL ftchain.import_file('b', :'path', genesis => :'genesis');
SELECT length(ftchain.create_chain('c', attempts => 16, spacing => '1 ms'));
SELECT replace(pg_temp.refused(format('CALL ftchain.import_file(%L, %L)', 'c', :'path')), :'path', 'PATH') AS in_transaction;
\set VERBOSITY terse

--
-- From a file of the server; bodies only where they are wanted.
--
SET client_min_messages = warning;
DROP EXTENSION ftchain;
CREATE EXTENSION ftchain;
SET client_min_messages = notice;
CALL ftchain.import_file('a', NULL);
CALL ftchain.import_file('a', 'a.ftchain');
CALL ftchain.import_file('a', '/nowhere/a.ftchain');
CALL ftchain.import_file('a', :'path', genesis => :'genesis', bodies => 'wanted');
SELECT height = :top AS height, head = :'head' AS head, wanted FROM ftchain.status;
SELECT count(*) FILTER (WHERE held) AS held, count(*) AS blocks FROM ftchain.blocks WHERE entries > 0;
CALL ftchain.import_file('a', :'path');
SELECT count(*) FILTER (WHERE held) AS held FROM ftchain.blocks WHERE entries > 0;
SELECT count(*) AS faults FROM ftchain.verify('a');
CALL ftchain.import_file('a', :'path', bodies => 'wanted');
-- as COPY writes it, and cut off
COPY (SELECT ftchain.export('a')) TO PROGRAM 'cat > a.copy' WITH (FORMAT binary);
SELECT regexp_replace(:'path', 'ftchain$', 'copy') AS copy \gset
CALL ftchain.import_file('a', :'copy');
COPY (SELECT 1) TO PROGRAM 'head -c 3000 a.copy > b.copy; head -c 3000 a.ftchain > b.ftchain; tail -c +2 a.ftchain > c.ftchain';
SELECT regexp_replace(:'path', 'a.ftchain$', '') AS dir \gset
\set VERBOSITY sqlstate
\set b :dir 'b.copy'
CALL ftchain.import_file('a', :'b');
\set b :dir 'b.ftchain'
CALL ftchain.import_file('a', :'b');
\set b :dir 'c.ftchain'
CALL ftchain.import_file('a', :'b');
COPY (SELECT 1) TO PROGRAM 'rm -f a.copy b.copy b.ftchain c.ftchain';

--
-- Who may.
--
CREATE ROLE regress_ftchain_reader IN ROLE ftchain_reader;
CREATE ROLE regress_ftchain_admin IN ROLE ftchain_admin;
SET ROLE regress_ftchain_reader;
SELECT count(*) = :top + 3 AS exported FROM ftchain.export('a');
SELECT pg_temp.refused($$SELECT ftchain.export_file('a', '/tmp/x.ftchain')$$);
CALL ftchain.import('a');
INSERT INTO ftchain.import_piece (piece) VALUES ('\x');
SET ROLE regress_ftchain_admin;
CALL ftchain.import_file('a', :'path');
INSERT INTO ftchain.import_piece (piece) SELECT ftchain.export('a');
CALL ftchain.import('a');
RESET ROLE;
GRANT pg_read_server_files, pg_write_server_files TO regress_ftchain_admin;
SET ROLE regress_ftchain_admin;
CALL ftchain.import_file('a', :'path');
RESET ROLE;
DROP ROLE regress_ftchain_reader, regress_ftchain_admin;
COPY (SELECT 1) TO PROGRAM 'rm -f a.ftchain';
DROP TABLE public.piece, public.part;
DROP EXTENSION ftchain;
