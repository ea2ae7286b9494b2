-- Who may do what: the catalogue as policy, then every function called and
-- every table read by a role without rights, then by those who have some.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
\pset null '(null)'

CREATE TEMP VIEW member AS
SELECT d.classid::regclass AS class, d.objid FROM pg_depend d
 WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ftchain');

--
-- The catalogue.
--

-- Nothing but pure functions is open to everybody.
SELECT p.oid::regprocedure AS open_to_public, p.provolatile FROM member m JOIN pg_proc p ON p.oid = m.objid
 WHERE m.class = 'pg_proc'::regclass AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY p.proname COLLATE "C";
SELECT has_schema_privilege('public', 'ftchain', 'USAGE') AS usage, has_schema_privilege('public', 'ftchain', 'CREATE') AS "create";
SELECT c.oid::regclass AS open_to_public FROM member m JOIN pg_class c ON c.oid = m.objid
 WHERE m.class = 'pg_class'::regclass AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege('public', c.oid, 'USAGE, SELECT, UPDATE')
       ELSE has_any_column_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES') OR has_table_privilege('public', c.oid, 'DELETE, TRUNCATE, TRIGGER') END;
-- What each role may call besides; reader < writer < admin.
SELECT p.oid::regproc AS function, string_agg(substr(r.rolname, 9), ' ' ORDER BY r.rolname) AS roles
  FROM member m JOIN pg_proc p ON p.oid = m.objid LEFT JOIN pg_roles r ON r.rolname LIKE 'ftchain\_%' AND has_function_privilege(r.oid, p.oid, 'EXECUTE')
 WHERE m.class = 'pg_proc'::regclass AND NOT has_function_privilege('public', p.oid, 'EXECUTE') GROUP BY p.oid ORDER BY p.proname COLLATE "C";
-- and do with tables: readers read all, the extension itself works as worker
SELECT r.rolname, string_agg(DISTINCT p.privilege, ' ' ORDER BY p.privilege) AS privileges, count(DISTINCT c.oid) = (SELECT count(*) FROM member m JOIN pg_class c ON c.oid = m.objid
       WHERE m.class = 'pg_class'::regclass AND c.relkind IN ('r', 'v')) AS all_tables
  FROM pg_roles r, member m JOIN pg_class c ON c.oid = m.objid, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (privilege)
 WHERE r.rolname LIKE 'ftchain\_%' AND m.class = 'pg_class'::regclass AND c.relkind IN ('r', 'v') AND has_table_privilege(r.oid, c.oid, p.privilege)
 GROUP BY r.rolname ORDER BY r.rolname COLLATE "C";
-- but messages, which are for the owners of their topics
SELECT c.oid::regclass AS not_for_readers FROM member m JOIN pg_class c ON c.oid = m.objid
 WHERE m.class = 'pg_class'::regclass AND c.relkind IN ('r', 'v') AND NOT has_table_privilege('ftchain_reader', c.oid, 'SELECT') ORDER BY c.relname COLLATE "C";
SELECT r.rolname, count(*) FROM pg_roles r, member m JOIN pg_class c ON c.oid = m.objid
 WHERE r.rolname LIKE 'ftchain\_%' AND m.class = 'pg_class'::regclass AND c.relkind = 'S' AND has_sequence_privilege(r.oid, c.oid, 'USAGE') GROUP BY r.rolname;
SELECT r.rolname AS member, g.rolname AS of FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
 WHERE r.rolname LIKE 'ftchain\_%' OR g.rolname LIKE 'ftchain\_%' ORDER BY r.rolname COLLATE "C", g.rolname COLLATE "C";
-- No function runs as its owner; none is text that a search_path could bend.
SELECT p.oid::regprocedure FROM member m JOIN pg_proc p ON p.oid = m.objid WHERE m.class = 'pg_proc'::regclass AND (p.prosecdef OR p.proconfig IS NOT NULL);
SELECT DISTINCT l.lanname FROM member m JOIN pg_proc p ON p.oid = m.objid JOIN pg_language l ON l.oid = p.prolang WHERE m.class = 'pg_proc'::regclass;

-- Everything says what it is.
SELECT pg_describe_object(m.class, m.objid, 0) AS without_comment FROM member m
 WHERE obj_description(m.objid, m.class::name) IS NULL AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = m.objid AND d.deptype = 'i')
 ORDER BY 1;
SELECT c.relname, a.attname AS without_comment FROM member m JOIN pg_class c ON c.oid = m.objid JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE m.class = 'pg_class'::regclass AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1, 2;
SELECT obj_description(oid, 'pg_extension') IS NOT NULL AS extension FROM pg_extension WHERE extname = 'ftchain';
-- in words, not in none
SELECT pg_describe_object(d.classoid, d.objoid, d.objsubid) AS short FROM pg_description d
 WHERE (d.classoid, d.objoid) IN (SELECT class, objid FROM member) AND length(d.description) < 3 ORDER BY 1;

-- What pg_dump carries, and what it leaves behind: who this database is, and
-- how far it is in sealing, sending and receiving.
SELECT c.relkind, c.relname AS not_dumped FROM member m JOIN pg_class c ON c.oid = m.objid
 WHERE m.class = 'pg_class'::regclass AND c.relkind IN ('r', 'S') AND c.oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'ftchain') ORDER BY 1, 2;
SELECT c.relkind, c.relname AS dumped, u.condition FROM pg_extension x, unnest(x.extconfig, x.extcondition) AS u (oid, condition) JOIN pg_class c ON c.oid = u.oid
 WHERE x.extname = 'ftchain' ORDER BY 1, 2;

--
-- A role without rights.
--
SELECT length(ftchain.create_chain('a', attempts => 16, spacing => '1 ms'));
SELECT seq FROM ftchain.append('a', '{"secret": 1}');
CALL ftchain.seal('a');
SELECT ftchain.receipt('a', 1) AS receipt \gset
CREATE ROLE regress_ftchain_nobody;
CREATE ROLE regress_ftchain_reader IN ROLE ftchain_reader;
CREATE ROLE regress_ftchain_writer IN ROLE ftchain_writer;
CREATE ROLE regress_ftchain_admin IN ROLE ftchain_admin;
CREATE ROLE regress_ftchain_peer IN ROLE ftchain_peer;
CREATE FUNCTION pg_temp.try(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'ALLOWED';
EXCEPTION WHEN insufficient_privilege THEN
    RETURN regexp_replace(SQLERRM, ' (for|of table) .*', '');
WHEN OTHERS THEN
    RETURN 'ALLOWED, ' || SQLSTATE;
END
$$;
CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' | ' || regexp_replace(SQLERRM, '[0-9a-f]{64}', '...');
END
$$;
GRANT EXECUTE ON FUNCTION pg_temp.try(text), pg_temp.refused(text) TO PUBLIC;
-- every function, every procedure, with NULL for each argument
CREATE TEMP TABLE call AS
SELECT p.proname, p.oid, format('%s %s(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.oid::regproc,
       (SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, n))) AS query
  FROM member m JOIN pg_proc p ON p.oid = m.objid WHERE m.class = 'pg_proc'::regclass;
GRANT SELECT ON call TO PUBLIC;
CREATE TEMP TABLE object AS
SELECT c.relname, c.relkind, c.oid::regclass AS name, (SELECT quote_ident(attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1) AS first
  FROM member m JOIN pg_class c ON c.oid = m.objid WHERE m.class = 'pg_class'::regclass;
GRANT SELECT ON object TO PUBLIC;
SET ROLE regress_ftchain_nobody;
SELECT proname, pg_temp.try(query) AS tried FROM call ORDER BY proname COLLATE "C";
SELECT relkind, pg_temp.try('SELECT FROM ' || name) AS read, pg_temp.try(format('SELECT %s FROM %s', first, name)) AS column,
       pg_temp.try('LOCK TABLE ' || name) AS lock, count(*)
  FROM object WHERE relkind IN ('r', 'v') GROUP BY 1, 2, 3, 4 ORDER BY 1;
SELECT pg_temp.try('INSERT INTO ' || name || ' DEFAULT VALUES') AS insert, pg_temp.try(format('UPDATE %s SET %s = %2$s', name, first)) AS update,
       pg_temp.try('DELETE FROM ' || name) AS delete, pg_temp.try('TRUNCATE ' || name) AS truncate,
       pg_temp.try('CREATE TRIGGER t BEFORE INSERT ON ' || name || ' EXECUTE FUNCTION ftchain.refuse_change()') AS trigger,
       pg_temp.try('ALTER TABLE ' || name || ' DISABLE TRIGGER ALL') AS alter, count(*)
  FROM object WHERE relkind = 'r' GROUP BY 1, 2, 3, 4, 5, 6;
SELECT pg_temp.try(format('SELECT nextval(%L)', name)) AS nextval, pg_temp.try('SELECT last_value FROM ' || name) AS read,
       pg_temp.try(format('SELECT setval(%L, 1)', name)) AS setval, count(*) FROM object WHERE relkind = 'S' GROUP BY 1, 2, 3;
SELECT query, pg_temp.try(query) FROM unnest(ARRAY['CREATE TABLE ftchain.mine ()', 'CREATE FUNCTION ftchain.append(int) RETURNS int LANGUAGE sql AS ''SELECT 1''',
    'DROP EXTENSION ftchain', 'ALTER EXTENSION ftchain UPDATE', 'SET ftchain.worker_role = ''regress_ftchain_nobody''']) query;
-- what is for everybody works for him
SELECT valid FROM ftchain.check_receipt(:'receipt');
SELECT length(ftchain.leaf_hash('x'));
RESET ROLE;

--
-- Those who have some.
--

-- Readers read, and check.
SET ROLE regress_ftchain_reader;
SELECT proname, pg_temp.try(query) AS tried FROM call WHERE pg_temp.try(query) LIKE 'ALLOWED%' AND NOT has_function_privilege('public', oid, 'EXECUTE') ORDER BY proname COLLATE "C";
SELECT pg_temp.try('SELECT FROM ' || name) AS read, count(*) FROM object WHERE relkind IN ('r', 'v') GROUP BY 1;
SELECT pg_temp.try('INSERT INTO ' || name || ' DEFAULT VALUES') AS insert, pg_temp.try(format('UPDATE %s SET %s = %2$s', name, first)) AS update,
       pg_temp.try('DELETE FROM ' || name) AS delete, pg_temp.try('TRUNCATE ' || name) AS truncate, count(*) FROM object WHERE relkind = 'r' GROUP BY 1, 2, 3, 4;
SELECT count(*) FROM ftchain.verify('a');
SELECT valid FROM ftchain.check_receipt(ftchain.receipt('a', 1));
SELECT payload, height FROM ftchain.entries;
SELECT chain, height, pending, member FROM ftchain.status;
SELECT height, entries FROM ftchain.blocks ORDER BY height;
SELECT count(*) FROM ftchain.links;
SELECT count(*) FROM ftchain.members('a');
SELECT count(*) FROM ftchain.ring('a');
SELECT count(*) FROM ftchain.place('a', sha256(''));
SELECT count(*) >= 0 AS workers FROM ftchain.worker_status();
SELECT count(*) FROM ftchain.peer_status();
-- Writers append as well.
SET ROLE regress_ftchain_writer;
SELECT proname, pg_temp.try(query) AS tried FROM call WHERE pg_temp.try(query) LIKE 'ALLOWED%' AND NOT has_function_privilege('public', oid, 'EXECUTE') ORDER BY proname COLLATE "C";
SELECT seq FROM ftchain.append('a', '2');
SELECT seqs FROM ftchain.append_many('a', ARRAY['3', '4']::json[]);
SELECT count(*) FROM ftchain.entries;
SELECT pg_temp.try('INSERT INTO ' || name || ' DEFAULT VALUES') AS insert, pg_temp.try(format('UPDATE %s SET %s = %2$s', name, first)) AS update,
       pg_temp.try('DELETE FROM ' || name) AS delete, count(*) FROM object WHERE relkind = 'r' GROUP BY 1, 2, 3;
SELECT pg_temp.try($$SELECT nextval('ftchain.entry_id')$$), pg_temp.try($$SELECT setval('ftchain.entry_id', 1)$$);
-- Administrators do all but write the tables, and speak for peers.
SET ROLE regress_ftchain_admin;
SELECT proname, pg_temp.try(query) AS tried FROM call
 WHERE proname NOT IN ('start', 'stop', 'create_identity', 'repair') AND pg_temp.try(query) LIKE 'ALLOWED%' AND NOT has_function_privilege('public', oid, 'EXECUTE') ORDER BY proname COLLATE "C";
SELECT pg_temp.try('DELETE FROM ' || name) AS delete, count(*) FROM object WHERE relkind = 'r' GROUP BY 1;
SELECT length(ftchain.create_chain('b', attempts => 16, spacing => '1 ms'));
SELECT seq FROM ftchain.append('b', '5');
CALL ftchain.seal();
CALL ftchain.scrub();
SELECT * FROM ftchain.repair();
SELECT chain, height, pending FROM ftchain.status ORDER BY chain;
SELECT ftchain.remove_peer('nobody');
SELECT length(ftchain.remove_member('b', (SELECT member FROM ftchain.identity)));
\set VERBOSITY sqlstate
SELECT ftchain.create_identity();
CALL ftchain.add_peer('nobody');
CALL ftchain.join_chain('nobody', 'c');
CALL ftchain.add_member('a', 'nobody');
CALL ftchain.sync('nobody');
CALL ftchain.sync();
\set VERBOSITY default
SELECT ftchain.start();
SELECT ftchain.stop() IS NOT NULL AS stopped;
-- Peers call what is for peers, and read nothing else.
SET ROLE regress_ftchain_peer;
SELECT proname, pg_temp.try(query) AS tried FROM call WHERE pg_temp.try(query) LIKE 'ALLOWED%' AND NOT has_function_privilege('public', oid, 'EXECUTE') ORDER BY proname COLLATE "C";
SELECT pg_temp.try('SELECT FROM ' || name) AS read, pg_temp.try('DELETE FROM ' || name) AS delete, count(*) FROM object WHERE relkind = 'r' GROUP BY 1, 2;
RESET ROLE;
SELECT genesis FROM ftchain.chain WHERE name = 'a' \gset
SET ROLE regress_ftchain_peer;
SELECT protocol_spoken, length(member), algorithm, length(public_key), length(possession) FROM ftchain.peer_identity(1, :'genesis');
SELECT protocol_spoken FROM ftchain.peer_identity(99, :'genesis');
SELECT length(ftchain.peer_genesis('a')) > 240 AS genesis, ftchain.peer_genesis('nowhere') IS NULL AS none;
SELECT protocol_spoken, length(member), head_height, length(head), length(head_work), epoch, next, length(value) FROM ftchain.peer_hello(1, :'genesis', sha256('x'));
SELECT count(*) AS blocks FROM ftchain.peer_blocks(:'genesis', '{}', 10);
SELECT count(*) AS after_genesis FROM ftchain.peer_blocks(:'genesis', ARRAY[:'genesis']::bytea[], 1000);
SELECT length(block) > 240 AS block, stored IS NULL AS stored FROM ftchain.peer_block(:'genesis', :'genesis');
SELECT block IS NULL AND stored IS NULL AS none FROM ftchain.peer_block(:'genesis', sha256('x'));
SELECT total IS NULL AND bytes IS NULL AND stored IS NULL AS none FROM ftchain.peer_body(:'genesis', sha256('x'), 1, 0, 1);
SELECT answer IS NULL AS none, length(signature) AS signature FROM ftchain.peer_prove(:'genesis', sha256('x'), sha256('nonce'), -1, '');
SELECT head IS NULL AND path IS NULL AND content IS NULL AS none FROM ftchain.peer_shard(:'genesis', :'genesis', 0, '');
-- What they say is taken for what it is: bytes from outside.
SELECT query, pg_temp.refused('SELECT * FROM ftchain.' || replace(query, 'GENESIS', quote_literal(:'genesis'))) FROM unnest(ARRAY[
    $$peer_identity(0, GENESIS)$$, $$peer_identity(-1, GENESIS)$$, $$peer_identity(1, '')$$, $$peer_identity(NULL, GENESIS)$$, $$peer_identity(1, NULL)$$,
    $$peer_genesis(NULL)$$,
    $$peer_hello(0, GENESIS, sha256('x'))$$, $$peer_hello(1, sha256('x'), sha256('x'))$$, $$peer_hello(1, GENESIS, '')$$, $$peer_hello(1, GENESIS, NULL)$$,
    $$peer_blocks(GENESIS, '{}', 0)$$, $$peer_blocks(GENESIS, '{}', 1001)$$, $$peer_blocks(GENESIS, '{}', -1)$$, $$peer_blocks('\x00', '{}', 1)$$,
    $$peer_blocks(sha256('x'), '{}', 1)$$, $$peer_blocks(GENESIS, NULL, 1)$$,
    $$peer_prove(GENESIS, sha256('x'), '', -1, '')$$, $$peer_prove(GENESIS, '', sha256('x'), -1, '')$$, $$peer_prove(sha256('x'), sha256('x'), sha256('x'), 0, '')$$,
    $$peer_shard(GENESIS, '', 0, '')$$, $$peer_shard(sha256('x'), sha256('x'), 0, '')$$,
    $$peer_block(GENESIS, '')$$, $$peer_block(GENESIS, NULL)$$, $$peer_block(sha256('x'), sha256('x'))$$,
    $$peer_body(GENESIS, '', 1, 0, 1)$$, $$peer_body(GENESIS, GENESIS, 1, NULL, 1)$$, $$peer_body(sha256('x'), GENESIS, 1, 0, 1)$$,
    $$peer_body(GENESIS, GENESIS, 0, 0, 1)$$, $$peer_body(GENESIS, GENESIS, 1, -1, 1)$$, $$peer_body(GENESIS, GENESIS, 1, 0, 0)$$,
    $$peer_body(GENESIS, GENESIS, 1, 0, 16777217)$$,
    $$peer_receive(GENESIS, sha256('x'), sha256('x'), NULL, '')$$, $$peer_receive(GENESIS, sha256('x'), sha256('x'), '{}', '')$$]) query;
-- Messages are taken in a transaction of their own only.
\set VERBOSITY sqlstate
SELECT ftchain.peer_receive(:'genesis', '', sha256('x'), '{}', '');
SELECT ftchain.peer_receive(sha256('x'), sha256('x'), sha256('x'), '{}', '');
SELECT ftchain.peer_receive(:'genesis', sha256('x'), '', '{}', '');
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), ARRAY['']::bytea[], '');
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), ARRAY[NULL]::bytea[], '');
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), ARRAY['\x00']::bytea[], '');
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), ARRAY[decode(repeat('00', 200), 'hex')], '');
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), ARRAY[decode(repeat('ff', 200), 'hex')], '');
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), array_fill('\x00'::bytea, ARRAY[1001]), '');
\set VERBOSITY terse
BEGIN;
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), '{}', '');
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), '{}', '');
SET default_transaction_isolation = 'serializable';
SELECT ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), '{}', '');
RESET default_transaction_isolation;
\set VERBOSITY default
-- an empty call, from whoever it is, changes nothing
SELECT epoch, next, refused, reason FROM ftchain.peer_receive(:'genesis', sha256('x'), sha256('x'), '{}', '');
RESET ROLE;
SELECT count(*) FROM ftchain.link_in;
SELECT count(*) FROM ftchain.incident;

-- Rights may be given one by one, too: EXECUTE is all that append() asks for.
GRANT EXECUTE ON FUNCTION ftchain.append TO regress_ftchain_nobody;
SET ROLE regress_ftchain_nobody;
SELECT seq FROM ftchain.append('a', '6');
SELECT pg_temp.try('SELECT FROM ftchain.entry'), pg_temp.try($$SELECT ftchain.append_many('a', '{}')$$);
RESET ROLE;
-- The extension's statements need the worker's rights, nobody else's.
BEGIN;
REVOKE ALL ON ftchain.entry FROM ftchain_worker;
SELECT pg_temp.try($$SELECT ftchain.append('a', '7')$$);
ROLLBACK;
-- Whoever calls, the worker's rights end with the call, also with an error.
SET ROLE regress_ftchain_writer;
SELECT current_user = 'regress_ftchain_writer' AS oneself, pg_temp.try('DELETE FROM ftchain.peer') FROM ftchain.append('a', '8');
SELECT ftchain.append('nowhere', '9');
SELECT current_user = 'regress_ftchain_writer' AS oneself, pg_temp.try('DELETE FROM ftchain.peer');
SELECT pg_temp.try($$SELECT ftchain.append('nowhere', '9')$$), current_user = 'regress_ftchain_writer' AS oneself, pg_temp.try('DELETE FROM ftchain.peer');
RESET ROLE;

CALL ftchain.seal();
SELECT c.name, v.* FROM ftchain.chain c, ftchain.verify(c.name) v;
DROP EXTENSION ftchain;
CREATE EXTENSION ftchain;
DROP ROLE regress_ftchain_nobody, regress_ftchain_reader, regress_ftchain_writer, regress_ftchain_admin, regress_ftchain_peer;
