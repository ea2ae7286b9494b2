-- The core, for tests and for people: pure functions of their arguments.

CREATE FUNCTION ftchain.leaf_hash(leaf bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_leaf_hash';
COMMENT ON FUNCTION ftchain.leaf_hash(bytea) IS 'RFC 6962 hash of a leaf: SHA-256 of 0x00 and its bytes';

CREATE FUNCTION ftchain.merkle_root(leaf_hashes bytea[]) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_merkle_root';
COMMENT ON FUNCTION ftchain.merkle_root(bytea[]) IS 'RFC 6962 root over leaf hashes';

CREATE FUNCTION ftchain.inclusion_proof(leaf_hashes bytea[], leaf_index bigint) RETURNS bytea[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_inclusion_proof';
COMMENT ON FUNCTION ftchain.inclusion_proof(bytea[], bigint) IS 'RFC 6962 proof that the leaf at an index, from 0, is in the tree';

CREATE FUNCTION ftchain.consistency_proof(leaf_hashes bytea[], size1 bigint) RETURNS bytea[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_consistency_proof';
COMMENT ON FUNCTION ftchain.consistency_proof(bytea[], bigint) IS 'RFC 6962 proof that the tree of the first size1 leaves is a prefix of the tree of all';

CREATE FUNCTION ftchain.verify_inclusion(leaf_hash bytea, leaf_index bigint, tree_size bigint, proof bytea[], root bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_verify_inclusion';
COMMENT ON FUNCTION ftchain.verify_inclusion(bytea, bigint, bigint, bytea[], bytea) IS 'whether an inclusion proof is right';

CREATE FUNCTION ftchain.verify_consistency(size1 bigint, size2 bigint, root1 bytea, root2 bytea, proof bytea[]) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_verify_consistency';
COMMENT ON FUNCTION ftchain.verify_consistency(bigint, bigint, bytea, bytea, bytea[]) IS 'whether a consistency proof is right';

CREATE FUNCTION ftchain.verify_signature(public_key bytea, message bytea, signature bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_verify_signature';
COMMENT ON FUNCTION ftchain.verify_signature(bytea, bytea, bytea) IS 'whether an Ed25519 signature is right; keys of small order and non-canonical keys are refused';

CREATE FUNCTION ftchain.block_id(header bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_block_id';
COMMENT ON FUNCTION ftchain.block_id(bytea) IS 'id of the block with this header: its SHA-256';

CREATE FUNCTION ftchain.decode_header(header bytea,
        OUT version integer, OUT consensus text, OUT height bigint, OUT "time" timestamptz,
        OUT prev bytea, OUT history bytea, OUT body bytea, OUT leaves integer, OUT bits bigint,
        OUT proposer bytea, OUT state bytea, OUT justify bytea, OUT round bigint, OUT nonce numeric)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_decode_header';
COMMENT ON FUNCTION ftchain.decode_header(bytea) IS 'the fields of a block header';

CREATE FUNCTION ftchain.work_to_numeric(work bytea) RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ftchain_work_to_numeric';
COMMENT ON FUNCTION ftchain.work_to_numeric(bytea) IS 'a 256-bit big-endian number, such as the work of a branch, as numeric';
