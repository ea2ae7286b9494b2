/*-------------------------------------------------------------------------
 *
 * met.c
 *	  States that were met: a set of fingerprints, 16 bytes each.
 *
 * Many tables instead of one, each of which grows by itself: a table that grows
 * is there twice for a moment, and that must not be half of the memory.
 *
 *-------------------------------------------------------------------------
 */
#include "linksim.h"

#define TABLES 1024
#define SIZE_FIRST 256

typedef struct Table
{
	uint64_t	n;
	uint64_t	size;
	Print	   *prints;			/* zero: none */
} Table;

struct Met
{
	uint64_t	n;
	uint64_t	bytes;
	Table		tables[TABLES];
};

Met *
met_make(void)
{
	return calloc(1, sizeof(Met));
}

void
met_free(Met *met)
{
	for (int i = 0; i < TABLES; i++)
		free(met->tables[i].prints);
	free(met);
}

static bool
is_none(const Print *print)
{
	return print->a == 0 && print->b == 0;
}

/* Where it is, or should be. */
static Print *
place_of(const Table *table, const Print *print)
{
	uint64_t	at = (uint64_t) (((unsigned __int128) print->b * table->size) >> 64);

	while (!is_none(&table->prints[at]) && (table->prints[at].a != print->a || table->prints[at].b != print->b))
		at = at + 1 == table->size ? 0 : at + 1;
	return &table->prints[at];
}

static void
grow(Met *met, Table *table)
{
	Table		before = *table;

	table->size = before.size == 0 ? SIZE_FIRST : before.size + before.size / 4;
	table->prints = calloc(table->size, sizeof(Print));
	if (table->prints == NULL)
	{
		fprintf(stderr, "linksim: out of memory\n");
		exit(1);
	}
	for (uint64_t i = 0; i < before.size; i++)
		if (!is_none(&before.prints[i]))
			*place_of(table, &before.prints[i]) = before.prints[i];
	free(before.prints);
	met->bytes += (table->size - before.size) * sizeof(Print);
}

bool
met_add(Met *met, const Print *print)
{
	Table	   *table = &met->tables[print->a % TABLES];
	Print	   *place;

	if (table->n >= table->size / 10 * 9)
		grow(met, table);
	place = place_of(table, print);
	if (!is_none(place))
		return false;
	*place = *print;
	table->n++;
	met->n++;
	return true;
}

uint64_t
met_count(const Met *met)
{
	return met->n;
}

uint64_t
met_bytes(const Met *met)
{
	return met->bytes;
}
