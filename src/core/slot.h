/*-------------------------------------------------------------------------
 *
 * slot.h
 *	  Slots and epochs: when it is whose turn, from a clock that is given.
 *
 * Slot s of a chain begins origin + s * length, and its origin is the time of
 * the genesis block, which has slot 0.  Epoch e has the slots e * per_epoch up
 * to (e + 1) * per_epoch - 1.  All of it is arithmetic: nothing here reads a
 * clock.
 *
 * A block bears a time within its slot, and is taken from the moment on at which
 * a clock that is skew slots ahead would show that slot: members whose clocks
 * differ by less take each other's blocks at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_SLOT_H
#define FTC_SLOT_H

#include "types.h"

#define FTC_SLOT_MAX		((uint64_t) INT64_MAX)	/* as a header holds it */
#define FTC_SKEW_SLOTS_MAX	1000

typedef struct FtcSlots
{
	uint64_t	origin;			/* us */
	uint64_t	length;			/* us, from 1 */
	uint32_t	per_epoch;		/* from 1 */
	uint32_t	skew;			/* slots, from 1 */
} FtcSlots;

/* FTC_OK or FTC_OUT_OF_RANGE. */
extern FtcReason ftc_slots_check(const FtcSlots *slots);

/* The slot of a time, us; 0 for times before the origin. */
extern uint64_t ftc_slot_at(const FtcSlots *slots, uint64_t time);

/* When a slot begins, us; UINT64_MAX if no clock ever shows it. */
extern uint64_t ftc_slot_start(const FtcSlots *slots, uint64_t slot);

extern uint64_t ftc_slot_epoch(const FtcSlots *slots, uint64_t slot);
extern uint64_t ftc_epoch_first_slot(const FtcSlots *slots, uint64_t epoch);

/*
 * May a block of this slot, with this time, be taken when the clock shows now?
 * FTC_BAD_ROUND if the time is not in the slot; FTC_TIME_TOO_LATE if it is too
 * early to say, which is not for ever.
 */
extern FtcReason ftc_slot_has_come(const FtcSlots *slots, uint64_t slot, uint64_t time, uint64_t now);

/* The highest slot that may be signed for, or taken, when the clock shows now. */
extern uint64_t ftc_slot_most(const FtcSlots *slots, uint64_t now);

/* ----------------------------------------------------------------
 *		Whose clock is wrong
 * ----------------------------------------------------------------
 */

/*
 * What was observed of another member's clock: how far a message was ahead of
 * this clock when it came, us; negative if it was behind, by its way here or by
 * its clock.
 */
typedef struct FtcClockSight
{
	int64_t		ahead;
	uint64_t	weight;			/* of the member; 0: nothing was observed */
} FtcClockSight;

typedef enum FtcClocks
{
	FTC_CLOCKS_UNKNOWN,			/* half of the weight was not heard */
	FTC_CLOCKS_AGREE,
	FTC_CLOCKS_OWN_IS_WRONG		/* the others agree, and not with this one */
} FtcClocks;

/*
 * Judge this clock by those of the others, whose weights add up to total: by
 * their weighted median, so that who lies about it needs half of the weight.
 * *median, us, is set unless unknown.  sights are sorted by it.
 */
extern FtcClocks ftc_clock_judge(FtcClockSight *sights, uint32_t n, uint64_t total, uint64_t bound,
								 int64_t *median);

/* Is one member's clock further from the median than the bound? */
extern bool ftc_clock_is_off(int64_t ahead, int64_t median, uint64_t bound);

#endif							/* FTC_SLOT_H */
