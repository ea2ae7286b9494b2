/*-------------------------------------------------------------------------
 *
 * mining.h
 *	  The search for a proof of work, in slices, and the kernel that does it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_MINING_H
#define FTC_MINING_H

#include "utils/guc.h"

#include "core/search.h"

/* Values of ftchain.mining_kernel. */
typedef enum FtcKernelChoice
{
	FTC_KERNEL_AUTO,
	FTC_KERNEL_AVX512,
	FTC_KERNEL_SHA_NI,
	FTC_KERNEL_AVX2,
	FTC_KERNEL_PORTABLE
} FtcKernelChoice;

/* The hook of the setting: only a kernel that runs here, and right. */
extern bool ftc_mining_check_kernel(int *choice, void **extra, GucSource source);

/* The one that ftchain.mining_kernel names, or the fastest. */
extern const FtcKernel *ftc_mining_kernel(void);

/*
 * A slice takes some half a millisecond, whatever the processor: so many
 * attempts.
 */
extern uint64 ftc_mining_slice_size(void);

/*
 * One of them, or at most so many attempts.  As ftc_search; *attempts is what was tried, *us how long it took.
 * Whoever calls looks after interrupts in between.
 */
extern bool ftc_mining_slice(FtcHeader *header, uint64 most, uint64 *attempts, uint64 *us);

/*
 * After a slice in the background: leave the processor to others for as long as
 * ftchain.mining_duty says.  True if the latch was set meanwhile.
 */
extern bool ftc_mining_rest(uint64 us);

/* A search in a session: what is wanted, and what has come of it. */
typedef struct FtcMining
{
	FtcHeader	header;			/* from its nonce on; with the one that was
								 * found, or the next */
	uint64		most;			/* attempts */
	uint64		timeout;		/* us */
	bool		found;
	uint64		attempts;
	uint64		hash_rate;		/* attempts/s, of all processes together */
	uint64		elapsed;		/* us */
} FtcMining;

#define FTC_MINING_WORKERS_MAX 1024

/*
 * Run it with so many processes, of which this is one; fewer, with a notice, if
 * no more are to be had.
 */
extern void ftc_mining_run(FtcMining *mining, int workers);

#endif							/* FTC_MINING_H */
