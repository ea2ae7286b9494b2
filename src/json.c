/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Is a payload JSON that everybody can parse?
 *
 * PostgreSQL's parser says so.  It is given the outline only: what is in
 * strings is left out, where it has no meaning for the parser.  Most of a
 * payload is that, and the parser looks at it byte by byte.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "utils/jsonfuncs.h"

#include "compat.h"
#include "core/bytes.h"
#include "core/outline.h"
#include "json.h"

bool
ftc_json_is_too_deep(FtcSlice text)
{
	return ftc_json_is_deeper(text, FTC_JSON_DEPTH_MAX);
}

bool
ftc_json_is_valid(FtcSlice text)
{
	char	   *bytes = palloc(Max(text.len, 1));
	size_t		len = ftc_json_outline(text, bytes);
	bool		valid = !ftc_json_is_deeper(ftc_slice(bytes, len), FTC_JSON_DEPTH_MAX) &&
	pg_parse_json(ftc_json_lexer(bytes, (int) len, false), &nullSemAction) == JSON_SUCCESS;

	pfree(bytes);
	return valid;
}
