/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  What libc does with free memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "memory.h"

#define KEPT_BYTES (64 * 1024 * 1024)	/* some copies of a body of common
										 * size */
#define MAPPED_BYTES (32 * 1024 * 1024) /* the most that glibc allows */

void
ftc_memory_keep(void)
{
#ifdef __GLIBC__
	(void) mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
	(void) mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
#endif
}
