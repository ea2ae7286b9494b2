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

-- Loads, and moves before they are made.
SELECT query, pg_temp.refused('SELECT * FROM ftchain.' || query) FROM unnest(ARRAY[
    $$place('a')$$,
    $$place('a', sha256(''), 0)$$,
    $$place('a', height => 99)$$,
    $$place('a', height => -1)$$,
    $$ring_load('nowhere')$$,
    $$ring_load(NULL)$$,
    $$ring_moves('nowhere')$$,
    $$ring_moves(NULL)$$,
    $$ring_moves('a', add => '{NULL}')$$,
    $$ring_moves('a', remove => '{nobody}')$$,
    $$ring_moves('a', remove => '{\\x00}')$$,
    $$ring_moves('a', reweight => '[1]')$$,
    $$ring_moves('a', reweight => '{"nobody": 1}')$$,
    $$ring_moves('a', reweight => '{"x": "1"}')$$,
    $$ring_moves('a', add => '{x}', reweight => '{"x": 1001}')$$,
    $$ring_moves('a', add => '{x}', reweight => '{"x": -1}')$$,
    $$ring_moves('a', add => '{x}', reweight => '{"x": 1e10}')$$,
    $$ring_moves('a', add => '{x}', set_zone => '{"x": 1}')$$,
    $$ring_moves('a', add => '{x}', set_zone => '{"x": {"y": 1}}')$$,
    $$ring_moves('a', add => ARRAY['x'], set_zone => jsonb_build_object('x', repeat('z', 64)))$$,
    $$ring_moves('a', add => '{x,x}')$$,
    $$ring_svg('nowhere')$$,
    $$ring_svg(NULL)$$]) AS query;
SELECT p.member = i.member AS self FROM ftchain.place('a', height => 0) p, ftchain.identity i;
SELECT length(ftchain.append('a', '1')::text) > 0 AS appended;
CALL ftchain.seal('a');
SELECT fair, share, load, owned, owned_bytes > 0 AS some_bytes, held, owned_bytes = held_bytes AS all_bytes, missing FROM ftchain.ring_load('a');
-- alone: a newcomer gets a copy of each body, a second one takes some of both
SELECT from_name, to_name, share, bodies, bytes > 0 AS some_bytes, optimum FROM ftchain.ring_moves('a', add => '{x}');
SELECT from_name, to_name, share FROM ftchain.ring_moves('a', add => '{x}', remove => ARRAY[current_database()::text]);
SELECT count(*) FROM ftchain.ring_moves('a');
SELECT count(*) FROM ftchain.ring_moves('a', add => '{x}', reweight => '{"x": 0}');
-- names and ids mean the same
SELECT a.share = b.share AS same FROM ftchain.ring_moves('a', add => '{x}', remove => ARRAY[current_database()::text]) a,
       ftchain.ring_moves('a', add => '{x}', remove => ARRAY[(SELECT member::text FROM ftchain.identity)]) b;
BEGIN;
ALTER TABLE ftchain.epoch_state DISABLE TRIGGER guard;
UPDATE ftchain.epoch_state s SET content = pg_temp.with_members(s.content, (SELECT array_agg(m) FROM member m))
  FROM ftchain.chain c JOIN ftchain.main_chain m ON m.chain = c.id JOIN ftchain.block b ON b.id = m.block, ftchain.decode_header(b.header) h
 WHERE c.name = 'a' AND h.state = s.root;
-- by weights, and in zones; max/mean is the greatest load
SELECT l.name, l.zone, l.weight, round(l.fair::numeric, 4) AS fair, l.share BETWEEN 0 AND 1 AS possible FROM ftchain.ring_load('a') l JOIN member o ON o.name = l.name ORDER BY o.n;
SELECT round(sum(fair)::numeric, 9) AS fair, round(sum(share)::numeric, 9) AS copies, sum(owned) AS owned, sum(missing) AS missing FROM ftchain.ring_load('a');
-- what moves is what the one that goes or comes owns, and no more
SELECT bool_and(from_name = 'm12') AS from_it, round((sum(m.share) / max(m.optimum))::numeric, 9) AS against_optimum, bool_and(l.share - m.optimum < 1e-9) AS all_of_it
  FROM ftchain.ring_moves('a', remove => '{m12}') m, ftchain.ring_load('a') l WHERE l.name = 'm12';
SELECT bool_and(to_name = 'x') AS to_it, round((sum(share) / max(optimum))::numeric, 9) AS against_optimum FROM ftchain.ring_moves('a', add => '{x}', set_zone => '{"x": "west"}');
SELECT bool_and(to_name = 'm1') AS to_it, round((sum(share) / max(optimum))::numeric, 9) AS against_optimum FROM ftchain.ring_moves('a', reweight => '{"m1": 2}');
SELECT bool_and(from_name = 'm7') AS from_it, round((sum(share) / max(optimum))::numeric, 9) AS against_optimum FROM ftchain.ring_moves('a', reweight => '{"m7": 0}');
SELECT count(*) > 0 AS moves, sum(share) >= max(optimum) AS at_least FROM ftchain.ring_moves('a', set_zone => '{"m1": "west"}');
-- keys say the same as arcs, within chance
SELECT abs(avg((p.name IS NOT NULL)::int) - max(l.share)) < 0.05 AS as_predicted
  FROM generate_series(1, 2000) i LEFT JOIN LATERAL (SELECT name FROM ftchain.place('a', sha256(i::text::bytea)) WHERE name = 'm6') p ON true, ftchain.ring_load('a') l WHERE l.name = 'm6';
-- a picture: XML, the same each time, and what is in names does no harm
SELECT xml_is_well_formed_document(ftchain.ring_svg('a')) AS well_formed, ftchain.ring_svg('a') = ftchain.ring_svg('a') AS same, ftchain.ring_svg('a') LIKE '<svg xmlns=%>m14<%' AS named;
UPDATE member SET name = '<&">'']]>' || chr(1), zone = '<!--' WHERE n = 2;
UPDATE ftchain.epoch_state s SET content = pg_temp.with_members(s.content, (SELECT array_agg(m) FROM member m))
  FROM ftchain.chain c JOIN ftchain.main_chain m ON m.chain = c.id JOIN ftchain.block b ON b.id = m.block, ftchain.decode_header(b.header) h
 WHERE c.name = 'a' AND h.state = s.root;
SELECT xml_is_well_formed_document(ftchain.ring_svg('a')) AS well_formed;
ROLLBACK;
SELECT xml_is_well_formed_document(ftchain.ring_svg('idle')) AS well_formed, xml_is_well_formed_document(ftchain.ring_svg('a')) AS alone;

-- Verbs: alone on the chain a change counts from the next block on.
SELECT query, pg_temp.refused('SELECT ftchain.' || query) FROM unnest(ARRAY[
    $$reweight('nowhere', 'x', 1)$$,
    $$reweight(NULL, 'x', 1)$$,
    $$reweight('a', NULL::text, 1)$$,
    $$reweight('a', NULL::bytea, 1)$$,
    $$reweight('a', 'nobody', 1)$$,
    $$reweight('a', sha256(''), 1)$$,
    $$reweight('a', '\x00'::bytea, 1)$$,
    $$reweight('a', current_database(), NULL)$$,
    $$reweight('a', current_database(), 1001)$$,
    $$reweight('a', current_database(), -1)$$,
    $$set_zone('a', current_database(), NULL)$$,
    $$set_zone('a', current_database(), repeat('z', 64))$$,
    $$remove_member('a', 'nobody')$$,
    $$leave('nowhere')$$,
    $$leave(NULL)$$,
    $$leave('a')$$]) AS query;
SELECT length(ftchain.reweight('a', current_database()::text, 7)) AS control, length(ftchain.set_zone('a', (SELECT member FROM ftchain.identity), 'there')) AS another;
SELECT zone, weight, change, change_height FROM ftchain.members('a');
-- in a block they count from the next one on
CALL ftchain.seal('a');
SELECT zone, weight, change, change_height FROM ftchain.members('a');
SELECT length(ftchain.reweight('a', (SELECT member::text FROM ftchain.identity), 0)) AS by_id;
CALL ftchain.seal('a');
SELECT count(*) AS owners FROM ftchain.place('a', sha256(''));
SELECT weight, points, share FROM ftchain.ring('a');
SELECT fair, share, load, owned, held FROM ftchain.ring_load('a');
SELECT * FROM ftchain.verify('a');
