-- One database: chains, entries, blocks.

CREATE FUNCTION ftchain.create_identity(OUT member bytea, OUT public_key bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_create_identity';
COMMENT ON FUNCTION ftchain.create_identity() IS 'give this database a key pair and with it a member id; create_chain() and join_chain() do so if need be';

CREATE FUNCTION ftchain.incarnation() RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_incarnation';
COMMENT ON FUNCTION ftchain.incarnation() IS 'the incarnation of what this database appends now, see ftchain.self; null if it has no identity or is a copy';

CREATE FUNCTION ftchain.create_chain(
        name text,
        consensus text DEFAULT 'pow',
        zone text DEFAULT '',
        weight integer DEFAULT 1,
        replicas integer DEFAULT 3,
        stored_quorum integer DEFAULT NULL,
        attempts bigint DEFAULT 1048576,
        spacing interval DEFAULT '1 s',
        min_spacing interval DEFAULT NULL,
        half_life interval DEFAULT '1 h',
        max_entries integer DEFAULT 65536,
        max_body integer DEFAULT 16777216,
        max_payload integer DEFAULT 1048576,
        reorg_limit integer DEFAULT 10000,
        settle_blocks integer DEFAULT 6,
        durability integer DEFAULT 1)
    RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_create_chain';
COMMENT ON FUNCTION ftchain.create_chain(text, text, text, integer, integer, integer, bigint, interval, interval, interval, integer, integer, integer, integer, integer, integer) IS
    'create a chain with this database as its first member and governor; gives the id of its genesis block, which others pin when they join';

CREATE FUNCTION ftchain.append(chain text, payload json, kind text DEFAULT 'entry',
        OUT origin bytea, OUT incarnation bigint, OUT seq bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_append';
COMMENT ON FUNCTION ftchain.append(text, json, text) IS 'append an entry in this transaction; gives its identity';

CREATE FUNCTION ftchain.append_many(chain text, payloads json[], kind text DEFAULT 'entry',
        OUT origin bytea, OUT incarnation bigint, OUT seqs int8multirange)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_append_many';
COMMENT ON FUNCTION ftchain.append_many(text, json[], text) IS 'append many entries in this transaction; gives their identities, in the order of the array';

CREATE PROCEDURE ftchain.seal(chain text DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_seal';
COMMENT ON PROCEDURE ftchain.seal(text) IS 'seal what is committed into blocks now, of one chain or of all; what the sealer does by itself';

CREATE FUNCTION ftchain.verify(chain text, from_height bigint DEFAULT 0, to_height bigint DEFAULT NULL)
    RETURNS TABLE (height bigint, block bytea, entry bigint, what text, expected text, found text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_verify';
COMMENT ON FUNCTION ftchain.verify(text, bigint, bigint) IS 'hash and check again all that is stored of a chain; gives every fault as a row, none if all is well';

CREATE FUNCTION ftchain.receipt(chain text, seq bigint, origin bytea DEFAULT NULL, incarnation bigint DEFAULT NULL)
    RETURNS json
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_receipt';
COMMENT ON FUNCTION ftchain.receipt(text, bigint, bytea, bigint) IS 'proof that an entry is in a block of the chain; null while it is not sealed';

CREATE FUNCTION ftchain.block_entries(chain text, height bigint, timeout interval DEFAULT '10 s')
    RETURNS TABLE ("position" integer, origin bytea, incarnation bigint, seq bigint, "time" timestamptz,
                   author text, kind text, payload json)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_block_entries';
COMMENT ON FUNCTION ftchain.block_entries(text, bigint, interval) IS 'the entries of the block at a height, wherever they are: a body that is not here is fetched from an owner and verified';

CREATE FUNCTION ftchain.confirmations(chain text, seq bigint, origin bytea DEFAULT NULL, incarnation bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_confirmations';
COMMENT ON FUNCTION ftchain.confirmations(text, bigint, bytea, bigint) IS
    'how many blocks of the main chain hold an entry or stand on the one that does; 0 while it is not sealed';

CREATE FUNCTION ftchain.wait_for(chain text, seq bigint, confirmations integer DEFAULT 1, timeout interval DEFAULT NULL,
        origin bytea DEFAULT NULL, incarnation bigint DEFAULT NULL, copies integer DEFAULT 1)
    RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_wait_for';
COMMENT ON FUNCTION ftchain.wait_for(text, bigint, integer, interval, bytea, bigint, integer) IS
    'wait until an entry has so many confirmations and so many members store it; false if it has not when the time is over';

CREATE FUNCTION ftchain.check_receipt(receipt json, genesis bytea DEFAULT NULL, head bytea DEFAULT NULL,
        OUT valid boolean, OUT reason text, OUT genesis_id bytea, OUT block bytea, OUT height bigint,
        OUT "time" timestamptz, OUT origin bytea, OUT incarnation bigint, OUT seq bigint,
        OUT head_id bytea, OUT head_height bigint)
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_check_receipt';
COMMENT ON FUNCTION ftchain.check_receipt(json, bytea, bytea) IS 'check a receipt from its own bytes, without any table; pass the genesis id that you know, and the id of the head it was made at if you do not trust its giver';

-- Damage.

CREATE PROCEDURE ftchain.scrub(chain text DEFAULT NULL, deep boolean DEFAULT true)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_scrub';
COMMENT ON PROCEDURE ftchain.scrub(text, boolean) IS 'verify what is stored and record what is damaged; what the keeper does by itself';

CREATE FUNCTION ftchain.clear_alarm(chain text, kind text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_clear_alarm';
COMMENT ON FUNCTION ftchain.clear_alarm(text, text) IS 'go on with what an alarm has stopped, of one kind or of all; gives how many alarms there were';

CREATE FUNCTION ftchain.repair(chain text DEFAULT NULL, dry_run boolean DEFAULT false)
    RETURNS TABLE (chain_name text, height bigint, block bytea, what text, action text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_repair';
COMMENT ON FUNCTION ftchain.repair(text, boolean) IS 'put right what scrubbing found, with verified copies of other members; with dry_run only say what would be done';

CREATE FUNCTION ftchain.compare(server text, chain text DEFAULT NULL, deep boolean DEFAULT false)
    RETURNS TABLE (chain_name text, outcome text, height bigint, here bytea, there bytea, entry bigint, detail text,
                   calls bigint, bytes bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_compare';
COMMENT ON FUNCTION ftchain.compare(text, text, boolean) IS 'compare what is here with what a peer has, and name the first difference; with deep every block that both have';

CREATE FUNCTION ftchain.compare_copies(server text, chain text DEFAULT NULL)
    RETURNS TABLE (chain_name text, differences bigint, taken bigint, calls bigint, bytes bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_compare_copies';
COMMENT ON FUNCTION ftchain.compare_copies(text, text) IS 'compare with a peer who stores which bodies, and take the statements that are missing here';

-- Placement.

CREATE FUNCTION ftchain.place(chain text, key bytea DEFAULT NULL, height bigint DEFAULT NULL)
    RETURNS TABLE ("position" integer, member bytea, name text, zone text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_place';
COMMENT ON FUNCTION ftchain.place(text, bytea, bigint) IS 'the owners of a key, such as a block id, or of the block at a height, in their order on the ring';

CREATE FUNCTION ftchain.copies_of(chain text, from_height bigint DEFAULT 0, to_height bigint DEFAULT NULL)
    RETURNS TABLE (height bigint, block bytea, member bytea, name text, owner boolean, state text,
                   stated timestamptz, proved timestamptz, lost timestamptz, reason text, shard integer)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_copies';
COMMENT ON FUNCTION ftchain.copies_of(text, bigint, bigint) IS 'the copies of the bodies of a chain, or of some heights of it: who should have each, and how surely it has';

CREATE FUNCTION ftchain.ring(chain text)
    RETURNS TABLE (member bytea, name text, zone text, weight integer, points integer, share double precision)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_ring';
COMMENT ON FUNCTION ftchain.ring(text) IS 'the members on the consistent-hash ring of a chain and the share of keys each owns first';

CREATE FUNCTION ftchain.ring_load(chain text)
    RETURNS TABLE (member bytea, name text, zone text, weight integer, fair double precision, share double precision,
                   load double precision, owned bigint, owned_bytes bigint, held bigint, held_bytes bigint, missing bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_ring_load';
COMMENT ON FUNCTION ftchain.ring_load(text) IS 'what the ring gives to each member of a chain: its share of the copies, bodies owned and held';

CREATE FUNCTION ftchain.ring_moves(chain text, add text[] DEFAULT NULL, remove text[] DEFAULT NULL,
        reweight jsonb DEFAULT NULL, set_zone jsonb DEFAULT NULL)
    RETURNS TABLE (from_name text, from_member bytea, to_name text, to_member bytea, share double precision,
                   bodies bigint, bytes bigint, optimum double precision)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_ring_moves';
COMMENT ON FUNCTION ftchain.ring_moves(text, text[], text[], jsonb, jsonb) IS 'what copies a change of members would move from whom to whom, without making it; without arguments, what moves by the changes under way';

CREATE FUNCTION ftchain.ring_svg(chain text) RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_ring_svg';
COMMENT ON FUNCTION ftchain.ring_svg(text) IS 'the ring of a chain as a picture: who owns what, in which zone, and how it is';

CREATE FUNCTION ftchain.members(chain text)
    RETURNS TABLE (member bytea, name text, zone text, weight integer, governor boolean, full_copy boolean, public_key bytea,
                   change text, change_height bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_members';
COMMENT ON FUNCTION ftchain.members(text) IS 'the members of a chain in the state its next block builds on, and what is about to change';
