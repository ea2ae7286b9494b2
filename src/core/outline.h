/*-------------------------------------------------------------------------
 *
 * outline.h
 *	  JSON without what is in its strings.
 *
 * A parser looks at every byte, and most bytes of most documents are in
 * strings, where they mean nothing to it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_OUTLINE_H
#define FTC_OUTLINE_H

#include "types.h"

/*
 * Write the outline of a text that may be JSON (RFC 8259); gives its length,
 * which is at most that of the text.  It leaves out bytes in strings, but not
 * quotes, control characters, and escapes with what belongs to them.  The
 * outline is JSON if and only if the text is: up to the first error, strings
 * begin and end here where they do for a parser.  Whether the text is UTF-8 is
 * not looked at.
 */
extern size_t ftc_json_outline(FtcSlice text, char *bytes);

/* Is this text, or its outline, nested deeper than so many levels?  If it is JSON. */
extern bool ftc_json_is_deeper(FtcSlice text, int levels);

#endif							/* FTC_OUTLINE_H */
