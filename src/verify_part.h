/*-------------------------------------------------------------------------
 *
 * verify_part.h
 *	  The parts of a verification.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_VERIFY_PART_H
#define FTC_VERIFY_PART_H

#include "core/rules.h"
#include "core/state.h"
#include "utils/hsearch.h"
#include "verify.h"

/* One verification, under one snapshot. */
typedef struct FtcVerification
{
	const FtcChain *chain;
	FtcFaultCallback callback;
	void	   *arg;
	int64		faults;
	bool		whole;			/* from the genesis on */

	/* the blocks so far */
	bool		has_tip;		/* the parent was sound */
	FtcTip		tip;
	FtcHash		parent;			/* id that the next block must name */
	bool		has_parent;
	FtcState   *state;			/* that the parent builds on; NULL if not
								 * known */
	MemoryContext state_context;
	bool		no_succession;	/* controls are damaged */
	HTAB	   *origins;		/* OriginSeen: bundles so far */
} FtcVerification;

/* Report a fault; height -1, block NULL, entry 0, expected and found NULL: none. */
extern void ftc_verify_fault(FtcVerification *v, int64 height, const FtcHash *block, int64 entry,
							 const char *what, const char *expected, const char *found);

/* The blocks of these heights, with all that other tables say of them. */
extern void ftc_verify_blocks(FtcVerification *v, int64 from, int64 to);

/*
 * The entries that the bundles of these blocks hold; with strays, whether others
 * belong anywhere.
 */
extern void ftc_verify_entries(FtcVerification *v, int64 from, int64 to, bool strays);

#endif							/* FTC_VERIFY_PART_H */
