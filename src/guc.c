/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "guc.h"
#include "protocol.h"
#include "mining.h"
#include "shared.h"

int			ftc_guc_body_cache = 65536;
int			ftc_guc_call_timeout = 10000;
int			ftc_guc_compare_interval = 3600;
char	   *ftc_guc_databases = NULL;
int			ftc_guc_deep_scrub_interval = 7 * SECS_PER_DAY;
int			ftc_guc_down_after = 10000;
bool		ftc_guc_enabled = true;
int			ftc_guc_fetch_limit = 256;
int			ftc_guc_heartbeat = 2000;
char	   *ftc_guc_key_directory = NULL;
int			ftc_guc_message_backlog_limit = 1000000;
int			ftc_guc_message_retention = 7 * SECS_PER_DAY;
int			ftc_guc_mining_duty = 100;
int			ftc_guc_mining_kernel = FTC_KERNEL_AUTO;
int			ftc_guc_mining_nice = 10;
int			ftc_guc_mining_workers = 0;
int			ftc_guc_move_budget = 51200;
bool		ftc_guc_note_damage = true;
int			ftc_guc_out_after = 600;
int			ftc_guc_outbox_limit = 1000000;
int			ftc_guc_proof_interval = 10000;
int			ftc_guc_repair_limit = 5;
int			ftc_guc_scrub_interval = 3600;
int			ftc_guc_scrub_rate = 10240;
int			ftc_guc_seal_bytes = 4096;
int			ftc_guc_seal_delay = 1000;
int			ftc_guc_seal_entries = 10000;
int			ftc_guc_shard_after = SECS_PER_DAY;
int			ftc_guc_trim_after = SECS_PER_DAY;
char	   *ftc_guc_worker_role = NULL;

#ifdef FTC_FAILPOINTS
int			ftc_guc_protocol = 1;
int			ftc_guc_protocol_min = 1;
int			ftc_guc_clock_offset = 0;
char	   *ftc_guc_failpoint = NULL;
#endif

static const struct config_enum_entry kernels[] = {
	{"auto", FTC_KERNEL_AUTO, false},
	{"avx512", FTC_KERNEL_AVX512, false},
	{"sha_ni", FTC_KERNEL_SHA_NI, false},
	{"avx2", FTC_KERNEL_AVX2, false},
	{"portable", FTC_KERNEL_PORTABLE, false},
	{NULL, 0, false}
};

static void
define_sealing(void)
{
	DefineCustomIntVariable("ftchain.seal_bytes",
							"Amount of appended payload that is sealed without waiting longer.",
							NULL, &ftc_guc_seal_bytes, 4096, 1, 65536,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.seal_delay",
							"Longest time the sealer lets a committed entry wait for company.",
							NULL, &ftc_guc_seal_delay, 1000, 0, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.seal_entries",
							"Number of appended entries that is sealed without waiting longer.",
							NULL, &ftc_guc_seal_entries, 10000, 1, 1000000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_mining(void)
{
	DefineCustomIntVariable("ftchain.mining_duty",
							"Percentage of the time that a process which mines in the background does so.",
							"In the rest of it the processor is left to others.",
							&ftc_guc_mining_duty, 100, 1, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.mining_nice",
							"How far miners step back where the processor is busy, as nice has it.",
							"0 takes as much as any other process, 19 hardly anything; where nobody else wants it they have all of it.",
							&ftc_guc_mining_nice, 10, 0, 19,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.mining_workers",
							"Number of background workers in each database that mine.",
							"0 lets the sealer mine by itself.",
							&ftc_guc_mining_workers, 0, 0, FTC_SHARED_MINERS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_links(void)
{
	DefineCustomIntVariable("ftchain.call_timeout",
							"Longest time a call to a peer may take.",
							NULL, &ftc_guc_call_timeout, 10000, 100, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.fetch_limit",
							"Total size of the bodies that may be on their way in chunks at a time.",
							"What has come of them is on disk. One is always let in, whatever its size.",
							&ftc_guc_fetch_limit, 256, 1, 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.heartbeat",
							"Time after which an idle peer is asked how it is.",
							NULL, &ftc_guc_heartbeat, 2000, 100, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.message_backlog_limit",
							"Number of messages to a topic of a peer that may wait to be acknowledged.",
							"send() refuses more. -1 means no limit.",
							&ftc_guc_message_backlog_limit, 1000000, -1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.message_retention",
							"How long messages are kept after they were acknowledged.",
							"Longer than the age of any backup that may be restored, here or at the receiver: what it has forgotten is sent again.",
							&ftc_guc_message_retention, 7 * SECS_PER_DAY, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.move_budget",
							"Bytes a second that are fetched of bodies which move because members have changed; 0 is no limit.",
							"What blocks wait for is never held back.",
							&ftc_guc_move_budget, 51200, 0, INT_MAX / 1024,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.outbox_limit",
							"Number of announcements of a chain that are kept for a peer that stays away.",
							"For what is older the peer compares heads when it is back.",
							&ftc_guc_outbox_limit, 1000000, 1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_healing(void)
{
	DefineCustomIntVariable("ftchain.compare_interval",
							"Time between two comparisons with each peer of what both have; 0 turns them off.",
							NULL, &ftc_guc_compare_interval, 3600, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.deep_scrub_interval",
							"Time between two deep scrubs: every byte that is stored, and the indexes; 0 turns them off.",
							NULL, &ftc_guc_deep_scrub_interval, 7 * SECS_PER_DAY, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.repair_limit",
							"Number of damaged blocks of a chain above which nothing is repaired without an operator; -1 is no limit.",
							"One of a hundred blocks may be damaged in any case.",
							&ftc_guc_repair_limit, 5, -1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.scrub_interval",
							"Time between two light scrubs: all but the bytes of entries; 0 turns them off.",
							NULL, &ftc_guc_scrub_interval, 3600, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.scrub_rate",
							"Bytes a second that a deep scrub reads; 0 is no limit.",
							NULL, &ftc_guc_scrub_rate, 10240, 0, INT_MAX / 1024,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
}

static void
define_copies(void)
{
	DefineCustomIntVariable("ftchain.body_cache",
							"Bytes of bodies that are kept here after they were fetched to be read.",
							NULL, &ftc_guc_body_cache, 65536, 0, INT_MAX / 1024,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.down_after",
							"Silence after which a peer is taken to be down.",
							NULL, &ftc_guc_down_after, 10000, 100, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.out_after",
							"How long a peer is down before its copies are made anew elsewhere.",
							"Longer than a restart or an upgrade takes. -1 turns that off.",
							&ftc_guc_out_after, 600, -1, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.proof_interval",
							"Time between two challenges to a peer to prove that it stores a body; 0 turns them off.",
							NULL, &ftc_guc_proof_interval, 10000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.shard_after",
							"How old a body is when it is cut into shards, in chains that have them.",
							NULL, &ftc_guc_shard_after, SECS_PER_DAY, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.trim_after",
							"How long a body stays here that belongs elsewhere, and is proved to be there.",
							"-1 keeps it for ever.",
							&ftc_guc_trim_after, SECS_PER_DAY, -1, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

#ifdef FTC_FAILPOINTS
static void
define_for_tests(void)
{
	DefineCustomIntVariable("ftchain.protocol",
							"Version of the protocol that is spoken (test builds only).",
							NULL, &ftc_guc_protocol, 1, 1, 9,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.protocol_min",
							"Least version of the protocol that is understood (test builds only).",
							NULL, &ftc_guc_protocol_min, 1, 1, 9,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ftchain.clock_offset",
							"How far the clock is wrong (test builds only).",
							NULL, &ftc_guc_clock_offset, 0, -INT_MAX, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}
#endif

static void
define_strings(void)
{
	DefineCustomStringVariable("ftchain.databases",
							   "Databases whose workers start with the server, separated by commas.",
							   NULL, &ftc_guc_databases, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("ftchain.key_directory",
							   "Directory that holds the secret keys.",
							   "A relative path is taken from the data directory. Put it elsewhere, so that a base backup does not copy the keys.",
							   &ftc_guc_key_directory, "ftchain_keys",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomStringVariable("ftchain.worker_role",
							   "Role that the background workers and the extension's own statements run as.",
							   NULL, &ftc_guc_worker_role, "ftchain_worker",
							   PGC_SUSET, 0, NULL, NULL, NULL);
#ifdef FTC_FAILPOINTS
	DefineCustomStringVariable("ftchain.failpoint",
							   "Name of a step at which the server is to crash (test builds only).",
							   NULL, &ftc_guc_failpoint, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
#endif
}

void
ftc_guc_init(void)
{
	DefineCustomBoolVariable("ftchain.enabled",
							 "Whether the background workers work.",
							 "Turn it off for a database that is being restored.",
							 &ftc_guc_enabled, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("ftchain.note_damage",
							 "Whether the keeper appends entries about damage and repairs to the chain.",
							 NULL, &ftc_guc_note_damage, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("ftchain.mining_kernel",
							 "How proof of work is searched for.",
							 "auto takes the fastest that this processor has.",
							 &ftc_guc_mining_kernel, FTC_KERNEL_AUTO, kernels,
							 PGC_USERSET, 0, ftc_mining_check_kernel, NULL, NULL);
	define_sealing();
	define_mining();
	define_links();
	define_healing();
	define_copies();
#ifdef FTC_FAILPOINTS
	define_for_tests();
#endif
	define_strings();
	MarkGUCPrefixReserved("ftchain");
}
