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
 * One slice: as many attempts as take about two milliseconds, and at most so
 * many.  As ftc_search; *attempts is what was tried, *us how long it took.
 * Whoever calls looks after interrupts in between.
 */
extern bool ftc_mining_slice(FtcHeader *header, uint64 most, uint64 *attempts, uint64 *us);

#endif							/* FTC_MINING_H */
