--
-- One database from end to end: what somebody sees who tries ftchain out.
--
CREATE EXTENSION ftchain;
SELECT length(ftchain.create_chain('audit', attempts => 16, spacing => '1 ms')) AS genesis;
SELECT seq FROM ftchain.append('audit', '{"action": "login"}');
SELECT seqs FROM ftchain.append_many('audit', ARRAY['{"a": 1}', '{"a": 2}']::json[], kind => 'bulk');
-- a rolled back append leaves nothing but a gap
BEGIN;
SELECT seq FROM ftchain.append('audit', '{"action": "never"}');
ROLLBACK;
SELECT seq FROM ftchain.append('audit', '{"action": "logout"}');
SELECT pending FROM ftchain.status;
CALL ftchain.seal('audit');
SELECT height, entries, held FROM ftchain.blocks ORDER BY height;
SELECT seq, kind, payload, height FROM ftchain.entries ORDER BY seq;
SELECT pending, damaged FROM ftchain.status;
SELECT * FROM ftchain.verify('audit');
-- receipts need no tables to be checked
SELECT r.valid, r.height, r.seq
  FROM ftchain.chain c, ftchain.check_receipt(ftchain.receipt('audit', 5), c.genesis) r;
SELECT r.valid, r.reason
  FROM ftchain.check_receipt(ftchain.receipt('audit', 5), sha256('another chain')) r;
-- the guard refuses, also for the owner and as a replica
UPDATE ftchain.entry SET payload = '{}';
SET session_replication_role = replica;
DELETE FROM ftchain.block;
TRUNCATE ftchain.bundle;
RESET session_replication_role;
-- behind its back: verify() names what was done, scrub() records it
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
UPDATE ftchain.entry SET payload = '{"action": "logoff"}' WHERE seq = 5;
DELETE FROM ftchain.entry WHERE seq = 2;
ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard;
SELECT height, entry, what FROM ftchain.verify('audit') ORDER BY entry;
CALL ftchain.scrub('audit');
SELECT height, entry, what, repaired FROM ftchain.damage ORDER BY entry;
SELECT height, what, action FROM ftchain.repair('audit', dry_run => true);
-- put back by hand, as well as one can
ALTER TABLE ftchain.entry DISABLE TRIGGER guard;
UPDATE ftchain.entry SET payload = '{"action": "logout"}' WHERE seq = 5;
INSERT INTO ftchain.entry SELECT 2, 2, xid, "time", incarnation, chain, origin, salt, author, 'bulk', '{"a": 1}'
  FROM ftchain.entry WHERE seq = 3;
ALTER TABLE ftchain.entry ENABLE ALWAYS TRIGGER guard;
-- (the salt is another one, so entry 2 is still not what it was)
SELECT height, entry, what FROM ftchain.verify('audit') ORDER BY entry;
DROP EXTENSION ftchain;
