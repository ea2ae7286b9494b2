/*-------------------------------------------------------------------------
 *
 * courier_part.h
 *	  What the parts of the courier share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_COURIER_PART_H
#define FTC_COURIER_PART_H

#include "contact.h"
#include "identity.h"

/* A step: make the next call to a contact that is idle, if there is any. */
typedef struct FtcNextCall
{
	FtcContact *contact;
	bool		called;
	bool		more;			/* to look at */
} FtcNextCall;

extern bool ftc_courier_next_call(void *arg);	/* FtcNextCall */

/* Whose messages to whom, and about what, the line at hand carries. */
extern FtcRoute ftc_courier_route(const FtcContact *c, const FtcIdentity *self);

/* A step: take what the contact answered to its call. */
extern bool ftc_courier_take_answer(void *arg); /* FtcContact */

#endif							/* FTC_COURIER_PART_H */
