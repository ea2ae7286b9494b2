\echo Use "CREATE EXTENSION ftchain" to load this file. \quit

SET LOCAL search_path TO pg_catalog, pg_temp;

DO $$
BEGIN
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'ftchain needs a database with encoding UTF8, this one has %', getdatabaseencoding()
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;

-- The schema is a member of the extension: one that was there before, with
-- whatever somebody planted in it, makes CREATE EXTENSION fail.
CREATE SCHEMA ftchain;
COMMENT ON SCHEMA ftchain IS 'a fault-tolerant, tamper-evident block ledger';

-- Roles belong to the cluster, so another database may have made them.
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT * FROM (VALUES
            -- A background worker needs a role that may log in; a limit of no
            -- connections keeps everybody else out of it.
            ('ftchain_worker', 'LOGIN CONNECTION LIMIT 0', 'background workers of ftchain run as this role'),
            ('ftchain_peer', 'NOLOGIN', 'may call the functions that members of a chain call on each other'),
            ('ftchain_writer', 'NOLOGIN', 'may append to the chains of ftchain'),
            ('ftchain_reader', 'NOLOGIN', 'may read and verify the chains of ftchain'),
            ('ftchain_admin', 'NOLOGIN', 'may create chains, join them, and manage members and peers')
        ) AS v (name, options, about)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) THEN
            EXECUTE format('CREATE ROLE %I %s', r.name, r.options);
            EXECUTE format('COMMENT ON ROLE %I IS %L', r.name, r.about);
        ELSIF (SELECT rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = r.name) THEN
            RAISE EXCEPTION 'role "%" exists and has more rights than it may have', r.name
                USING ERRCODE = 'invalid_role_specification',
                      HINT = 'ftchain runs with as few rights as it can; take SUPERUSER, CREATEROLE, REPLICATION and BYPASSRLS from the role or rename it.';
        END IF;
    END LOOP;
    -- Who could become the worker could write to all tables.  From version 16
    -- on that is who made the role, if it was no superuser.
    FOR r IN SELECT pg_get_userbyid(member) AS name FROM pg_auth_members
              WHERE roleid = (SELECT oid FROM pg_roles WHERE rolname = 'ftchain_worker') LOOP
        RAISE EXCEPTION 'role "%" is a member of role "ftchain_worker"', r.name
            USING ERRCODE = 'invalid_role_specification',
                  HINT = 'Nobody may be; revoke the membership.';
    END LOOP;
END
$$;
