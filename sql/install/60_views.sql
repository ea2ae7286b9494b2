CREATE VIEW ftchain.self AS
    SELECT i.member, i.public_key,
           ftchain.incarnation() AS incarnation,
           i.created
      FROM ftchain.identity i
      JOIN pg_database d ON d.oid OPERATOR(pg_catalog.=) i.database
     WHERE d.datname OPERATOR(pg_catalog.=) current_database();
COMMENT ON VIEW ftchain.self IS 'who this database is; empty if it has no identity or is a copy of one that has';
COMMENT ON COLUMN ftchain.self.member IS 'member id';
COMMENT ON COLUMN ftchain.self.public_key IS 'the current public key';
COMMENT ON COLUMN ftchain.self.incarnation IS 'since when it is what it is: the start of the server, or its last crash, microseconds since 1970';
COMMENT ON COLUMN ftchain.self.created IS 'when it was given its identity';

CREATE VIEW ftchain.blocks AS
    SELECT c.name AS chain, m.height, b.id, h."time", h.proposer, h.leaves, h.bits,
           (SELECT coalesce(sum(bu.count), 0) FROM ftchain.block_bundle bb
              JOIN ftchain.bundle bu ON bu.id OPERATOR(pg_catalog.=) bb.bundle
             WHERE bb.block OPERATOR(pg_catalog.=) b.id) AS entries,
           NOT EXISTS (SELECT FROM ftchain.block_bundle bb
              JOIN ftchain.bundle bu ON bu.id OPERATOR(pg_catalog.=) bb.bundle
             WHERE bb.block OPERATOR(pg_catalog.=) b.id AND bu.ids IS NULL) AS held,
           ftchain.work_to_numeric(b.work) AS work, b.received, b.header, b.signature
      FROM ftchain.main_chain m
      JOIN ftchain.block b ON b.id OPERATOR(pg_catalog.=) m.block
      JOIN ftchain.chain c ON c.id OPERATOR(pg_catalog.=) m.chain,
           LATERAL ftchain.decode_header(b.header) h;
COMMENT ON VIEW ftchain.blocks IS 'the blocks of the main chains';
COMMENT ON COLUMN ftchain.blocks.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.blocks.height IS 'height';
COMMENT ON COLUMN ftchain.blocks.id IS 'block id';
COMMENT ON COLUMN ftchain.blocks."time" IS 'time in the header';
COMMENT ON COLUMN ftchain.blocks.proposer IS 'member that proposed it';
COMMENT ON COLUMN ftchain.blocks.leaves IS 'leaves of the body tree: controls, bundle heads and entries';
COMMENT ON COLUMN ftchain.blocks.bits IS 'compact target';
COMMENT ON COLUMN ftchain.blocks.entries IS 'number of entries';
COMMENT ON COLUMN ftchain.blocks.held IS 'whether the body is held here';
COMMENT ON COLUMN ftchain.blocks.work IS 'expected attempts behind the chain up to here';
COMMENT ON COLUMN ftchain.blocks.received IS 'when it was stored here';
COMMENT ON COLUMN ftchain.blocks.header IS 'the bytes of the header';
COMMENT ON COLUMN ftchain.blocks.signature IS 'the proposer''s signature';

CREATE VIEW ftchain.entries AS
    SELECT c.name AS chain, o.member AS origin, e.incarnation, e.seq, e."time", e.author, e.kind, e.payload,
           s.height, s.block, e.id
      FROM ftchain.entry e
      JOIN ftchain.chain c ON c.id OPERATOR(pg_catalog.=) e.chain
      JOIN ftchain.origin o ON o.id OPERATOR(pg_catalog.=) e.origin
      LEFT JOIN LATERAL (
           SELECT m.height, m.block
             FROM ftchain.bundle bu
             JOIN ftchain.block_bundle bb ON bb.bundle OPERATOR(pg_catalog.=) bu.id
             JOIN ftchain.main_chain m ON m.block OPERATOR(pg_catalog.=) bb.block
            WHERE bu.ids OPERATOR(pg_catalog.@>) e.id) s ON true;
COMMENT ON VIEW ftchain.entries IS 'the entries this database holds, and the block each is sealed in';
COMMENT ON COLUMN ftchain.entries.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.entries.origin IS 'member that took it';
COMMENT ON COLUMN ftchain.entries.incarnation IS 'incarnation of that member''s database';
COMMENT ON COLUMN ftchain.entries.seq IS 'the origin''s number for it';
COMMENT ON COLUMN ftchain.entries."time" IS 'when the origin took it';
COMMENT ON COLUMN ftchain.entries.author IS 'who appended it';
COMMENT ON COLUMN ftchain.entries.kind IS 'what the author says it is';
COMMENT ON COLUMN ftchain.entries.payload IS 'the record';
COMMENT ON COLUMN ftchain.entries.height IS 'height of its block; null while it is pending';
COMMENT ON COLUMN ftchain.entries.block IS 'id of its block; null while it is pending';
COMMENT ON COLUMN ftchain.entries.id IS 'local number';

CREATE VIEW ftchain.copies AS
    SELECT c.name AS chain, o.height, o.block, o.member, o.name, o.owner, o.state, o.stated, o.proved, o.lost, o.reason, o.shard
      FROM ftchain.chain c, LATERAL ftchain.copies_of(c.name) o;
COMMENT ON VIEW ftchain.copies IS 'the copies of all bodies: who should have each, and how surely it has';
COMMENT ON COLUMN ftchain.copies.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.copies.height IS 'height of the block';
COMMENT ON COLUMN ftchain.copies.block IS 'block id';
COMMENT ON COLUMN ftchain.copies.member IS 'member whose copy it is, or should be';
COMMENT ON COLUMN ftchain.copies.name IS 'its name; null if it is a member no longer';
COMMENT ON COLUMN ftchain.copies.owner IS 'whether the ring or its flag says that it should have one';
COMMENT ON COLUMN ftchain.copies.state IS 'none, wanted, sent, stored, proved or lost';
COMMENT ON COLUMN ftchain.copies.stated IS 'when its statement came that it stores the body';
COMMENT ON COLUMN ftchain.copies.proved IS 'when it last proved that to this database';
COMMENT ON COLUMN ftchain.copies.lost IS 'since when the copy counts as lost';
COMMENT ON COLUMN ftchain.copies.reason IS 'why it does';
COMMENT ON COLUMN ftchain.copies.shard IS 'number of the shard, if it is one and not the whole body';

CREATE VIEW ftchain.health AS
    SELECT p.server, p.member, coalesce(h.state, 'unknown') AS state, h.since, greatest(s.last_contact, h.heard) AS heard
      FROM ftchain.peer p
      LEFT JOIN ftchain.peer_health h ON h.member OPERATOR(pg_catalog.=) p.member
      LEFT JOIN ftchain.peer_status() s ON s.server OPERATOR(pg_catalog.=) p.server;
COMMENT ON VIEW ftchain.health IS 'whether the members that this database reaches are there';
COMMENT ON COLUMN ftchain.health.server IS 'foreign server through which it is reached';
COMMENT ON COLUMN ftchain.health.member IS 'member id';
COMMENT ON COLUMN ftchain.health.state IS 'unknown, up, suspect, down, out (its copies are made anew elsewhere) or returned';
COMMENT ON COLUMN ftchain.health.since IS 'since when';
COMMENT ON COLUMN ftchain.health.heard IS 'the last sign of life';

CREATE VIEW ftchain.storage AS
    SELECT c.name AS chain, s.bodies, s.bytes, s.whole_copies, s.shards, s.shard_bytes,
           CASE WHEN s.bytes OPERATOR(pg_catalog.>) 0 THEN
               (s.whole_bytes OPERATOR(pg_catalog.+) s.shard_bytes)::double precision OPERATOR(pg_catalog./) s.bytes::double precision END AS overhead,
           coalesce(k.bytes, 0) AS shards_fetched, coalesce(p.bytes, 0) AS parts_fetched
      FROM ftchain.chain c
      JOIN LATERAL (
           SELECT count(*) AS bodies, coalesce(sum(b.bytes), 0)::bigint AS bytes,
                  coalesce(sum(b.whole), 0)::bigint AS whole_copies, coalesce(sum(b.whole OPERATOR(pg_catalog.*) b.bytes), 0)::bigint AS whole_bytes,
                  coalesce(sum(b.shards), 0)::bigint AS shards,
                  coalesce(sum(b.shards OPERATOR(pg_catalog.*) b.bytes OPERATOR(pg_catalog./) greatest(b.data, 1)), 0)::bigint AS shard_bytes
             FROM (SELECT sum(u.bytes)::bigint AS bytes,
                          (SELECT count(*) FROM ftchain.replica r WHERE r.block OPERATOR(pg_catalog.=) m.block) AS whole,
                          (SELECT count(*) FROM ftchain.shard_copy h WHERE h.block OPERATOR(pg_catalog.=) m.block) AS shards,
                          (SELECT max(get_byte(h.head, 2)) FROM ftchain.shard_copy h WHERE h.block OPERATOR(pg_catalog.=) m.block) AS data
                     FROM ftchain.main_chain m
                     JOIN ftchain.block_bundle bb ON bb.block OPERATOR(pg_catalog.=) m.block
                     JOIN ftchain.bundle u ON u.id OPERATOR(pg_catalog.=) bb.bundle
                    WHERE m.chain OPERATOR(pg_catalog.=) c.id
                    GROUP BY m.block) b) s ON true
      LEFT JOIN ftchain.traffic k ON k.chain OPERATOR(pg_catalog.=) c.id AND k.what OPERATOR(pg_catalog.=) 'shards'
      LEFT JOIN ftchain.traffic p ON p.chain OPERATOR(pg_catalog.=) c.id AND p.what OPERATOR(pg_catalog.=) 'parts';
COMMENT ON VIEW ftchain.storage IS 'what the copies of the bodies of each chain take, among all members, and what this one has fetched for them';
COMMENT ON COLUMN ftchain.storage.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.storage.bodies IS 'bodies of the main chain that have entries';
COMMENT ON COLUMN ftchain.storage.bytes IS 'bytes of their entries, as far as they were ever here';
COMMENT ON COLUMN ftchain.storage.whole_copies IS 'whole copies that members have signed for';
COMMENT ON COLUMN ftchain.storage.shards IS 'shards that members say to keep';
COMMENT ON COLUMN ftchain.storage.shard_bytes IS 'bytes of these';
COMMENT ON COLUMN ftchain.storage.overhead IS 'bytes of all copies and shards for each byte of bodies';
COMMENT ON COLUMN ftchain.storage.shards_fetched IS 'bytes of shards that this database has fetched to keep them';
COMMENT ON COLUMN ftchain.storage.parts_fetched IS 'bytes of shards that it has fetched to restore bodies';

CREATE VIEW ftchain.links AS
    SELECT c.name AS chain, l.member, p.server,
           CASE WHEN p.server IS NOT NULL THEN coalesce(t.state, 'closed') END AS state,
           o.epoch, greatest(t.sent, o.acked OPERATOR(pg_catalog.-) o.base) OPERATOR(pg_catalog.+) 1 AS next,
           greatest(t.sent, o.acked OPERATOR(pg_catalog.-) o.base) AS sent, o.acked OPERATOR(pg_catalog.-) o.base AS acked,
           (SELECT coalesce(max(seq), 0) FROM ftchain.outbox q WHERE q.chain OPERATOR(pg_catalog.=) o.chain)
               OPERATOR(pg_catalog.-) o.acked AS waiting,
           now() OPERATOR(pg_catalog.-) (SELECT q.queued FROM ftchain.outbox q WHERE q.chain OPERATOR(pg_catalog.=) o.chain
               AND q.seq OPERATOR(pg_catalog.>) o.acked ORDER BY q.seq LIMIT 1) AS oldest_waiting,
           t.in_flight, t.in_flight_bytes, t.window_bytes, t.srtt, t.rto, t.retransmits, t.failed, t.timeouts, t.bytes,
           t.early AS peer_early, t.duplicates AS peer_duplicates, t.dropped AS peer_dropped, t.refused AS peer_refused,
           o.acked_at,
           i.epoch AS epoch_in, i.next OPERATOR(pg_catalog.-) 1 AS taken, i.received, i.early, i.gaps, i.dropped,
           i.duplicates, i.refused,
           i.last_reason, i.behind, i.received_at, t.last_error, t.last_error_at, t.stats_reset
      FROM ftchain.link_out o
      FULL JOIN ftchain.link_in i ON i.chain OPERATOR(pg_catalog.=) o.chain AND i.member OPERATOR(pg_catalog.=) o.member,
           LATERAL (SELECT coalesce(o.chain, i.chain) AS chain, coalesce(o.member, i.member) AS member) l
      JOIN ftchain.chain c ON c.id OPERATOR(pg_catalog.=) l.chain
      LEFT JOIN ftchain.peer p ON p.member OPERATOR(pg_catalog.=) l.member
      LEFT JOIN ftchain.link_stats() t ON t.server OPERATOR(pg_catalog.=) p.server AND t.chain OPERATOR(pg_catalog.=) l.chain;
COMMENT ON VIEW ftchain.links IS 'the links to and from other members';
COMMENT ON COLUMN ftchain.links.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.links.member IS 'the other member';
COMMENT ON COLUMN ftchain.links.server IS 'foreign server it is reached through';
COMMENT ON COLUMN ftchain.links.state IS 'closed, connecting, open, held, failing or stopped';
COMMENT ON COLUMN ftchain.links.epoch IS 'epoch of the link to it';
COMMENT ON COLUMN ftchain.links.next IS 'number that the next message of this epoch has that was not sent yet';
COMMENT ON COLUMN ftchain.links.sent IS 'messages of this epoch that were sent';
COMMENT ON COLUMN ftchain.links.acked IS 'messages of this epoch it acknowledged';
COMMENT ON COLUMN ftchain.links.waiting IS 'messages it has not acknowledged';
COMMENT ON COLUMN ftchain.links.oldest_waiting IS 'how long the oldest of these has waited';
COMMENT ON COLUMN ftchain.links.in_flight IS 'messages under way';
COMMENT ON COLUMN ftchain.links.in_flight_bytes IS 'bytes of them';
COMMENT ON COLUMN ftchain.links.window_bytes IS 'bytes that may be under way';
COMMENT ON COLUMN ftchain.links.srtt IS 'time until a call is answered, smoothed';
COMMENT ON COLUMN ftchain.links.rto IS 'time after which an answer is overdue';
COMMENT ON COLUMN ftchain.links.retransmits IS 'messages that were sent again';
COMMENT ON COLUMN ftchain.links.failed IS 'calls that failed and were made again, as after a deadlock';
COMMENT ON COLUMN ftchain.links.timeouts IS 'how often the connection was given up as nothing came in time for what was under way';
COMMENT ON COLUMN ftchain.links.bytes IS 'bytes of all messages sent, repeated ones too';
COMMENT ON COLUMN ftchain.links.peer_early IS 'of the messages sent, as the peer tells: put aside as others before them had not come';
COMMENT ON COLUMN ftchain.links.peer_duplicates IS 'the same: dropped because they had come before';
COMMENT ON COLUMN ftchain.links.peer_dropped IS 'the same: not taken, and to be sent again';
COMMENT ON COLUMN ftchain.links.peer_refused IS 'the same: of no use to it';
COMMENT ON COLUMN ftchain.links.acked_at IS 'when the last acknowledgement came';
COMMENT ON COLUMN ftchain.links.epoch_in IS 'epoch of the link from it';
COMMENT ON COLUMN ftchain.links.taken IS 'messages of that epoch that were taken';
COMMENT ON COLUMN ftchain.links.received IS 'messages applied, ever';
COMMENT ON COLUMN ftchain.links.early IS 'messages put aside because others before them had not come';
COMMENT ON COLUMN ftchain.links.gaps IS 'calls that came while something before their messages was missing';
COMMENT ON COLUMN ftchain.links.dropped IS 'messages that were not taken, and had to come again';
COMMENT ON COLUMN ftchain.links.duplicates IS 'messages dropped because they had been applied';
COMMENT ON COLUMN ftchain.links.refused IS 'messages whose content was refused';
COMMENT ON COLUMN ftchain.links.last_reason IS 'why the last one was';
COMMENT ON COLUMN ftchain.links.behind IS 'it has blocks whose parents are not known here';
COMMENT ON COLUMN ftchain.links.received_at IS 'when the last message came';
COMMENT ON COLUMN ftchain.links.last_error IS 'the last thing that went wrong with the link to it';
COMMENT ON COLUMN ftchain.links.last_error_at IS 'when that was';
COMMENT ON COLUMN ftchain.links.stats_reset IS 'when counting began anew; null: when the server started';

CREATE VIEW ftchain.streams AS
    SELECT 'out' AS direction, s.topic, s.member, p.server, s.id AS stream,
           CASE WHEN p.server IS NOT NULL THEN coalesce(t.state, 'closed') END AS state, s.epoch,
           greatest(t.sent, s.acked OPERATOR(pg_catalog.-) s.base) OPERATOR(pg_catalog.+) 1 AS next,
           greatest(t.sent, s.acked OPERATOR(pg_catalog.-) s.base) AS sent, s.acked OPERATOR(pg_catalog.-) s.base AS acked,
           s.acked AS messages,
           s.numbered OPERATOR(pg_catalog.-) s.acked AS waiting,
           now() OPERATOR(pg_catalog.-) (SELECT m.sent FROM ftchain.numbered n JOIN ftchain.message_out m
                  ON m.stream OPERATOR(pg_catalog.=) n.stream
                 AND m.seq OPERATOR(pg_catalog.=) (n.low OPERATOR(pg_catalog.+) greatest(s.acked OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.-) n.first, 0))
               WHERE n.stream OPERATOR(pg_catalog.=) s.id AND s.numbered OPERATOR(pg_catalog.>) s.acked
                 AND n.first OPERATOR(pg_catalog.<=) (s.acked OPERATOR(pg_catalog.+) 1)
               ORDER BY n.first DESC LIMIT 1) AS oldest_waiting,
           t.in_flight, t.in_flight_bytes, t.window_bytes, t.srtt, t.rto, t.retransmits, t.failed, t.timeouts, t.bytes,
           t.early, NULL::bigint AS gaps, t.dropped, t.duplicates, t.refused, NULL::integer AS attempts,
           NULL::text AS last_reason, s.acked_at AS moved_at, t.last_error, t.last_error_at, t.stats_reset
      FROM ftchain.stream_out s
      LEFT JOIN ftchain.peer p ON p.member OPERATOR(pg_catalog.=) s.member
      LEFT JOIN ftchain.link_stats() t ON t.server OPERATOR(pg_catalog.=) p.server AND t.stream OPERATOR(pg_catalog.=) s.id
    UNION ALL
    SELECT 'in', s.topic, s.member, p.server, s.stream, NULL, s.epoch, s.next, NULL, NULL, s.received, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.early, s.gaps, s.dropped, s.duplicates, s.refused, s.attempts,
           s.last_reason, s.received_at, NULL, NULL, NULL
      FROM ftchain.stream_in s
      LEFT JOIN ftchain.peer p ON p.member OPERATOR(pg_catalog.=) s.member;
COMMENT ON VIEW ftchain.streams IS 'streams of messages to topics of other databases, and from them';
COMMENT ON COLUMN ftchain.streams.direction IS 'out: sent from here; in: received here';
COMMENT ON COLUMN ftchain.streams.topic IS 'name of the topic';
COMMENT ON COLUMN ftchain.streams.member IS 'the other database';
COMMENT ON COLUMN ftchain.streams.server IS 'foreign server it is reached through';
COMMENT ON COLUMN ftchain.streams.stream IS 'number of the stream at its sender';
COMMENT ON COLUMN ftchain.streams.state IS 'closed, connecting, open, held, failing or stopped';
COMMENT ON COLUMN ftchain.streams.epoch IS 'epoch of the link';
COMMENT ON COLUMN ftchain.streams.next IS 'number in this epoch that the next message has: out, that was not sent yet; in, to be taken';
COMMENT ON COLUMN ftchain.streams.sent IS 'messages of this epoch that were sent';
COMMENT ON COLUMN ftchain.streams.acked IS 'messages of this epoch that were acknowledged';
COMMENT ON COLUMN ftchain.streams.messages IS 'messages acknowledged, or taken';
COMMENT ON COLUMN ftchain.streams.waiting IS 'messages committed and not yet acknowledged';
COMMENT ON COLUMN ftchain.streams.oldest_waiting IS 'how long the oldest of these has waited';
COMMENT ON COLUMN ftchain.streams.in_flight IS 'messages under way';
COMMENT ON COLUMN ftchain.streams.in_flight_bytes IS 'bytes of them';
COMMENT ON COLUMN ftchain.streams.window_bytes IS 'bytes that may be under way';
COMMENT ON COLUMN ftchain.streams.srtt IS 'time until a call is answered, smoothed';
COMMENT ON COLUMN ftchain.streams.rto IS 'time after which an answer is overdue';
COMMENT ON COLUMN ftchain.streams.retransmits IS 'messages that were sent again';
COMMENT ON COLUMN ftchain.streams.failed IS 'calls that failed and were made again, as after a deadlock';
COMMENT ON COLUMN ftchain.streams.timeouts IS 'how often the connection was given up as nothing came in time for what was under way';
COMMENT ON COLUMN ftchain.streams.bytes IS 'bytes of all messages sent, repeated ones too';
COMMENT ON COLUMN ftchain.streams.early IS 'messages put aside because others before them had not come; as the next ones, of out as the receiver told it';
COMMENT ON COLUMN ftchain.streams.gaps IS 'calls that came while something before their messages was missing';
COMMENT ON COLUMN ftchain.streams.dropped IS 'messages that were not taken, and had to come again';
COMMENT ON COLUMN ftchain.streams.duplicates IS 'messages dropped because they had been taken';
COMMENT ON COLUMN ftchain.streams.refused IS 'messages that the topic''s table refused, put with the dead letters';
COMMENT ON COLUMN ftchain.streams.attempts IS 'how often the next one was tried in vain';
COMMENT ON COLUMN ftchain.streams.last_reason IS 'why the last one that was not taken was not';
COMMENT ON COLUMN ftchain.streams.moved_at IS 'when the last acknowledgement or message came';
COMMENT ON COLUMN ftchain.streams.last_error IS 'the last thing that went wrong with it';
COMMENT ON COLUMN ftchain.streams.last_error_at IS 'when that was';
COMMENT ON COLUMN ftchain.streams.stats_reset IS 'when counting began anew; null: when the server started';

CREATE VIEW ftchain.fetches AS
    SELECT c.name AS chain, b.height, f.block, f.total, k.bytes, k.chunks, k.members,
           ARRAY(SELECT p.server FROM ftchain.peer p WHERE p.member OPERATOR(pg_catalog.=) ANY (k.members)
                  ORDER BY p.server) AS servers, f.alone,
           d.doubted, f.since, k.came_at, f.whole,
           ARRAY(SELECT w.member FROM ftchain.wrong_body w WHERE w.block OPERATOR(pg_catalog.=) f.block
                  ORDER BY w.refused) AS refused
      FROM ftchain.fetch f
      JOIN ftchain.chain c ON c.id OPERATOR(pg_catalog.=) f.chain
      JOIN ftchain.block b ON b.id OPERATOR(pg_catalog.=) f.block,
           LATERAL (SELECT coalesce(sum(h.size), 0) AS bytes, count(*) AS chunks, max(h.came) AS came_at,
                           coalesce(array_agg(DISTINCT h.source), '{}') AS members
                      FROM ftchain.chunk h
                     WHERE h.block OPERATOR(pg_catalog.=) f.block AND h.total OPERATOR(pg_catalog.=) f.total
                       AND h.bytes IS NOT NULL) k,
           LATERAL (SELECT count(*) AS doubted FROM ftchain.chunk h
                     WHERE h.block OPERATOR(pg_catalog.=) f.block AND h.bytes IS NULL) d;
COMMENT ON VIEW ftchain.fetches IS 'bodies that come in chunks: how much of each is here, and from whom';
COMMENT ON COLUMN ftchain.fetches.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.fetches.height IS 'height of the block';
COMMENT ON COLUMN ftchain.fetches.block IS 'its id';
COMMENT ON COLUMN ftchain.fetches.total IS 'bytes of the entries of the body';
COMMENT ON COLUMN ftchain.fetches.bytes IS 'of these, bytes that are here';
COMMENT ON COLUMN ftchain.fetches.chunks IS 'in so many chunks';
COMMENT ON COLUMN ftchain.fetches.members IS 'the members that gave them';
COMMENT ON COLUMN ftchain.fetches.servers IS 'foreign servers that these are reached through';
COMMENT ON COLUMN ftchain.fetches.alone IS 'they are taken from one member only, as what came from several was wrong';
COMMENT ON COLUMN ftchain.fetches.doubted IS 'chunks of that, kept by their digests until it is known which were wrong';
COMMENT ON COLUMN ftchain.fetches.since IS 'since when it is being fetched';
COMMENT ON COLUMN ftchain.fetches.came_at IS 'when the last chunk came';
COMMENT ON COLUMN ftchain.fetches.whole IS 'when all had come: it is being checked; null while some are missing';
COMMENT ON COLUMN ftchain.fetches.refused IS 'members that gave a wrong body, and are not asked for a while';

CREATE FUNCTION ftchain.chain_status(chain integer, OUT pending bigint, OUT members integer, OUT member boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_chain_status';
COMMENT ON FUNCTION ftchain.chain_status(integer) IS 'entries not yet in a block of the main chain, number of members, and whether this database is one';

CREATE VIEW ftchain.status AS
    SELECT c.name AS chain, c.genesis, c.pinned, m.height, m.block AS head, b.received AS head_received,
           s.pending, s.members, s.member,
           (SELECT count(*) FROM ftchain.wanted w WHERE w.chain OPERATOR(pg_catalog.=) c.id) AS wanted,
           (SELECT count(*) FROM ftchain.damage d WHERE d.chain OPERATOR(pg_catalog.=) c.id AND d.repaired IS NULL) AS damaged,
           (SELECT count(*) FROM ftchain.alarm a WHERE a.chain OPERATOR(pg_catalog.=) c.id AND a.lifted IS NULL) AS alarms,
           (SELECT count(DISTINCT t.member) FROM ftchain.twin t) AS twins
      FROM ftchain.chain c
      JOIN LATERAL (SELECT mc.height, mc.block FROM ftchain.main_chain mc
                     WHERE mc.chain OPERATOR(pg_catalog.=) c.id ORDER BY mc.height DESC LIMIT 1) m ON true
      JOIN ftchain.block b ON b.id OPERATOR(pg_catalog.=) m.block,
           LATERAL ftchain.chain_status(c.id) s;
COMMENT ON VIEW ftchain.status IS 'the chains of this database and how they are';
COMMENT ON COLUMN ftchain.status.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.status.genesis IS 'its identity: the id of its first block';
COMMENT ON COLUMN ftchain.status.pinned IS 'whether that id was given by the one who joined';
COMMENT ON COLUMN ftchain.status.height IS 'height of the main chain';
COMMENT ON COLUMN ftchain.status.head IS 'id of its last block';
COMMENT ON COLUMN ftchain.status.head_received IS 'when that was stored here';
COMMENT ON COLUMN ftchain.status.pending IS 'entries of this database that no block of the main chain holds yet';
COMMENT ON COLUMN ftchain.status.members IS 'number of members';
COMMENT ON COLUMN ftchain.status.member IS 'whether this database is one of them';
COMMENT ON COLUMN ftchain.status.wanted IS 'bodies that should be here and are not yet';
COMMENT ON COLUMN ftchain.status.damaged IS 'damage found and not repaired yet';
COMMENT ON COLUMN ftchain.status.alarms IS 'alarms that hold; see ftchain.alarms';
COMMENT ON COLUMN ftchain.status.twins IS 'members, of any chain, of which two live copies were seen; see ftchain.clear_twins()';

CREATE VIEW ftchain.mining AS
    SELECT c.name AS chain, s.height, s.bits, ftchain.bits_to_target(s.bits) AS target,
           ftchain.block_work(s.bits) AS expected_attempts, s.workers, s.attempts, s.since, s.hash_rate,
           CASE WHEN s.hash_rate OPERATOR(pg_catalog.>) 0 THEN
               make_interval(secs => least(ftchain.block_work(s.bits)::double precision
                   OPERATOR(pg_catalog./) s.hash_rate, 1e15)) END AS expected_left
      FROM ftchain.mining_status() s
      JOIN ftchain.chain c ON c.id OPERATOR(pg_catalog.=) s.chain;
COMMENT ON VIEW ftchain.mining IS 'the next block of each chain and how far this database is with mining it';
COMMENT ON COLUMN ftchain.mining.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.mining.height IS 'height of the next block';
COMMENT ON COLUMN ftchain.mining.bits IS 'compact target it must meet';
COMMENT ON COLUMN ftchain.mining.target IS 'that target: 32 bytes, big endian';
COMMENT ON COLUMN ftchain.mining.expected_attempts IS 'attempts it takes on average';
COMMENT ON COLUMN ftchain.mining.workers IS 'processes that mine it here; 0 while there is nothing to mine';
COMMENT ON COLUMN ftchain.mining.attempts IS 'attempts so far at a block of this height on this parent';
COMMENT ON COLUMN ftchain.mining.since IS 'when these began';
COMMENT ON COLUMN ftchain.mining.hash_rate IS 'attempts per second of all of them together, since then or since the server started';
COMMENT ON COLUMN ftchain.mining.expected_left IS 'time it takes from now on, on average, at that rate: however long it has taken already, since luck has no memory';

CREATE VIEW ftchain.alarms AS
    SELECT c.name AS chain, a.kind, a.since, a.member, a.height, a.detail
      FROM ftchain.alarm a
      JOIN ftchain.chain c ON c.id OPERATOR(pg_catalog.=) a.chain
     WHERE a.lifted IS NULL;
COMMENT ON VIEW ftchain.alarms IS 'what does not go on until an operator has looked at it and called clear_alarm()';
COMMENT ON COLUMN ftchain.alarms.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.alarms.kind IS 'much damage: nothing is repaired by itself; divergence, recovery: nothing is written to the chain';
COMMENT ON COLUMN ftchain.alarms.since IS 'since when';
COMMENT ON COLUMN ftchain.alarms.member IS 'the member concerned';
COMMENT ON COLUMN ftchain.alarms.height IS 'height of the block concerned';
COMMENT ON COLUMN ftchain.alarms.detail IS 'in words';

CREATE VIEW ftchain.recovery AS
    SELECT c.name AS chain, r.server, r.phase,
           (SELECT max(b.height) FROM ftchain.block b WHERE b.chain OPERATOR(pg_catalog.=) c.id) AS height, r.head,
           (SELECT count(*) FROM ftchain.wanted w WHERE w.chain OPERATOR(pg_catalog.=) c.id) AS wanted, r.started, r.finished
      FROM ftchain.recovery_state r
      JOIN ftchain.chain c ON c.id OPERATOR(pg_catalog.=) r.chain;
COMMENT ON VIEW ftchain.recovery IS 'how far recover_member() is';
COMMENT ON COLUMN ftchain.recovery.chain IS 'name of the chain';
COMMENT ON COLUMN ftchain.recovery.server IS 'foreign server it is rebuilt from first';
COMMENT ON COLUMN ftchain.recovery.phase IS 'blocks, bodies, promises (bodies signed for that are placed elsewhere now) or done';
COMMENT ON COLUMN ftchain.recovery.height IS 'height of the highest block that is here';
COMMENT ON COLUMN ftchain.recovery.head IS 'height of the main chain there when it began';
COMMENT ON COLUMN ftchain.recovery.wanted IS 'bodies that should be here and are not yet';
COMMENT ON COLUMN ftchain.recovery.started IS 'when it began';
COMMENT ON COLUMN ftchain.recovery.finished IS 'when it was done';

CREATE VIEW ftchain.scrubs AS
    SELECT c.name AS chain, p.pass, coalesce(s.phase, 'idle') AS phase,
           CASE WHEN p.pass OPERATOR(pg_catalog.<>) 'indexes' AND s.phase OPERATOR(pg_catalog.<>) 'idle' THEN s.height END AS height,
           CASE WHEN p.pass OPERATOR(pg_catalog.<>) 'indexes' THEN
               (SELECT max(m.height) FROM ftchain.main_chain m WHERE m.chain OPERATOR(pg_catalog.=) c.id) END AS head,
           coalesce(s.bytes, 0) AS bytes, coalesce(s.faults, 0) AS faults, s.started, s.finished,
           CASE WHEN i.every OPERATOR(pg_catalog.>) '0'::interval THEN s.finished OPERATOR(pg_catalog.+) i.every END AS due
      FROM (SELECT id, name FROM ftchain.chain UNION ALL SELECT 0, NULL) c
      JOIN (VALUES ('light'), ('deep'), ('indexes')) p (pass)
           ON (p.pass OPERATOR(pg_catalog.=) 'indexes') OPERATOR(pg_catalog.=) (c.id OPERATOR(pg_catalog.=) 0)
      LEFT JOIN ftchain.scrub_state s ON s.chain OPERATOR(pg_catalog.=) c.id AND s.pass OPERATOR(pg_catalog.=) p.pass,
           LATERAL (SELECT current_setting(CASE WHEN p.pass OPERATOR(pg_catalog.=) 'light' THEN 'ftchain.scrub_interval'
               ELSE 'ftchain.deep_scrub_interval' END, true)::interval AS every) i;
COMMENT ON VIEW ftchain.scrubs IS 'how far scrubbing is';
COMMENT ON COLUMN ftchain.scrubs.chain IS 'name of the chain; null: the whole database';
COMMENT ON COLUMN ftchain.scrubs.pass IS 'light, deep or indexes';
COMMENT ON COLUMN ftchain.scrubs.phase IS 'idle, blocks, entries (those that belong nowhere) or indexes';
COMMENT ON COLUMN ftchain.scrubs.height IS 'the next height; null while it rests';
COMMENT ON COLUMN ftchain.scrubs.head IS 'height of the main chain';
COMMENT ON COLUMN ftchain.scrubs.bytes IS 'bytes read by this pass so far, or by the last one';
COMMENT ON COLUMN ftchain.scrubs.faults IS 'faults found by it, those that were known included';
COMMENT ON COLUMN ftchain.scrubs.started IS 'when it began';
COMMENT ON COLUMN ftchain.scrubs.finished IS 'when a pass last came to its end';
COMMENT ON COLUMN ftchain.scrubs.due IS 'when the next one begins; null: at once, or never if its interval is 0';
