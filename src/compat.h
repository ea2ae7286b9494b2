/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL 15 and 19, all of them here.
 *
 * The newest name is used everywhere; older servers get it from below.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FTC_COMPAT_H
#define FTC_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "ftchain supports PostgreSQL 15 to 19"
#endif

/* 16: object_aclcheck() replaces the functions by kind of object */
#if PG_VERSION_NUM < 160000
#define object_aclcheck(classid, objectid, roleid, mode) \
	pg_foreign_server_aclcheck(objectid, roleid, mode)
#endif

/* 17: wait event sets belong to a resource owner */
#if PG_VERSION_NUM < 170000
#define CreateWaitEventSet(owner, n) \
	((void) (owner), CreateWaitEventSet(CurrentMemoryContext, (n)))
#endif

/* 18: comes before the declaration */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 17: extensions may name their wait events */
#if PG_VERSION_NUM < 170000
#define WaitEventExtensionNew(name) ((void) (name), PG_WAIT_EXTENSION)
#endif

/* 18: a scan may count what it does */
#if PG_VERSION_NUM >= 180000
#define index_beginscan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), (norderbys))
#endif

/* 17: reindex_index() wants the statement, if there is one */
#if PG_VERSION_NUM < 170000
#define ftc_reindex(index, persistence) reindex_index((index), false, (persistence), &(ReindexParams) {0})
#else
#define ftc_reindex(index, persistence) reindex_index(NULL, (index), false, (persistence), &(ReindexParams) {0})
#endif

/* 16: summarizing indexes; 19: flags */
#if PG_VERSION_NUM < 160000
#define ftc_index_insert(result, slot, estate) \
	ExecInsertIndexTuples((result), (slot), (estate), false, false, NULL, NIL)
#elif PG_VERSION_NUM < 190000
#define ftc_index_insert(result, slot, estate) \
	ExecInsertIndexTuples((result), (slot), (estate), false, false, NULL, NIL, false)
#else
#define ftc_index_insert(result, slot, estate) \
	ExecInsertIndexTuples((result), (estate), 0, (slot), NIL, NULL)
#endif

/* 16: what json parsing calls back may refuse; 17: the lexer may be on the stack */
#if PG_VERSION_NUM < 160000
#define FTC_JSON_ACTION void
#define FTC_JSON_DONE return
#else
#define FTC_JSON_ACTION JsonParseErrorType
#define FTC_JSON_DONE return JSON_SUCCESS
#endif
#if PG_VERSION_NUM < 170000
#define ftc_json_lexer(text, len, escapes) makeJsonLexContextCstringLen((text), (len), PG_UTF8, (escapes))
#else
#define ftc_json_lexer(text, len, escapes) makeJsonLexContextCstringLen(NULL, (text), (len), PG_UTF8, (escapes))
#endif

#endif							/* FTC_COMPAT_H */
