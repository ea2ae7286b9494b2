/*-------------------------------------------------------------------------
 *
 * event.h
 *	  Notifications of what has changed, for sessions that listen.
 *
 * One channel, ftchain_event; the payload is a small JSON object.  doc/REFERENCE.md
 * says what is told, and when.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_EVENT_H
#define FTC_EVENT_H

#define FTC_EVENT_CHANNEL "ftchain_event"

/* A member of the object; those with neither text nor number are null. */
typedef struct FtcEventField
{
	const char *name;
	const char *text;
	int64		number;			/* if it is not 0 */
} FtcEventField;

/*
 * Tell it when this transaction commits.  Not if the queue of notifications is
 * nearly full, as some session does not take its own: nothing is to fail for that.
 */
extern void ftc_event(const char *event, const FtcEventField *fields, int n);

#define FTC_EVENT_TEXT(name, text) {(name), (text), 0}
#define FTC_EVENT_NUMBER(name, number) {(name), NULL, (number)}
#define FTC_EVENT(event, ...) \
	ftc_event((event), ((const FtcEventField[]) {__VA_ARGS__}), \
			  lengthof(((const FtcEventField[]) {__VA_ARGS__})))

#endif							/* FTC_EVENT_H */
