/*-------------------------------------------------------------------------
 *
 * launcher.h
 *	  The launcher: which databases have workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_LAUNCHER_H
#define FTC_LAUNCHER_H

#include "postmaster/bgworker.h"

#include "worker.h"

/* What the launcher tells a worker. */
typedef struct FtcWorkerArgs
{
	Oid			database;
	FtcWorkerKind kind;
	int			miner;			/* its number, if it is one */
	char		name[NAMEDATALEN];	/* of the database */
} FtcWorkerArgs;

StaticAssertDecl(sizeof(FtcWorkerArgs) <= BGW_EXTRALEN, "worker arguments fit");

/* Before a worker that has left is started again; and where there is no work. */
#define FTC_RETRY_MS	5000
#define FTC_ABSENT_RETRY_MS 15000

extern void ftc_launcher_init(void);	/* from _PG_init */

#endif							/* FTC_LAUNCHER_H */
