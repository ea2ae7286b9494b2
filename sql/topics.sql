-- Topics and messages in one database.  What crosses to another: test/t/047_messages.pl.
SET client_min_messages = warning;
CREATE EXTENSION ftchain;
CREATE EXTENSION postgres_fdw;

SELECT ftchain.create_identity() IS NOT NULL AS somebody;

-- Sending: what is wrong with it is said.
SELECT * FROM ftchain.send('nowhere', 'orders', '{}');
CREATE SERVER regress_topics FOREIGN DATA WRAPPER postgres_fdw;
SELECT * FROM ftchain.send('regress_topics', 'orders', '{}');
INSERT INTO ftchain.peer (server, member, public_key) VALUES ('regress_topics', sha256('regress'), sha256('key'));
SELECT * FROM ftchain.send('regress_topics', '', '{}');
SELECT * FROM ftchain.send('regress_topics', repeat('x', 64), '{}');
SELECT * FROM ftchain.send('regress_topics', NULL, '{}');
SELECT * FROM ftchain.send('regress_topics', 'orders', NULL);
SELECT * FROM ftchain.send('regress_topics', 'orders', to_json(repeat('x', 1024 * 1024)));
SELECT * FROM ftchain.send('regress_topics', 'orders', (repeat('[', 1001) || repeat(']', 1001))::json);
SELECT * FROM ftchain.resend('regress_topics', 'orders');

-- Sent once by key, in this transaction and after it; not if it is rolled back.
BEGIN;
SELECT * FROM ftchain.send('regress_topics', 'orders', '{"n": 1}', 'one');
SELECT * FROM ftchain.send('regress_topics', 'orders', '{"n": 1}', 'one');
COMMIT;
SELECT * FROM ftchain.send('regress_topics', 'orders', '{"n": 1}', 'one');
SELECT * FROM ftchain.send('regress_topics', 'orders', '{"n":  1}', 'one');
SELECT created FROM ftchain.send('regress_topics', 'other', '{"n": 1}', 'one');
BEGIN;
SELECT created FROM ftchain.send('regress_topics', 'orders', '{"n": 2}', 'two');
ROLLBACK;
SELECT created FROM ftchain.send('regress_topics', 'orders', '{"n": 2}', idempotency_key => 'two');
SELECT m.stream, m.message, m.idempotency_key, m.hash = sha256(m.message::text::bytea) AS hashed FROM ftchain.message_out m ORDER BY m.seq;
SELECT direction, topic, server, messages FROM ftchain.streams ORDER BY topic;

-- Receiving
SELECT ftchain.create_topic('');
SELECT ftchain.create_topic(NULL);
SELECT ftchain.create_topic('jobs', max_attempts => 0);
SELECT ftchain.create_topic('jobs', max_attempts => 2);
SELECT ftchain.create_topic('jobs');
SELECT ftchain.create_topic('view', deliver_to => 'pg_catalog.pg_tables');
CREATE TABLE public.regress_orders (n integer);
SELECT ftchain.create_topic('rows', deliver_to => 'public.regress_orders');
SELECT * FROM ftchain.recv('rows');
SELECT * FROM ftchain.recv('nothing');
SELECT * FROM ftchain.recv('jobs', 0);
SELECT * FROM ftchain.recv('jobs', 10001);
SELECT * FROM ftchain.recv('jobs', NULL);
SELECT * FROM ftchain.recv('jobs');
INSERT INTO ftchain.message_in (topic, sender, seq, sent, message)
    SELECT 'jobs', sha256('regress'), g, '2026-01-01 00:00:00Z', json_build_object('n', g) FROM generate_series(1, 5) g;
SELECT seq, message, attempts FROM ftchain.recv('jobs', 2);
-- Nobody gets them again for now; those that are next are given.
SELECT seq, message, attempts FROM ftchain.recv('jobs', 2, '0');
SELECT seq, message, attempts FROM ftchain.recv('jobs', 2, '0');
-- Tried twice is tried too often: they are dead letters, and the last one comes.
SELECT seq, message, attempts FROM ftchain.recv('jobs', 10, '1 hour');
SELECT topic, seq, attempts, error, message FROM ftchain.dead_letter ORDER BY id;
SELECT ftchain.retry('jobs', '{}');
SELECT ftchain.retry('jobs', ARRAY(SELECT min(id) FROM ftchain.dead_letter));
SELECT ftchain.retry('jobs');
-- Those of a topic with a table go into it; what it refuses stays.
INSERT INTO ftchain.dead_letter (id, topic, sender, seq, sent, received, attempts, error, message)
    SELECT 1000 + g, 'rows', sha256('regress'), g, '2026-01-01 00:00:00Z', '2026-01-01 00:00:01Z', 5, 'refused', m::json
      FROM unnest(ARRAY['{"n": 1}', '{"n": "x"}', '{"n": 3}']) WITH ORDINALITY AS u (m, g);
SELECT ftchain.retry('rows', ARRAY[1001]);
SELECT ftchain.retry('rows');
SELECT seq, attempts, error FROM ftchain.dead_letter WHERE topic = 'rows' ORDER BY id;
SELECT n FROM public.regress_orders ORDER BY n;
DELETE FROM ftchain.dead_letter;
SELECT seq, attempts FROM ftchain.recv('jobs', 10);
SELECT ftchain.ack('jobs', (SELECT id FROM ftchain.message_in WHERE seq = 1));
SELECT ftchain.ack('jobs', 0);
SELECT ftchain.ack('jobs', ARRAY(SELECT id FROM ftchain.message_in));
SELECT ftchain.ack('jobs', NULL::bigint);
SELECT ftchain.ack('nothing', 1);
SELECT count(*) FROM ftchain.message_in;

-- A topic is its owner's; messages are not for every reader.
CREATE ROLE regress_topics_writer;
GRANT ftchain_writer TO regress_topics_writer;
SET ROLE regress_topics_writer;
SELECT * FROM ftchain.recv('jobs');
SELECT ftchain.ack('jobs', 1);
SELECT ftchain.retry('jobs');
SELECT ftchain.create_topic('mine');
SELECT * FROM ftchain.send('regress_topics', 'orders', '{}');
SELECT count(*) FROM ftchain.message_in;
SELECT count(*) FROM ftchain.message_out;
SELECT count(*) FROM ftchain.dead_letter;
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER regress_topics TO regress_topics_writer;
CREATE ROLE regress_topics_admin;
GRANT ftchain_admin, regress_topics_writer TO regress_topics_admin;
SET ROLE regress_topics_writer;
SELECT created FROM ftchain.send('regress_topics', 'orders', '{}');
RESET ROLE;
SET ROLE regress_topics_admin;
SELECT ftchain.create_topic('stolen', deliver_to => 'public.regress_orders');
SELECT ftchain.create_topic('theirs');
SELECT ftchain.drop_topic('jobs');
RESET ROLE;
CREATE ROLE regress_topics_other;
GRANT ftchain_writer TO regress_topics_other;
SET ROLE regress_topics_other;
SELECT * FROM ftchain.recv('theirs');
RESET ROLE;

SELECT ftchain.drop_topic('jobs');
SELECT ftchain.drop_topic('jobs');
SELECT ftchain.drop_topic('rows');
DROP EXTENSION ftchain;
DROP EXTENSION postgres_fdw CASCADE;
DROP TABLE public.regress_orders;
DROP ROLE regress_topics_writer, regress_topics_admin, regress_topics_other;
