/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings, in alphabetical order.  See doc/REFERENCE.md.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_GUC_H
#define FTC_GUC_H

extern int	ftc_guc_body_cache; /* kB */
extern int	ftc_guc_call_timeout;	/* ms */
extern int	ftc_guc_compare_interval;	/* s; 0: never */
extern char *ftc_guc_databases;
extern int	ftc_guc_deep_scrub_interval;	/* s; 0: never */
extern int	ftc_guc_down_after; /* ms */
extern bool ftc_guc_enabled;
extern int	ftc_guc_fetch_limit;
extern int	ftc_guc_heartbeat;	/* ms */
extern char *ftc_guc_key_directory;
extern int	ftc_guc_message_backlog_limit;	/* -1: none */
extern int	ftc_guc_message_retention;	/* s */
extern int	ftc_guc_mining_duty;	/* percent */
extern int	ftc_guc_mining_kernel;	/* FtcKernelChoice */
extern int	ftc_guc_mining_nice;
extern int	ftc_guc_mining_workers;
extern int	ftc_guc_move_budget;
extern bool ftc_guc_note_damage;
extern int	ftc_guc_out_after;	/* s; -1: never */
extern int	ftc_guc_outbox_limit;	/* rows of a chain */
extern int	ftc_guc_proof_interval; /* ms; 0: never */
extern int	ftc_guc_repair_limit;	/* -1: none */
extern int	ftc_guc_scrub_interval; /* s; 0: never */
extern int	ftc_guc_scrub_rate; /* kB; 0: no limit */
extern int	ftc_guc_seal_bytes; /* kB */
extern int	ftc_guc_seal_delay; /* ms */
extern int	ftc_guc_seal_entries;
extern int	ftc_guc_shard_after;	/* s */
extern int	ftc_guc_trim_after; /* s; -1: never */
extern char *ftc_guc_worker_role;

#ifdef FTC_FAILPOINTS
extern int	ftc_guc_clock_offset;	/* ms */
extern char *ftc_guc_failpoint;
#endif

extern void ftc_guc_init(void);

#endif							/* FTC_GUC_H */
