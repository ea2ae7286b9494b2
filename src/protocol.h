/*-------------------------------------------------------------------------
 *
 * protocol.h
 *	  Numbers that both ends of a call agree on; see doc/PROTOCOL.md.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_PROTOCOL_H
#define FTC_PROTOCOL_H

#include "core/types.h"

#ifdef FTC_FAILPOINTS
#define FTC_PROTOCOL			ftc_guc_protocol	/* so that a test can play
													 * a later version */
#define FTC_PROTOCOL_MIN		ftc_guc_protocol_min
extern int	ftc_guc_protocol;
extern int	ftc_guc_protocol_min;
#else
#define FTC_PROTOCOL			1	/* spoken */
#define FTC_PROTOCOL_MIN		1	/* understood */
#endif
#define FTC_CALL_MESSAGES_MAX	1000	/* messages in one call */
#define FTC_CALL_BLOCKS_MAX		1000	/* blocks in one answer */
#define FTC_CALL_BYTES			(4 * 1024 * 1024)	/* aimed at in one call or
													 * answer */
#define FTC_ANSWER_SHORT		(64 * 1024) /* most in an answer without
											 * blocks */
#define FTC_ANSWER_STATEMENTS	(1024 * 1024)	/* most in one with statements
												 * of all members */
#define FTC_ANSWER_LONG			(FTC_BODY_MAX + 4 * FTC_CALL_BYTES) /* most in one with
																	 * blocks */
#define FTC_ANSWER_COPIES		(256 * 1024)	/* most about what members
												 * store */
#define FTC_CALL_RATE			(512 * 1024)	/* bytes a second that a line
												 * must carry */

#endif							/* FTC_PROTOCOL_H */
