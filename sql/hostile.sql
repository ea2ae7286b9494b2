-- A hostile search_path: whatever others plant, the extension calls none of it.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;

-- Traps: each leaves a mark, in a sequence, which no rollback takes away.
CREATE SCHEMA trap;
CREATE SEQUENCE trap.sprung;
GRANT USAGE ON SCHEMA trap TO PUBLIC;
GRANT ALL ON SEQUENCE trap.sprung TO PUBLIC;
-- Operators of the server, for their own types: a better match there is not.
CREATE FUNCTION trap.plant_operators() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    o record;
    n bigint := 0;
BEGIN
    FOR o IN SELECT op.oprname, op.oprleft::regtype AS l, op.oprright::regtype AS r, op.oprresult::regtype AS result
               FROM pg_operator op
              WHERE op.oprnamespace = 'pg_catalog'::regnamespace AND op.oprkind = 'b'
                AND op.oprname IN ('=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '||', '@>', '<@', '&&', '~', '~~', '!~')
                AND op.oprleft IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype, 'bytea'::regtype, 'bool'::regtype, 'oid'::regtype,
                                   'xid8'::regtype, 'name'::regtype, 'timestamptz'::regtype, 'interval'::regtype, 'int8multirange'::regtype, 'int8range'::regtype,
                                   'numeric'::regtype, 'pg_snapshot'::regtype, 'anymultirange'::regtype, 'anyarray'::regtype)
    LOOP
        EXECUTE format('CREATE FUNCTION trap.operator_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', n, o.l, o.r, o.result,
                       format('BEGIN PERFORM pg_catalog.nextval(''trap.sprung''::pg_catalog.regclass); RAISE EXCEPTION ''trap: operator %%'', %L; END', o.oprname || ' of ' || o.l));
        EXECUTE format('CREATE OPERATOR trap.%s (FUNCTION = trap.operator_%s, LEFTARG = %s, RIGHTARG = %s)', o.oprname, n, o.l, o.r);
        n := n + 1;
    END LOOP;
    RETURN n;
END
$$;
SELECT trap.plant_operators() > 100 AS operators;
-- Functions and aggregates that its statements might call by name.
CREATE FUNCTION trap.plant_functions() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    f record;
    n bigint := 0;
BEGIN
    FOR f IN SELECT p.oid, p.proname, p.prokind, p.proretset, p.provariadic, pg_get_function_identity_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result
               FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a') AND p.provariadic = 0 AND p.proname = ANY (ARRAY[
                    'now', 'clock_timestamp', 'statement_timestamp', 'pg_current_snapshot', 'pg_current_xact_id', 'pg_snapshot_xmax', 'pg_snapshot_xmin', 'pg_snapshot_xip',
                    'pg_visible_in_snapshot', 'lower', 'upper', 'unnest', 'nextval', 'currval', 'setval', 'max', 'min', 'count', 'sum', 'bool_or', 'bool_and',
                    'string_agg', 'array_agg', 'range_agg', 'row_to_json', 'to_json', 'length', 'octet_length', 'substr', 'encode', 'decode', 'sha256', 'md5', 'format',
                    'current_database', 'pg_postmaster_start_time', 'extract', 'date_part', 'generate_series', 'abs', 'round', 'numeric_in', 'hashtext'])
                AND NOT p.proargtypes::oid[] && ARRAY['internal'::regtype, 'cstring'::regtype]::oid[] AND p.prorettype <> 'internal'::regtype
                -- these say nothing before their argument does
                AND (p.prokind = 'f' OR cardinality(p.proargtypes::oid[]) = 1)
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION trap.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.args, f.result,
                           format('BEGIN PERFORM pg_catalog.nextval(''trap.sprung''::pg_catalog.regclass); RAISE EXCEPTION ''trap: function %%'', %L; END', f.proname));
            n := n + 1;
        EXCEPTION WHEN OTHERS THEN
            NULL; -- not every signature can be had in PL/pgSQL
        END;
    END LOOP;
    RETURN n;
END
$$;
SELECT trap.plant_functions() > 50 AS functions;
-- Types that its statements name, and functions of the extension's own names.
CREATE FUNCTION trap.mark() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM pg_catalog.nextval('trap.sprung'::pg_catalog.regclass); RAISE EXCEPTION 'trap: a type'; END$$;
CREATE DOMAIN trap.int8 AS pg_catalog.int8 CHECK (trap.mark());
CREATE DOMAIN trap.int4 AS pg_catalog.int4 CHECK (trap.mark());
CREATE DOMAIN trap.text AS pg_catalog.text CHECK (trap.mark());
CREATE DOMAIN trap.bytea AS pg_catalog.bytea CHECK (trap.mark());
CREATE DOMAIN trap.json AS pg_catalog.json CHECK (trap.mark());
CREATE DOMAIN trap.name AS pg_catalog.name CHECK (trap.mark());
CREATE DOMAIN trap.regclass AS pg_catalog.regclass CHECK (trap.mark());
CREATE DOMAIN trap.xid8 AS pg_catalog.xid8 CHECK (trap.mark());
CREATE DOMAIN trap.int8multirange AS pg_catalog.int8multirange CHECK (trap.mark());
CREATE DOMAIN trap.pg_snapshot AS pg_catalog.pg_snapshot CHECK (trap.mark());
CREATE FUNCTION trap.plant_names() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT p.proname, p.prokind, pg_catalog.pg_get_function_identity_arguments(p.oid) AS args FROM pg_catalog.pg_proc p
              WHERE p.pronamespace = 'ftchain'::pg_catalog.regnamespace AND NOT p.prokind = 'p' AND NOT p.proname = 'refuse_change'
    LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION trap.%I(%s) RETURNS pg_catalog.bool LANGUAGE plpgsql AS %L', f.proname,
                       pg_catalog.regexp_replace(f.args, ', OUT .*|^OUT .*', ''), 'BEGIN PERFORM pg_catalog.nextval(''trap.sprung''::pg_catalog.regclass); RAISE EXCEPTION ''trap: a name''; END');
    END LOOP;
END
$$;
-- Tables, in a schema and temporary ones.
CREATE FUNCTION trap.plant_tables() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t pg_catalog.name;
BEGIN
    FOR t IN SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 'ftchain'::pg_catalog.regnamespace AND relkind = ANY ('{r,v,S}'::pg_catalog.char[]) LOOP
        EXECUTE pg_catalog.format('CREATE TABLE IF NOT EXISTS trap.%I (trap pg_catalog.int4)', t);
        EXECUTE pg_catalog.format('CREATE TEMP TABLE %I (trap pg_catalog.int4)', t);
    END LOOP;
    CREATE TEMP TABLE pg_class (trap pg_catalog.int4);
    CREATE TEMP TABLE pg_database (trap pg_catalog.int4);
    CREATE TEMP TABLE pg_namespace (trap pg_catalog.int4);
    CREATE TEMP TABLE pg_extension (trap pg_catalog.int4);
END
$$;
-- They do work: this is what the path leads to.
\set VERBOSITY terse
SET search_path = trap, pg_catalog;
SELECT 1::pg_catalog.int8 = 1::pg_catalog.int8;
SELECT '\x00'::pg_catalog.bytea = '\x00';
SELECT max(1::pg_catalog.int8);
SELECT now();
SELECT 1::int8;
RESET search_path;
SELECT last_value, is_called FROM trap.sprung;
SELECT setval('trap.sprung', 1, false);

-- The script itself, with the traps before pg_catalog.
SET search_path = trap, pg_catalog, public;
CREATE EXTENSION ftchain;
RESET search_path;
SELECT is_called AS sprung FROM trap.sprung;
-- nothing of it was bent
SELECT count(*) AS views_on_traps FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid JOIN pg_class c ON c.oid = r.ev_class
 WHERE c.relnamespace = 'ftchain'::regnamespace AND (d.refobjid IN (SELECT oid FROM pg_proc WHERE pronamespace = 'trap'::regnamespace)
    OR d.refobjid IN (SELECT oid FROM pg_operator WHERE oprnamespace = 'trap'::regnamespace));
SELECT count(*) AS columns_of_traps FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'ftchain'::regnamespace AND t.typnamespace = 'trap'::regnamespace;
SELECT count(*) AS arguments_of_traps FROM pg_proc p, unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) a JOIN pg_type t ON t.oid = a
 WHERE p.pronamespace = 'ftchain'::regnamespace AND t.typnamespace = 'trap'::regnamespace;

SELECT trap.plant_names();
SELECT trap.plant_tables();
CREATE FUNCTION public.append(text, json, text DEFAULT '') RETURNS text LANGUAGE sql AS $$SELECT 'trap: append'$$;
CREATE FUNCTION public.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;

-- Everything, in a session that has made no plan yet and whose path is bent.
-- (The outer statements must not step into the traps either: hence the full names.)
\c -
SET client_min_messages = warning;
SELECT trap.plant_tables();
SET search_path = trap, pg_temp, public, pg_catalog;
SELECT pg_catalog.length(ftchain.create_chain('a', attempts => 16, spacing => '1 ms', half_life => '1 h'));
SELECT seq FROM ftchain.append('a', '1');
SELECT seqs FROM ftchain.append_many('a', ARRAY['2', '3']::pg_catalog.json[], 'many');
CALL ftchain.seal('a');
SELECT seq FROM ftchain.append('a', '4', 'other');
CALL ftchain.seal();
SELECT * FROM ftchain.verify('a');
SELECT * FROM ftchain.verify('a', 1, 2);
SELECT valid, reason FROM ftchain.check_receipt(ftchain.receipt('a', 2));
SELECT pending, members, member FROM ftchain.chain_status(1);
SELECT chain, height, pending, members, member, wanted, damaged FROM ftchain.status;
SELECT height, leaves, entries, held FROM ftchain.blocks ORDER BY height;
SELECT seq, kind, payload, height FROM ftchain.entries ORDER BY seq;
SELECT chain FROM ftchain.links;
SELECT "position" FROM ftchain.place('a', '\x0000000000000000');
SELECT weight, points FROM ftchain.ring('a');
SELECT weight, governor FROM ftchain.members('a');
CALL ftchain.scrub();
SELECT * FROM ftchain.repair();
SELECT ftchain.clear_alarm('a');
SELECT chain FROM ftchain.alarms;
SELECT chain, outcome FROM ftchain.comparison;
SELECT outcome FROM ftchain.compare('nobody', 'a', true);
SELECT taken FROM ftchain.compare_copies('nobody');
SELECT height, owner, state FROM ftchain.copies ORDER BY height;
SELECT server, state FROM ftchain.health;
SELECT bodies, whole_copies, shards, overhead FROM ftchain.storage;
SELECT "position", seq, kind, payload FROM ftchain.block_entries('a', 1) ORDER BY "position";
CALL ftchain.prove('a', 2);
SELECT pg_catalog.length(ftchain.alter_chain('a', durability => 1));
CALL ftchain.recover_member('nobody', 'a');
SELECT ftchain.remove_peer('nobody');
SELECT pg_catalog.length(ftchain.remove_member('a', member)) FROM ftchain.identity;
CALL ftchain.seal();
CALL ftchain.sync();
SELECT protocol_spoken FROM ftchain.peer_identity(1, '\x0000000000000000000000000000000000000000000000000000000000000000');
SELECT pg_catalog.length(ftchain.peer_genesis('nowhere'));
SELECT genesis FROM ftchain.chain \gset
SELECT head_height FROM ftchain.peer_hello(1, :'genesis', :'genesis');
SELECT epoch, next FROM ftchain.peer_receive(:'genesis', :'genesis', :'genesis', '{}', '');
SELECT pg_catalog.int8larger(0, 1) FROM ftchain.peer_blocks(:'genesis', '{}', 2);
SELECT pg_catalog.octet_length(block) IS NOT NULL FROM ftchain.peer_block(:'genesis', :'genesis');
SELECT pg_catalog.octet_length(answer) FROM ftchain.peer_copies(:'genesis', 1, '{0}', 2);
SELECT total, pg_catalog.octet_length(bytes) FROM ftchain.peer_body(:'genesis', :'genesis', 1, 0, 100);
SELECT answer IS NULL AS none, pg_catalog.octet_length(signature) FROM ftchain.peer_prove(:'genesis', :'genesis', :'genesis', 0, '');
SELECT head IS NULL AS none FROM ftchain.peer_shard(:'genesis', :'genesis', 0, '');
SELECT worker FROM ftchain.worker_status() WHERE false;
SELECT server FROM ftchain.peer_status();
SELECT ftchain.create_identity() IS NULL;
UPDATE ftchain.entry SET kind = 'x';
DELETE FROM ftchain.main_chain;
SELECT is_called AS sprung FROM trap.sprung;

-- The other way round: plans made under a plain path, used under a bent one.
RESET search_path;
SELECT seq FROM ftchain.append('a', '5');
CALL ftchain.seal();
SELECT count(*) FROM ftchain.verify('a');
SELECT valid FROM ftchain.check_receipt(ftchain.receipt('a', 5));
SET search_path = trap, pg_temp, public, pg_catalog;
SELECT seq FROM ftchain.append('a', '6');
SELECT seqs FROM ftchain.append_many('a', ARRAY['7']::pg_catalog.json[]);
CALL ftchain.seal();
SELECT * FROM ftchain.verify('a');
SELECT valid FROM ftchain.check_receipt(ftchain.receipt('a', 6));
SELECT chain, height, pending FROM ftchain.status;
-- and after everything was thrown away in between
DISCARD PLANS;
SELECT seq FROM ftchain.append('a', '8');
CALL ftchain.seal();
SELECT * FROM ftchain.verify('a');
RESET search_path;
SELECT is_called AS sprung FROM trap.sprung;
-- the caller's path is the caller's again afterwards, also after an error
SET search_path = public, trap;
SELECT seq FROM ftchain.append('a', '9');
CALL ftchain.seal();
SELECT ftchain.append('nowhere', '1');
SHOW search_path;
RESET search_path;

-- A writer's path is as good a trap as any: his role, his temporary tables.
CREATE ROLE regress_ftchain_writer IN ROLE ftchain_writer;
ALTER ROLE regress_ftchain_writer SET search_path = trap, pg_catalog;
\set login :USER
SET SESSION AUTHORIZATION regress_ftchain_writer;
SET search_path = trap, pg_catalog;
SELECT seq FROM ftchain.append('a', '10');
SELECT pg_catalog.length(author) FROM ftchain.entries WHERE seq OPERATOR(pg_catalog.=) 10;
RESET SESSION AUTHORIZATION;
RESET search_path;
SELECT is_called AS sprung FROM trap.sprung;
DROP ROLE regress_ftchain_writer;

-- A path for the whole database, which workers and procedures start with.
ALTER DATABASE :"DBNAME" SET search_path = trap, pg_catalog;
\c -
SET client_min_messages = warning;
CALL ftchain.seal();
SELECT seq FROM ftchain.append('a', '11');
CALL ftchain.seal();
SELECT * FROM ftchain.verify('a');
RESET search_path;
SET search_path = pg_catalog;
ALTER DATABASE :"DBNAME" RESET search_path;
\c -
SET client_min_messages = warning;
SELECT is_called AS sprung FROM trap.sprung;
SELECT chain, height, pending FROM ftchain.status;
SELECT * FROM ftchain.verify('a');

DROP FUNCTION public.append(text, json, text);
DROP FUNCTION public.refuse_change();
DROP SCHEMA trap CASCADE;
