/*-------------------------------------------------------------------------
 *
 * arcs.h
 *	  What a ring gives to whom, and what moves from one ring to another.
 *
 * Between two points all keys have the same owners.  So both can be told
 * exactly, by going round once, without looking at any key.
 *
 * Lengths of arcs are in 2^-64ths of the circle.  A sum of them that comes to 0
 * is all of it, for whom it cannot be none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_ARCS_H
#define FTC_ARCS_H

#include "ring.h"

/* A copy that nobody had, or that nobody gets instead. */
#define FTC_ARCS_NOBODY UINT32_MAX

/* How much of the circle each member owns as one of r owners. */
extern void ftc_arcs_owned(const FtcRing *ring, uint32_t r, uint64_t *owned);

/* That as a number from 0 to 1. */
extern double ftc_arcs_share(const FtcRingMember *member, uint64_t owned);

/*
 * What of r copies each member would own if they went exactly by weights, from
 * 0 to 1: nobody owns two copies of a key, and what that leaves over goes to
 * the others.
 */
extern void ftc_arcs_fair(const FtcRingMember *members, uint32_t n, uint32_t r, double *fair);

/* Copies that move, of an arc this long, or of a key. */
typedef void (*FtcArcsMove) (void *arg, uint32_t from, uint32_t to, uint64_t arc);

/*
 * All that moves when one ring takes the place of another one over the same
 * members, of which some may have no weight before or after.
 */
extern void ftc_arcs_moved(const FtcRing *before, const FtcRing *after, uint32_t r,
						   FtcArcsMove move, void *arg);

/* The same for one key. */
extern void ftc_arcs_key_moved(const FtcRing *before, const FtcRing *after, uint64_t key,
							   uint32_t r, FtcArcsMove move, void *arg);

#endif							/* FTC_ARCS_H */
