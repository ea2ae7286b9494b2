-- Proof of work: its rules, as pure functions, and the search.

CREATE FUNCTION ftchain.meets_target(header bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_meets_target';
COMMENT ON FUNCTION ftchain.meets_target(bytea) IS 'whether the id of a block header is at most the target that its bits say';

CREATE FUNCTION ftchain.bits_to_target(bits bigint) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_bits_to_target';
COMMENT ON FUNCTION ftchain.bits_to_target(bigint) IS 'the target that compact bits say: 32 bytes, big endian';

CREATE FUNCTION ftchain.target_to_bits(target bytea) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_target_to_bits';
COMMENT ON FUNCTION ftchain.target_to_bits(bytea) IS 'compact bits of a target, which keep its first three bytes or so; rounded down';

CREATE FUNCTION ftchain.block_work(bits bigint) RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_block_work';
COMMENT ON FUNCTION ftchain.block_work(bigint) IS 'expected attempts for a block with these bits: 2^256 / (target + 1), rounded down';

CREATE FUNCTION ftchain.difficulty(bits bigint) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_difficulty';
COMMENT ON FUNCTION ftchain.difficulty(bigint) IS 'how many times harder than bits 0x1d00ffff, some 2^32 attempts, as Bitcoin counts';

CREATE FUNCTION ftchain.next_bits(anchor_height bigint, anchor_parent_time bigint, anchor_bits bigint,
        height bigint, "time" bigint, spacing bigint, half_life bigint, limit_bits bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_next_bits';
COMMENT ON FUNCTION ftchain.next_bits(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint) IS
    'bits of the child of a block with this height and time, by aserti3-2d; times, spacing and half_life in one unit';

CREATE FUNCTION ftchain.mine(header bytea, max_attempts bigint DEFAULT NULL, timeout interval DEFAULT NULL,
        workers integer DEFAULT 1, OUT found boolean, OUT mined bytea, OUT attempts bigint, OUT elapsed interval)
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ftchain_mine';
COMMENT ON FUNCTION ftchain.mine(bytea, bigint, interval, integer) IS
    'search for a nonce with which a block header meets its target, with so many processes; mined has it, or else the next one to try';

CREATE FUNCTION ftchain.hash_rate(seconds double precision DEFAULT 1, workers integer DEFAULT 1) RETURNS double precision
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ftchain_hash_rate';
COMMENT ON FUNCTION ftchain.hash_rate(double precision, integer) IS 'attempts at proof of work per second, measured here and now by so many processes';
