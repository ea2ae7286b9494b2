-- Several databases.

CREATE PROCEDURE ftchain.add_peer(server text)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_add_peer';
COMMENT ON PROCEDURE ftchain.add_peer(text) IS 'ask the database behind a foreign server who it is, and reach that member through it from now on';

CREATE FUNCTION ftchain.remove_peer(server text) RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_remove_peer';
COMMENT ON FUNCTION ftchain.remove_peer(text) IS 'no longer reach a member through a foreign server; says whether it was a peer';

CREATE PROCEDURE ftchain.add_member(chain text, server text, zone text DEFAULT '', weight integer DEFAULT 1,
        governor boolean DEFAULT false, full_copy boolean DEFAULT false)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_add_member';
COMMENT ON PROCEDURE ftchain.add_member(text, text, text, integer, boolean, boolean) IS 'make the database behind a foreign server a member of a chain, by a control entry signed by this governor';

CREATE FUNCTION ftchain.remove_member(chain text, member bytea) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_remove_member';
COMMENT ON FUNCTION ftchain.remove_member(text, bytea) IS 'remove a member, by a control entry signed by this governor or by the member itself; gives the id of the control entry';

CREATE FUNCTION ftchain.remove_member(chain text, member text) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_remove_member';
COMMENT ON FUNCTION ftchain.remove_member(text, text) IS 'the same for the member of that name';

CREATE FUNCTION ftchain.leave(chain text) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_leave';
COMMENT ON FUNCTION ftchain.leave(text) IS 'end the membership of this database, by a control entry that it signs itself; gives the id of the control entry';

CREATE FUNCTION ftchain.reweight(chain text, member text, weight integer) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_reweight';
COMMENT ON FUNCTION ftchain.reweight(text, text, integer) IS 'give a member another share of the copies, 0 for none of them, by a control entry signed by this governor; gives its id';

CREATE FUNCTION ftchain.reweight(chain text, member bytea, weight integer) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_reweight';
COMMENT ON FUNCTION ftchain.reweight(text, bytea, integer) IS 'the same for the member of that id';

CREATE FUNCTION ftchain.set_zone(chain text, member text, zone text) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_set_zone';
COMMENT ON FUNCTION ftchain.set_zone(text, text, text) IS 'say that a member is in another zone, by a control entry signed by this governor; gives its id';

CREATE FUNCTION ftchain.set_zone(chain text, member bytea, zone text) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_set_zone';
COMMENT ON FUNCTION ftchain.set_zone(text, bytea, text) IS 'the same for the member of that id';

CREATE FUNCTION ftchain.alter_chain(chain text, durability integer DEFAULT NULL, shard_data integer DEFAULT NULL, shard_parity integer DEFAULT NULL)
    RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_alter_chain';
COMMENT ON FUNCTION ftchain.alter_chain(text, integer, integer, integer) IS 'change parameters of a chain, those that are not null, by a control entry signed by this governor; gives its id';

CREATE PROCEDURE ftchain.join_chain(server text, chain text, genesis bytea DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_join_chain';
COMMENT ON PROCEDURE ftchain.join_chain(text, text, bytea) IS 'take part in a chain that the database behind a foreign server knows; pass the genesis id that you were told, or it is taken on trust and shown';

CREATE PROCEDURE ftchain.recover_member(server text, chain text, genesis bytea DEFAULT NULL, key_file text DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_recover_member';
COMMENT ON PROCEDURE ftchain.recover_member(text, text, bytea, text) IS 'rebuild a member whose database was lost, from the others, with its key; goes on where it was when it is called again';

CREATE PROCEDURE ftchain.sync(server text DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_sync';
COMMENT ON PROCEDURE ftchain.sync(text) IS 'exchange with one peer or with all what there is to exchange now; what the courier does by itself';

CREATE PROCEDURE ftchain.prove(chain text DEFAULT NULL, bodies integer DEFAULT 1)
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_prove';
COMMENT ON PROCEDURE ftchain.prove(text, integer) IS 'challenge every peer to prove that it stores so many bodies, drawn by lot, of one chain or of each; what the keeper does by itself, one by one';

CREATE FUNCTION ftchain.clear_twins(member bytea DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_clear_twins';
COMMENT ON FUNCTION ftchain.clear_twins(bytea) IS 'there is one live copy of a member, or of all, again: forget what was seen; gives how many alarms there were';

-- What members call on each other; see doc/PROTOCOL.md.

CREATE FUNCTION ftchain.peer_identity(protocol integer, genesis bytea,
        OUT protocol_spoken integer, OUT member bytea, OUT algorithm integer, OUT public_key bytea, OUT possession bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_identity';
COMMENT ON FUNCTION ftchain.peer_identity(integer, bytea) IS 'for peers: who this database is, with proof that it possesses its key';

CREATE FUNCTION ftchain.peer_genesis(name text) RETURNS bytea
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_genesis';
COMMENT ON FUNCTION ftchain.peer_genesis(text) IS 'for peers: the genesis block of a chain; null if there is no chain of that name';

CREATE FUNCTION ftchain.peer_hello(protocol integer, genesis bytea, sender bytea,
        OUT protocol_spoken integer, OUT member bytea, OUT head_height bigint, OUT head bytea, OUT head_work bytea,
        OUT epoch bigint, OUT next bigint, OUT value bytea, OUT room_messages integer, OUT room_bytes bigint, OUT early bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_hello';
COMMENT ON FUNCTION ftchain.peer_hello(integer, bytea, bytea) IS 'for peers: the head of a chain here, and how far the link from the sender is';

CREATE FUNCTION ftchain.peer_receive(genesis bytea, sender bytea, before bytea, messages bytea[], account bytea,
        OUT epoch bigint, OUT next bigint, OUT value bytea, OUT room_messages integer, OUT room_bytes bigint, OUT early bytea,
        OUT taken integer, OUT put_aside integer, OUT duplicates integer, OUT dropped integer, OUT refused integer, OUT reason text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_receive';
COMMENT ON FUNCTION ftchain.peer_receive(bytea, bytea, bytea, bytea[], bytea) IS 'for peers: take messages of a link, in order and each once; gives how far the link is, what waits here for those before it, and what became of these';

CREATE FUNCTION ftchain.peer_presence(protocol integer, sender bytea, session bigint, incarnation bigint, token bigint, signature bytea,
        OUT protocol_spoken integer, OUT member bytea, OUT next_token bigint, OUT other bigint, OUT own bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_presence';
COMMENT ON FUNCTION ftchain.peer_presence(integer, bytea, bigint, bigint, bigint, bytea) IS 'for peers: the sender is here, in a session and an incarnation; gives a token for the next time, the incarnation of another live copy of the sender if there is one, and that of this database';

CREATE FUNCTION ftchain.peer_blocks(genesis bytea, locator bytea[], most integer) RETURNS TABLE (block bytea, stored bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_blocks';
COMMENT ON FUNCTION ftchain.peer_blocks(bytea, bytea[], integer) IS 'for peers: blocks of the main chain after the first of these ids that is on it, without bodies, and the statements of those who store the bodies';

CREATE FUNCTION ftchain.peer_copies(genesis bytea, level integer, nodes bigint[], head bigint) RETURNS TABLE (answer bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_copies';
COMMENT ON FUNCTION ftchain.peer_copies(bytea, integer, bigint[], bigint) IS 'for peers: digests over ranges of heights of who stores which bodies, up to a height';

CREATE FUNCTION ftchain.peer_block(genesis bytea, id bytea, OUT block bytea, OUT stored bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_block';
COMMENT ON FUNCTION ftchain.peer_block(bytea, bytea) IS 'for peers: one block, with its body if that is held here, and the statements of those who store the body; nulls if the block is not known';

CREATE FUNCTION ftchain.peer_body(genesis bytea, id bytea, encoding integer, "at" bigint, most integer,
        OUT total bigint, OUT bytes bytea, OUT stored bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_body';
COMMENT ON FUNCTION ftchain.peer_body(bytea, bytea, integer, bigint, integer) IS 'for peers: a chunk of the body of a block, and how many bytes there are in all, nulls if it is not held here; with the first one the statements of those who store it';

CREATE FUNCTION ftchain.peer_prove(genesis bytea, id bytea, nonce bytea, shard integer, head bytea, OUT answer bytea, OUT signature bytea,
    OUT kept bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_prove';
COMMENT ON FUNCTION ftchain.peer_prove(bytea, bytea, bytea, integer, bytea) IS 'for peers: SHA-256 of the nonce and the body of a block, or of that shard of it if it is not -1, cut as the head says; null if it is not held here; this member''s signature of that; and its last word on what it keeps of the body';

CREATE FUNCTION ftchain.peer_shard(genesis bytea, id bytea, number integer, cut bytea, OUT head bytea, OUT path bytea, OUT content bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_shard';
COMMENT ON FUNCTION ftchain.peer_shard(bytea, bytea, integer, bytea) IS 'for peers: a shard of the body of a block, cut so (a head of shards, or how it begins), with how the body is cut and the path of the shard to the root; nulls if it is not kept here, nor the body held';
