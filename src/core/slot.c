/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  Slots and epochs.
 *
 *-------------------------------------------------------------------------
 */
#include "slot.h"

#include <stdlib.h>

FtcReason
ftc_slots_check(const FtcSlots *slots)
{
	return slots->origin <= (uint64_t) FTC_TIME_MAX && slots->length >= 1 &&
		slots->length <= (uint64_t) FTC_TIME_MAX && slots->per_epoch >= 1 && slots->skew >= 1 &&
		slots->skew <= FTC_SKEW_SLOTS_MAX ? FTC_OK : FTC_OUT_OF_RANGE;
}

uint64_t
ftc_slot_at(const FtcSlots *slots, uint64_t time)
{
	return time < slots->origin ? 0 : (time - slots->origin) / slots->length;
}

uint64_t
ftc_slot_start(const FtcSlots *slots, uint64_t slot)
{
	if (slot > (UINT64_MAX - slots->origin) / slots->length)
		return UINT64_MAX;
	return slots->origin + slot * slots->length;
}

uint64_t
ftc_slot_epoch(const FtcSlots *slots, uint64_t slot)
{
	return slot / slots->per_epoch;
}

uint64_t
ftc_epoch_first_slot(const FtcSlots *slots, uint64_t epoch)
{
	return epoch > UINT64_MAX / slots->per_epoch ? UINT64_MAX : epoch * slots->per_epoch;
}

uint64_t
ftc_slot_most(const FtcSlots *slots, uint64_t now)
{
	return ftc_slot_at(slots, now + slots->skew * slots->length);
}

FtcReason
ftc_slot_has_come(const FtcSlots *slots, uint64_t slot, uint64_t time, uint64_t now)
{
	if (slot > FTC_SLOT_MAX || time < slots->origin || ftc_slot_at(slots, time) != slot)
		return FTC_BAD_ROUND;
	return slot <= ftc_slot_most(slots, now) ? FTC_OK : FTC_TIME_TOO_LATE;
}

/* ----------------------------------------------------------------
 *		Whose clock is wrong
 * ----------------------------------------------------------------
 */

static int
by_ahead(const void *a, const void *b)
{
	const FtcClockSight *x = a;
	const FtcClockSight *y = b;

	return x->ahead < y->ahead ? -1 : x->ahead > y->ahead;
}

bool
ftc_clock_is_off(int64_t ahead, int64_t median, uint64_t bound)
{
	uint64_t	apart = ahead > median ? (uint64_t) ahead - (uint64_t) median
	: (uint64_t) median - (uint64_t) ahead;

	return apart > bound;
}

FtcClocks
ftc_clock_judge(FtcClockSight *sights, uint32_t n, uint64_t total, uint64_t bound, int64_t *median)
{
	uint64_t	heard = 0;
	uint64_t	below = 0;

	for (uint32_t i = 0; i < n; i++)
		heard += sights[i].weight;
	if (heard == 0 || heard <= total / 2)
		return FTC_CLOCKS_UNKNOWN;
	qsort(sights, n, sizeof(*sights), by_ahead);
	for (uint32_t i = 0; i < n; i++)
	{
		below += sights[i].weight;
		if (below > (heard - 1) / 2)
		{
			*median = sights[i].ahead;
			break;
		}
	}
	return ftc_clock_is_off(*median, 0, bound) ? FTC_CLOCKS_OWN_IS_WRONG : FTC_CLOCKS_AGREE;
}
