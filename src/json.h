/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Is a payload JSON that everybody can parse?
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_JSON_H
#define FTC_JSON_H

#include "core/types.h"

/*
 * Levels that a payload may be nested: servers parse it by recursion, within
 * whatever max_stack_depth they have.
 */
#define FTC_JSON_DEPTH_MAX 1000

/* Nested deeper than that?  Of anything else than JSON it tells nothing. */
extern bool ftc_json_is_too_deep(FtcSlice text);

/* Valid as type json has it (RFC 8259), and not too deep.  UTF-8 is not looked at. */
extern bool ftc_json_is_valid(FtcSlice text);

#endif							/* FTC_JSON_H */
