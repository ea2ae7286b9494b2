-- Nothing is for everybody but the pure functions.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ftchain FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA ftchain FROM PUBLIC;

GRANT USAGE ON SCHEMA ftchain TO PUBLIC;
GRANT EXECUTE ON FUNCTION
    ftchain.leaf_hash, ftchain.merkle_root, ftchain.inclusion_proof, ftchain.consistency_proof,
    ftchain.verify_inclusion, ftchain.verify_consistency, ftchain.verify_signature,
    ftchain.block_id, ftchain.decode_header, ftchain.work_to_numeric, ftchain.check_receipt,
    ftchain.meets_target, ftchain.bits_to_target, ftchain.target_to_bits, ftchain.block_work,
    ftchain.difficulty, ftchain.next_bits, ftchain.mine, ftchain.hash_rate
    TO PUBLIC;

GRANT ftchain_reader TO ftchain_writer, ftchain_admin;
GRANT ftchain_writer TO ftchain_admin;

GRANT SELECT ON ALL TABLES IN SCHEMA ftchain TO ftchain_reader;
-- A message is for the owner of its topic, also one that came before its turn.
REVOKE SELECT ON ftchain.message_out, ftchain.message_in, ftchain.early_in, ftchain.dead_letter FROM ftchain_reader;
GRANT SELECT ON ftchain.message_out, ftchain.message_in, ftchain.early_in, ftchain.dead_letter TO ftchain_admin;
-- Who knows the answers needs no body to give them.
REVOKE SELECT ON ftchain.copy, ftchain.challenge FROM ftchain_reader;
GRANT SELECT ON ftchain.copy, ftchain.challenge TO ftchain_admin;
GRANT EXECUTE ON FUNCTION
    ftchain.verify, ftchain.receipt, ftchain.block_entries, ftchain.confirmations, ftchain.wait_for, ftchain.place, ftchain.copies_of, ftchain.ring, ftchain.ring_load,
    ftchain.ring_moves, ftchain.ring_svg, ftchain.members,
    ftchain.chain_status, ftchain.mining_status, ftchain.worker_status, ftchain.peer_status,
    ftchain.link_stats, ftchain.gaps, ftchain.export, ftchain.export_file,
    ftchain.incarnation
    TO ftchain_reader;
GRANT EXECUTE ON FUNCTION
    ftchain.append, ftchain.append_many, ftchain.send, ftchain.resend,
    ftchain.recv, ftchain.ack(text, bigint), ftchain.ack(text, bigint[]), ftchain.retry
    TO ftchain_writer;
GRANT EXECUTE ON FUNCTION
    ftchain.create_identity, ftchain.create_chain, ftchain.remove_peer, ftchain.leave,
    ftchain.remove_member(text, text), ftchain.remove_member(text, bytea),
    ftchain.reweight(text, text, integer), ftchain.reweight(text, bytea, integer),
    ftchain.set_zone(text, text, text), ftchain.set_zone(text, bytea, text), ftchain.alter_chain,
    ftchain.repair, ftchain.start, ftchain.stop, ftchain.create_topic, ftchain.drop_topic,
    ftchain.compare, ftchain.compare_copies, ftchain.clear_twins, ftchain.clear_alarm, ftchain.reset_link_stats
    TO ftchain_admin;
GRANT EXECUTE ON PROCEDURE
    ftchain.seal, ftchain.scrub, ftchain.prove, ftchain.sync, ftchain.add_peer, ftchain.add_member, ftchain.join_chain, ftchain.recover_member,
    ftchain.import, ftchain.import_file
    TO ftchain_admin;
GRANT INSERT, DELETE, TRUNCATE ON ftchain.import_piece TO ftchain_admin;
GRANT EXECUTE ON FUNCTION
    ftchain.peer_identity, ftchain.peer_genesis, ftchain.peer_hello, ftchain.peer_receive,
    ftchain.peer_blocks, ftchain.peer_block, ftchain.peer_body, ftchain.peer_copies, ftchain.peer_stream, ftchain.peer_presence, ftchain.peer_prove, ftchain.peer_shard
    TO ftchain_peer;

-- The extension's own statements run as this role, whoever calls.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ftchain TO ftchain_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA ftchain TO ftchain_worker;
GRANT EXECUTE ON FUNCTION ftchain.chain_status, ftchain.peer_status, ftchain.append TO ftchain_worker;
