/*-------------------------------------------------------------------------
 *
 * event.c
 *	  Notifications of what has changed, for sessions that listen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/fmgroids.h"
#include "utils/json.h"

#include "event.h"

#define QUEUE_FULL 0.5
#define PAYLOAD_MAX 7900		/* Async_Notify() takes less than 8000 */

static void
append_field(StringInfo payload, const FtcEventField *field)
{
	appendStringInfoString(payload, ", ");
	escape_json(payload, field->name);
	appendStringInfoString(payload, ": ");
	if (field->text !=NULL)
		escape_json(payload, field->text);
	else if (field->number != 0)
		appendStringInfo(payload, "%lld", (long long) field->number);
	else
		appendStringInfoString(payload, "null");
}

void
ftc_event(const char *event, const FtcEventField *fields, int n)
{
	StringInfoData payload;

	if (DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE)) > QUEUE_FULL)
		return;
	initStringInfo(&payload);
	appendStringInfoString(&payload, "{\"event\": ");
	escape_json(&payload, event);
	for (int i = 0; i < n; i++)
		append_field(&payload, &fields[i]);
	appendStringInfoChar(&payload, '}');
	if (payload.len <= PAYLOAD_MAX)
		Async_Notify(FTC_EVENT_CHANNEL, payload.data);
	pfree(payload.data);
}
