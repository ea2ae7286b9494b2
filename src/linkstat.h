/*-------------------------------------------------------------------------
 *
 * linkstat.h
 *	  How links are: what the courier knows of them, for everybody to see.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_LINKSTAT_H
#define FTC_LINKSTAT_H

#include "area.h"

/*
 * Show the links of all contacts as they are now, and tell who listens what has
 * changed.  Not more often than is worth it, unless at_rest.  Only the courier.
 */
extern void ftc_linkstat_show(bool at_rest);

/* What was last shown of a link.  False if nothing was. */
extern bool ftc_linkstat_facts(const char *server, int32 chain, int stream, FtcLineFacts *facts);

#endif							/* FTC_LINKSTAT_H */
