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

CREATE FUNCTION ftchain.link_stats()
    RETURNS TABLE (server text, chain integer, stream integer, state text, sent bigint, in_flight bigint, in_flight_bytes bigint,
                   window_bytes bigint, srtt interval, rto interval, retransmits bigint, failed bigint, timeouts bigint,
                   bytes bigint, early bigint, duplicates bigint, dropped bigint, refused bigint, last_error text,
                   last_error_at timestamptz, stats_reset timestamptz)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_link_stats';
COMMENT ON FUNCTION ftchain.link_stats() IS 'what the courier has in memory of the links to peers; the views links and streams show it';

CREATE FUNCTION ftchain.reset_link_stats(server text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_reset_link_stats';
COMMENT ON FUNCTION ftchain.reset_link_stats(text) IS 'begin to count anew what the views links and streams count, and forget the last errors, of one peer or of all';

CREATE FUNCTION ftchain.gaps()
    RETURNS TABLE (server text, chain text, topic text, state text, first bigint, last bigint, messages bigint,
                   first_seq bigint, last_seq bigint, since timestamptz)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_gaps';
COMMENT ON FUNCTION ftchain.gaps() IS 'ranges of what is to be sent to peers that were not acknowledged yet, and where something is missing in between';

CREATE FUNCTION ftchain.peer_status()
    RETURNS TABLE (server text, state text, calls bigint, bytes bigint, round_trip interval, last_contact timestamptz,
                   retry_at timestamptz, last_error text, last_error_at timestamptz, protocol integer)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_status';
COMMENT ON FUNCTION ftchain.peer_status() IS 'the connections of the courier to the peers of this database';
