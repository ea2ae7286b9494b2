/*-------------------------------------------------------------------------
 *
 * alloc.h
 *	  Memory of programs: there is enough, or the program ends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_ALLOC_H
#define FTC_ALLOC_H

#include <stdio.h>
#include <stdlib.h>

#include "types.h"

/* How a program ends that could not do what it was asked for. */
#define EXIT_TROUBLE 2

static inline void *
ftc_realloc(void *old, size_t count, size_t size)
{
	void	   *memory = count <= SIZE_MAX / 2 / size ? realloc(old, count > 0 ? count * size : 1) : NULL;

	if (memory == NULL)
	{
		fputs("out of memory\n", stderr);
		exit(EXIT_TROUBLE);
	}
	return memory;
}

#define ftc_alloc(type, count) ((type *) ftc_realloc(NULL, (count), sizeof(type)))

/* Room for one more in an array that grows by doubling. */
#define ftc_grow(array, n, size) \
	do { \
		if ((n) == (size)) \
		{ \
			(size) = (size) < 8 ? 8 : (size) * 2; \
			(array) = ftc_realloc((array), (size), sizeof(*(array))); \
		} \
	} while (0)

#endif							/* FTC_ALLOC_H */
