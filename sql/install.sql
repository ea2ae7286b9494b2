-- CREATE EXTENSION: what must be there, what must not; and DROP EXTENSION.

\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;

-- A schema of that name that somebody made before is never taken over.
CREATE SCHEMA ftchain;
CREATE FUNCTION ftchain.append(text, json) RETURNS text LANGUAGE sql AS $$SELECT 'planted'$$;
CREATE EXTENSION ftchain;
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM pg_extension WHERE extname = 'ftchain';
SELECT proname FROM pg_proc WHERE pronamespace = 'ftchain'::regnamespace;
DROP SCHEMA ftchain CASCADE;

-- Neither IF NOT EXISTS nor another schema changes that.
CREATE EXTENSION ftchain SCHEMA public;
CREATE SCHEMA ftchain;
CREATE EXTENSION IF NOT EXISTS ftchain;
DROP SCHEMA ftchain;

-- Only a superuser may create it: not anybody, not the owner of a database.
CREATE ROLE regress_ftchain_user;
CREATE ROLE regress_ftchain_owner;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_ftchain_owner;
SET ROLE regress_ftchain_user;
CREATE EXTENSION ftchain;
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_ftchain_owner;
CREATE EXTENSION ftchain;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT count(*) FROM pg_namespace WHERE nspname = 'ftchain';

-- The chain is UTF-8, so is its database.
\set origin :DBNAME
CREATE DATABASE regress_ftchain_latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE regress_ftchain_ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\c regress_ftchain_latin1
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE EXTENSION ftchain;
\echo :LAST_ERROR_SQLSTATE
\c regress_ftchain_ascii
CREATE EXTENSION ftchain;
\c :origin
\set VERBOSITY terse
SET client_min_messages = warning;
DROP DATABASE regress_ftchain_latin1;
DROP DATABASE regress_ftchain_ascii;

-- The extension's statements run as a role that must not be able to do all.
CREATE EXTENSION ftchain;
DROP EXTENSION ftchain;
ALTER ROLE ftchain_worker SUPERUSER;
CREATE EXTENSION ftchain;
\echo :LAST_ERROR_SQLSTATE
ALTER ROLE ftchain_worker NOSUPERUSER;
ALTER ROLE ftchain_reader SUPERUSER;
CREATE EXTENSION ftchain;
ALTER ROLE ftchain_reader NOSUPERUSER;
ALTER ROLE ftchain_worker CREATEROLE;
CREATE EXTENSION ftchain;
ALTER ROLE ftchain_worker NOCREATEROLE REPLICATION;
CREATE EXTENSION ftchain;
ALTER ROLE ftchain_worker NOREPLICATION BYPASSRLS;
CREATE EXTENSION ftchain;
ALTER ROLE ftchain_worker NOBYPASSRLS;
-- Nobody else may become that role.
GRANT ftchain_worker TO regress_ftchain_user;
CREATE EXTENSION ftchain;
\echo :LAST_ERROR_SQLSTATE
REVOKE ftchain_worker FROM regress_ftchain_user;

-- Roles outlive the extension, and are taken as they are.
SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin, rolconnlimit, rolinherit,
       shobj_description(oid, 'pg_authid') IS NOT NULL AS commented
  FROM pg_roles WHERE rolname LIKE 'ftchain%' ORDER BY rolname COLLATE "C";
CREATE EXTENSION ftchain;

-- One at a time, not to be moved, in a schema of its own.
CREATE EXTENSION ftchain;
CREATE EXTENSION IF NOT EXISTS ftchain;
ALTER EXTENSION ftchain SET SCHEMA public;
SELECT x.extrelocatable, x.extversion = v.default_version AS version, v.superuser, v.trusted, v.requires
  FROM pg_extension x JOIN pg_available_extensions a ON a.name = x.extname,
       LATERAL (SELECT e.*, a.default_version FROM pg_available_extension_versions e
                 WHERE e.name = x.extname AND e.version = x.extversion) v
 WHERE x.extname = 'ftchain';

-- All its objects are in that schema.
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS elsewhere
  FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) o
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ftchain')
   AND o.schema IS DISTINCT FROM 'ftchain' AND o.identity <> 'ftchain';

-- Parts of it cannot be dropped.
DROP SCHEMA ftchain;
DROP SCHEMA ftchain CASCADE;
DROP TABLE ftchain.incident;
DROP FUNCTION ftchain.append;
DROP PROCEDURE ftchain.seal;
DROP SEQUENCE ftchain.entry_id;

-- Its settings: all there, all at their defaults, no others of that prefix.
SELECT name, setting, unit, context, min_val, max_val FROM pg_settings
 WHERE name LIKE 'ftchain.%' AND name NOT IN ('ftchain.failpoint', 'ftchain.clock_offset', 'ftchain.protocol', 'ftchain.protocol_min') ORDER BY name COLLATE "C";
SET ftchain.nonsense = 1;
SET ROLE regress_ftchain_user;
SET ftchain.enabled = off;
SET ftchain.worker_role = 'postgres';
\set VERBOSITY sqlstate
SHOW ftchain.key_directory;
\set VERBOSITY terse
RESET ROLE;

-- DROP EXTENSION takes all away but the key, which stays this database's own:
-- created again it is the same member, in a later incarnation.
SELECT encode(member, 'hex') AS member, encode(public_key, 'hex') AS key FROM ftchain.create_identity() \gset
SELECT length(:'member') AS member, length(:'key') AS key;
SELECT incarnation AS before FROM ftchain.self \gset
SELECT ftchain.create_identity();
\echo :LAST_ERROR_SQLSTATE
SELECT length(ftchain.create_chain('dropped', attempts => 16, spacing => '1 ms'));
SELECT seq FROM ftchain.append('dropped', '1');
DROP EXTENSION ftchain;
SELECT count(*) FROM pg_namespace WHERE nspname = 'ftchain';
SELECT count(*) FROM pg_proc WHERE probin LIKE '%ftchain%';
CREATE EXTENSION ftchain;
SELECT count(*) AS identities FROM ftchain.identity;
SELECT seq FROM ftchain.append('dropped', '1');
SELECT encode(member, 'hex') = :'member' AS same_member, encode(public_key, 'hex') = :'key' AS same_key
  FROM ftchain.create_identity();
SELECT incarnation > :before AS later FROM ftchain.self;
SELECT seq FROM ftchain.append('dropped', '1');

-- In a transaction that is rolled back nothing of it stays, in no cache either.
BEGIN;
DROP EXTENSION ftchain;
CREATE EXTENSION ftchain;
SELECT length(ftchain.create_chain('undone', attempts => 16, spacing => '1 ms'));
SELECT seq FROM ftchain.append('undone', '1');
ROLLBACK;
SELECT seq FROM ftchain.append('undone', '1');
SELECT count(*) AS chains FROM ftchain.chain;
SELECT encode(member, 'hex') = :'member' AS same_member FROM ftchain.identity;

-- Leave it as new.
DROP EXTENSION ftchain;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_ftchain_owner;
DROP ROLE regress_ftchain_user;
DROP ROLE regress_ftchain_owner;
CREATE EXTENSION ftchain;
