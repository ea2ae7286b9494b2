-- Users' messages.

CREATE FUNCTION ftchain.send(peer text, topic text, message json, idempotency_key text DEFAULT NULL,
        OUT seq bigint, OUT created boolean)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_send';
COMMENT ON FUNCTION ftchain.send(text, text, json, text) IS 'send a message to a topic of the database behind a foreign server, if this transaction commits; gives its number, and false if one with that key was sent before';

CREATE FUNCTION ftchain.resend(peer text, topic text) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_resend';
COMMENT ON FUNCTION ftchain.resend(text, text) IS 'send all messages of a topic that are still kept again, each taken once all the same; gives how many there are';

CREATE FUNCTION ftchain.create_topic(topic text, deliver_to regclass DEFAULT NULL, max_attempts integer DEFAULT 5) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_create_topic';
COMMENT ON FUNCTION ftchain.create_topic(text, regclass, integer) IS 'receive messages on a topic: into a table, whose columns are the keys of the json, or for recv()';

CREATE FUNCTION ftchain.drop_topic(topic text) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_drop_topic';
COMMENT ON FUNCTION ftchain.drop_topic(text) IS 'no longer receive messages on a topic, and forget those that wait; gives how many did';

CREATE FUNCTION ftchain.recv(topic text, n integer DEFAULT 1, visibility interval DEFAULT '30 seconds')
    RETURNS TABLE (id bigint, sender bytea, seq bigint, message json, sent timestamptz, received timestamptz, attempts integer)
    LANGUAGE c VOLATILE ROWS 10 AS 'MODULE_PATHNAME', 'ftchain_recv';
COMMENT ON FUNCTION ftchain.recv(text, integer, interval) IS 'the next messages of a topic; nobody else gets them for so long, and if they are not acknowledged by then they come again';

CREATE FUNCTION ftchain.ack(topic text, ids bigint[]) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_ack';
COMMENT ON FUNCTION ftchain.ack(text, bigint[]) IS 'these messages are done with; gives how many there were';

CREATE FUNCTION ftchain.ack(topic text, id bigint) RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_ack_one';
COMMENT ON FUNCTION ftchain.ack(text, bigint) IS 'this message is done with; says whether it was there';

CREATE FUNCTION ftchain.retry(topic text, ids bigint[] DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_retry';
COMMENT ON FUNCTION ftchain.retry(text, bigint[]) IS 'dead letters of a topic, these or all, wait for recv() again, or go into its table; gives how many did';

-- What members call on each other; see doc/PROTOCOL.md.

CREATE FUNCTION ftchain.peer_stream(protocol integer, sender bytea, stream integer,
        OUT protocol_spoken integer, OUT member bytea, OUT epoch bigint, OUT next bigint, OUT value bytea,
        OUT room_messages integer, OUT room_bytes bigint, OUT early bytea, OUT before_next bigint, OUT before_value bytea)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'ftchain_peer_stream';
COMMENT ON FUNCTION ftchain.peer_stream(integer, bytea, integer) IS 'for peers: how far a stream of messages from the sender is';
