CREATE FUNCTION ftchain.start() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_start';
COMMENT ON FUNCTION ftchain.start() IS 'start the background workers for this database until the server stops; says whether they were not running';

CREATE FUNCTION ftchain.stop() RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_stop';
COMMENT ON FUNCTION ftchain.stop() IS 'stop the background workers of this database; says whether they were running';

CREATE FUNCTION ftchain.worker_status()
    RETURNS TABLE (worker text, pid integer, started timestamptz, progress text, attempts bigint, hash_rate double precision,
                   last_error text, last_error_at timestamptz)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_worker_status';
COMMENT ON FUNCTION ftchain.worker_status() IS 'the background workers of this database and what they are doing';

CREATE FUNCTION ftchain.mining_status()
    RETURNS TABLE (chain integer, height bigint, bits bigint, workers integer, attempts bigint, since timestamptz,
                   hash_rate double precision)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_mining_status';
COMMENT ON FUNCTION ftchain.mining_status() IS 'the next block of each chain and how far this database is with mining it';

CREATE FUNCTION ftchain.peer_status()
    RETURNS TABLE (server text, state text, calls bigint, bytes bigint, round_trip interval, last_contact timestamptz,
                   retry_at timestamptz, last_error text, last_error_at timestamptz)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_status';
COMMENT ON FUNCTION ftchain.peer_status() IS 'the connections of the courier to the peers of this database';
