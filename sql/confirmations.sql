-- confirmations() and wait_for(), in a session that seals by itself.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
\pset null '(null)'

CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    about text;
    advice text;
BEGIN
    EXECUTE query;
    RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS about = PG_EXCEPTION_DETAIL, advice = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(about, ''), nullif(advice, ''));
END
$$;

SELECT ftchain.create_chain('a', attempts => 16, spacing => '1 ms') IS NOT NULL AS created;
SELECT ftchain.create_chain('b', attempts => 16, spacing => '1 ms') IS NOT NULL AS created;
SELECT seq FROM ftchain.append('a', '1');
SELECT ftchain.confirmations('a', 1), ftchain.wait_for('a', 1, timeout => '0'), ftchain.wait_for('a', 1, timeout => '20 ms');
CALL ftchain.seal();
SELECT ftchain.confirmations('a', 1), ftchain.wait_for('a', 1), ftchain.wait_for('a', 1, 2, '20 ms');
SELECT seq FROM ftchain.append('a', '2');
CALL ftchain.seal();
SELECT seqs FROM ftchain.append_many('a', ARRAY['3', '4']::json[]);
CALL ftchain.seal();
SELECT seq, ftchain.confirmations('a', seq), ftchain.wait_for('a', seq, ftchain.confirmations('a', seq)::integer) FROM generate_series(1, 4) seq;
-- with the origin and the incarnation
SELECT ftchain.confirmations('a', 2, origin, incarnation), ftchain.confirmations('a', 2, origin), ftchain.confirmations('a', 2, incarnation => incarnation),
       ftchain.wait_for('a', 2, 2, origin => origin, incarnation => incarnation)
  FROM ftchain.entries WHERE seq = 2;
-- what another one has appended may still come; what this database has not, never does
SELECT ftchain.wait_for('a', 1, timeout => '20 ms', origin => sha256('another'));
SELECT query, pg_temp.refused('SELECT ftchain.' || query) FROM unnest(ARRAY[
    $$confirmations('a', 5)$$,
    $$confirmations('b', 1)$$,
    $$confirmations('a', 0)$$,
    $$confirmations('a', 1, sha256('another'))$$,
    $$confirmations('a', 1, incarnation => 7)$$,
    $$confirmations('a', 1, '\x00')$$,
    $$confirmations('nowhere', 1)$$,
    $$confirmations(NULL, 1)$$,
    $$confirmations('a', NULL)$$,
    $$wait_for('a', 5)$$,
    $$wait_for('b', 1)$$,
    $$wait_for('a', 1, incarnation => 7)$$,
    $$wait_for('a', 1, 0)$$,
    $$wait_for('a', 1, timeout => '-1 s')$$,
    $$wait_for('nowhere', 1)$$,
    $$wait_for(NULL, 1)$$]) AS query;
-- an entry of a transaction that has not ended cannot be waited for in it
BEGIN;
SELECT seq FROM ftchain.append('a', '"open"') \gset
SELECT ftchain.confirmations('a', :seq);
SELECT pg_temp.refused(format('SELECT ftchain.wait_for(''a'', %s)', :seq));
ROLLBACK;
SELECT pg_temp.refused(format('SELECT ftchain.wait_for(''a'', %s)', :seq));
-- a snapshot of long ago does not hide what is there
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT ftchain.confirmations('a', 1);
COMMIT;
-- a wait can be cancelled
SELECT seq FROM ftchain.append('a', '"waits"') \gset
SET statement_timeout = '50 ms';
SELECT ftchain.wait_for('a', :seq);
RESET statement_timeout;

DROP EXTENSION ftchain;
