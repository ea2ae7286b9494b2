/*-------------------------------------------------------------------------
 *
 * export.h
 *	  A chain as a file of the server: what making and taking one share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_EXPORT_H
#define FTC_EXPORT_H

#include "fmgr.h"

/* An absolute path, from somebody with the privileges of the role; or an error. */
extern char *ftc_file_path_arg(FunctionCallInfo fcinfo, int i, Oid role, const char *role_name, const char *verb);

/* How far this session is, for pg_stat_progress_copy; total is 0 if not known. */
extern void ftc_progress_begin(bool writing, int64 total);
extern void ftc_progress_report(int64 bytes, int64 blocks);
extern void ftc_progress_skipped(int64 blocks);
extern void ftc_progress_end(void);

#endif							/* FTC_EXPORT_H */
