/*-------------------------------------------------------------------------
 *
 * protocol.h
 *	  Numbers that both ends of a call agree on; see doc/PROTOCOL.md.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PROTOCOL_H
#define FTC_PROTOCOL_H

#define FTC_PROTOCOL			1	/* spoken */
#define FTC_PROTOCOL_MIN		1	/* understood */
#define FTC_CALL_MESSAGES_MAX	1000	/* messages in one call */
#define FTC_CALL_BLOCKS_MAX		1000	/* blocks in one answer */
#define FTC_CALL_BYTES			(4 * 1024 * 1024)	/* aimed at in one call or
													 * answer */

#endif							/* FTC_PROTOCOL_H */
