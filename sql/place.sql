-- place(), ring() and members(): who owns what, against a second reckoning.

SET client_min_messages = warning;
DROP EXTENSION IF EXISTS ftchain;
CREATE EXTENSION ftchain;
\pset null '(null)'

CREATE FUNCTION pg_temp.refused(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    about text;
BEGIN
    EXECUTE query;
    RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS about = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(about, ''));
END
$$;

SELECT length(ftchain.create_chain('a', attempts => 16, spacing => '1 ms', zone => 'here', weight => 3));
SELECT length(ftchain.create_chain('idle', attempts => 16, spacing => '1 ms', weight => 0));
SELECT query, pg_temp.refused('SELECT * FROM ftchain.' || query) FROM unnest(ARRAY[
    $$place('nowhere', sha256(''))$$,
    $$place('a', NULL)$$,
    $$place(NULL, sha256(''))$$,
    $$place('a', '')$$,
    $$place('a', '\x00000000000000')$$,
    $$ring('nowhere')$$,
    $$ring(NULL)$$,
    $$members('nowhere')$$,
    $$members(NULL)$$]) AS query;

-- One member owns everything, however short or long the key.
SELECT length(key), p."position", p.member = i.member AS self, p.name = current_database() AS name, p.zone
  FROM unnest(ARRAY['\x0000000000000000', '\xffffffffffffffff', '\x8000000000000000', sha256(''), sha256('') || sha256('x')]) key,
       ftchain.place('a', key) p, ftchain.identity i;
SELECT r.member = i.member AS self, r.name = current_database() AS name, r.zone, r.weight, r.points, round(r.share::numeric, 9) AS share
  FROM ftchain.ring('a') r, ftchain.identity i;
SELECT m.zone, m.weight, m.governor, m.full_copy, m.member = i.member AS self, m.public_key = i.public_key AS key FROM ftchain.members('a') m, ftchain.identity i;
SELECT share = 1 AS exactly_all FROM ftchain.ring('a');
-- one without weight owns nothing
SELECT * FROM ftchain.place('idle', sha256(''));
SELECT weight, points, share FROM ftchain.ring('idle');

-- Many members, in a state that nobody founded: put in place of chain a's, and
-- taken back.  14 members in 4 zones, some of them heavier, one without weight.
CREATE TEMP TABLE member AS
SELECT n, sha256('member' || n::text::bytea) AS id, set_byte(sha256('key' || n::text::bytea), 31, 1) AS key,
       CASE n WHEN 5 THEN 0 WHEN 6 THEN 3 WHEN 7 THEN 10 ELSE 1 END AS weight, n = 3 AS governor, n = 4 AS full_copy,
       CASE WHEN n <= 6 THEN 'north' WHEN n <= 9 THEN 'süd' WHEN n = 10 THEN '' ELSE 'west' END AS zone, 'm' || n AS name
  FROM generate_series(1, 14) n;
CREATE FUNCTION pg_temp.leaf(m member) RETURNS bytea LANGUAGE sql AS $$
SELECT '\x0112'::bytea || m.id || '\x01'::bytea || m.key || int4send(m.weight) || set_byte('\x00', 0, m.governor::int + 2 * m.full_copy::int) ||
       set_byte('\x00', 0, octet_length(m.zone)) || convert_to(m.zone, 'UTF8') || set_byte('\x00', 0, octet_length(m.name)) || convert_to(m.name, 'UTF8')
$$;
CREATE FUNCTION pg_temp.with_members(content bytea, chosen member[]) RETURNS bytea LANGUAGE sql AS $$
SELECT substr(content, 1, 2 + 256 * get_byte(content, 0) + get_byte(content, 1) + 36) ||
       (SELECT string_agg(int2send(length(pg_temp.leaf(m))::smallint) || pg_temp.leaf(m), '' ORDER BY m.id) FROM unnest(chosen) m)
$$;
-- positions: the 64-bit words of SHA-256(id || counter)
CREATE TEMP TABLE point AS
SELECT m.n, (('x' || encode(substr(h, 8 * w + 1, 8), 'hex'))::bit(64)::bigint::numeric + 18446744073709551616) % 18446744073709551616 AS position
  FROM member m, generate_series(0, m.weight * 128 - 1) c, LATERAL (SELECT sha256(m.id || int4send(c)) AS h) x, generate_series(0, 3) w;
SELECT (SELECT count(*) FROM point) = 512 * sum(weight) AS all_points, sum(weight) FROM member;
-- owners: clockwise from the last eight bytes of the key; first the nearest of
-- each zone, then the nearest of the rest
CREATE FUNCTION pg_temp.owners(key bytea, r int, chosen int[]) RETURNS int[] LANGUAGE sql AS $$
WITH k AS (SELECT (('x' || encode(substr(key, length(key) - 7), 'hex'))::bit(64)::bigint::numeric + 18446744073709551616) % 18446744073709551616 AS k),
     near AS (SELECT p.n, m.zone, min((p.position - k.k + 18446744073709551616) % 18446744073709551616) AS distance
                FROM point p JOIN member m ON m.n = p.n, k WHERE p.n = ANY (chosen) GROUP BY p.n, m.zone),
     ranked AS (SELECT n, distance, row_number() OVER (PARTITION BY zone ORDER BY distance) > 1 AS second FROM near)
SELECT ARRAY(SELECT n FROM ranked ORDER BY second, distance LIMIT r)
$$;
BEGIN;
ALTER TABLE ftchain.epoch_state DISABLE TRIGGER guard;
CREATE TEMP TABLE saved ON COMMIT DROP AS
SELECT s.* FROM ftchain.epoch_state s JOIN ftchain.chain c ON c.name = 'a' JOIN ftchain.block b ON b.id = c.genesis, ftchain.decode_header(b.header) h WHERE s.root = h.state;
UPDATE ftchain.epoch_state s SET content = pg_temp.with_members(s.content, (SELECT array_agg(m) FROM member m)) FROM saved WHERE saved.root = s.root;
SELECT m.name, m.zone, m.weight, m.governor, m.full_copy, m.member = o.id AS id, m.public_key = o.key AS key
  FROM ftchain.members('a') m JOIN member o ON o.name = m.name ORDER BY o.n;
SELECT bool_and(member > before) AS ascending FROM (SELECT member, lag(member) OVER () AS before FROM ftchain.members('a')) x;
SELECT r.name, r.zone, r.weight, r.points, r.share BETWEEN r.weight / 24.0 * 0.85 AND r.weight / 24.0 * 1.15 AS fair
  FROM ftchain.ring('a') r JOIN member o ON o.name = r.name ORDER BY o.n;
SELECT sum(weight) AS weight, sum(points) AS points, round(sum(share)::numeric, 9) AS whole FROM ftchain.ring('a');
SELECT count(*) AS keys, bool_and(owners = pg_temp.owners(key, 3, ARRAY(SELECT n FROM member))) AS as_reckoned, bool_and(zones = 3) AS in_three_zones,
       bool_and(positions = '{1,2,3}') AS positions
  FROM (SELECT k.key, array_agg(o.n ORDER BY p."position") AS owners, array_agg(p."position" ORDER BY p."position") AS positions, count(DISTINCT p.zone) AS zones
          FROM generate_series(1, 15) i, LATERAL (SELECT sha256(i::text::bytea) AS key) k, ftchain.place('a', k.key) p JOIN member o ON o.id = p.member
         GROUP BY k.key) x;
-- only the end of a key counts: proof of work makes the start of ids small
SELECT count(DISTINCT owners) AS same FROM (SELECT array_agg(p.name ORDER BY p."position") AS owners
  FROM unnest(ARRAY[sha256('k'), substr(sha256('k'), 25), decode(repeat('00', 24), 'hex') || substr(sha256('k'), 25)]) key, ftchain.place('a', key) p GROUP BY key) x;
-- at the very points of the ring, and beside them
SELECT bool_and(owners = pg_temp.owners(key, 3, ARRAY(SELECT n FROM member))) AS as_reckoned
  FROM (SELECT k.key, array_agg(o.n ORDER BY p."position") AS owners
          FROM (SELECT position + off AS at FROM (SELECT position FROM point ORDER BY position LIMIT 3) p, unnest(ARRAY[-1, 0, 1]) off
                UNION SELECT position + off FROM (SELECT position FROM point ORDER BY position DESC LIMIT 3) p, unnest(ARRAY[-1, 0, 1]) off
                UNION VALUES (0), (18446744073709551615)) a,
               LATERAL (SELECT int8send((CASE WHEN at >= 9223372036854775808 THEN at - 18446744073709551616 ELSE at END)::bigint) AS key) k,
               ftchain.place('a', k.key) p JOIN member o ON o.id = p.member
         GROUP BY k.key) x;
-- A member that leaves moves nothing but what it owned.
CREATE TEMP TABLE before ON COMMIT DROP AS
SELECT i, array_agg(p.name ORDER BY p."position") AS owners FROM generate_series(1, 100) i, ftchain.place('a', sha256(i::text::bytea)) p GROUP BY i;
UPDATE ftchain.epoch_state s SET content = pg_temp.with_members(s.content, (SELECT array_agg(m) FROM member m WHERE n <> 12)) FROM saved WHERE saved.root = s.root;
SELECT count(*) AS keys, bool_and(a.owners = b.owners) FILTER (WHERE NOT b.owners @> '{m12}') AS others_stay, bool_and(NOT a.owners @> '{m12}') AS gone,
       count(*) FILTER (WHERE b.owners @> '{m12}') > 0 AS it_owned_some
  FROM before b JOIN (SELECT i, array_agg(p.name ORDER BY p."position") AS owners FROM generate_series(1, 100) i, ftchain.place('a', sha256(i::text::bytea)) p GROUP BY i) a USING (i);
-- With fewer zones, or fewer members, than replicas they are used up.
UPDATE ftchain.epoch_state s SET content = pg_temp.with_members(s.content, (SELECT array_agg(m) FROM member m WHERE n IN (1, 2, 3, 8))) FROM saved WHERE saved.root = s.root;
SELECT bool_and(owners = pg_temp.owners(key, 3, '{1,2,3,8}')) AS as_reckoned, min(cardinality(owners)), max(cardinality(owners))
  FROM (SELECT k.key, array_agg(o.n ORDER BY p."position") AS owners
          FROM generate_series(1, 8) i, LATERAL (SELECT sha256(i::text::bytea) AS key) k, ftchain.place('a', k.key) p JOIN member o ON o.id = p.member GROUP BY k.key) x;
UPDATE ftchain.epoch_state s SET content = pg_temp.with_members(s.content, (SELECT array_agg(m) FROM member m WHERE n IN (5, 6, 7))) FROM saved WHERE saved.root = s.root;
SELECT p."position", p.name FROM ftchain.place('a', '\x0000000000000000') p;
ROLLBACK;
-- all is as it was
SELECT count(*) FROM ftchain.members('a');
SELECT * FROM ftchain.verify('a');
