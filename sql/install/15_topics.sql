-- Users' messages: what is sent on topics, and what has come.

CREATE TABLE ftchain.stream_out (
    id integer GENERATED ALWAYS AS IDENTITY (MINVALUE 1 MAXVALUE 65535) PRIMARY KEY,
    member bytea NOT NULL,
    topic text NOT NULL,
    numbered bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    base bigint NOT NULL DEFAULT 0,
    acked bigint NOT NULL DEFAULT 0,
    value bytea NOT NULL DEFAULT '',
    acked_at timestamptz,
    given_up bigint NOT NULL DEFAULT 0,
    heard bigint NOT NULL DEFAULT 0,
    UNIQUE (member, topic)
);
COMMENT ON TABLE ftchain.stream_out IS 'a topic at a member that messages are sent to, and how far it has acknowledged them';
COMMENT ON COLUMN ftchain.stream_out.id IS 'number of the stream, as the link has it';
COMMENT ON COLUMN ftchain.stream_out.member IS 'the receiver';
COMMENT ON COLUMN ftchain.stream_out.topic IS 'name of the topic';
COMMENT ON COLUMN ftchain.stream_out.numbered IS 'position of the last message that has one';
COMMENT ON COLUMN ftchain.stream_out.epoch IS 'epoch of the link; 0 before it was first spoken with';
COMMENT ON COLUMN ftchain.stream_out.base IS 'position before the first message of the epoch';
COMMENT ON COLUMN ftchain.stream_out.acked IS 'position of the last message acknowledged';
COMMENT ON COLUMN ftchain.stream_out.value IS 'the link''s chain value after that message';
COMMENT ON COLUMN ftchain.stream_out.acked_at IS 'when the last acknowledgement came';
COMMENT ON COLUMN ftchain.stream_out.given_up IS 'position up to which resend() has given up what the receiver may lack';
COMMENT ON COLUMN ftchain.stream_out.heard IS 'incarnation of this database when the receiver last said how far it is; nothing is pruned before it has';

CREATE TABLE ftchain.epoch_out (
    stream integer NOT NULL,
    epoch bigint NOT NULL,
    base bigint NOT NULL,
    least bigint NOT NULL,
    most bigint NOT NULL,
    PRIMARY KEY (stream, epoch)
);
COMMENT ON TABLE ftchain.epoch_out IS 'where each epoch of a stream began, and what a receiver has that says to be in it';
COMMENT ON COLUMN ftchain.epoch_out.stream IS 'number of the stream';
COMMENT ON COLUMN ftchain.epoch_out.epoch IS 'the epoch';
COMMENT ON COLUMN ftchain.epoch_out.base IS 'position before its first message';
COMMENT ON COLUMN ftchain.epoch_out.least IS 'the receiver had all up to this position when it began';
COMMENT ON COLUMN ftchain.epoch_out.most IS 'position of the last message acknowledged when the next epoch began, or where that began, if that is more: what is beyond does not count';

CREATE SEQUENCE ftchain.message_seq;
COMMENT ON SEQUENCE ftchain.message_seq IS 'numbers of messages sent by this database';

-- A message is put here in the transaction that sends it.  Its position in the
-- stream is found later, when that has committed: see numbered.
CREATE TABLE ftchain.message_out (
    stream integer NOT NULL,
    seq bigint NOT NULL,
    xid xid8 NOT NULL,
    incarnation bigint NOT NULL,
    sent timestamptz NOT NULL,
    hash bytea NOT NULL,
    idempotency_key text,
    message json NOT NULL,
    PRIMARY KEY (stream, seq)
);
CREATE INDEX message_out_xid ON ftchain.message_out (xid);
CREATE UNIQUE INDEX message_out_key ON ftchain.message_out (stream, idempotency_key) WHERE idempotency_key IS NOT NULL;
COMMENT ON TABLE ftchain.message_out IS 'messages sent, until they are acknowledged and no longer kept';
COMMENT ON COLUMN ftchain.message_out.stream IS 'number of the stream';
COMMENT ON COLUMN ftchain.message_out.seq IS 'number of the message; some may be missing';
COMMENT ON COLUMN ftchain.message_out.xid IS 'the transaction that sent it';
COMMENT ON COLUMN ftchain.message_out.incarnation IS 'of this database when it was sent';
COMMENT ON COLUMN ftchain.message_out.sent IS 'when';
COMMENT ON COLUMN ftchain.message_out.hash IS 'SHA-256 of the message';
COMMENT ON COLUMN ftchain.message_out.idempotency_key IS 'given by the sender: the same is not sent twice';
COMMENT ON COLUMN ftchain.message_out.message IS 'the message, byte for byte';

CREATE TABLE ftchain.numbered (
    stream integer NOT NULL,
    first bigint NOT NULL,
    low bigint NOT NULL,
    high bigint NOT NULL,
    done timestamptz,
    PRIMARY KEY (stream, first)
);
CREATE INDEX numbered_open ON ftchain.numbered (stream, first) WHERE done IS NULL;
COMMENT ON TABLE ftchain.numbered IS 'positions of messages in their stream: without gaps, in the order in which they were committed';
COMMENT ON COLUMN ftchain.numbered.stream IS 'number of the stream';
COMMENT ON COLUMN ftchain.numbered.first IS 'position of the message low';
COMMENT ON COLUMN ftchain.numbered.low IS 'seq of the first message';
COMMENT ON COLUMN ftchain.numbered.high IS 'seq of the last: all in between are messages of the stream';
COMMENT ON COLUMN ftchain.numbered.done IS 'when all of them were acknowledged';

CREATE TABLE ftchain.number_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    snapshot pg_snapshot NOT NULL DEFAULT '1:1:'
);
INSERT INTO ftchain.number_state DEFAULT VALUES;
COMMENT ON TABLE ftchain.number_state IS 'how far messages have been given positions';
COMMENT ON COLUMN ftchain.number_state.one IS 'there is one row';
COMMENT ON COLUMN ftchain.number_state.snapshot IS 'what it shows has been';

CREATE TABLE ftchain.topic (
    name text PRIMARY KEY,
    owner text NOT NULL,
    deliver_to regclass,
    max_attempts integer NOT NULL,
    created timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ftchain.topic IS 'topics on which messages are received here';
COMMENT ON COLUMN ftchain.topic.name IS 'name';
COMMENT ON COLUMN ftchain.topic.owner IS 'name of the role that receives them';
COMMENT ON COLUMN ftchain.topic.deliver_to IS 'table that they are put into as they come; null if they wait for recv()';
COMMENT ON COLUMN ftchain.topic.max_attempts IS 'how often one is tried before it is a dead letter';
COMMENT ON COLUMN ftchain.topic.created IS 'when it was created';

CREATE TABLE ftchain.message_in (
    id bigint GENERATED ALWAYS AS IDENTITY,
    topic text NOT NULL,
    sender bytea NOT NULL,
    seq bigint NOT NULL,
    sent timestamptz NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    visible timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    message json NOT NULL,
    PRIMARY KEY (topic, id)
) WITH (fillfactor = 50);  -- each row is changed once, at least, when it is given
COMMENT ON TABLE ftchain.message_in IS 'messages that wait to be received and acknowledged';
COMMENT ON COLUMN ftchain.message_in.id IS 'local number, in the order in which they came';
COMMENT ON COLUMN ftchain.message_in.topic IS 'name of the topic';
COMMENT ON COLUMN ftchain.message_in.sender IS 'member that sent it';
COMMENT ON COLUMN ftchain.message_in.seq IS 'number of the message there';
COMMENT ON COLUMN ftchain.message_in.sent IS 'when it was sent, by the clock there';
COMMENT ON COLUMN ftchain.message_in.received IS 'when it came';
COMMENT ON COLUMN ftchain.message_in.visible IS 'when recv() gives it, or gives it again';
COMMENT ON COLUMN ftchain.message_in.attempts IS 'how often recv() gave it';
COMMENT ON COLUMN ftchain.message_in.message IS 'the message, byte for byte';

CREATE TABLE ftchain.dead_letter (
    id bigint PRIMARY KEY,
    topic text NOT NULL,
    sender bytea NOT NULL,
    seq bigint NOT NULL,
    sent timestamptz NOT NULL,
    received timestamptz NOT NULL,
    died timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL,
    error text,
    message json NOT NULL
);
COMMENT ON TABLE ftchain.dead_letter IS 'messages that were tried too often';
COMMENT ON COLUMN ftchain.dead_letter.id IS 'local number';
COMMENT ON COLUMN ftchain.dead_letter.topic IS 'name of the topic';
COMMENT ON COLUMN ftchain.dead_letter.sender IS 'member that sent it';
COMMENT ON COLUMN ftchain.dead_letter.seq IS 'number of the message there';
COMMENT ON COLUMN ftchain.dead_letter.sent IS 'when it was sent, by the clock there';
COMMENT ON COLUMN ftchain.dead_letter.received IS 'when it came';
COMMENT ON COLUMN ftchain.dead_letter.died IS 'when it was given up';
COMMENT ON COLUMN ftchain.dead_letter.attempts IS 'how often it was tried';
COMMENT ON COLUMN ftchain.dead_letter.error IS 'what went wrong the last time, if that is known';
COMMENT ON COLUMN ftchain.dead_letter.message IS 'the message, byte for byte';

-- Messages are known by their ids whatever epoch they come in.
CREATE TABLE ftchain.applied (
    member bytea NOT NULL,
    stream integer NOT NULL,
    incarnation bigint NOT NULL,
    bucket bigint NOT NULL,
    ids bytea NOT NULL,
    received timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (member, stream, incarnation, bucket)
);
COMMENT ON TABLE ftchain.applied IS 'messages received, so that none is twice';
COMMENT ON COLUMN ftchain.applied.member IS 'the sender';
COMMENT ON COLUMN ftchain.applied.stream IS 'number of the stream there';
COMMENT ON COLUMN ftchain.applied.incarnation IS 'of the sender when they were sent';
COMMENT ON COLUMN ftchain.applied.bucket IS 'their seqs, divided by 64';
COMMENT ON COLUMN ftchain.applied.ids IS 'of each the rest of its seq (1 byte) and the beginning of its id (8 bytes)';
COMMENT ON COLUMN ftchain.applied.received IS 'when the last of them came';

CREATE TABLE ftchain.stream_in (
    member bytea NOT NULL,
    stream integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    next bigint NOT NULL DEFAULT 1,
    value bytea NOT NULL DEFAULT '',
    before_next bigint NOT NULL DEFAULT 1,
    before_value bytea NOT NULL DEFAULT '',
    topic text,
    attempts integer NOT NULL DEFAULT 0,
    received bigint NOT NULL DEFAULT 0,
    early bigint NOT NULL DEFAULT 0,
    gaps bigint NOT NULL DEFAULT 0,
    dropped bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    last_reason text,
    received_at timestamptz,
    heard timestamptz,
    PRIMARY KEY (member, stream)
);
COMMENT ON TABLE ftchain.stream_in IS 'streams of messages from other databases, and how far each was taken';
COMMENT ON COLUMN ftchain.stream_in.member IS 'the sender';
COMMENT ON COLUMN ftchain.stream_in.stream IS 'number of the stream there';
COMMENT ON COLUMN ftchain.stream_in.epoch IS 'epoch of the link';
COMMENT ON COLUMN ftchain.stream_in.next IS 'seq of the next message';
COMMENT ON COLUMN ftchain.stream_in.value IS 'the link''s chain value before it';
COMMENT ON COLUMN ftchain.stream_in.before_next IS 'next, before the last call that advanced it';
COMMENT ON COLUMN ftchain.stream_in.before_value IS 'value, before that call';
COMMENT ON COLUMN ftchain.stream_in.topic IS 'topic of the last message';
COMMENT ON COLUMN ftchain.stream_in.attempts IS 'how often the next one was tried';
COMMENT ON COLUMN ftchain.stream_in.received IS 'messages taken';
COMMENT ON COLUMN ftchain.stream_in.early IS 'messages put aside because others before them had not come';
COMMENT ON COLUMN ftchain.stream_in.gaps IS 'calls that came while something before their messages was missing';
COMMENT ON COLUMN ftchain.stream_in.dropped IS 'messages that were not taken, and had to come again';
COMMENT ON COLUMN ftchain.stream_in.duplicates IS 'messages dropped because they had been taken';
COMMENT ON COLUMN ftchain.stream_in.refused IS 'messages that the topic''s table refused, put with the dead letters';
COMMENT ON COLUMN ftchain.stream_in.last_reason IS 'why the last one that was not taken was not';
COMMENT ON COLUMN ftchain.stream_in.received_at IS 'when the last message came';
COMMENT ON COLUMN ftchain.stream_in.heard IS 'when one came, some time ago: what was taken an hour before that the sender knew to be taken';

-- What pg_dump carries: topics and what waits on them.  What was to be sent was
-- to be sent by this database, which a restored dump is not.
SELECT pg_extension_config_dump('ftchain.topic', '');
SELECT pg_extension_config_dump('ftchain.message_in', '');
SELECT pg_extension_config_dump('ftchain.message_in_id_seq', '');
SELECT pg_extension_config_dump('ftchain.dead_letter', '');
SELECT pg_extension_config_dump('ftchain.applied', '');
