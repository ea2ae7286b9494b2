-- All state is in these tables.  Which of them pg_dump carries is said at the
-- end of the file.

CREATE TABLE ftchain.identity (
    this boolean PRIMARY KEY DEFAULT true CHECK (this),
    member bytea NOT NULL,
    algorithm smallint NOT NULL,
    public_key bytea NOT NULL,
    origin integer NOT NULL,
    database oid NOT NULL,
    set_back bigint NOT NULL DEFAULT 0,
    run bigint NOT NULL DEFAULT 0,
    created timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.identity IS 'who this database is; never dumped, so that a copy is nobody';
COMMENT ON COLUMN ftchain.identity.this IS 'always true: there is one row at most';
COMMENT ON COLUMN ftchain.identity.member IS 'member id: SHA-256 of domain, algorithm and first public key';
COMMENT ON COLUMN ftchain.identity.algorithm IS 'signature algorithm: 1 is Ed25519';
COMMENT ON COLUMN ftchain.identity.public_key IS 'the current public key; the secret one is in a file';
COMMENT ON COLUMN ftchain.identity.origin IS 'local number of the member as an origin of entries';
COMMENT ON COLUMN ftchain.identity.database IS 'the database this row was made in';
COMMENT ON COLUMN ftchain.identity.set_back IS 'when it was last noticed that the database had been set back, microseconds since 1970; 0 if never';
COMMENT ON COLUMN ftchain.identity.run IS 'the run of the server in which that was, when it began, microseconds since 1970';
COMMENT ON COLUMN ftchain.identity.created IS 'when';

CREATE TABLE ftchain.chain (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    genesis bytea NOT NULL UNIQUE,
    pinned boolean NOT NULL,
    created timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.chain IS 'the chains this database takes part in';
COMMENT ON COLUMN ftchain.chain.id IS 'local number of the chain';
COMMENT ON COLUMN ftchain.chain.name IS 'local name of the chain';
COMMENT ON COLUMN ftchain.chain.genesis IS 'id of the first block, which is the identity of the chain';
COMMENT ON COLUMN ftchain.chain.pinned IS 'whether the genesis id was given by the one who joined, not taken from a peer';
COMMENT ON COLUMN ftchain.chain.created IS 'when this database created or joined it';

CREATE TABLE ftchain.origin (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member bytea NOT NULL UNIQUE
);
COMMENT ON TABLE ftchain.origin IS 'short numbers for the members that took entries';
COMMENT ON COLUMN ftchain.origin.id IS 'local number';
COMMENT ON COLUMN ftchain.origin.member IS 'member id';

CREATE SEQUENCE ftchain.entry_id CACHE 1;
COMMENT ON SEQUENCE ftchain.entry_id IS 'local numbers of the entries appended here, which are their seqs too';

-- Copies have numbers of their own, far above, so that storing them leaves no
-- gaps between the seqs of the entries appended here.  They are taken many at a
-- time: only that they rise and are unique matters.
CREATE SEQUENCE ftchain.copy_id MINVALUE 4611686018427387904 CACHE 500;
COMMENT ON SEQUENCE ftchain.copy_id IS 'local numbers of copies of others'' entries';

CREATE TABLE ftchain.entry (
    id bigint NOT NULL,
    seq bigint NOT NULL,
    xid xid8,
    "time" timestamptz NOT NULL,
    incarnation bigint NOT NULL,
    chain integer NOT NULL,
    origin integer NOT NULL,
    salt bytea NOT NULL,
    author text NOT NULL,
    kind text NOT NULL,
    payload json NOT NULL,
    CONSTRAINT entry_pkey PRIMARY KEY (id)
);
-- How the sealer finds what was committed since its last look.
CREATE INDEX entry_xid ON ftchain.entry (chain, xid) WHERE xid IS NOT NULL;
COMMENT ON TABLE ftchain.entry IS 'the entries this database holds: those appended here, and copies of others''';
COMMENT ON COLUMN ftchain.entry.id IS 'local number; bundles name their entries by it';
COMMENT ON COLUMN ftchain.entry.seq IS 'number given by the origin; equal to id for entries appended here';
COMMENT ON COLUMN ftchain.entry.xid IS 'the transaction that appended it here; null for copies';
COMMENT ON COLUMN ftchain.entry."time" IS 'when the origin took it';
COMMENT ON COLUMN ftchain.entry.incarnation IS 'of the origin''s database, when it took it';
COMMENT ON COLUMN ftchain.entry.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.entry.origin IS 'local number of the origin';
COMMENT ON COLUMN ftchain.entry.salt IS '16 random bytes hashed with the payload, so that an erased payload cannot be guessed';
COMMENT ON COLUMN ftchain.entry.author IS 'the session user who appended it';
COMMENT ON COLUMN ftchain.entry.kind IS 'what the one who appended it says it is';
COMMENT ON COLUMN ftchain.entry.payload IS 'the record, kept byte for byte';

CREATE TABLE ftchain.bundle (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain integer NOT NULL,
    origin integer NOT NULL,
    incarnation bigint NOT NULL,
    number bigint NOT NULL,
    count integer NOT NULL,
    bytes bigint NOT NULL,
    digest bytea NOT NULL,
    head bytea NOT NULL,
    signature bytea NOT NULL,
    seqs int8multirange NOT NULL,
    ids int8multirange,
    leaves bytea,
    UNIQUE (chain, digest)
);
ALTER TABLE ftchain.bundle ALTER COLUMN leaves SET STORAGE EXTERNAL;
CREATE INDEX bundle_number ON ftchain.bundle (chain, origin, incarnation, number);
CREATE INDEX bundle_seqs ON ftchain.bundle USING gist (seqs);
CREATE INDEX bundle_ids ON ftchain.bundle USING gist (ids);
CREATE INDEX bundle_absent ON ftchain.bundle (chain) WHERE ids IS NULL;
COMMENT ON TABLE ftchain.bundle IS 'entries of one origin, numbered and signed by it as a whole; what proposers carry';
COMMENT ON COLUMN ftchain.bundle.id IS 'local number';
COMMENT ON COLUMN ftchain.bundle.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.bundle.origin IS 'local number of the origin';
COMMENT ON COLUMN ftchain.bundle.incarnation IS 'of the origin''s database';
COMMENT ON COLUMN ftchain.bundle.number IS 'the origin''s number of the bundle, from 1, gapless';
COMMENT ON COLUMN ftchain.bundle.count IS 'number of entries';
COMMENT ON COLUMN ftchain.bundle.bytes IS 'length of the entries in an encoded body; 0 if not known here';
COMMENT ON COLUMN ftchain.bundle.digest IS 'SHA-256 of head, which the origin signed';
COMMENT ON COLUMN ftchain.bundle.head IS 'the bundle head, a leaf of the body tree';
COMMENT ON COLUMN ftchain.bundle.signature IS 'the origin''s signature';
COMMENT ON COLUMN ftchain.bundle.seqs IS 'the origin''s numbers of its entries';
COMMENT ON COLUMN ftchain.bundle.ids IS 'ids of its entries here; null if they are not held';
COMMENT ON COLUMN ftchain.bundle.leaves IS 'leaf hashes of its entries, 32 bytes each; null if they are not held';

CREATE TABLE ftchain.pending_bundle (
    bundle bigint PRIMARY KEY,
    chain integer NOT NULL
);
COMMENT ON TABLE ftchain.pending_bundle IS 'bundles that are held and in no block of the main chain';
COMMENT ON COLUMN ftchain.pending_bundle.bundle IS 'local number of the bundle';
COMMENT ON COLUMN ftchain.pending_bundle.chain IS 'local number of the chain';

CREATE TABLE ftchain.block (
    id bytea NOT NULL,
    arrival bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    chain integer NOT NULL,
    height bigint NOT NULL,
    header bytea NOT NULL,
    signature bytea NOT NULL,
    manifest bytea NOT NULL,
    proof bytea NOT NULL,
    tip bytea NOT NULL,
    work bytea NOT NULL,
    source bytea,
    received timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT block_pkey PRIMARY KEY (id)
);
CREATE INDEX block_height ON ftchain.block (chain, height);
CREATE INDEX block_work ON ftchain.block (chain, work);
COMMENT ON TABLE ftchain.block IS 'every valid block known, of the main chain and of other branches';
COMMENT ON COLUMN ftchain.block.id IS 'SHA-256 of the header';
COMMENT ON COLUMN ftchain.block.arrival IS 'order of arrival: of equal work the first seen wins';
COMMENT ON COLUMN ftchain.block.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.block.height IS 'as in the header';
COMMENT ON COLUMN ftchain.block.header IS 'the 240 bytes of the header';
COMMENT ON COLUMN ftchain.block.signature IS 'the proposer''s signature';
COMMENT ON COLUMN ftchain.block.manifest IS 'the block''s controls and bundle heads';
COMMENT ON COLUMN ftchain.block.proof IS 'that the manifest is all of them';
COMMENT ON COLUMN ftchain.block.tip IS 'what a child needs to know: retarget anchor, work, history frontier';
COMMENT ON COLUMN ftchain.block.work IS 'work of the branch up to here, 32 bytes big endian';
COMMENT ON COLUMN ftchain.block.source IS 'the member it came from; null if proposed here or imported from a file';
COMMENT ON COLUMN ftchain.block.received IS 'when it was stored here';

CREATE TABLE ftchain.block_bundle (
    block bytea NOT NULL,
    "position" integer NOT NULL,
    bundle bigint NOT NULL,
    PRIMARY KEY (block, "position")
);
CREATE INDEX block_bundle_bundle ON ftchain.block_bundle (bundle);
COMMENT ON TABLE ftchain.block_bundle IS 'which bundles a block holds';
COMMENT ON COLUMN ftchain.block_bundle.block IS 'block id';
COMMENT ON COLUMN ftchain.block_bundle."position" IS 'position among the block''s bundles, from 0';
COMMENT ON COLUMN ftchain.block_bundle.bundle IS 'local number of the bundle';

CREATE TABLE ftchain.incomplete_block (
    block bytea PRIMARY KEY,
    chain integer NOT NULL,
    parent bytea NOT NULL,
    proposer bytea NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX incomplete_block_parent ON ftchain.incomplete_block (parent);
COMMENT ON TABLE ftchain.incomplete_block IS 'blocks that cannot be chosen yet: of their body, or of one before them, it is not known that it is stored';
COMMENT ON COLUMN ftchain.incomplete_block.block IS 'block id';
COMMENT ON COLUMN ftchain.incomplete_block.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.incomplete_block.parent IS 'id of the block before it';
COMMENT ON COLUMN ftchain.incomplete_block.proposer IS 'member that proposed it';
COMMENT ON COLUMN ftchain.incomplete_block.since IS 'since when it has waited: for its body, if the block before it is complete';

CREATE TABLE ftchain.main_chain (
    chain integer NOT NULL,
    height bigint NOT NULL,
    block bytea NOT NULL UNIQUE,
    PRIMARY KEY (chain, height)
);
COMMENT ON TABLE ftchain.main_chain IS 'the branch with the most work: one block a height';
COMMENT ON COLUMN ftchain.main_chain.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.main_chain.height IS 'height';
COMMENT ON COLUMN ftchain.main_chain.block IS 'block id';

CREATE TABLE ftchain.control (
    block bytea NOT NULL,
    "position" integer NOT NULL,
    chain integer NOT NULL,
    height bigint NOT NULL,
    id bytea NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (block, "position")
);
CREATE INDEX control_height ON ftchain.control (chain, height);
CREATE INDEX control_id ON ftchain.control (id);
COMMENT ON TABLE ftchain.control IS 'control entries of blocks: what changes members and parameters';
COMMENT ON COLUMN ftchain.control.block IS 'block id';
COMMENT ON COLUMN ftchain.control."position" IS 'leaf index in the block, from 0';
COMMENT ON COLUMN ftchain.control.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.control.height IS 'height of the block';
COMMENT ON COLUMN ftchain.control.id IS 'SHA-256 of what its signers signed';
COMMENT ON COLUMN ftchain.control.leaf IS 'its bytes';

CREATE TABLE ftchain.epoch_state (
    root bytea PRIMARY KEY,
    content bytea NOT NULL
);
COMMENT ON TABLE ftchain.epoch_state IS 'states that blocks build on: members and parameters';
COMMENT ON COLUMN ftchain.epoch_state.root IS 'as named in headers';
COMMENT ON COLUMN ftchain.epoch_state.content IS 'its leaves';

CREATE TABLE ftchain.replica (
    block bytea NOT NULL,
    member bytea NOT NULL,
    signature bytea NOT NULL,
    stated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (block, member)
);
COMMENT ON TABLE ftchain.replica IS 'signed statements of members that they have stored a block''s body';
COMMENT ON COLUMN ftchain.replica.block IS 'block id';
COMMENT ON COLUMN ftchain.replica.member IS 'member id';
COMMENT ON COLUMN ftchain.replica.signature IS 'its statement';
COMMENT ON COLUMN ftchain.replica.stated IS 'when the statement came';

CREATE TABLE ftchain.withdrawn (
    block bytea NOT NULL,
    member bytea NOT NULL,
    chain integer NOT NULL,
    signature bytea NOT NULL,
    said timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (block, member)
);
COMMENT ON TABLE ftchain.withdrawn IS 'statements that were taken back: they show that a body was stored once';
COMMENT ON COLUMN ftchain.withdrawn.block IS 'block id';
COMMENT ON COLUMN ftchain.withdrawn.member IS 'member id';
COMMENT ON COLUMN ftchain.withdrawn.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.withdrawn.signature IS 'its statement';
COMMENT ON COLUMN ftchain.withdrawn.said IS 'when it took it back';

CREATE TABLE ftchain.word (
    block bytea NOT NULL,
    member bytea NOT NULL,
    chain integer NOT NULL,
    number bigint NOT NULL,
    bytes bytea NOT NULL,
    signature bytea NOT NULL,
    said timestamptz NOT NULL DEFAULT now(),
    passed timestamptz,
    PRIMARY KEY (block, member)
);
COMMENT ON TABLE ftchain.word IS 'the last words of members on what they keep of a body, after their statements';
COMMENT ON COLUMN ftchain.word.block IS 'block id';
COMMENT ON COLUMN ftchain.word.member IS 'member id';
COMMENT ON COLUMN ftchain.word.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.word.number IS 'which rises with each word of the member on the body';
COMMENT ON COLUMN ftchain.word.bytes IS 'the word';
COMMENT ON COLUMN ftchain.word.signature IS 'of the member';
COMMENT ON COLUMN ftchain.word.said IS 'when it came';
COMMENT ON COLUMN ftchain.word.passed IS 'when it was passed on to all, before a shard was given up for it';

CREATE TABLE ftchain.copy (
    block bytea NOT NULL,
    member bytea NOT NULL,
    chain integer NOT NULL,
    height bigint NOT NULL,
    shard integer NOT NULL DEFAULT -1,
    head bytea NOT NULL DEFAULT '',
    nonce bytea,
    answer bytea,
    wrong integer NOT NULL DEFAULT 0,
    asked timestamptz,
    proved timestamptz,
    lost timestamptz,
    reason text,
    PRIMARY KEY (block, member, shard, head)
);
CREATE INDEX copy_asked ON ftchain.copy (chain, member) WHERE nonce IS NOT NULL;
CREATE INDEX copy_lost ON ftchain.copy (chain) WHERE lost IS NOT NULL;
COMMENT ON TABLE ftchain.copy IS 'whether other members could prove to this database that they store what they signed for';
COMMENT ON COLUMN ftchain.copy.block IS 'block id';
COMMENT ON COLUMN ftchain.copy.member IS 'member that has signed that it stores the body';
COMMENT ON COLUMN ftchain.copy.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.copy.height IS 'height of the block';
COMMENT ON COLUMN ftchain.copy.shard IS 'number of the shard that it is to prove; -1 for the whole body';
COMMENT ON COLUMN ftchain.copy.head IS 'how the body is cut, and the root over the digests of its shards; empty for the whole body';
COMMENT ON COLUMN ftchain.copy.nonce IS 'the challenge that it is to answer; null if there is none';
COMMENT ON COLUMN ftchain.copy.answer IS 'the right answer: SHA-256 of the nonce, the member and the body';
COMMENT ON COLUMN ftchain.copy.wrong IS 'how often it has answered this one wrongly';
COMMENT ON COLUMN ftchain.copy.asked IS 'when it was last asked';
COMMENT ON COLUMN ftchain.copy.proved IS 'when it last answered rightly';
COMMENT ON COLUMN ftchain.copy.lost IS 'since when the copy counts as lost; null if it does not';
COMMENT ON COLUMN ftchain.copy.reason IS 'why it does';

CREATE TABLE ftchain.challenge (
    block bytea NOT NULL,
    shard integer NOT NULL DEFAULT -1,
    head bytea NOT NULL DEFAULT '',
    member bytea NOT NULL,
    nonce bytea NOT NULL,
    answer bytea NOT NULL,
    PRIMARY KEY (block, nonce)
);
COMMENT ON TABLE ftchain.challenge IS 'challenges for bodies that are no longer here, made while they were; each is used once';
COMMENT ON COLUMN ftchain.challenge.block IS 'block id';
COMMENT ON COLUMN ftchain.challenge.shard IS 'number of the shard; -1 for the whole body';
COMMENT ON COLUMN ftchain.challenge.head IS 'how the body is cut, and the root over the digests of its shards; empty for the whole body';
COMMENT ON COLUMN ftchain.challenge.member IS 'the member that it is for';
COMMENT ON COLUMN ftchain.challenge.nonce IS '32 random bytes';
COMMENT ON COLUMN ftchain.challenge.answer IS 'SHA-256 of the nonce, the member and the body, or the shard';

CREATE TABLE ftchain.loss_looked (
    block bytea PRIMARY KEY,
    looked timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.loss_looked IS 'copies of this database that others missed: looked at once an hour';
COMMENT ON COLUMN ftchain.loss_looked.block IS 'block id';
COMMENT ON COLUMN ftchain.loss_looked.looked IS 'when';

CREATE TABLE ftchain.loss (
    block bytea NOT NULL,
    member bytea NOT NULL,
    sayer bytea NOT NULL,
    chain integer NOT NULL,
    said timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (block, member, sayer)
);
CREATE INDEX loss_said ON ftchain.loss (chain, said);
COMMENT ON TABLE ftchain.loss IS 'copies that other members have found lost: a reason to make another one, never to drop any';
COMMENT ON COLUMN ftchain.loss.block IS 'block id';
COMMENT ON COLUMN ftchain.loss.member IS 'member whose copy it is';
COMMENT ON COLUMN ftchain.loss.sayer IS 'member that says so';
COMMENT ON COLUMN ftchain.loss.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.loss.said IS 'when it last did';

CREATE TABLE ftchain.cached_body (
    block bytea PRIMARY KEY,
    chain integer NOT NULL,
    asked timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.cached_body IS 'bodies that are here only because somebody has read them, or wants to';
COMMENT ON COLUMN ftchain.cached_body.block IS 'block id';
COMMENT ON COLUMN ftchain.cached_body.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.cached_body.asked IS 'when it was last asked for';

CREATE TABLE ftchain.shard (
    block bytea NOT NULL,
    number integer NOT NULL,
    chain integer NOT NULL,
    height bigint NOT NULL,
    kept boolean NOT NULL,
    head bytea NOT NULL,
    path bytea NOT NULL,
    content bytea NOT NULL,
    stored timestamptz NOT NULL DEFAULT now(),
    checked timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (block, head, number)
);
CREATE INDEX shard_kept ON ftchain.shard (chain) WHERE kept;
CREATE INDEX shard_part ON ftchain.shard (chain) WHERE NOT kept;
COMMENT ON TABLE ftchain.shard IS 'shards of bodies that this database keeps, and parts of bodies that are being restored';
COMMENT ON COLUMN ftchain.shard.block IS 'block id';
COMMENT ON COLUMN ftchain.shard.number IS 'number of the shard, from 0';
COMMENT ON COLUMN ftchain.shard.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.shard.height IS 'height of the block';
COMMENT ON COLUMN ftchain.shard.kept IS 'whether it is kept, and not here only to restore the body';
COMMENT ON COLUMN ftchain.shard.head IS 'how the body is cut, and the root over the digests of its shards';
COMMENT ON COLUMN ftchain.shard.path IS 'of the shard in the tree of digests';
COMMENT ON COLUMN ftchain.shard.content IS 'the shard';
COMMENT ON COLUMN ftchain.shard.stored IS 'when it was stored';
COMMENT ON COLUMN ftchain.shard.checked IS 'when it was last compared with its root';

CREATE TABLE ftchain.shard_copy (
    block bytea NOT NULL,
    member bytea NOT NULL,
    number integer NOT NULL,
    chain integer NOT NULL,
    head bytea NOT NULL,
    stated timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (block, member, head)
);
COMMENT ON TABLE ftchain.shard_copy IS 'members that say that they keep a shard of a body';
COMMENT ON COLUMN ftchain.shard_copy.block IS 'block id';
COMMENT ON COLUMN ftchain.shard_copy.member IS 'member id';
COMMENT ON COLUMN ftchain.shard_copy.number IS 'number of the shard, from 0';
COMMENT ON COLUMN ftchain.shard_copy.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.shard_copy.head IS 'how the body is cut, and the root over the digests of its shards';
COMMENT ON COLUMN ftchain.shard_copy.stated IS 'when it said so';

CREATE TABLE ftchain.wanted_shard (
    block bytea NOT NULL,
    number integer NOT NULL,
    cut bytea NOT NULL,
    chain integer NOT NULL,
    height bigint NOT NULL,
    kept boolean NOT NULL,
    tried timestamptz,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (block, number, cut)
);
CREATE INDEX wanted_shard_chain ON ftchain.wanted_shard (chain, tried NULLS FIRST, height);
COMMENT ON TABLE ftchain.wanted_shard IS 'shards that this database is to fetch';
COMMENT ON COLUMN ftchain.wanted_shard.block IS 'block id';
COMMENT ON COLUMN ftchain.wanted_shard.number IS 'number of the shard, from 0';
COMMENT ON COLUMN ftchain.wanted_shard.cut IS 'how the body is cut: the head of the shards, or its first 4 bytes if the root does not matter';
COMMENT ON COLUMN ftchain.wanted_shard.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.wanted_shard.height IS 'height of the block';
COMMENT ON COLUMN ftchain.wanted_shard.kept IS 'whether it is to be kept, and not only to restore the body';
COMMENT ON COLUMN ftchain.wanted_shard.tried IS 'when it was last asked for';
COMMENT ON COLUMN ftchain.wanted_shard.since IS 'since when it is wanted';

CREATE TABLE ftchain.traffic (
    chain integer NOT NULL,
    what text NOT NULL,
    count bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (chain, what)
);
COMMENT ON TABLE ftchain.traffic IS 'what this database has fetched to have copies where they belong';
COMMENT ON COLUMN ftchain.traffic.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.traffic.what IS 'shards to keep, or parts to restore bodies';
COMMENT ON COLUMN ftchain.traffic.count IS 'how many';
COMMENT ON COLUMN ftchain.traffic.bytes IS 'bytes of them';

-- What the server compresses it does as fast as it can.  Shards are cut from what
-- is hashed: compressing is the storage's business.
DO $$
BEGIN
    ALTER TABLE ftchain.shard ALTER COLUMN content SET COMPRESSION lz4;
    ALTER TABLE ftchain.entry ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;

CREATE TABLE ftchain.peer_health (
    member bytea PRIMARY KEY,
    state text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    heard timestamptz,
    away timestamptz
);
COMMENT ON TABLE ftchain.peer_health IS 'whether the members that this database reaches are there, as it was last written down';
COMMENT ON COLUMN ftchain.peer_health.member IS 'member id';
COMMENT ON COLUMN ftchain.peer_health.state IS 'unknown, up, suspect, down, out or returned';
COMMENT ON COLUMN ftchain.peer_health.since IS 'since when';
COMMENT ON COLUMN ftchain.peer_health.heard IS 'the last sign of life before that';
COMMENT ON COLUMN ftchain.peer_health.away IS 'when it was last down, or was heard again after that: what it proved before counts no more';

CREATE TABLE ftchain.rejected (
    block bytea PRIMARY KEY,
    chain integer NOT NULL,
    reason text NOT NULL,
    source bytea,
    rejected timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.rejected IS 'blocks that can never be valid';
COMMENT ON COLUMN ftchain.rejected.block IS 'block id';
COMMENT ON COLUMN ftchain.rejected.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.rejected.reason IS 'why';
COMMENT ON COLUMN ftchain.rejected.source IS 'the member it came from';
COMMENT ON COLUMN ftchain.rejected.rejected IS 'when';

CREATE TABLE ftchain.pending_control (
    id bytea PRIMARY KEY,
    chain integer NOT NULL,
    leaf bytea NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    added timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.pending_control IS 'control entries made here, to be put in a block';
COMMENT ON COLUMN ftchain.pending_control.id IS 'SHA-256 of what its signers signed';
COMMENT ON COLUMN ftchain.pending_control.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.pending_control.leaf IS 'its bytes';
COMMENT ON COLUMN ftchain.pending_control.number IS 'in which order they were made, and go into a block';
COMMENT ON COLUMN ftchain.pending_control.added IS 'when it was made';

CREATE TABLE ftchain.seal_state (
    chain integer PRIMARY KEY,
    snapshot pg_snapshot,
    backlog int8multirange NOT NULL DEFAULT '{}',
    incarnation bigint NOT NULL DEFAULT 0,
    number bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE ftchain.seal_state IS 'how far the sealer of this database is';
COMMENT ON COLUMN ftchain.seal_state.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.seal_state.snapshot IS 'everything committed before it is in a bundle or in the backlog';
COMMENT ON COLUMN ftchain.seal_state.backlog IS 'ids of entries that were found and did not fit in a bundle yet';
COMMENT ON COLUMN ftchain.seal_state.incarnation IS 'of the last bundle that was made here';
COMMENT ON COLUMN ftchain.seal_state.number IS 'its number: while no bundle has that, some are lost, and no other is made';

CREATE TABLE ftchain.candidate (
    chain integer PRIMARY KEY,
    header bytea NOT NULL,
    attempts bigint NOT NULL,
    since timestamptz NOT NULL
);
COMMENT ON TABLE ftchain.candidate IS 'the block that each chain was last mining here for longer than a moment, kept over a restart';
COMMENT ON COLUMN ftchain.candidate.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.candidate.header IS 'its header, with the nonce that goes next';
COMMENT ON COLUMN ftchain.candidate.attempts IS 'attempts so far at a child of its parent';
COMMENT ON COLUMN ftchain.candidate.since IS 'when these began';

CREATE TABLE ftchain.peer (
    server text PRIMARY KEY,
    member bytea NOT NULL,
    public_key bytea NOT NULL,
    added timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.peer IS 'how this database reaches members';
COMMENT ON COLUMN ftchain.peer.server IS 'name of the foreign server';
COMMENT ON COLUMN ftchain.peer.member IS 'id of the member behind it';
COMMENT ON COLUMN ftchain.peer.public_key IS 'its Ed25519 public key';
COMMENT ON COLUMN ftchain.peer.added IS 'when';

CREATE TABLE ftchain.twin (
    member bytea NOT NULL,
    reporter bytea NOT NULL,
    incarnation bigint NOT NULL,
    other bigint NOT NULL,
    detected timestamptz NOT NULL DEFAULT now(),
    seen timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (member, reporter)
);
COMMENT ON TABLE ftchain.twin IS 'members of which two live copies were seen, until an operator clears it';
COMMENT ON COLUMN ftchain.twin.member IS 'the member; perhaps this database itself';
COMMENT ON COLUMN ftchain.twin.reporter IS 'the member that both copies spoke with; perhaps this database';
COMMENT ON COLUMN ftchain.twin.incarnation IS 'incarnation of one copy';
COMMENT ON COLUMN ftchain.twin.other IS 'incarnation of another; the same if it is a copy of a running machine';
COMMENT ON COLUMN ftchain.twin.detected IS 'when that was first found out';
COMMENT ON COLUMN ftchain.twin.seen IS 'when it was last';

CREATE TABLE ftchain.outbox (
    chain integer NOT NULL,
    seq bigint NOT NULL,
    kind smallint NOT NULL,
    reference bytea NOT NULL,
    queued timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain, seq)
);
COMMENT ON TABLE ftchain.outbox IS 'what this database announces to the other members of a chain, in order';
COMMENT ON COLUMN ftchain.outbox.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.outbox.seq IS 'order of the announcements, gapless';
COMMENT ON COLUMN ftchain.outbox.kind IS '1 block, 2 stored, 5 lost, 6 kept';
COMMENT ON COLUMN ftchain.outbox.reference IS 'what it is about';
COMMENT ON COLUMN ftchain.outbox.queued IS 'when';

CREATE TABLE ftchain.link_out (
    chain integer NOT NULL,
    member bytea NOT NULL,
    epoch bigint NOT NULL,
    base bigint NOT NULL,
    acked bigint NOT NULL,
    value bytea NOT NULL,
    acked_at timestamptz,
    PRIMARY KEY (chain, member)
);
COMMENT ON TABLE ftchain.link_out IS 'links to other members: how far each has acknowledged';
COMMENT ON COLUMN ftchain.link_out.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.link_out.member IS 'the receiver';
COMMENT ON COLUMN ftchain.link_out.epoch IS 'epoch of the link';
COMMENT ON COLUMN ftchain.link_out.base IS 'outbox seq before the first message of the epoch';
COMMENT ON COLUMN ftchain.link_out.acked IS 'outbox seq of the last message acknowledged';
COMMENT ON COLUMN ftchain.link_out.value IS 'the link''s chain value after that message';
COMMENT ON COLUMN ftchain.link_out.acked_at IS 'when the last acknowledgement came';

CREATE TABLE ftchain.link_in (
    chain integer NOT NULL,
    member bytea NOT NULL,
    epoch bigint NOT NULL,
    next bigint NOT NULL,
    value bytea NOT NULL,
    behind boolean NOT NULL DEFAULT false,
    received bigint NOT NULL DEFAULT 0,
    early bigint NOT NULL DEFAULT 0,
    gaps bigint NOT NULL DEFAULT 0,
    dropped bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    last_reason text,
    received_at timestamptz,
    PRIMARY KEY (chain, member)
);
COMMENT ON TABLE ftchain.link_in IS 'links from other members: how far each was taken';
COMMENT ON COLUMN ftchain.link_in.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.link_in.member IS 'the sender';
COMMENT ON COLUMN ftchain.link_in.epoch IS 'epoch of the link';
COMMENT ON COLUMN ftchain.link_in.next IS 'seq of the next message';
COMMENT ON COLUMN ftchain.link_in.value IS 'the link''s chain value before it';
COMMENT ON COLUMN ftchain.link_in.behind IS 'the sender has blocks whose parents are not known here';
COMMENT ON COLUMN ftchain.link_in.received IS 'messages applied';
COMMENT ON COLUMN ftchain.link_in.early IS 'messages put aside because others before them had not come';
COMMENT ON COLUMN ftchain.link_in.gaps IS 'calls that came while something before their messages was missing';
COMMENT ON COLUMN ftchain.link_in.dropped IS 'messages that were not taken, and had to come again';
COMMENT ON COLUMN ftchain.link_in.duplicates IS 'messages dropped because they had been applied';
COMMENT ON COLUMN ftchain.link_in.refused IS 'messages whose content was refused';
COMMENT ON COLUMN ftchain.link_in.last_reason IS 'why the last one was';
COMMENT ON COLUMN ftchain.link_in.received_at IS 'when the last message came';

CREATE TABLE ftchain.early_in (
    member bytea NOT NULL,
    chain integer NOT NULL,
    stream integer NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    before bytea NOT NULL,
    message bytea NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (member, chain, stream, epoch, seq)
);
COMMENT ON TABLE ftchain.early_in IS 'messages that came before others in front of them, and wait for these';
COMMENT ON COLUMN ftchain.early_in.member IS 'the sender';
COMMENT ON COLUMN ftchain.early_in.chain IS 'local number of the chain; 0: a stream of messages';
COMMENT ON COLUMN ftchain.early_in.stream IS 'number of the stream there; 0: what is about the chain';
COMMENT ON COLUMN ftchain.early_in.epoch IS 'epoch of the link';
COMMENT ON COLUMN ftchain.early_in.seq IS 'seq of the message';
COMMENT ON COLUMN ftchain.early_in.before IS 'the link''s chain value before it';
COMMENT ON COLUMN ftchain.early_in.message IS 'its bytes, for which the sender has signed';
COMMENT ON COLUMN ftchain.early_in.received IS 'when it came';

CREATE TABLE ftchain.wanted (
    block bytea PRIMARY KEY,
    chain integer NOT NULL,
    height bigint NOT NULL,
    moved boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX wanted_height ON ftchain.wanted (chain, height);
COMMENT ON TABLE ftchain.wanted IS 'bodies this database should hold and does not';
COMMENT ON COLUMN ftchain.wanted.block IS 'block id';
COMMENT ON COLUMN ftchain.wanted.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.wanted.height IS 'height of the block';
COMMENT ON COLUMN ftchain.wanted.moved IS 'it is stored elsewhere and should be here since members have changed: fetched within ftchain.move_budget';
COMMENT ON COLUMN ftchain.wanted.since IS 'since when';

CREATE TABLE ftchain.fetch (
    block bytea NOT NULL,
    total bigint NOT NULL,
    chain integer NOT NULL,
    encoding smallint NOT NULL,
    leader bytea NOT NULL,
    alone boolean NOT NULL DEFAULT false,
    since timestamptz NOT NULL DEFAULT now(),
    whole timestamptz,
    PRIMARY KEY (block, total)
);
COMMENT ON TABLE ftchain.fetch IS 'bodies that come in chunks';
COMMENT ON COLUMN ftchain.fetch.block IS 'block id';
COMMENT ON COLUMN ftchain.fetch.total IS 'bytes of it, as its giver says: another one who says something else makes another row';
COMMENT ON COLUMN ftchain.fetch.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.fetch.encoding IS '1: the entries, as they follow the manifest in a body';
COMMENT ON COLUMN ftchain.fetch.leader IS 'the member that it is asked of first; empty: nobody now';
COMMENT ON COLUMN ftchain.fetch.alone IS 'of one member only, since what came from several was wrong';
COMMENT ON COLUMN ftchain.fetch.since IS 'since when';
COMMENT ON COLUMN ftchain.fetch.whole IS 'when the last chunk came; null while some are missing';

CREATE TABLE ftchain.chunk (
    block bytea NOT NULL,
    total bigint NOT NULL,
    "at" bigint NOT NULL,
    size integer NOT NULL,
    source bytea NOT NULL,
    bytes bytea,
    digest bytea,
    came timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE ftchain.chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;
-- Rows come and go: what they leave is to be used again soon.
ALTER TABLE ftchain.chunk SET (autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_scale_factor = 0,
                               toast.autovacuum_vacuum_threshold = 5000);
CREATE UNIQUE INDEX chunk_held ON ftchain.chunk (block, total, "at") WHERE bytes IS NOT NULL;
CREATE INDEX chunk_doubted ON ftchain.chunk (block) WHERE bytes IS NULL;
COMMENT ON TABLE ftchain.chunk IS 'what has come of bodies that come in chunks';
COMMENT ON COLUMN ftchain.chunk.block IS 'block id';
COMMENT ON COLUMN ftchain.chunk.total IS 'bytes of the body, as in fetch';
COMMENT ON COLUMN ftchain.chunk."at" IS 'where it begins, from 0';
COMMENT ON COLUMN ftchain.chunk.size IS 'bytes of it';
COMMENT ON COLUMN ftchain.chunk.source IS 'the member that gave it';
COMMENT ON COLUMN ftchain.chunk.bytes IS 'these; null: it is in doubt and kept to be compared with what is right';
COMMENT ON COLUMN ftchain.chunk.digest IS 'SHA-256 of one that is in doubt';
COMMENT ON COLUMN ftchain.chunk.came IS 'when it came';

CREATE TABLE ftchain.wrong_body (
    block bytea NOT NULL,
    member bytea NOT NULL,
    refused timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (block, member)
);
COMMENT ON TABLE ftchain.wrong_body IS 'members that gave a wrong body in chunks, and are not asked for it for a while';
COMMENT ON COLUMN ftchain.wrong_body.block IS 'block id';
COMMENT ON COLUMN ftchain.wrong_body.member IS 'the member';
COMMENT ON COLUMN ftchain.wrong_body.refused IS 'when it did so last';

CREATE TABLE ftchain.damage (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain integer NOT NULL,
    height bigint,
    block bytea,
    entry bigint,
    what text NOT NULL,
    expected text,
    found text,
    detected timestamptz NOT NULL DEFAULT now(),
    repaired timestamptz,
    noted smallint NOT NULL DEFAULT 0
);
CREATE INDEX damage_block ON ftchain.damage (chain, block) WHERE repaired IS NULL;
CREATE INDEX damage_noted ON ftchain.damage (chain, id) WHERE noted < 2;
-- Each thing once while it is open.
CREATE UNIQUE INDEX damage_open ON ftchain.damage (chain, coalesce(height, -1), what, coalesce(entry, 0), coalesce(block, ''))
    WHERE repaired IS NULL;
COMMENT ON TABLE ftchain.damage IS 'what scrubbing found wrong, and when it was put right';
COMMENT ON COLUMN ftchain.damage.id IS 'local number';
COMMENT ON COLUMN ftchain.damage.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.damage.height IS 'height of the block';
COMMENT ON COLUMN ftchain.damage.block IS 'block id';
COMMENT ON COLUMN ftchain.damage.entry IS 'local id of the entry';
COMMENT ON COLUMN ftchain.damage.what IS 'what is wrong, as verify() says it';
COMMENT ON COLUMN ftchain.damage.expected IS 'what should be there';
COMMENT ON COLUMN ftchain.damage.found IS 'what is there';
COMMENT ON COLUMN ftchain.damage.detected IS 'when it was found';
COMMENT ON COLUMN ftchain.damage.repaired IS 'when it was repaired; null while it is not';
COMMENT ON COLUMN ftchain.damage.noted IS 'what of it an entry on the chain tells: 0 nothing, 1 that it was found, 2 that it was repaired';

CREATE TABLE ftchain.scrub_state (
    chain integer NOT NULL,
    pass text NOT NULL,
    phase text NOT NULL DEFAULT 'idle',
    height bigint NOT NULL DEFAULT 0,
    entry bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    faults bigint NOT NULL DEFAULT 0,
    started timestamptz,
    finished timestamptz,
    PRIMARY KEY (chain, pass)
);
COMMENT ON TABLE ftchain.scrub_state IS 'how far each pass of scrubbing is, so that it goes on after a restart';
COMMENT ON COLUMN ftchain.scrub_state.chain IS 'local number of the chain; 0: of the whole database';
COMMENT ON COLUMN ftchain.scrub_state.pass IS 'light, deep or indexes';
COMMENT ON COLUMN ftchain.scrub_state.phase IS 'idle, blocks, entries (those that belong nowhere) or indexes';
COMMENT ON COLUMN ftchain.scrub_state.height IS 'the next height; of indexes, the next table';
COMMENT ON COLUMN ftchain.scrub_state.entry IS 'the last entry looked at; of indexes, the next page of the table';
COMMENT ON COLUMN ftchain.scrub_state.bytes IS 'bytes read by this pass so far, or by the last one';
COMMENT ON COLUMN ftchain.scrub_state.faults IS 'faults found by it, those that were known included';
COMMENT ON COLUMN ftchain.scrub_state.started IS 'when it began';
COMMENT ON COLUMN ftchain.scrub_state.finished IS 'when a pass last came to its end';

CREATE TABLE ftchain.copies_digest (
    chain integer NOT NULL,
    span bigint NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (chain, span)
);
COMMENT ON TABLE ftchain.copies_digest IS 'digests of who stores which bodies, to be compared with those of other members';
COMMENT ON COLUMN ftchain.copies_digest.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.copies_digest.span IS 'height of the blocks, divided by 256';
COMMENT ON COLUMN ftchain.copies_digest.digest IS 'over blocks and members; empty if nobody has signed to store any';

CREATE TABLE ftchain.comparison (
    server text NOT NULL,
    chain integer NOT NULL,
    compared timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL,
    height bigint,
    differences bigint,
    taken bigint,
    calls bigint,
    bytes bigint,
    PRIMARY KEY (server, chain)
);
COMMENT ON TABLE ftchain.comparison IS 'how the last comparison with each peer came out';
COMMENT ON COLUMN ftchain.comparison.server IS 'foreign server the peer is reached through';
COMMENT ON COLUMN ftchain.comparison.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.comparison.compared IS 'when';
COMMENT ON COLUMN ftchain.comparison.outcome IS 'as compare() says it, or failed';
COMMENT ON COLUMN ftchain.comparison.height IS 'where the chains differ or one of them ends';
COMMENT ON COLUMN ftchain.comparison.differences IS 'heights of which both knew other members to store the body';
COMMENT ON COLUMN ftchain.comparison.taken IS 'heights of which this database learned something';
COMMENT ON COLUMN ftchain.comparison.calls IS 'calls it took';
COMMENT ON COLUMN ftchain.comparison.bytes IS 'bytes of these and of their answers';

CREATE TABLE ftchain.recovery_state (
    chain integer PRIMARY KEY,
    server text NOT NULL,
    phase text NOT NULL,
    head bigint,
    started timestamptz NOT NULL DEFAULT now(),
    finished timestamptz
);
COMMENT ON TABLE ftchain.recovery_state IS 'how far recover_member() is with each chain';
COMMENT ON COLUMN ftchain.recovery_state.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.recovery_state.server IS 'foreign server it is rebuilt from first';
COMMENT ON COLUMN ftchain.recovery_state.phase IS 'blocks, bodies, promises (bodies signed for that are placed elsewhere now) or done';
COMMENT ON COLUMN ftchain.recovery_state.head IS 'height of the main chain there when it began';
COMMENT ON COLUMN ftchain.recovery_state.started IS 'when it began';
COMMENT ON COLUMN ftchain.recovery_state.finished IS 'when it was done';

CREATE TABLE ftchain.alarm (
    chain integer NOT NULL,
    kind text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    member bytea,
    height bigint,
    detail text NOT NULL,
    lifted timestamptz,
    PRIMARY KEY (chain, kind)
);
COMMENT ON TABLE ftchain.alarm IS 'what this database does not go on with until an operator has looked at it';
COMMENT ON COLUMN ftchain.alarm.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.alarm.kind IS 'much damage: nothing is repaired by itself; divergence, recovery: nothing is written to the chain';
COMMENT ON COLUMN ftchain.alarm.since IS 'since when';
COMMENT ON COLUMN ftchain.alarm.member IS 'the member concerned';
COMMENT ON COLUMN ftchain.alarm.height IS 'height of the block concerned';
COMMENT ON COLUMN ftchain.alarm.detail IS 'in words';
COMMENT ON COLUMN ftchain.alarm.lifted IS 'when an operator lifted it; null while it holds';

CREATE TABLE ftchain.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "time" timestamptz NOT NULL DEFAULT now(),
    chain integer NOT NULL,
    block bytea,
    entry bigint,
    content text NOT NULL
);
COMMENT ON TABLE ftchain.quarantine IS 'damaged rows as they were before they were repaired';
COMMENT ON COLUMN ftchain.quarantine.id IS 'local number';
COMMENT ON COLUMN ftchain.quarantine."time" IS 'when';
COMMENT ON COLUMN ftchain.quarantine.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.quarantine.block IS 'block id';
COMMENT ON COLUMN ftchain.quarantine.entry IS 'local id of the entry';
COMMENT ON COLUMN ftchain.quarantine.content IS 'the row as json';

CREATE TABLE ftchain.incident (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "time" timestamptz NOT NULL DEFAULT now(),
    chain integer,
    kind text NOT NULL,
    height bigint,
    block bytea,
    member bytea,
    detail text NOT NULL
);
CREATE INDEX incident_time ON ftchain.incident ("time");
COMMENT ON TABLE ftchain.incident IS 'what went wrong and what was done';
COMMENT ON COLUMN ftchain.incident.id IS 'local number';
COMMENT ON COLUMN ftchain.incident."time" IS 'when';
COMMENT ON COLUMN ftchain.incident.chain IS 'local number of the chain';
COMMENT ON COLUMN ftchain.incident.kind IS 'refused, reorganisation, deep reorganisation, damage, repair, rollback, ...';
COMMENT ON COLUMN ftchain.incident.height IS 'height of the block';
COMMENT ON COLUMN ftchain.incident.block IS 'block id';
COMMENT ON COLUMN ftchain.incident.member IS 'the member concerned';
COMMENT ON COLUMN ftchain.incident.detail IS 'in words';

-- Guards: nothing but the extension's own code changes or removes what the
-- ledger holds, not even with session_replication_role = replica.
CREATE FUNCTION ftchain.refuse_change() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'ftchain_refuse_change';
COMMENT ON FUNCTION ftchain.refuse_change() IS 'refuses to change or remove what a ledger holds';

DO $$
DECLARE
    t name;
BEGIN
    FOREACH t IN ARRAY ARRAY['entry', 'bundle', 'block', 'block_bundle', 'main_chain', 'control',
                             'epoch_state', 'chain', 'origin', 'identity', 'incident', 'quarantine', 'replica', 'shard']::name[]
    LOOP
        EXECUTE format('CREATE TRIGGER guard BEFORE UPDATE OR DELETE OR TRUNCATE ON ftchain.%I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION ftchain.refuse_change()', t);
        EXECUTE format('ALTER TABLE ftchain.%I ENABLE ALWAYS TRIGGER guard', t);
    END LOOP;
END
$$;

-- What pg_dump carries: the ledger itself.  Not the identity, nor anything
-- that says how far this database is in sealing, sending and receiving.
DO $$
DECLARE
    t regclass;
BEGIN
    FOREACH t IN ARRAY ARRAY[
        'ftchain.chain', 'ftchain.chain_id_seq', 'ftchain.origin', 'ftchain.origin_id_seq',
        'ftchain.entry', 'ftchain.entry_id', 'ftchain.copy_id', 'ftchain.bundle', 'ftchain.bundle_id_seq',
        'ftchain.block', 'ftchain.block_arrival_seq', 'ftchain.block_bundle', 'ftchain.incomplete_block',
        'ftchain.main_chain',
        'ftchain.control', 'ftchain.epoch_state', 'ftchain.replica', 'ftchain.withdrawn', 'ftchain.word', 'ftchain.peer',
        'ftchain.incident', 'ftchain.incident_id_seq',
        'ftchain.quarantine', 'ftchain.quarantine_id_seq']::regclass[]
    LOOP
        PERFORM pg_extension_config_dump(t, '');
    END LOOP;
    -- Of bodies that are kept in shards nothing else is here.
    PERFORM pg_extension_config_dump('ftchain.shard', 'WHERE kept');
    PERFORM pg_extension_config_dump('ftchain.shard_copy', '');
END
$$;
