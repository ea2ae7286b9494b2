/*-------------------------------------------------------------------------
 *
 * failpoint.h
 *	  Named steps at which a test build can be made to crash.
 *
 * With -DFTC_FAILPOINTS, when ftchain.failpoint names the step, the postmaster
 * and this process get SIGKILL: what a power cut leaves, short of the disk.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_FAILPOINT_H
#define FTC_FAILPOINT_H

#ifdef FTC_FAILPOINTS
#include <signal.h>

#include "guc.h"
#include "miscadmin.h"

#define FTC_FAILPOINT(name) \
	do { \
		if (ftc_guc_failpoint != NULL && strcmp(ftc_guc_failpoint, (name)) == 0) \
		{ \
			kill(PostmasterPid, SIGKILL); \
			kill(getpid(), SIGKILL); \
		} \
	} while (0)
#else
#define FTC_FAILPOINT(name) ((void) 0)
#endif

#endif							/* FTC_FAILPOINT_H */
