/*-------------------------------------------------------------------------
 *
 * hint.h
 *	  What a worker remembers of each chain, or each member, for as long as it runs.
 *
 * Where it was in a round through what there is, say.  Nothing that has to be
 * right: a new process begins with nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_HINT_H
#define FTC_HINT_H

#include "utils/hsearch.h"

/*
 * The hint of a key, which is the first thing in it, without padding; all zeros behind
 * that if it is new.  It lasts.
 */
extern void *ftc_hint(HTAB **hints, const char *name, Size key_size, Size size, const void *key);

#endif							/* FTC_HINT_H */
