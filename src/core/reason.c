/*-------------------------------------------------------------------------
 *
 * reason.c
 *	  Reasons in words.
 *
 *-------------------------------------------------------------------------
 */
#include "reason.h"

static const char *const reason_texts[] = {
#define FTC_REASON_TEXT(name, text) text,
	FTC_REASONS(FTC_REASON_TEXT)
#undef FTC_REASON_TEXT
};

const char *
ftc_reason_text(FtcReason reason)
{
	if ((unsigned) reason >= FTC_REASON_COUNT)
		return "unknown reason";
	return reason_texts[reason];
}
