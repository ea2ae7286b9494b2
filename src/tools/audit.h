/*-------------------------------------------------------------------------
 *
 * audit.h
 *	  Is a chain in a file what it says it is?
 *
 * Fed with the records of a file one after the other, it checks what verify()
 * checks of the tables: every hash, every signature and every rule, from the
 * genesis block on.  A fault never stops it; what depends on what is damaged is
 * not checked and counted.
 *
 * It keeps what a branch is judged by: the tip, the state, the controls that are
 * not folded yet, and which entries there were, in ranges.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_AUDIT_H
#define FTC_AUDIT_H

#include "file.h"
#include "types.h"

typedef struct FtcAuditFault
{
	bool		has_height;
	uint64_t	height;
	const FtcHash *block;		/* NULL: of no block, or not known */
	const char *entry;			/* which: origin/incarnation/seq; NULL: of
								 * none */
	const char *what;
	const char *expected;		/* NULL: nothing */
	const char *found;			/* NULL: nothing */
} FtcAuditFault;

typedef void (*FtcAuditCallback) (void *arg, const FtcAuditFault *fault);

typedef struct FtcAuditCounts
{
	uint64_t	faults;
	uint64_t	blocks;
	uint64_t	unchecked;		/* blocks whose header could not be checked
								 * whole */
	uint64_t	controls;
	uint64_t	bundles;
	uint64_t	entries;		/* in bodies that are here and right */
	uint64_t	erased;			/* of these, without payload */
	uint64_t	statements;
	uint64_t	bodies;			/* here */
	uint64_t	not_held;
	uint64_t	left_out;
	uint64_t	damaged;
} FtcAuditCounts;

typedef struct FtcAudit FtcAudit;

/* genesis may be NULL: then it is whatever the first file says. */
extern FtcAudit *ftc_audit_new(const FtcHash *genesis, FtcAuditCallback callback, void *arg);
extern void ftc_audit_free(FtcAudit *audit);

/* Look out for the block with this id; then, the height at which it was, -1 if nowhere. */
extern void ftc_audit_want(FtcAudit *audit, const FtcHash *id);
extern int64_t ftc_audit_height_of(const FtcAudit *audit, const FtcHash *id);

extern void ftc_audit_record(FtcAudit *audit, uint8_t kind, FtcSlice content);

/* There is no record where one was to be: what follows in the file is not looked at. */
extern void ftc_audit_broken(FtcAudit *audit, const char *why);

/* A file is at its end. */
extern void ftc_audit_end(FtcAudit *audit);

extern const FtcAuditCounts *ftc_audit_counts(const FtcAudit *audit);

/* What the files are of; NULL if nothing was read.  given: it begins in the middle. */
extern const FtcHash *ftc_audit_genesis(const FtcAudit *audit);
extern const FtcHash *ftc_audit_head(const FtcAudit *audit, uint64_t *first, uint64_t *last, bool *given);

#endif							/* FTC_AUDIT_H */
