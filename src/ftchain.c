/*-------------------------------------------------------------------------
 *
 * ftchain.c
 *	  A fault-tolerant, tamper-evident block ledger inside PostgreSQL.
 *
 * Where to start reading: doc/DESIGN.md, then src/core for the bytes and the
 * rules, then append.c -> seal_bundle.c -> seal_block.c -> inbox.c -> branch.c
 * -> store.c for the way of an entry, and courier.c and serve.c for the way
 * between databases.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "core/merkle.h"
#include "guc.h"
#include "launcher.h"
#include "step.h"
#include "wake.h"

#if PG_VERSION_NUM >= 180000
PG_MODULE_MAGIC_EXT(.name = "ftchain",.version = FTCHAIN_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);

static void
check_for_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

void
_PG_init(void)
{
	ftc_merkle_pause = check_for_interrupts;
	ftc_guc_init();
	ftc_wake_init();
	ftc_step_init();
	ftc_launcher_init();
}
